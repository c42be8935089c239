/**
 * Regular expressions of the configuration. They run over what servers say, which nobody trusts, so
 * they are of RE2's kind: time in proportion to the text, whatever the pattern. Look-around and
 * back-references do not exist there.
 */

import type { RE2JS } from "re2js";

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
