/** How long calls took and how they ended, counted from the start on: what metrics are made of. */

import { takingTurns } from "../lib/time.ts";

/** Upper bounds of the buckets of a {@link Histogram}, in seconds; one more is for what is above. */
export const BOUNDS: readonly number[] = [
  .001,
  .0025,
  .005,
  .01,
  .02,
  .05,
  .1,
  .2,
  .5,
  1,
  2,
  5,
  10,
  30,
  60,
  120,
  300,
];

/** A call that is an example for others of its series. */
export interface Exemplar {
  readonly traceId: string;
  /** Seconds. */
  readonly value: number;
  /** Ms since the epoch. */
  readonly at: number;
}

/** How often something took how long. */
export class Histogram {
  /** Of each bucket apart, not of those below with it. */
  readonly buckets = new Float64Array(BOUNDS.length + 1);
  /** Seconds. */
  sum = 0;
  /** The latest one that was traced. */
  exemplar: Exemplar | undefined = undefined;

  get count(): number {
    return this.buckets.reduce((sum, bucket) => sum + bucket, 0);
  }

  /** Counts one more. */
  observe(ms: number): void {
    const seconds = ms / 1_000;
    // Most calls take little: from the left it is a few comparisons.
    let at = 0;
    while (seconds > BOUNDS[at]!) at++;
    this.buckets[at]!++;
    this.sum += seconds;
  }
}

/** An amount that only grows. */
export class Counter {
  value = 0;
}

/** What tells one series of a metric from the others. Nothing here is a client's word. */
export interface SeriesLabels {
  readonly method?: string | undefined;
  /** Of a tool or prompt, as clients know it; {@link UNKNOWN} for one that nobody has. */
  readonly name?: string | undefined;
  readonly server?: string | undefined;
  /** `pipe` or `tcp`. */
  readonly transport?: string | undefined;
  /** Of the protocol, as it was agreed on. */
  readonly version?: string | undefined;
  /** Absent where all went well. */
  readonly errorType?: string | undefined;
  /** Of the one series that takes what came when there were too many. */
  readonly overflow?: true;
}

/** Stands for the names and methods that clients make up. */
export const UNKNOWN = "_unknown";

/** Series that one metric may have. */
export const MOST_SERIES = 2_000;

/** All series of one metric. */
export class Family<Value extends Histogram | Counter> {
  readonly #series = new Map<string, readonly [SeriesLabels, Value]>();

  constructor(private readonly make: new () => Value) {}

  get size(): number {
    return this.#series.size;
  }

  /** The series with these labels, made where there is none and room for one more. */
  of(labels: SeriesLabels): Value {
    const { method, name, server, transport, version, errorType } = labels;
    const key = JSON.stringify([method, name, server, transport, version, errorType]);
    const found = this.#series.get(key);
    if (found !== undefined) return found[1];
    return this.#series.size < MOST_SERIES
      ? this.#add(key, labels)
      : this.#series.get("")?.[1] ?? this.#add("", { overflow: true });
  }

  /** All of them, in the order they came. */
  [Symbol.iterator](): IterableIterator<readonly [SeriesLabels, Value]> {
    return this.#series.values();
  }

  /** As its iteration, with turns for others where that takes long. */
  inTurns(): AsyncGenerator<readonly [SeriesLabels, Value]> {
    return takingTurns(this);
  }

  /** Forgets the series of servers that are gone. */
  keepServers(isThere: (server: string) => boolean): void {
    for (const [key, [{ server }]] of this.#series) {
      if (server !== undefined && !isThere(server)) this.#series.delete(key);
    }
  }

  #add(key: string, labels: SeriesLabels): Value {
    const value = new this.make();
    this.#series.set(key, [labels, value]);
    return value;
  }
}

/** The metrics that every call is counted in. */
export class Series {
  /** Of what clients ask for, by method, name, server and error. */
  readonly operations = new Family(Histogram);
  /** Of what servers are asked, by method, server, transport and error. */
  readonly requests = new Family(Histogram);
  /** What of it is the gateway's own, by method. */
  readonly gateway = new Family(Histogram);
  /** How long calls wait for others to end, by server. */
  readonly queue = new Family(Histogram);
  /** Characters of answers, by server. */
  readonly resultSize = new Family(Counter);

  /** Forgets what is of servers that are gone. */
  keepServers(isThere: (server: string) => boolean): void {
    for (const family of [this.operations, this.requests, this.queue, this.resultSize]) {
      family.keepServers(isThere);
    }
  }
}
