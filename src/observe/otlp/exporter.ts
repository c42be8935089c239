/** Sends things to a collector in batches, and never keeps who hands them over waiting. */

import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { BoundedQueue } from "../../lib/bounded-queue.ts";
import { backOff, type Clock, pause, systemClock, within } from "../../lib/time.ts";
import { networkFault } from "../../upstream/transport/failures.ts";

/** As many are sent at once; as many wait at most. */
const [BATCH, MOST] = [512, 2_048];
/** Milliseconds until what there is is sent, if it is no whole batch. */
const INTERVAL = 5_000;
/** Milliseconds a collector may take for one batch; and for what is left at the end. */
const [TIMEOUT, LAST_WORDS] = [10_000, 1_000];
/** A batch is tried so often, at first after so long, at last after so long at most. */
const [TRIES, FIRST_REST, LONGEST_REST] = [6, 1_000, 60_000];
/** Those of HTTP after which it may be taken the next time. */
const FOR_NOW: ReadonlySet<number> = new Set([429, 502, 503, 504]);

const zip = promisify(gzip);

/** What an {@link Exporter} needs. */
export interface ExporterOptions<Item> {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** The body of a request. */
  encode(items: readonly Item[]): Promise<string>;
  /** So many were not sent, for a reason. */
  onDropped(count: number, why: string): void;
  readonly clock?: Clock;
}

/** One signal on its way. */
export class Exporter<Item> {
  readonly #queue = new BoundedQueue<Item>({ capacity: MOST });
  readonly #clock: Clock;
  /** Nothing is tried again any more; and nothing is waited for. */
  readonly #closing = new AbortController();
  readonly #over = new AbortController();
  #disarm: (() => void) | undefined;
  #sending: Promise<void> | undefined;

  constructor(private readonly options: ExporterOptions<Item>) {
    this.#clock = options.clock ?? systemClock;
  }

  /** Takes one more. Never throws. */
  push(item: Item): void {
    if (!this.#queue.push(item)) return this.options.onDropped(1, `more than ${MOST} wait`);
    if (this.#sending !== undefined) return;
    if (this.#queue.size >= BATCH) void this.flush();
    else this.#disarm ??= this.#clock.after(INTERVAL, () => void this.flush(), true);
  }

  /** Sends all there is. Never rejects. */
  flush(): Promise<void> {
    this.#disarm?.();
    this.#disarm = undefined;
    return this.#sending ??= this.#sendAll().finally(() => this.#sending = undefined);
  }

  /** Sends what is left, within a second, and no more. Never rejects. */
  async close(): Promise<void> {
    this.#closing.abort();
    await within(LAST_WORDS, this.flush());
    this.#over.abort();
    await this.#sending;
  }

  async #sendAll(): Promise<void> {
    while (this.#queue.size > 0) {
      const items = this.#queue.peek(BATCH);
      const why = this.#over.signal.aborted ? "the gateway stops" : await this.#deliver(items);
      this.#queue.drop(items.length);
      if (why !== undefined) this.options.onDropped(items.length, why);
    }
  }

  /** Why it could not be delivered. */
  async #deliver(items: readonly Item[]): Promise<string | undefined> {
    try {
      const body = await zip(await this.options.encode(items));
      for (let failures = 1;; failures++) {
        const { why, rest } = await this.#post(body);
        if (rest === undefined || failures === TRIES) return why;
        const ms = Math.max(backOff(failures, FIRST_REST, LONGEST_REST), rest);
        await pause(Math.min(ms, LONGEST_REST), this.#clock, this.#closing.signal);
        if (this.#closing.signal.aborted) return why;
      }
    } catch (error) {
      return `cannot be encoded: ${error}`;
    }
  }

  /** Why it was not taken; and where it is worth another try, how long to wait for it at least. */
  async #post(body: Uint8Array<ArrayBuffer>): Promise<{ why?: string; rest?: number }> {
    const own = { "content-type": "application/json", "content-encoding": "gzip" };
    const headers = { ...own, ...this.options.headers };
    const limit = AbortSignal.timeout(TIMEOUT);
    const signal = AbortSignal.any([limit, this.#over.signal]);
    const init = { method: "POST", headers, body, redirect: "manual", signal } as const;
    try {
      const { ok, status, headers: told, body: words } = await fetch(this.options.url, init);
      void words?.cancel().catch(() => {});
      if (ok) return {};
      const why = `answered with HTTP ${status}`;
      return FOR_NOW.has(status) ? { why, rest: restIn(told.get("retry-after")) } : { why };
    } catch (error) {
      if (limit.aborted) return { why: `did not answer within ${TIMEOUT} ms`, rest: 0 };
      return { why: `could not be reached: ${networkFault(error).words}`, rest: 0 };
    }
  }
}

/** Milliseconds that `Retry-After` asks for: seconds, or a date. */
function restIn(text: string | null): number {
  const ms = Number(text) * 1_000 || Date.parse(text ?? "") - Date.now();
  return ms > 0 ? ms : 0;
}
