/** The `auth` of the file: by what the gateway knows who asks. */

import process from "node:process";
import * as v from "valibot";
import { isObject } from "../lib/json.ts";
import { isLoopback } from "../lib/text.ts";
import { about, type Checked, chosen, httpUrl, notArray, optional, text } from "./schema-parts.ts";
import { members } from "./schema-shaping.ts";
import type { IssueCollector } from "./validate.ts";

const HASH = "sha256:9f2c4d1e8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2c1d";

/** What is there may be the key itself, so no issue repeats it. */
const HASH_HINT = 'the hash of a key, "sha256:" and 64 hexadecimal digits, as "mcproxy keys add ' +
  'NAME" writes it, or "mcproxy keys hash" for a key you have';

const hash = v.pipe(
  v.string(HASH_HINT),
  v.regex(/^sha256:[0-9A-Fa-f]{64}$/, HASH_HINT),
  v.metadata(about("SHA-256 of the key.", HASH)),
  v.transform((written) => written.slice("sha256:".length).toLowerCase()),
);

const DATE = /^(\d{4}-\d\d-\d\d)(T\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z)?$/;
const DATE_HINT = 'a date such as "2027-03-31", or with a time such as "2027-03-31T12:00:00Z"';

/** Milliseconds since the epoch: a day ends where the next one begins, by the clock of UTC. */
function endOf(date: string): number {
  const [, day = "", time] = DATE.exec(date) ?? [];
  const start = Date.parse(`${day}T00:00:00Z`);
  // 30 February is no day, though it is one for some.
  if (Number.isNaN(start) || !new Date(start).toISOString().startsWith(day)) return NaN;
  return time === undefined ? start + 86_400_000 : Date.parse(date);
}

const named = members({
  hash,
  expires: v.optional(v.pipe(
    v.string(DATE_HINT),
    v.check((date) => !Number.isNaN(endOf(date)), DATE_HINT),
    v.metadata(about("The last day of the key, in UTC, or its last moment.", "2027-03-31")),
    v.transform(endOf),
  )),
});

const bare = v.pipe(hash, v.transform((hash) => ({ hash, expires: undefined })));
const key = chosen(v.union([bare, named]), ({ value }) => isObject(value) ? named : bare);

/** It stands in log lines and in `access`, after `key:`. */
const KEY_NAME = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z0-9._-]{1,64}$/, "a name of letters, digits and . _ - for a key"),
);

const keys = v.pipe(
  notArray(v.record(KEY_NAME, key, "an object of hashes by the names of their keys")),
  v.metadata(about(
    "Keys that let in, by name: the hash of each, or an object with hash and expires.",
    { laptop: HASH, ci: { hash: HASH, expires: "2027-03-31" } },
  )),
  v.transform((keys) =>
    Object.entries(keys).map(([name, { hash, expires }]) => ({ name, hash, expires }))
  ),
);

/** A key that lets in; `hash` is SHA-256 in hexadecimal, `expires` milliseconds since the epoch. */
export type KeyConfig = Checked<typeof keys>[number];

const NON_EMPTY = v.pipe(v.string(), v.nonEmpty());
const audience = v.pipe(
  v.union(
    [NON_EMPTY, v.pipe(v.array(NON_EMPTY), v.minLength(1))],
    "a string, or an array of strings",
  ),
  v.metadata(about(
    "What a token must be for, one of these; by default publicUrl, or the endpoint that is asked.",
    ["https://mcp.example.com/mcp"],
  )),
  v.transform((given) => [given].flat()),
);

/** RFC 6749, section 3.3. */
const SCOPE = v.pipe(
  v.string("a string"),
  v.regex(/^[\x21\x23-\x5B\x5D-\x7E]{1,256}$/, "a scope: no blanks, quotes or backslashes"),
);

