/** Something that may have to say that it is still there. */
export interface Silent {
  /** Called at the pace of its {@link KeepAlive} with the current time (`performance.now()`). */
  tick(now: number): void;
}

/**
 * One timer for all open streams and pending answers. Arming a timer for each request would cost
 * more than the rest of the front together.
 */
export class KeepAlive {
  readonly #members = new Set<Silent>();
  #timer: ReturnType<typeof setInterval> | undefined;

  /** `every`: how often ticks come, milliseconds. */
  constructor(private readonly every: number) {}

  add(member: Silent): void {
    this.#members.add(member);
    this.#timer ??= setInterval(() => this.tick(performance.now()), this.every);
  }

  delete(member: Silent): void {
    this.#members.delete(member);
  }

  /** Ticks everyone; stops the timer when nobody is left. */
  tick(now: number): void {
    for (const member of this.#members) member.tick(now);
    if (this.#members.size === 0) this.close();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
