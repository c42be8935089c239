import type { RE2JS } from "re2js";
import { compilePattern, loadPatterns } from "../../config/schema-results.ts";
import type { ReplaceRule } from "../../config/types.ts";
import {
  editJson,
  type JsonEdit,
  rawAt,
  rawElements,
  skipSpace,
  skipString,
} from "../../lib/json-edit.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import { ErrorCode, RpcError } from "../../protocol/errors.ts";
import { parseMessage, type ResponseMessage } from "../../protocol/message.ts";
import type { Middleware } from "./middleware.ts";

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

/** A piece of what is put in the place of a match: text, or a group by number or name. */
type Piece = { readonly text: string } | { readonly group: number | string };

type Match = ReturnType<RE2JS["matcher"]>;

/** What stands for a match as in `String.prototype.replace`, without what it does not need. */
const REFERENCE = /\$(?:\$|&|<([^>]+)>|([1-9]\d?))/g;

/**
 * Reads the text that replaces matches: `$&`, `$1`, `$<name>` and `$$`. Every other text, a reference
 * to a group that the pattern does not have included, stands for itself.
 */
export function compileReplacement(text: string, pattern: RE2JS): (match: Match) => string {
  const pieces: Piece[] = [];
  let from = 0;
  for (const found of text.matchAll(REFERENCE)) {
    const group = groupOf(found, pattern);
    if (group === undefined) continue;
    pieces.push({ text: text.slice(from, found.index) }, group);
    from = found.index + found[0].length;
  }
  pieces.push({ text: text.slice(from) });
  return (match) =>
    pieces.map((piece) => "text" in piece ? piece.text : match.group(piece.group) ?? "").join("");
}

function groupOf([whole, name, number]: RegExpExecArray, pattern: RE2JS): Piece | undefined {
  if (whole === "$$") return { text: "$" };
  if (whole === "$&") return { group: 0 };
  if (name !== undefined) {
    return Object.hasOwn(pattern.namedGroups(), name) ? { group: name } : undefined;
  }
  return Number(number) <= pattern.groupCount() ? { group: Number(number) } : undefined;
}

// A look at the texts in a tool's result, and edits of them that leave everything else alone.

/** Text for the model in one item of `content`: its own, or that of a resource in it. */
export interface TextPart {
  /** Which item of `content`. */
  readonly index: number;
  /** Where in the item. */
  readonly path: readonly string[];
  readonly text: string;
  readonly mimeType: string;
}

const OWN_TEXT = ["text"];
const RESOURCE_TEXT = ["resource", "text"];

/** The texts of a result, in order. Images, audio, links and what is unknown have none. */
export function textParts({ content }: JsonObject): readonly TextPart[] {
  if (!Array.isArray(content)) return [];
  return content.flatMap((item, index): readonly TextPart[] => {
    if (!isObject(item)) return [];
    if (item.type === "text" && typeof item.text === "string") {
      return [{ index, path: OWN_TEXT, text: item.text, mimeType: "text/plain" }];
    }
    if (item.type !== "resource" || !isObject(item.resource)) return [];
    const { text, mimeType } = item.resource;
    if (typeof text !== "string") return [];
    const kind = typeof mimeType === "string" ? mimeType : "text/plain";
    return [{ index, path: RESOURCE_TEXT, text, mimeType: kind }];
  });
}

/** What becomes of the items of `content`. */
export interface ContentChange {
  /** New texts of parts; `undefined` takes the item away. */
  readonly texts: ReadonlyMap<TextPart, string | undefined>;
  /** JSON of items to be added at the end. */
  readonly added?: readonly string[];
}

/** The edit of a response that makes a change of its `content`. */
export function contentEdit(raw: string, { texts, added = [] }: ContentChange): JsonEdit {
  const path = ["result", "content"];
  const changes = new Map([...texts].map(([part, text]) => [part.index, { part, text }]));
  const edited = mapElements(rawAt(raw, path) ?? "[]", (item, index) => {
    const change = changes.get(index);
    if (change === undefined) return item;
    if (change.text === undefined) return undefined;
    return editJson(item, [{ path: change.part.path, value: JSON.stringify(change.text) }]);
  });
  return { path, value: withElements(edited, added) };
}

/** The array's text with other elements; one for which `map` gives nothing goes. */
function mapElements(
  arrayText: string,
  map: (element: string, index: number) => string | undefined,
): string {
  let out = "";
  let from = 0;
  let kept = 0;
  for (const [index, element] of (rawElements(arrayText) ?? []).entries()) {
    // Nothing but spaces and a comma is before it, so this finds it and nothing else.
    const start = arrayText.indexOf(element, from === 0 ? 1 : from);
    const before = arrayText.slice(from, start);
    from = start + element.length;
    const value = map(element, index);
    if (value === undefined) {
      if (index === 0) out = "[";
      continue;
    }
    // What goes takes the comma before it along; the first that stays needs none.
    out += index > 0 && kept === 0 ? before.replace(",", "") : before;
    out += value;
    kept++;
  }
  return out + arrayText.slice(from);
}

function withElements(arrayText: string, added: readonly string[]): string {
  if (added.length === 0) return arrayText;
  const end = arrayText.lastIndexOf("]");
  const comma = /^\s*\[\s*\]\s*$/.test(arrayText) ? "" : ",";
  return arrayText.slice(0, end) + comma + added.join(",") + arrayText.slice(end);
}

/** A response with edits made, its parsed side too. */
export function edited(response: ResponseMessage, edits: readonly JsonEdit[]): ResponseMessage {
  return edits.length === 0
    ? response
    : parseMessage(editJson(response.raw, edits)) as ResponseMessage;
}
