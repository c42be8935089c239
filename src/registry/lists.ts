import { editJson, type JsonEdit } from "../lib/json-edit.ts";
import type { JsonObject } from "../lib/json.ts";
import {
  type ListItem,
  type ListKind,
  listRule,
  openCursor,
  sealCursor,
} from "../protocol/lists.ts";

/** How long a list may be kept and by whom, modern era (SEP-2549). */
export interface CacheHints {
  /** Milliseconds; the smallest that any part says, `undefined` where none says. */
  readonly ttlMs: number | undefined;
  /** `private` where any part is, `undefined` where none says. */
  readonly cacheScope: "public" | "private" | undefined;
}

/**
 * One list of one view, serialised once, when first read. Immutable but for its caches.
 */
export class ListText implements CacheHints {
  readonly ttlMs: number | undefined;
  readonly cacheScope: "public" | "private" | undefined;
  /** Nothing comes behind a whole list; so it is a page too. */
  readonly nextCursor = undefined;
  #text: string | undefined;
  #places: ReadonlyMap<string, number> | undefined;
  #isNarrow: boolean | undefined;

  constructor(
    readonly kind: ListKind,
    /** The JSON texts of the entries, in order; pages are cut from these. */
    readonly items: readonly string[],
    hints: CacheHints,
  ) {
    this.ttlMs = hints.ttlMs;
    this.cacheScope = hints.cacheScope;
    Object.freeze(this);
  }

  /** The list; `before` itself where both would be sent alike. */
  static of(
    kind: ListKind,
    items: readonly string[],
    hints: CacheHints,
    before: ListText | undefined,
  ): ListText {
    const list = new ListText(kind, items, hints);
    return before?.equals(list) ? before : list;
  }

  /** How many entries it has. */
  get count(): number {
    return this.items.length;
  }

  /** The member of the list's result, without braces: `"tools":[…]`. */
  get text(): string {
    return this.#text ??= memberText(this.kind, this.items);
  }

  /** Whether an engine keeps the text at one byte a character. */
  get isNarrow(): boolean {
    return this.#isNarrow ??= isNarrow(this.text);
  }

  /** The key of one entry as it is listed: name, URI or URI template. */
  keyAt(index: number): string | undefined {
    const item = this.items[index];
    if (item === undefined) return undefined;
    return (JSON.parse(item) as JsonObject)[listRule(this.kind).key] as string;
  }

  /** Where the entry with this key is, if it is there; `hint` is where it may still be. */
  indexOf(key: string, hint: number): number | undefined {
    if (this.keyAt(hint) === key) return hint;
    // Rare, and costs a parse of the whole list: only for cursors that outlived their list.
    this.#places ??= new Map(this.items.map((_item, index) => [this.keyAt(index)!, index]));
    return this.#places.get(key);
  }

  /** Whether both have the same entries, character for character, in the same order. */
  sameItems(other: ListText): boolean {
    return this.items === other.items || (this.items.length === other.items.length &&
      this.items.every((item, index) => item === other.items[index]));
  }

  /** Whether both would be sent alike, hints included. */
  equals(other: ListText): boolean {
    return this === other || (this.kind === other.kind && this.ttlMs === other.ttlMs &&
      this.cacheScope === other.cacheScope && this.sameItems(other));
  }
}

/** The result member that holds these entries: `"tools":[…]`. For pages; whole lists keep theirs. */
export function memberText(kind: ListKind, items: readonly string[]): string {
  return `${JSON.stringify(listRule(kind).field)}:[${items.join(",")}]`;
}

/** {@link ListText.isNarrow} */
export function isNarrow(text: string): boolean {
  // deno-lint-ignore no-control-regex
  return /^[\x00-\xff]*$/.test(text);
}

/** The hints for a list put together from these parts. */
export function mergeHints(parts: Iterable<Partial<CacheHints>>): CacheHints {
  let ttlMs: number | undefined;
  let cacheScope: "public" | "private" | undefined;
  for (const part of parts) {
    if (part.ttlMs !== undefined) ttlMs = Math.min(ttlMs ?? Infinity, part.ttlMs);
    if (part.cacheScope !== undefined && cacheScope !== "private") cacheScope = part.cacheScope;
  }
  return { ttlMs, cacheScope };
}

/** The exposed texts of one server's entries in one list of the aggregate. */
export interface ListPart {
  readonly server: string;
  readonly items: readonly ListItem[];
  readonly texts: readonly string[];
  /** What each text was made with, to know whether it is still good; `""` = the raw text. */
  readonly marks: readonly string[];
}

/**
 * Writes a part. Entries whose edits are none keep the upstream's text; those that were written
 * alike for the same server in `previous` are taken from there.
 */
export function writePart(
  server: string,
  items: readonly ListItem[],
  editsOf: (item: ListItem, index: number) => readonly JsonEdit[],
  previous: readonly ListPart[] | undefined,
): ListPart {
  const reusable = previous?.find((part) => part.server === server && part.items === items);
  const marks: string[] = [];
  const texts = items.map((item, index) => {
    const edits = editsOf(item, index);
    if (edits.length === 0) {
      marks.push("");
      return item.raw;
    }
    const mark = edits.map((edit) => `${edit.path.at(-1)}=${edit.value}`).join();
    marks.push(mark);
    return reusable?.marks[index] === mark ? reusable.texts[index]! : editJson(item.raw, edits);
  });
  return { server, items, texts, marks };
}

/** One page of a list, or all of it: what is put into the result of a list request. */
export interface Page extends CacheHints {
  /** Members of the result, without braces: `"tools":[…]`, and `"nextCursor"` where there is more. */
  readonly text: string;
  /** What asks for the next page; `undefined` on the last one. */
  readonly nextCursor: string | undefined;
  /** {@link ListText.isNarrow} */
  readonly isNarrow: boolean;
}

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
  return start === 0 && end === list.count ? list : pageBetween(list, view, start, end);
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

function pageBetween(list: ListText, view: string, start: number, end: number): Page {
  const last = end - 1;
  const nextCursor = end < list.count
    ? sealCursor([view, list.kind, last, list.keyAt(last)!])
    : undefined;
  const entries = memberText(list.kind, list.items.slice(start, end));
  const text = nextCursor === undefined ? entries : `${entries},"nextCursor":"${nextCursor}"`;
  const { ttlMs, cacheScope } = list;
  return { text, nextCursor, ttlMs, cacheScope, isNarrow: isNarrow(text) };
}