function header(description: string, example: string) {
  return v.pipe(
    v.string("a string"),
    v.regex(/^[\w!#$%&'*+.^`|~-]{1,128}$/, "the name of a header"),
    v.check(
      (name) => !/^(authorization|x-api-key)$/i.test(name),
      "a header of its own, not that of keys and tokens",
    ),
    v.metadata(about(description, example)),
    v.transform((name) => name.toLowerCase()),
  );
}

const issuer = members({
  issuer: v.pipe(
    httpUrl,
    v.metadata(about("The issuer, as its tokens name it.", "https://id.example.com")),
  ),
  ...optional({
    audience,
    jwks: text(
      "Where its keys are: a URL, or the path of a file. By default its metadata say so.",
      "https://id.example.com/keys",
    ),
    header: header(
      "The header that its tokens come in, for proxies that sign; by default Authorization.",
      "cf-access-jwt-assertion",
    ),
    name: text("The claim that access knows people by; by default sub.", "email"),
    groups: text("The claim with their groups; without it they have none.", "groups"),
    scopes: v.pipe(
      v.array(SCOPE, "an array of scopes"),
      v.metadata(about("Scopes that clients are told to ask for.", ["mcp:use"])),
    ),
    as: v.pipe(
      v.string("a string"),
      v.regex(/^[A-Za-z0-9._/-]{1,64}$/, "a prefix of letters, digits and . _ - /"),
      v.metadata(about("What comes before names, groups and scopes from here.", "corp/")),
    ),
  }, { scopes: () => [] }),
});

/** Somebody whose signed tokens let in. */
export type IssuerConfig = Checked<typeof issuer>;

/** Where one prefix begins with another, the people of one issuer could be called as another's. */
function areApart(issuers: readonly Pick<IssuerConfig, "issuer" | "as">[]): boolean {
  return issuers.every(({ issuer, as = "" }, index) =>
    issuers.slice(0, index).every(({ issuer: other, as: before = "" }) =>
      other !== issuer && !before.startsWith(as) && !as.startsWith(before)
    )
  );
}

/** Whether it is an IP address, or a block of them such as `10.0.0.0/8`. */
function isBlock(value: string): boolean {
  const [, address = "", size] = /^([^/%]+)(?:\/(\d{1,3}))?$/.exec(value) ?? [];
  const version = process.getBuiltinModule("node:net").isIP(address);
  return version !== 0 && Number(size ?? 0) <= (version === 4 ? 32 : 128);
}

const BLOCK_HINT = 'an address or a block of them, such as "127.0.0.1" or "10.0.0.0/8"';

const proxy = members({
  header: header("The header with the name of who asks.", "x-forwarded-user"),
  groups: v.optional(
    header("The header with their groups, commas between.", "x-forwarded-groups"),
  ),
  from: v.pipe(
    v.array(
      v.pipe(v.string(BLOCK_HINT), v.check(isBlock, BLOCK_HINT)),
      "an array of addresses",
    ),
    v.minLength(1, "at least one address"),
    v.metadata(about("Whose headers count: addresses, or blocks of them.", ["127.0.0.1"])),
  ),
});

/** A proxy that says who asks. */
export type ProxyConfig = Checked<typeof proxy>;

const auth = v.pipe(
  members(optional({
    keys,
    issuers: v.pipe(
      v.array(issuer, "an array of issuers"),
      v.check(
        (issuers) => areApart(issuers),
        'issuers that stand here once, each with an "as" of its own such as "corp/", none the ' +
          "beginning of another",
      ),
      v.metadata(
        about("Whose signed tokens (JWT) let in.", [{ issuer: "https://id.example.com" }]),
      ),
    ),
    proxy: v.pipe(
      proxy,
      v.metadata(about("A proxy in front that knows who asks.", {
        header: "x-forwarded-user",
        from: ["127.0.0.1"],
      })),
    ),
  })),
  // The last key taken out of an empty "keys" is no reason to let it in for want of a valid file.
  v.check(
    ({ keys, issuers, proxy }) => (keys ?? issuers ?? proxy) !== undefined,
    'at least one of "keys", "issuers" and "proxy"',
  ),
);

/** Who is let in. */
export type AuthConfig = Checked<typeof auth>;

/** The setting about who is let in. */
export const authOption = v.pipe(
  auth,
  v.metadata(about(
    "Who is let in: by keys, by tokens of issuers, by what a proxy says. Without it, whoever " +
      "reaches the gateway.",
    { keys: { laptop: HASH } },
  )),
);

/** Reports what `auth` needs of other settings: its schema sees no further than itself. */
export function checkIssuers(
  { auth, publicUrl }: {
    readonly auth?: AuthConfig | undefined;
    readonly publicUrl?: string | undefined;
  },
  collector: Pick<IssueCollector, "error" | "warn">,
): void {
  const issuers = auth?.issuers ?? [];
  if (issuers.length > 0 && publicUrl === undefined) {
    collector.error(["auth", "issuers"], "tokens are for an address, and there is none", {
      remedy: 'set "publicUrl" to where clients reach the gateway',
    });
  }
  issuers.forEach(({ issuer, jwks = issuer }, index) => {
    const { protocol, hostname = "" } = URL.parse(jwks) ?? {};
    if (protocol !== "http:" || isLoopback(hostname)) return;
    collector.warn(
      ["auth", "issuers", index],
      "its keys cross the network in the clear: anybody on the way can make tokens",
      { remedy: "use https" },
    );
  });
}
