/**
 * What a channel notes about whether its upstream lives. Written for every message, so it is
 * numbers and no more; `HealthMonitor` reads it when it has time.
 */
export class Pulse {
  #heardAt: number;
  #timeoutsInRow = 0;
  #timeoutsUnheard = 0;

  /** `now` is in milliseconds of the clock all later times are of. */
  constructor(now: number) {
    this.#heardAt = now;
  }

  /** When the upstream last said anything. */
  get heardAt(): number {
    return this.#heardAt;
  }

  /** Calls of clients that ran out of time since the last one that was answered. */
  get timeoutsInRow(): number {
    return this.#timeoutsInRow;
  }

  /** Calls of clients that ran out of time since the upstream last said anything. */
  get timeoutsUnheard(): number {
    return this.#timeoutsUnheard;
  }

  /** It has said something. */
  heard(now: number): void {
    this.#heardAt = now;
    this.#timeoutsUnheard = 0;
  }

  /** It has answered a call of a client. */
  answered(): void {
    this.#timeoutsInRow = 0;
  }

  /** A call of a client has run out of time. */
  timedOut(): void {
    this.#timeoutsInRow++;
    this.#timeoutsUnheard++;
  }
}
