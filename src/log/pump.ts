import { BoundedQueue } from "../lib/bounded-queue.ts";
import { backOff, within } from "../lib/time.ts";
import type { Entry } from "./entry.ts";
import type { Writer } from "./output.ts";

/** Options of a {@link Pump}. */
export interface PumpOptions<R extends object> {
  readonly writer: Writer;
  /** Turns a record into an entry, later than the call that logged it. Must not throw. */
  readonly render: (record: R) => Entry;
  /** The line that tells how many records were dropped. */
  readonly notice: (dropped: number) => Entry;
  /** Called at the first failure of each outage, not at every attempt. */
  readonly onOutage?: (error: unknown) => void;
  /** Most records waiting. @default 10_000 */
  readonly capacity?: number;
  /** Most characters waiting. @default 8 Mi */
  readonly maxCharacters?: number;
}

/** Counters since the start. */
export interface LogStats {
  /** Entries the destination took. */
  readonly written: number;
  /** Records that found the queue full, or were still waiting at the end. */
  readonly dropped: number;
}

const BATCH = 256;
const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 30_000;

/** Milliseconds to wait after so many failures in a row. */
export function pauseAfter(failures: number): number {
  return backOff(failures, FIRST_PAUSE, LONGEST_PAUSE);
}

/**
 * Stands between the code that logs and a destination that may be slow, down or dead. `push` costs
 * an array push; rendering waits for the next turn of the event loop, writing for the destination.
 * Nothing here ever throws at the code that logs or leaves a promise rejected.
 *
 *     push -> fresh (records) -> queue (entries) -> writer
 */
export class Pump<R extends object> {
  readonly #capacity: number;
  readonly #queue: BoundedQueue<Entry>;
  /** Records and, as numbers, counts of records dropped at that place. */
  #fresh: (R | number)[] = [];
  #scheduled = false;
  #running = false;
  #closing = false;
  #abandoned = false;
  #dropped = 0;
  #unreported = 0;
  #written = 0;
  #wake: (() => void) | null = null;
  readonly #idle = Promise.withResolvers<void>();

  constructor(private readonly options: PumpOptions<R>) {
    const { capacity = 10_000, maxCharacters = 8 * 1024 * 1024 } = options;
    this.#capacity = capacity;
    this.#queue = new BoundedQueue({ capacity, maxWeight: maxCharacters, weigh: characters });
  }

  get stats(): LogStats {
    return { written: this.#written, dropped: this.#dropped };
  }

  /** Takes a record, or counts it as dropped. */
  push(record: R): void {
    if (this.#closing) return;
    if (this.#fresh.length + this.#queue.size >= this.#capacity) {
      this.#drop();
      return;
    }
    if (this.#unreported > 0) {
      this.#fresh.push(this.#unreported);
      this.#unreported = 0;
    }
    this.#fresh.push(record);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#render();
      this.#start();
    });
  }

  /**
   * Takes no more records, gives the destination up to `timeout` milliseconds for those it has, and
   * closes the writer. Never rejects.
   */
  async close(timeout: number): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    this.#render();
    this.#wake?.();
    this.#start();
    await within(timeout, this.#idle.promise);
    this.#abandoned = true;
    this.#wake?.();
    this.#dropped += this.#queue.clear();
    await within(timeout, this.options.writer.close().catch(() => {}));
  }

  #drop(): void {
    this.#dropped++;
    this.#unreported++;
  }

  #render(): void {
    const fresh = this.#fresh;
    this.#fresh = [];
    for (const item of fresh) {
      const entry = typeof item === "number"
        ? this.options.notice(item)
        : this.options.render(item);
      if (this.#queue.push(entry)) continue;
      if (typeof item === "number") this.#unreported += item;
      else this.#drop();
    }
  }

  #start(): void {
    if (this.#running) return;
    this.#running = true;
    void this.#run();
  }

  async #run(): Promise<void> {
    let failures = 0;
    try {
      while (!this.#abandoned) {
        const batch = this.#nextBatch();
        if (batch.length === 0) return;
        try {
          const taken = await this.options.writer.write(batch);
          failures = 0;
          if (this.#abandoned) return;
          this.#queue.drop(taken);
          this.#written += taken;
        } catch (error) {
          failures++;
          if (failures === 1) this.options.onOutage?.(error);
          // One more attempt was made for the sake of the end; that was it.
          if (this.#closing) return;
          await this.#pause(pauseAfter(failures));
        }
      }
    } finally {
      // In the same turn as the last look at the queue, or a record could slip in between.
      this.#running = false;
      if (this.#closing) this.#idle.resolve();
    }
  }

  #nextBatch(): readonly Entry[] {
    if (this.#queue.size === 0 && this.#unreported > 0) {
      this.#queue.push(this.options.notice(this.#unreported));
      this.#unreported = 0;
    }
    return this.#queue.peek(BATCH);
  }

  async #pause(milliseconds: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, milliseconds);
    timer.unref();
    this.#wake = resolve;
    await promise;
    this.#wake = null;
    clearTimeout(timer);
  }
}

function characters(entry: Entry): number {
  let sum = entry.message.length + entry.fields.length + (entry.json?.length ?? 0);
  for (const line of entry.detail) sum += line.length;
  return sum;
}
