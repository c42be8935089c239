/** Counts the calls of an upstream, and knows when the last of them has ended. Plain state. */
export class Usage {
  #calls = 0;
  #failed = 0;
  #inUse = 0;
  readonly #idle: (() => void)[] = [];

  /** Calls since the start, those in flight included. */
  get calls(): number {
    return this.#calls;
  }

  /** Calls that ended with an error, the server's own or the gateway's. */
  get failed(): number {
    return this.#failed;
  }

  /** Calls that have begun and not ended; a parked one counts. */
  get inUse(): number {
    return this.#inUse;
  }

  /** A call begins. */
  begin(): void {
    this.#calls++;
    this.#inUse++;
  }

  /** A call has ended. */
  end(failed: boolean): void {
    if (failed) this.#failed++;
    if (--this.#inUse === 0) { for (const resolve of this.#idle.splice(0)) resolve(); }
  }

  /** Resolves when nothing is in use. */
  whenIdle(): Promise<void> {
    if (this.#inUse === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }
}
