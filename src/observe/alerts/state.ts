/** Whether an alert fires, and whether somebody is told of it. Pure but for its memory. */

import type { Measured } from "./rules.ts";

/** What is told: it has begun (or goes on), is over, or comes and goes. */
export type AlertState = "firing" | "resolved" | "flapping";

/** Of its bound, at which it is over: what lies about the bound does not come and go. */
const OVER = 0.8;
/** How long after somebody was told he is told again. */
const REMIND = 4 * 3_600_000;
/** So many changes in such a time are one. */
const [MANY, SOON] = [4, 30 * 60_000];

/** What came of a look. */
export interface Step {
  /** Undefined where it is as it was. */
  readonly changed?: "firing" | "resolved" | undefined;
  /** What somebody is to be told of it. */
  readonly told?: AlertState | undefined;
}

/** One rule about one subject. Times are on the clock of whoever looks. */
export class AlertWatch {
  isFiring = false;
  /** Since when it is as its rule says, though perhaps not long enough. */
  #since: number | undefined;
  #toldAt = 0;
  #changes: readonly number[] = [];
  #isFlapping = false;

  /** @param lasting ms that it has to be so before it fires */
  constructor(private readonly lasting: number) {}

  /** Takes on what its rule says now; `isQuiet`: nothing begins yet. */
  look({ value, bound, isUnsure }: Measured, now: number, isQuiet: boolean): Step {
    if (this.isFiring) {
      if (value <= bound * OVER) return this.#change(now);
    } else if (value > bound && !isUnsure) {
      this.#since ??= now;
      if (now - this.#since >= this.lasting && !isQuiet) return this.#change(now);
    } else this.#since = undefined;
    return { told: this.#later(now) };
  }

  /** Nobody looks at it any more. */
  end(now: number): Step {
    return this.isFiring ? this.#change(now) : {};
  }

  #change(now: number): Step {
    this.isFiring = !this.isFiring;
    this.#since = undefined;
    this.#changes = [...this.#recent(now), now];
    const changed = this.#state;
    if (this.#isFlapping) return { changed };
    this.#isFlapping = this.#changes.length >= MANY;
    this.#toldAt = now;
    return { changed, told: this.#isFlapping ? "flapping" : changed };
  }

  /** How it is after all, once it has stopped to come and go; now and then, that it goes on. */
  #later(now: number): AlertState | undefined {
    const isDue = this.#isFlapping
      ? this.#recent(now).length < MANY
      : this.isFiring && now - this.#toldAt >= REMIND;
    if (!isDue) return undefined;
    this.#isFlapping = false;
    this.#toldAt = now;
    return this.#state;
  }

  #recent(now: number): readonly number[] {
    return this.#changes.filter((at) => now - at < SOON);
  }

  get #state(): "firing" | "resolved" {
    return this.isFiring ? "firing" : "resolved";
  }
}
