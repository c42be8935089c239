import type { Clock } from "../../lib/clock.ts";
import { EmbedError } from "./embed.ts";
import type { Outage } from "./outage.ts";
import type { Vector } from "./vector.ts";

/** What {@link QueryVectors} stands on. */
export interface QueryVectorsOptions {
  /** Asks the endpoint; rejects where it does not answer in as many milliseconds. */
  readonly ask: (text: string, limit: number) => Promise<Vector>;
  /** Milliseconds that a search waits. */
  readonly timeout: number;
  readonly clock: Clock;
  readonly outage: Pick<Outage, "down" | "up">;
}

/** Queries whose vectors are remembered. */
const MOST_KNOWN = 200;

/** Requests on their way; a search that would be one more goes without. */
const MOST_PENDING = 4;

/** A model that has to be loaded first answers late, and is warm then: milliseconds. */
const PATIENCE = 10_000;

const FIRST_PAUSE = 2_000;
const LONGEST_PAUSE = 300_000;

/**
 * The vectors of queries. A search waits only where the endpoint is known to answer in time: after a
 * failure the following searches go without for a while, then one of them, without waiting either,
 * tries whether it is back.
 */
export class QueryVectors {
  readonly #options: QueryVectorsOptions;
  /** By text; the one used last is last. */
  readonly #known = new Map<string, Vector>();
  readonly #pending = new Map<string, Promise<Vector | undefined>>();
  /** In a row. */
  #failures = 0;
  #retryAt = -Infinity;

  constructor(options: QueryVectorsOptions) {
    this.#options = options;
  }

  /** The vector of a query, now or within the time a search waits; `undefined` where there is none. */
  get(text: string): Vector | undefined | Promise<Vector | undefined> {
    const known = this.#known.get(text);
    if (known !== undefined) {
      this.#known.delete(text);
      this.#known.set(text, known);
      return known;
    }
    const { clock } = this.#options;
    const pending = this.#pending.get(text);
    if (this.#failures > 0) {
      if (pending !== undefined || clock.now() < this.#retryAt) return undefined;
      // One at a time: whoever comes while this one is tried goes without.
      this.#retryAt = clock.now() + pauseAfterFailures(this.#failures);
      void this.#ask(text, { isTrial: true });
      return undefined;
    }
    if (pending !== undefined) return pending;
    return this.#pending.size < MOST_PENDING ? this.#ask(text) : undefined;
  }

  /** Never rejects, and resolves in time; a vector that comes later is still remembered. */
  #ask(text: string, { isTrial } = { isTrial: false }): Promise<Vector | undefined> {
    const { ask, timeout, clock } = this.#options;
    const { promise, resolve } = Promise.withResolvers<Vector | undefined>();
    let isJudged = false;
    const judge = (reason?: string) => {
      if (isJudged) return;
      isJudged = true;
      unschedule();
      // What was asked at the same time fails at the same time: that is one failure.
      if (reason === undefined || isTrial || this.#failures === 0) this.#judge(reason);
    };
    const unschedule = clock.after(timeout, () => {
      judge(`gave no answer within ${timeout} ms`);
      resolve(undefined);
    });
    this.#pending.set(text, promise);
    ask(text, PATIENCE).then((vector) => {
      this.#remember(text, vector);
      judge();
      resolve(vector);
    }).catch((error: unknown) => {
      // What is no such error is a stop.
      if (error instanceof EmbedError) judge(error.message);
      else unschedule();
      resolve(undefined);
    }).finally(() => this.#pending.delete(text));
    return promise;
  }

  #judge(reason: string | undefined): void {
    const { clock, outage } = this.#options;
    if (reason === undefined) {
      this.#failures = 0;
      outage.up("queries");
      return;
    }
    this.#failures++;
    this.#retryAt = clock.now() + pauseAfterFailures(this.#failures);
    outage.down("queries", reason);
  }

  #remember(text: string, vector: Vector): void {
    this.#known.set(text, vector);
    if (this.#known.size > MOST_KNOWN) this.#known.delete(this.#known.keys().next().value!);
  }
}

/** Milliseconds until an endpoint that failed so many times in a row is tried again. */
export function pauseAfterFailures(failures: number): number {
  return Math.min(FIRST_PAUSE * 2 ** Math.min(failures - 1, 30), LONGEST_PAUSE);
}
