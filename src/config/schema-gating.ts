/** The `gating` and `embeddings` of the file: how many tools clients get to see, and their search. */

import * as v from "valibot";
import { isObject } from "../lib/json.ts";
import { isLoopback } from "../lib/text.ts";
import { withoutUndefined } from "./issue.ts";
import {
  about,
  type Checked,
  choice,
  chosen,
  count,
  duration,
  flag,
  httpUrl,
  nearestHint,
  optional,
  text,
} from "./schema-parts.ts";
import { members, patterns } from "./schema-shaping.ts";
import type { IssueCollector } from "./validate.ts";

const MODES = ["off", "on", "auto"] as const;

/** Whether clients see a few tools that find the others, instead of all of them. */
export type GatingMode = typeof MODES[number];

const EXPOSE = 'true, false or "auto"';

const entries = {
  mode: choice(
    MODES,
    "Whether clients see a few tools that find the others instead of all tools: never, always, " +
      "or (auto) where there are more than maxTools, or more than maxTokens of them. Without it, " +
      "auto where one of those two is given.",
  ),
  maxTools: count(0, 100_000, "Most tools that auto lists directly.", { example: 40 }),
  maxTokens: count(
    0,
    10_000_000,
    "Most tokens, as estimated, of tools that auto lists directly; also the most that one " +
      "provision_tools returns where it is not told a number.",
    { example: 20_000 },
  ),
  alwaysVisible: patterns("Names of tools, as clients see them, that are listed in any case.", [
    "memory_search_nodes",
    "github_get_*",
  ]),
  exposeProvisioned: v.pipe(
    v.union([v.boolean(), v.literal("auto")], EXPOSE),
    v.metadata(about(
      "Whether provisioned tools also join the tool list of the session that provisioned them; " +
        "auto does it for clients that are known to read a changed list again.",
      "auto",
    )),
  ),
  requireProvisioning: flag(
    "Whether a tool must have been provisioned before execute_tool calls it.",
  ),
  splitByRisk: flag(
    "Whether execute_tool is three tools, execute_read, execute_write and execute_destructive, " +
      "so that a client's rules for approval keep working.",
  ),
  usageRanking: flag(
    "Whether tools that were called successfully before rank a little higher in a search.",
  ),
};

const gating = members(optional(entries, {
  mode: "off",
  maxTools: 50,
  maxTokens: 10_000,
  alwaysVisible: () => [],
  exposeProvisioned: false,
  requireProvisioning: false,
  splitByRisk: false,
  usageRanking: false,
}));

/** How the tools of a view are gated; complete, defaults applied. */
export type GatingConfig = Checked<typeof gating>;

/** Defaults make no sense where the settings of all views stand behind. */
const partial = members(optional(entries));

/** What to write where neither a word nor an object stands. */
const FORMS = '"off", "on" or "auto", or an object with "mode" and others';

const word = v.picklist(MODES, ({ input }) => FORMS + nearestHint(input, MODES));

/** People write the mode alone: it stands for an object with nothing else. */
function orWord<const Members extends v.GenericSchema>(object: Members): Members {
  const union = v.union([word, object]) as unknown as Members;
  // Which of the two is meant is plain to see, so issues are about that one.
  return chosen(union, (dataset) => {
    const { value } = dataset;
    const isWord = v.is(word, value);
    if (isWord) dataset.value = { mode: value };
    return isWord || isObject(value) ? object : word;
  });
}

/** A bound alone makes sense in one mode only. */
const whole = chosen(gating, (dataset) => {
  const { value } = dataset;
  if (isObject(value) && hasBound(value)) dataset.value = { mode: "auto", ...value };
  return gating;
});

function hasBound({ maxTools, maxTokens }: { maxTools?: unknown; maxTokens?: unknown }): boolean {
  return (maxTools ?? maxTokens) !== undefined;
}

/** What holds for a profile: key by key what it says itself, else what is said for all views. */
export function gatingFor(own: Partial<GatingConfig>, all: GatingConfig): GatingConfig {
  return { ...all, ...(all.mode === "off" && hasBound(own) ? { mode: "auto" } : {}), ...own };
}

const EXAMPLE = { mode: "on", alwaysVisible: ["memory_search_nodes"] };

const embeddings = members({
  url: v.pipe(
    httpUrl,
    v.metadata(about("Base address of an OpenAI-compatible API.", "http://127.0.0.1:11434/v1")),
  ),
  model: text("Name of the model.", "nomic-embed-text"),
  apiKey: v.optional(text("Sent as a bearer token.", "${OPENAI_API_KEY}")),
  timeout: v.optional(
    duration(1, "How long a search waits for the vector of its query.", "500ms"),
    300,
  ),
});

/** An endpoint that turns texts into vectors, as OpenAI's API does. */
export type EmbeddingsConfig = Checked<typeof embeddings>;

/** The settings about finding tools. */
export const gatingOptions = {
  gating: v.pipe(
    orWord(whole),
    v.metadata({
      ...about(
        "How clients of many tools are spared their definitions: the mode alone, or an object.",
        EXAMPLE,
        "off",
      ),
      default: {},
    }),
  ),
  embeddings: v.pipe(
    embeddings,
    v.metadata(about(
      "A second opinion for the search over tools: vectors of an embedding model. Without it, and " +
        "whenever it does not answer in time, words alone decide.",
      { url: "http://127.0.0.1:11434/v1", model: "nomic-embed-text" },
    )),
  ),
};

/** What a profile says differently. */
export const profileGating = v.pipe(
  orWord(partial),
  v.metadata(about("What is different from the gating of all views.", EXAMPLE, "on")),
  v.transform((checked): Partial<GatingConfig> => withoutUndefined(checked)),
);

/** Warns of a key that anybody on the way to the endpoint could read. */
export function warnBareKey(
  { url, apiKey }: EmbeddingsConfig,
  collector: Pick<IssueCollector, "warn">,
): void {
  const { protocol, hostname, username, password } = new URL(url);
  const hasSecret = apiKey !== undefined || username !== "" || password !== "";
  if (!hasSecret || protocol !== "http:" || isLoopback(hostname)) return;
  collector.warn(["embeddings", "url"], "its key crosses the network unencrypted", {
    remedy: "use https, or an endpoint on this machine",
  });
}
