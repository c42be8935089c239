import type { Entry } from "./entry.ts";
import type { Writer } from "./writer.ts";

/** Options of a {@link FallbackWriter}. */
export interface FallbackOptions {
  readonly primary: Writer;
  readonly fallback: Writer;
  /** Says why, as an entry; written to the fallback once in the life of this writer. */
  readonly warn: (error: unknown) => Entry;
  /** Milliseconds until the primary is tried again; it may have been restarted. */
  readonly retryAfter: number;
}

/**
 * Writes to the primary; while that cannot be had, to the fallback, after one warning. For
 * destinations on this machine, where waiting for one that is missing would hide the log.
 */
export class FallbackWriter implements Writer {
  readonly #options: FallbackOptions;
  #retryAt = 0;
  #warned = false;

  constructor(options: FallbackOptions) {
    this.#options = options;
  }

  async write(entries: readonly Entry[]): Promise<number> {
    const { primary, fallback, warn, retryAfter } = this.#options;
    if (performance.now() >= this.#retryAt) {
      try {
        return await primary.write(entries);
      } catch (error) {
        this.#retryAt = performance.now() + retryAfter;
        if (!this.#warned) {
          await fallback.write([warn(error)]);
          this.#warned = true;
        }
      }
    }
    return await fallback.write(entries);
  }

  async close(): Promise<void> {
    await Promise.all([this.#options.primary.close(), this.#options.fallback.close()]);
  }
}
