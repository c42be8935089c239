/** The `limits` and `audit` of the file: how much somebody may do, and what is written down of it. */

import { isAbsolute } from "node:path";
import * as v from "valibot";
import { withoutUndefined } from "./issue.ts";
import { about, choice, count, flag, optional, text } from "./schema-parts.ts";
import { members } from "./schema-shaping.ts";

const RATE_HINT = 'so many in a second, minute or hour, such as "120/m"; the units are s, m, h';
const PER = { s: "second", m: "minute", h: "hour" } as const;

/** How many of something there may be in which time. */
export interface Rate {
  readonly count: number;
  readonly per: "second" | "minute" | "hour";
}

function rate(description: string, example: string) {
  return v.pipe(
    v.string(RATE_HINT),
    v.regex(/^[1-9]\d{0,6}\/[smh]$/, RATE_HINT),
    v.metadata(about(description, example)),
    v.transform((written): Rate => {
      const [count, unit] = written.split("/");
      return { count: Number(count), per: PER[unit as keyof typeof PER] };
    }),
  );
}

/** Of a principal, or of all together where nobody has to say who he is. */
export const limitsOption = v.pipe(
  members(optional({
    calls: rate(
      "How often one principal may call tools, get prompts and read resources; ten seconds' worth " +
        "of it, at least 5, at once. Lists are not counted.",
      "120/m",
    ),
    concurrent: count(1, 100_000, "How many of those one principal may have in flight.", {
      example: 16,
    }),
    sessions: count(
      1,
      10_000,
      "How many sessions of legacy clients one principal may have; one more ends the idlest. 100 " +
        "by default, where there is auth or limits.",
      { example: 20 },
    ),
  })),
  v.metadata(about(
    "What one principal may do, everybody together without auth. At the top for all endpoints; what " +
      "a profile says is counted by itself there, instead.",
    { calls: "120/m", concurrent: 16 },
  )),
  v.transform(withoutUndefined),
);

/** How much somebody may do. */
export type LimitsConfig = Readonly<v.InferOutput<typeof limitsOption>>;

/** The option of a server. */
export const rateOption = rate(
  "How many calls, gets of prompts and reads the server gets from everybody together; what is " +
    "answered from the cache is not counted.",
  "60/m",
);

/** Where it is written down who has done what, and how much of it. */
export const auditOption = v.pipe(
  members({
    ...optional({
      arguments: choice(
        ["none", "hash", "full"],
        "What is written of arguments: nothing, an HMAC that tells equal ones, or the arguments, " +
          "secrets masked, at most 8 KiB.",
      ),
      required: flag("Whether calls are refused while nothing can be written."),
    }, { arguments: "none", required: false }),
    file: v.pipe(
      text("Where the lines are appended.", "/var/log/mcproxy/audit.jsonl"),
      v.check(isAbsolute, "an absolute path"),
    ),
  }),
  v.metadata(about(
    "Writes a JSON line for each call and each refusal, each with the digest of the one before.",
    { file: "/var/log/mcproxy/audit.jsonl", arguments: "hash" },
  )),
);

/** `audit` as the schema leaves it. */
export type AuditConfig = Readonly<v.InferOutput<typeof auditOption>>;
