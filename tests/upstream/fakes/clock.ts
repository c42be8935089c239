import type { Clock } from "../../../src/lib/time.ts";

/** Time turned by hand. */
export class FakeClock implements Clock {
  #now = 0;
  #timers: { at: number; callback: () => void }[] = [];

  now = () => this.#now;

  after(ms: number, callback: () => void): () => void {
    const timer = { at: this.#now + ms, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((each) => each !== timer);
    };
  }

  /** Timers still armed. */
  get armed(): number {
    return this.#timers.length;
  }

  /** Moves on, calling timers in the order of their times. */
  tick(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const next = this.#timers.toSorted((a, b) => a.at - b.at)[0];
      if (next === undefined || next.at > end) break;
      this.#timers = this.#timers.filter((each) => each !== next);
      this.#now = Math.max(this.#now, next.at);
      next.callback();
    }
    this.#now = end;
  }

  /** Lets time go by, a millisecond a turn of the event loop, until `work` is done. */
  async flowUntil(work: Promise<unknown>): Promise<void> {
    let done = false;
    void work.finally(() => {
      done = true;
    });
    while (!done) {
      this.tick(1);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await work;
  }
}
