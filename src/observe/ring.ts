/**
 * The last calls, in arrays that are made once: nothing is allocated for a call, and nothing of its
 * arguments or its result is kept. A call is made an object when somebody looks at it.
 */

import { ridOf } from "../gateway/clients/exchange.ts";
import type { CallRecord } from "../gateway/events.ts";
import { CALL_OUTCOMES } from "../gateway/outcome.ts";
import type { CountedCall, ObservedCall } from "./call.ts";

/** A call that has just ended, for who is told of it: made an object only where one is wanted. */
export class EndedCall implements CountedCall {
  #whole: ObservedCall | undefined;

  constructor(
    /** It holds what was said, and is not to be kept. */
    readonly record: CallRecord,
    readonly at: number,
    readonly method: string,
    readonly name: string | undefined,
    readonly client: string,
    private readonly make: () => ObservedCall,
  ) {}

  get server(): string {
    return this.record.server;
  }

  get outcome(): CallRecord["outcome"] {
    return this.record.outcome;
  }

  get ms(): number {
    return this.record.duration;
  }

  get bytesOut(): number {
    return this.record.bytesOut;
  }

  /** All that is known of it; to be asked for at once, or never. */
  get whole(): ObservedCall {
    return this.#whole ??= this.make();
  }
}

/** How many of them a call has. */
const [NUMBERS, TEXTS] = [11, 10];

/** Holds `size` calls; each is found by its place until that is taken by another. */
export class CallRing {
  readonly #numbers: Float64Array;
  readonly #texts: (string | undefined)[];
  /** Calls that were added. */
  #count = 0;

  constructor(readonly size: number) {
    this.#numbers = new Float64Array(size * NUMBERS);
    this.#texts = new Array<undefined>(size * TEXTS).fill(undefined);
  }

  /**
   * Adds a call that was received at a time (ms since the epoch), in the place of the oldest, and
   * returns the place. No text may be a part of a longer one, which it would keep.
   */
  add(
    record: CallRecord,
    at: number,
    method: string,
    name: string | undefined,
    client: string,
  ): number {
    const place = this.#count++ % this.size;
    const numbers = this.#numbers;
    let next = place * NUMBERS;
    numbers[next++] = record.number;
    numbers[next++] = at;
    numbers[next++] = CALL_OUTCOMES.indexOf(record.outcome);
    numbers[next++] = record.code ?? NaN;
    numbers[next++] = record.duration;
    numbers[next++] = record.queueMs;
    numbers[next++] = record.serverMs;
    numbers[next++] = record.bytesIn;
    numbers[next++] = record.bytesOut;
    numbers[next++] = record.attempts;
    numbers[next] = record.cached ? 1 : 0;
    const texts = this.#texts;
    next = place * TEXTS;
    texts[next++] = method;
    texts[next++] = record.server;
    texts[next++] = name;
    texts[next++] = record.ownName;
    texts[next++] = client;
    texts[next++] = record.client.session;
    texts[next++] = record.endpoint;
    texts[next++] = record.via;
    texts[next++] = record.traceId;
    texts[next] = record.client.principal?.who;
    return place;
  }

  /** The call at a place. */
  at(place: number): ObservedCall {
    // By index: whoever follows has this made of every call, and a destructured view costs thrice.
    const [numbers, texts] = [this.#numbers, this.#texts];
    const [n, t] = [place * NUMBERS, place * TEXTS];
    const code = numbers[n + 3]!;
    const [ms, queueMs, serverMs] = [numbers[n + 4]!, numbers[n + 5]!, numbers[n + 6]!];
    return {
      id: ridOf(numbers[n]!),
      at: numbers[n + 1]!,
      method: texts[t]!,
      server: texts[t + 1]!,
      name: texts[t + 2],
      ownName: texts[t + 3],
      client: texts[t + 4]!,
      session: texts[t + 5],
      endpoint: texts[t + 6]!,
      outcome: CALL_OUTCOMES[numbers[n + 2]!]!,
      code: Number.isNaN(code) ? undefined : code,
      ms,
      queueMs,
      serverMs,
      gatewayMs: Math.max(0, ms - queueMs - serverMs),
      bytesIn: numbers[n + 7]!,
      bytesOut: numbers[n + 8]!,
      via: texts[t + 7],
      cached: numbers[n + 10] === 1 ? true : undefined,
      attempts: numbers[n + 9]!,
      traceId: texts[t + 8],
      who: texts[t + 9],
    };
  }

  /** The call with this id. */
  find(id: string): ObservedCall | undefined {
    for (const place of this.#places()) {
      if (ridOf(this.#numbers[place * NUMBERS]!) === id) return this.at(place);
    }
    return undefined;
  }

  /** All that are held, the latest first. */
  *[Symbol.iterator](): Generator<ObservedCall> {
    for (const place of this.#places()) yield this.at(place);
  }

  *#places(): Generator<number> {
    const last = this.#count - 1;
    for (let back = 0; back < Math.min(this.#count, this.size); back++) {
      yield (last - back) % this.size;
    }
  }
}
