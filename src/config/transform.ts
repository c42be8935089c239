/** What the gateway does to the results of a server's tools: the part of `mcpServers` about it. */

import * as v from "valibot";
import { PATTERN_FLAGS, patternProblem } from "./patterns.ts";
import { about, duration, flag, notArray } from "./schema-parts.ts";
import { pattern } from "./schema-shaping.ts";

/** How large the results of some tools may be. */
export interface SizeRule {
  /** Pattern for the upstream's own names; `*` for all. */
  readonly tools: string;
  /** Bytes of UTF-8; 0 for no limit. */
  readonly bytes: number;
}

/** What is replaced in the results of some tools. */
export interface ReplaceRule {
  /** Patterns for the upstream's own names. */
  readonly tools: readonly string[];
  /** Regular expression as in `patterns.ts`. */
  readonly pattern: string;
  /** Any of `i`, `m` and `s`. */
  readonly flags: string;
  /** `$1`, `$<name>` and `$&` stand for what was matched, `$$` for a dollar. */
  readonly with: string;
  /** Whether the strings of `structuredContent` are gone through, too. */
  readonly structured: boolean;
}

/** Which tools' results are kept, and for how long. */
export interface CacheRule {
  /** Pattern for the upstream's own names. */
  readonly tools: string;
  /** Milliseconds; 0 keeps nothing. */
  readonly ttl: number;
  /** Whether what one client was answered may be given to another. */
  readonly public: boolean;
}

/** Everything of one server. In each list the first rule that names a tool decides about it. */
export interface ServerTransform {
  readonly maxResultBytes: readonly SizeRule[];
  /** Here all that name a tool apply, in this order. */
  readonly replace: readonly ReplaceRule[];
  readonly cache: readonly CacheRule[];
}

/** A limit below this would cut the note that says so. */
const LEAST_RESULT = 256;

const SIZE = `a number of bytes from ${LEAST_RESULT}, or 0 for no limit`;

const sizeLimit = v.pipe(
  v.number(SIZE),
  v.integer(SIZE),
  v.check((bytes) => bytes === 0 || (bytes >= LEAST_RESULT && bytes <= 1_073_741_824), SIZE),
  v.metadata({ minimum: 0, maximum: 1_073_741_824 }),
);

const maxResultBytes = v.pipe(
  v.union([
    v.pipe(sizeLimit, v.transform((bytes): SizeRule[] => [{ tools: "*", bytes }])),
    v.pipe(
      notArray(v.record(pattern, sizeLimit)),
      v.transform((rules): SizeRule[] =>
        Object.entries(rules).map(([tools, bytes]) => ({ tools, bytes }))
      ),
    ),
  ], `${SIZE}, or an object with one for each pattern of tool names`),
  v.metadata(about(
    "How many bytes of text a result of a tool may have: for all tools, or by patterns for their " +
      "names, of which the first that fits decides. What is beyond is left out and kept for a " +
      "while as a resource the result links to. 0 is no limit.",
    100_000,
    { "search_*": 20_000, "*": 100_000 },
  )),
);

const PATTERN = "a regular expression";

const replacement = notArray(v.pipe(
  v.strictObject({
    pattern: v.pipe(
      v.string(PATTERN),
      v.nonEmpty(PATTERN),
      v.check(
        (pattern) => patternProblem(pattern) === undefined,
        ({ input }) => patternProblem(String(input)) ?? PATTERN,
      ),
      v.metadata(about(
        "What is replaced, as a regular expression without look-around and back-references.",
        "sk-[A-Za-z0-9]{20,}",
      )),
    ),
    flags: v.optional(
      v.pipe(
        v.string('any of "i", "m" and "s"'),
        v.regex(PATTERN_FLAGS, 'any of "i", "m" and "s"; every match is replaced without "g"'),
        v.metadata(about("Flags of the pattern: any of i, m and s.", "i")),
      ),
      "",
    ),
    with: v.pipe(
      v.string("a string"),
      v.metadata(
        about("What stands there instead; $1, $<name> and $& are what was matched.", "[key]"),
      ),
    ),
    tools: v.optional(
      v.pipe(
        v.array(pattern, "an array of patterns for names of tools"),
        v.metadata(about("Patterns for the names of the tools it is for.", ["read_*", "search"])),
      ),
      () => ["*"],
    ),
    structured: v.optional(
      flag("Whether strings in structured content are gone through, too."),
      false,
    ),
  }, 'an object with "pattern" and "with"'),
));

const replace = v.pipe(
  v.array(replacement, "an array of replacements"),
  v.metadata(about(
    "What is replaced in the text of tools' results, one after the other.",
    [{ pattern: "sk-[A-Za-z0-9]{20,}", with: "[key]" }],
  )),
);

const cacheEntry = notArray(v.strictObject({
  ttl: duration(0, "How long a result is kept; 0 keeps none.", "10m"),
  public: v.optional(
    flag("Whether what one client was answered may be given to another."),
    false,
  ),
}, 'an object with "ttl"'));

const cache = v.pipe(
  notArray(v.record(pattern, cacheEntry, "an object with an entry for each pattern of tool names")),
  v.metadata(about(
    "Which tools' results are kept and given again for the same arguments, by patterns for their " +
      "names, of which the first that fits decides. Only for tools that change nothing.",
    { "search_*": { ttl: "10m" }, "get_weather": { ttl: "1h", public: true } },
  )),
  v.transform((rules): CacheRule[] =>
    Object.entries(rules).map(([tools, rule]) => ({ tools, ...rule }))
  ),
);

/** Entries of a server, to be spread into its schema; their outputs are lists of rules. */
export const TRANSFORM_ENTRIES = {
  maxResultBytes: v.optional(maxResultBytes, 0),
  replace: v.optional(replace, () => []),
  cache: v.optional(cache, () => ({})),
};

/** What {@link TRANSFORM_ENTRIES} leave of a server. */
export type CheckedTransform = {
  readonly [Key in keyof ServerTransform]: ServerTransform[Key];
};

const CACHE_SIZE = "a number of bytes from 0 to 1073741824";

/** Entries of the settings, to be spread into their schema. */
export const TRANSFORM_SETTINGS = {
  cacheSize: v.optional(
    v.pipe(
      v.number(CACHE_SIZE),
      v.integer(CACHE_SIZE),
      v.minValue(0, CACHE_SIZE),
      v.maxValue(1_073_741_824, CACHE_SIZE),
      v.metadata(about(
        "How many bytes of results are kept for all servers; 0 keeps none, whatever they say.",
        67_108_864,
      )),
    ),
    16_777_216,
  ),
};

/** The rules of a checked server; `undefined` where there is none that does anything. */
export function serverTransform(checked: CheckedTransform): ServerTransform | undefined {
  const { maxResultBytes, replace, cache } = checked;
  const does = maxResultBytes.some(({ bytes }) => bytes > 0) || replace.length > 0 ||
    cache.some(({ ttl }) => ttl > 0);
  return does ? { maxResultBytes, replace, cache } : undefined;
}
