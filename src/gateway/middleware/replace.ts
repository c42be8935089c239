import type { RE2JS } from "re2js";
import { compilePattern, loadPatterns } from "../../config/patterns.ts";
import type { ReplaceRule } from "../../config/transform.ts";
import { type JsonEdit, rawAt, skipSpace, skipString } from "../../lib/json-edit.ts";
import { ErrorCode, RpcError } from "../../protocol/errors.ts";
import type { ResponseMessage } from "../../protocol/message.ts";
import { contentEdit, edited, type TextPart, textParts } from "./content.ts";
import type { Middleware } from "./middleware.ts";
import { compileReplacement } from "./replacement.ts";

/** Bounds of the work on one result. What is beyond is refused: it may be what must not be seen. */
export interface ReplaceLimits {
  /** Characters of all texts together. */
  readonly characters: number;
  /** Milliseconds. A single match takes time in proportion to the text; many may take its square. */
  readonly time: number;
}

/** About half a second on a slow machine. */
const REPLACE_LIMITS: ReplaceLimits = { characters: 4 * 1024 * 1024, time: 1_000 };

/** One rule, ready for use. */
interface Replacement {
  readonly pattern: RE2JS;
  readonly substitute: ReturnType<typeof compileReplacement>;
  readonly structured: boolean;
}

/** Replaces what the rules say in the texts of a result, one rule after the other. */
export function replaceText(
  rules: readonly ReplaceRule[],
  limits: ReplaceLimits = REPLACE_LIMITS,
  now: () => number = () => performance.now(),
): Middleware {
  let ready: Promise<readonly Replacement[]> | undefined;
  return async (call, next) => {
    const response = await next(call);
    if (response.result === undefined) return response;
    const replacements = await (ready ??= prepare(rules));
    const budget = new Budget(limits, now, call.name);
    return edited(response, replaceEdits(response, replacements, budget));
  };
}

async function prepare(rules: readonly ReplaceRule[]): Promise<readonly Replacement[]> {
  await loadPatterns();
  return rules.map(({ pattern: text, flags, with: substitute, structured }) => {
    const pattern = compilePattern(text, flags);
    return { pattern, substitute: compileReplacement(substitute, pattern), structured };
  });
}

/** What may still be done for one result. */
class Budget {
  readonly #end: number;
  #characters: number;

  constructor(
    { characters, time }: ReplaceLimits,
    readonly now: () => number,
    readonly tool: string,
  ) {
    this.#characters = characters;
    this.#end = now() + time;
  }

  /** @throws {RpcError} when there is too much text, for all rules together */
  take(text: string): void {
    this.#characters -= text.length;
    if (this.#characters < 0) throw this.#refusal("it has too much text");
  }

  /** @throws {RpcError} when time is up */
  check(): void {
    if (this.now() > this.#end) throw this.#refusal("it takes too long");
  }

  #refusal(why: string): RpcError {
    return new RpcError(
      ErrorCode.InternalError,
      `Cannot replace text in the result of "${this.tool}": ${why}; ask for less`,
    );
  }
}

function replaceEdits(
  { raw, result }: ResponseMessage,
  replacements: readonly Replacement[],
  budget: Budget,
): readonly JsonEdit[] {
  const texts = new Map<TextPart, string>();
  for (const part of textParts(result!)) {
    const text = replaced(part.text, replacements, budget);
    if (text !== part.text) texts.set(part, text);
  }
  const edits = texts.size === 0 ? [] : [contentEdit(raw, { texts })];
  const structured = replacements.filter((one) => one.structured);
  if (structured.length === 0 || result!.structuredContent === undefined) return edits;
  const path = ["result", "structuredContent"];
  const before = rawAt(raw, path)!;
  const after = replacedIn(before, structured, budget);
  return after === before ? edits : [...edits, { path, value: after }];
}

function replaced(text: string, replacements: readonly Replacement[], budget: Budget): string {
  return replacements.reduce((current, { pattern, substitute }) => {
    budget.take(current);
    const match = pattern.matcher(current);
    let out = "";
    let from = 0;
    while (match.find()) {
      budget.check();
      out += current.slice(from, match.start()) + substitute(match);
      from = match.end();
    }
    return out + current.slice(from);
  }, text);
}

/** The JSON text with its strings replaced; names of members stay, for they are the schema's. */
function replacedIn(text: string, replacements: readonly Replacement[], budget: Budget): string {
  // As flat tokens: values may be nested as deep as they like, and what is no string stays. Not by a
  // regular expression: of a string of some MB one engine throws, and the other finds nothing.
  let out = "";
  let from = 0;
  for (let at = text.indexOf('"'); at >= 0;) {
    const end = skipString(text, at);
    if (text[skipSpace(text, end)] !== ":") {
      const value = JSON.parse(text.slice(at, end)) as string;
      const after = replaced(value, replacements, budget);
      if (after !== value) {
        out += text.slice(from, at) + JSON.stringify(after);
        from = end;
      }
    }
    at = text.indexOf('"', end);
  }
  return out + text.slice(from);
}
