/** Pages of our own lists (server/utilities/pagination), for clients of a gateway with `pageSize`. */

import { openCursor, sealCursor } from "../protocol/cursor.ts";
import { type CacheHints, isNarrow, type ListText, memberText } from "./list-text.ts";

/** One page of a list, or all of it: what is put into the result of a list request. */
export interface Page extends CacheHints {
  /** Members of the result, without braces: `"tools":[…]`, and `"nextCursor"` where there is more. */
  readonly text: string;
  /** What asks for the next page; `undefined` on the last one. */
  readonly nextCursor: string | undefined;
  /** {@link ListText.isNarrow} */
  readonly isNarrow: boolean;
  /** {@link Page.text} as UTF-8; not to be written to. */
  bytes(): Uint8Array<ArrayBuffer>;
}

const encoder = new TextEncoder();

/**
 * The page of `list` that a cursor of the same view and kind asks for, at most `size` entries; 0 is
 * all that is left. `undefined` for any other cursor, the empty one too (-32602).
 *
 * A cursor holds the key of the last entry its client got and the entry's place, and is good for
 * every later list: the page starts behind that key, wherever it is now. Where it is gone, the page
 * starts at its place, with the entry that has moved up: entries that vanished before it may make
 * the client miss as many, which `list_changed` tells it to read again anyway.
 */
export function pageOf(
  list: ListText,
  view: string,
  cursor: unknown,
  size: number,
): Page | undefined {
  const start = cursor === undefined ? 0 : startOf(list, view, cursor);
  if (start === undefined) return undefined;
  const end = size > 0 ? Math.min(start + size, list.count) : list.count;
  return start === 0 && end === list.count ? list : cut(list, view, start, end);
}

function startOf(list: ListText, view: string, cursor: unknown): number | undefined {
  const content = openCursor(cursor);
  if (!Array.isArray(content)) return undefined;
  const [ofView, kind, place, key] = content;
  if (
    ofView !== view || kind !== list.kind || typeof key !== "string" ||
    typeof place !== "number" || !Number.isSafeInteger(place) || place < 0
  ) return undefined;
  const now = list.indexOf(key, place);
  return now === undefined ? Math.min(place, list.count) : now + 1;
}

function cut(list: ListText, view: string, start: number, end: number): Page {
  const last = end - 1;
  const nextCursor = end < list.count
    ? sealCursor([view, list.kind, last, list.keyAt(last)!])
    : undefined;
  const entries = memberText(list.kind, list.items.slice(start, end));
  const text = nextCursor === undefined ? entries : `${entries},"nextCursor":"${nextCursor}"`;
  const { ttlMs, cacheScope } = list;
  return {
    text,
    nextCursor,
    ttlMs,
    cacheScope,
    isNarrow: isNarrow(text),
    bytes: () => encoder.encode(text),
  };
}
