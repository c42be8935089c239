/**
 * Regular expressions of the configuration. They run over what servers say, which nobody trusts, so
 * they are of RE2's kind: time in proportion to the text, whatever the pattern. Look-around and
 * back-references do not exist there.
 */

import type { RE2JS } from "re2js";
import * as v from "valibot";
import { about, type Checked, duration, flag, notArray, prose } from "./schema-parts.ts";
import { pattern } from "./schema-shaping.ts";

/** Letters of `flags`; `g` would say nothing, for all matches are replaced. */
export const PATTERN_FLAGS = /^[ims]*$/;

let engine: typeof RE2JS | undefined;

/**
 * Loads the engine, which takes some 20 ms: to be awaited before a configuration with patterns is
 * checked, or used. Without it {@link patternProblem} sees less.
 */
export async function loadPatterns(): Promise<void> {
  engine ??= (await import("re2js")).RE2JS;
}

/** Whether a configuration's text may contain patterns, and {@link loadPatterns} is due. */
export function mentionsPatterns(text: string): boolean {
  return /\bpattern\b/.test(text);
}

/**
 * Compiles a pattern. To be called after {@link loadPatterns}.
 * @throws {Error} when the pattern is none, or the engine is not loaded
 */
export function compilePattern(pattern: string, flags: string): RE2JS {
  if (engine === undefined) throw new Error("Cannot compile a pattern: the engine is not loaded");
  let bits = 0;
  if (flags.includes("i")) bits |= engine.CASE_INSENSITIVE;
  if (flags.includes("m")) bits |= engine.MULTILINE;
  if (flags.includes("s")) bits |= engine.DOTALL;
  return engine.compile(engine.translateRegExp(pattern), bits);
}

/** What a look at the text finds without the engine: the start of what RE2 does not have. */
const ABSENT = /\(\?<?[=!]|\\[1-9]|\\k</;

/** Why a pattern cannot be used, as the second half of a sentence; `undefined` when it can. */
export function patternProblem(pattern: string, flags = ""): string | undefined {
  if (ABSENT.test(pattern.replaceAll("\\\\", ""))) {
    return "a regular expression without look-around and back-references, which take too long";
  }
  try {
    if (engine === undefined) new RegExp(pattern);
    else compilePattern(pattern, PATTERN_FLAGS.test(flags) ? flags : "");
    return undefined;
  } catch (error) {
    const why = error instanceof Error ? error.message : "it is none";
    // Both engines begin with what they say of any pattern.
    return `a regular expression (${why.replace(/^.*(?:regexp|regular expression): /is, "")})`;
  }
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

/** How large the results of some tools may be: bytes of UTF-8, 0 for no limit. */
export interface SizeRule {
  /** Pattern for the upstream's own names; `*` for all. */
  readonly tools: string;
  readonly bytes: number;
}

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
    with: prose("What stands there instead; $1, $<name> and $& are what was matched.", "[key]"),
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

/** What is replaced in the results of some tools. */
export type ReplaceRule = Checked<typeof replacement>;

const replace = v.pipe(
  v.array(replacement, "an array of replacements"),
  v.metadata(about(
    "What is replaced in the text of tools' results, one after the other.",
    [{ pattern: "sk-[A-Za-z0-9]{20,}", with: "[key]" }],
  )),
);

const cacheEntry = notArray(v.strictObject({
  ttl: duration(0, "How long a result is kept; 0 keeps none.", "10m"),
  public: v.optional(flag("Whether what one client was answered may be given to another."), false),
}, 'an object with "ttl"'));

/** Which tools' results are kept, by a pattern for their own names, and for how long. */
export type CacheRule = { readonly tools: string } & Checked<typeof cacheEntry>;

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
export const TRANSFORM_ENTRIES = { maxResultBytes, replace, cache };

/**
 * What they leave: in each list the first rule that names a tool decides about it, but all of
 * `replace` that name it apply, in this order.
 */
export type ServerTransform = {
  readonly [Key in keyof typeof TRANSFORM_ENTRIES]: Checked<typeof TRANSFORM_ENTRIES[Key]>;
};

/** The rules of a checked server; `undefined` where there is none that does anything. */
export function serverTransform(checked: ServerTransform): ServerTransform | undefined {
  const { maxResultBytes, replace, cache } = checked;
  const does = maxResultBytes.some(({ bytes }) => bytes > 0) || replace.length > 0 ||
    cache.some(({ ttl }) => ttl > 0);
  return does ? { maxResultBytes, replace, cache } : undefined;
}
