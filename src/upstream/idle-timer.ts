import type { Clock } from "../lib/clock.ts";

/** What an {@link IdleTimer} is made of. */
export interface IdleTimerOptions {
  readonly clock: Clock;
  /** Milliseconds without use, as configured now; undefined for never. */
  readonly timeout: () => number | undefined;
  /** Whether it is in use at this moment; asked when the time would be over. */
  readonly inUse: () => boolean;
  /** It has not been used for that long; the timer has stopped. */
  readonly onIdle: () => void;
}

/**
 * Notices that something has not been used for a while. A use costs it one assignment; the timer
 * runs on meanwhile and looks when it ends.
 */
export class IdleTimer {
  readonly #options: IdleTimerOptions;
  #usedAt: number;
  #cancel: (() => void) | undefined;

  constructor(options: IdleTimerOptions) {
    this.#options = options;
    this.#usedAt = options.clock.now();
  }

  /** It is used at this moment. */
  touch(): void {
    this.#usedAt = this.#options.clock.now();
  }

  /** Begins, or takes on a changed timeout. */
  arm(): void {
    this.stop();
    const { clock, timeout } = this.#options;
    const ms = timeout();
    if (ms === undefined) return;
    this.#cancel = clock.after(Math.max(0, this.#usedAt + ms - clock.now()), () => this.#look());
  }

  /** Ends; {@link IdleTimer.arm} begins anew. */
  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #look(): void {
    this.#cancel = undefined;
    const { clock, timeout, inUse, onIdle } = this.#options;
    const ms = timeout();
    if (ms === undefined) return;
    if (inUse()) this.touch();
    if (clock.now() - this.#usedAt >= ms) onIdle();
    else this.arm();
  }
}
