import type { JsonObject } from "../lib/json.ts";
import { type ListKind, listRule } from "../protocol/lists.ts";

/** How long a list may be kept and by whom, modern era (SEP-2549). */
export interface CacheHints {
  /** Milliseconds; the smallest that any part says, `undefined` where none says. */
  readonly ttlMs: number | undefined;
  /** `private` where any part is, `undefined` where none says. */
  readonly cacheScope: "public" | "private" | undefined;
}

const encoder = new TextEncoder();

/**
 * One list of one view, serialised once: by text when first read, by bytes when first sent.
 * Immutable but for its caches.
 */
export class ListText implements CacheHints {
  readonly ttlMs: number | undefined;
  readonly cacheScope: "public" | "private" | undefined;
  /** Nothing comes behind a whole list; so it is a page too. */
  readonly nextCursor = undefined;
  #text: string | undefined;
  #places: ReadonlyMap<string, number> | undefined;
  #bytes: Uint8Array<ArrayBuffer> | undefined;
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

  /** How many entries it has. */
  get count(): number {
    return this.items.length;
  }

  /** The member of the list's result, without braces: `"tools":[…]`. */
  get text(): string {
    return this.#text ??= memberText(this.kind, this.items);
  }

  /**
   * Whether an engine keeps the text at one byte a character. Such a text is cheaper to send put
   * together as a string, any other as bytes (bench/cases/list.ts has both).
   */
  get isNarrow(): boolean {
    return this.#isNarrow ??= isNarrow(this.text);
  }

  /** {@link ListText.text} as UTF-8. The same array each time: not to be written to. */
  bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes ??= encoder.encode(this.text);
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
