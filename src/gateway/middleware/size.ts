import { type JsonEdit, rawAt } from "../../lib/json-edit.ts";
import { isObject } from "../../lib/json.ts";
import type { ResponseMessage } from "../../protocol/message.ts";
import type { Call, Middleware } from "./middleware.ts";
import { contentEdit, edited, type TextPart, textParts } from "./replace.ts";
import type { ResultStore, StoredPart } from "./result-store.ts";

/** What {@link limitResults} needs. */
export interface LimitResultsOptions {
  /** Bytes of text a result may have. */
  readonly limit: number;
  /** Where the whole result is kept. */
  readonly store: ResultStore;
  /** Whether the called tool declares an output schema, which `structuredContent` is there for. */
  declaresOutput(call: Call): boolean;
}

/** The first version with content of this type; older clients refuse a result that has it. */
const FIRST_WITH_LINKS = "2025-06-18";

/**
 * Cuts the text of a result that has too much of it, says so, and links to the whole. An error of
 * the tool is cut in the same way. `structuredContent` that is too large is left out as a whole,
 * and only where the tool declares no output schema: clients refuse a result without it otherwise.
 */
export function limitResults({ limit, store, declaresOutput }: LimitResultsOptions): Middleware {
  return async (call, next) => {
    const response = await next(call);
    const mayDrop = () => response.result?.isError === true || !declaresOutput(call);
    const excess = excessOf(response, limit, mayDrop);
    if (excess === undefined) return response;
    const uri = await store.put(call.holder, excess.whole);
    const items = [note(excess, uri), ...link(call, response, excess, uri)];
    return edited(response, trimEdits(response, excess, items));
  };
}

function note({ total, left }: Excess, uri: string | undefined): string {
  const where = uri === undefined ? "it is too large to be kept" : `the whole is at ${uri}`;
  const text = `[mcproxy left out ${left} of ${total} bytes of this result; ${where}]`;
  return JSON.stringify({ type: "text", text });
}

/** The link as an item of `content`, for clients that know such items. */
function link(
  { exchange, name }: Call,
  { result }: ResponseMessage,
  { total, whole }: Excess,
  uri: string | undefined,
): readonly string[] {
  const knowsLinks = exchange.client.protocolVersion >= FIRST_WITH_LINKS;
  if (uri === undefined || !knowsLinks || !isObject(result)) return [];
  const mimeType = whole.length === 1 ? whole[0]!.mimeType : undefined;
  return [JSON.stringify({
    type: "resource_link",
    uri,
    name: `${name} (whole result)`,
    mimeType,
    size: total,
  })];
}

// Cuts a tool's result down to a size. Pure; where the whole is kept is another's business.

/** What is too large in a result. */
export interface Excess {
  /** The texts that are not given whole: a shorter text, or `undefined` for none of it. */
  readonly texts: ReadonlyMap<TextPart, string | undefined>;
  /** Whether `structuredContent` is left out. */
  readonly dropsStructure: boolean;
  /** Bytes of all texts, and of the structure where that is left out. */
  readonly total: number;
  /** How many of them are left out. */
  readonly left: number;
  /** The whole, piece by piece. */
  readonly whole: readonly StoredPart[];
}

const STRUCTURE = ["result", "structuredContent"];
const encoder = new TextEncoder();

/**
 * What of a result is beyond `limit` bytes; `undefined` when nothing is. Text counts in the order it
 * comes, that of embedded resources included; `structuredContent` counts for itself, and only where
 * `mayDropStructure` says yes: half of it would be no instance of its schema. It is asked only about
 * what is too large.
 */
export function excessOf(
  { raw, result }: ResponseMessage,
  limit: number,
  mayDropStructure: () => boolean,
): Excess | undefined {
  // A UTF-16 unit is three bytes at most, and an escape is longer than what it stands for.
  if (result === undefined || raw.length * 3 <= limit) return undefined;
  const parts = textParts(result);
  const texts = new Map<TextPart, string | undefined>();
  let total = 0;
  let given = 0;
  for (const part of parts) {
    const size = byteLength(part.text);
    total += size;
    if (texts.size === 0 && given + size <= limit) {
      given += size;
      continue;
    }
    // What comes behind a cut is left out: a smaller text must not look like the rest.
    const kept = texts.size > 0 ? "" : part.text.slice(0, cutAt(part.text, limit - given));
    given += byteLength(kept);
    texts.set(part, kept === "" ? undefined : kept);
  }
  const structure = result.structuredContent === undefined ? undefined : rawAt(raw, STRUCTURE);
  const structureBytes = structure === undefined ? 0 : byteLength(structure);
  const dropped = structureBytes > limit && mayDropStructure() ? structure : undefined;
  if (texts.size === 0 && dropped === undefined) return undefined;
  const droppedBytes = dropped === undefined ? 0 : structureBytes;
  const own = parts.map(({ mimeType, text }): StoredPart => ({ mimeType, text }));
  return {
    texts,
    dropsStructure: dropped !== undefined,
    total: total + droppedBytes,
    left: total - given + droppedBytes,
    whole: dropped === undefined ? own : [...own, { mimeType: "application/json", text: dropped }],
  };
}

function byteLength(text: string): number {
  return encoder.encode(text).length;
}

/** Where to cut a text for no more than `bytes` bytes: never inside of a character. */
export function cutAt(text: string, bytes: number): number {
  return encoder.encodeInto(text, new Uint8Array(bytes)).read;
}

/** The edits that leave out what is too much and add `items` (JSON) behind what is left. */
export function trimEdits(
  { raw }: ResponseMessage,
  { texts, dropsStructure }: Excess,
  items: readonly string[],
): readonly JsonEdit[] {
  const content = contentEdit(raw, { texts, added: items });
  return dropsStructure ? [content, { path: STRUCTURE, value: undefined }] : [content];
}
