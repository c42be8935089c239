import type { Clock } from "../lib/clock.ts";

/** Bounds of {@link Pins}. */
export interface PinLimits {
  /** The oldest is forgotten first. */
  readonly entries: number;
  /** Milliseconds without use; `Infinity` for no limit. */
  readonly age: number;
}

/** Remembers where things are, for a while: a bounded map whose entries live by being used. */
export class Pins<T> {
  readonly #limits: PinLimits;
  readonly #clock: Clock;
  /** The longest unused first, and so those that expire first. */
  readonly #places = new Map<string, { readonly place: T; readonly until: number }>();

  constructor(clock: Clock, limits: PinLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** Entries held, expired ones that nothing has met yet included. */
  get size(): number {
    return this.#places.size;
  }

  /** Where it is, which counts as use. */
  get(key: string): T | undefined {
    const found = this.#places.get(key);
    if (found === undefined) return undefined;
    this.#places.delete(key);
    const now = this.#clock.now();
    if (found.until <= now) return undefined;
    this.#places.set(key, { place: found.place, until: now + this.#limits.age });
    return found.place;
  }

  /** Remembers it, in place of what was known. */
  set(key: string, place: T): void {
    const now = this.#clock.now();
    this.#places.delete(key);
    this.#places.set(key, { place, until: now + this.#limits.age });
    for (const [oldest, { until }] of this.#places) {
      if (until > now && this.#places.size <= this.#limits.entries) break;
      this.#places.delete(oldest);
    }
  }

  /** Forgets it. */
  delete(key: string): void {
    this.#places.delete(key);
  }
}
