import type { Clock } from "../../lib/time.ts";

/** Most answers that may wait for a server while it is still listened to. */
const MOST_REPLIES = 100;

/**
 * What a transport is sending, each of which can be ended alone, and all of them at the end. By
 * hand: `AbortSignal.any` on one long-lived signal piles up listeners.
 */
export class Sendings {
  /** How many there are, over all. */
  static inProcess = 0;
  /** With what stops their clocks. */
  readonly #all = new Map<AbortController, (() => void) | undefined>();
  readonly #requests = new Map<number, AbortController>();
  /** Those of them that stay open for as long as there is something to be told of. */
  readonly #streams = new Set<number>();
  #room: PromiseWithResolvers<void> | undefined;

  constructor(private readonly clock: Clock) {}

  /** One begins; it is aborted after `limit` ms, if there is one. */
  begin(
    requestId: number | undefined,
    limit: number | undefined,
    isStream = false,
  ): AbortController {
    const abort = new AbortController();
    const late = limit === undefined ? undefined : this.clock.after(limit, () => abort.abort());
    this.#all.set(abort, late);
    Sendings.inProcess++;
    if (requestId !== undefined) this.#requests.set(requestId, abort);
    if (requestId !== undefined && isStream) this.#streams.add(requestId);
    return abort;
  }

  /** The one that was begun with these is over. */
  end(requestId: number | undefined, abort: AbortController): void {
    this.#all.get(abort)?.();
    if (this.#all.delete(abort)) Sendings.inProcess--;
    if (requestId !== undefined) this.#requests.delete(requestId);
    if (requestId !== undefined) this.#streams.delete(requestId);
    if (this.#room !== undefined && !this.#isFull) {
      this.#room.resolve();
      this.#room = undefined;
    }
  }

  /**
   * Who asks and does not take the answers is not listened to meanwhile: resolves when enough of
   * what is no request is sent, undefined when it is.
   */
  get room(): Promise<void> | undefined {
    return this.#isFull ? (this.#room ??= Promise.withResolvers<void>()).promise : undefined;
  }

  get #isFull(): boolean {
    return this.#all.size - this.#requests.size > MOST_REPLIES;
  }

  /** Whether no request waits for its answer, but those that stay open. */
  get isIdle(): boolean {
    return this.#requests.size === this.#streams.size;
  }

  /** Nobody waits for the answer to a request any more. */
  abandon(requestId: number): void {
    this.#requests.get(requestId)?.abort();
  }

  /** Nor for any of them. */
  abandonAll(): void {
    for (const abort of this.#all.keys()) abort.abort();
  }
}

/** What comes of something that knows no signal; it goes on, and nobody waits for it. */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: over, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort);
  promise.catch(() => {});
  try {
    return await Promise.race([promise, over]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
