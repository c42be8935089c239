import type { LRUCache } from "lru-cache";

/** What a {@link ByteCache} holds under one key: bytes, and what is said of them. */
export interface CachedBytes<About> {
  readonly bytes: Uint8Array;
  readonly about: About;
}

/** Bounds of a {@link ByteCache}. */
export interface ByteCacheOptions {
  /** All that is held together, keys included. */
  readonly maxBytes: number;
  /** The largest single entry; one must not drive out all others. */
  readonly maxEntryBytes: number;
  /** Milliseconds, from any start. */
  readonly now: () => number;
}

/** What an entry costs beside its bytes and its key, about. */
const OVERHEAD = 256;

/**
 * Texts kept for a while, as bytes: a string of a result would keep the whole message it was cut
 * from, and its size is nobody's to know. What has not been used for the longest time goes first.
 * The library behind it is loaded with the first entry.
 */
export class ByteCache<About extends object> {
  readonly #options: ByteCacheOptions;
  #cache: LRUCache<string, CachedBytes<About>> | undefined;

  constructor(options: ByteCacheOptions) {
    this.#options = options;
  }

  /** Entries that are held, expired ones included until they are looked for. */
  get entries(): number {
    return this.#cache?.size ?? 0;
  }

  /** Bytes they are taken to need. */
  get bytes(): number {
    return this.#cache?.calculatedSize ?? 0;
  }

  /** What is held under the key and has not expired. */
  get(key: string): CachedBytes<About> | undefined {
    return this.#cache?.get(key);
  }

  /** Whether an entry of so many bytes would be held. */
  fits(key: string, bytes: number): boolean {
    return sizeOf(key, bytes) <= this.#options.maxEntryBytes;
  }

  /** Holds an entry for `ttl` milliseconds at most; resolves with whether it does. */
  async set(key: string, entry: CachedBytes<About>, ttl: number): Promise<boolean> {
    if (!this.fits(key, entry.bytes.length) || !(ttl >= 1)) return false;
    (this.#cache ?? await this.#load()).set(key, entry, { ttl: Math.floor(ttl) });
    return true;
  }

  /** Lets go of all entries of which `matches` says yes. */
  drop(matches: (about: About) => boolean): void {
    if (this.#cache === undefined) return;
    for (const [key, { about }] of [...this.#cache.entries()]) {
      if (matches(about)) this.#cache.delete(key);
    }
  }

  async #load(): Promise<LRUCache<string, CachedBytes<About>>> {
    const { LRUCache } = await import("lru-cache");
    const { maxBytes, now } = this.#options;
    // Somebody else may have come first.
    return this.#cache ??= new LRUCache<string, CachedBytes<About>>({
      maxSize: maxBytes,
      sizeCalculation: ({ bytes }, key) => sizeOf(key, bytes.length),
      // A start at 0 would mean an entry without end to it.
      perf: { now: () => now() + 1 },
      ttlResolution: 0,
    });
  }
}

function sizeOf(key: string, bytes: number): number {
  return bytes + 2 * key.length + OVERHEAD;
}
