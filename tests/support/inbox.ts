/**
 * How long a test waits for something that should come at once, ms. Generous, because a loaded
 * machine is slow: a test that passes never waits for it.
 */
export const PATIENCE = 60_000;

/** What arrived from somewhere, in order, and a way to wait for what has not arrived yet. */
export class Inbox<T> {
  readonly #items: T[] = [];
  readonly #watchers = new Set<() => void>();
  #end: { readonly reason: string } | undefined;

  /** `what` names the source in the message of a wait that failed. */
  constructor(readonly what: string) {}

  /** Everything that arrived so far. */
  get items(): readonly T[] {
    return this.#items;
  }

  /** True once nothing more can arrive. */
  get ended(): boolean {
    return this.#end !== undefined;
  }

  push(item: T): void {
    this.#items.push(item);
    this.#changed();
  }

  /** Nothing more will arrive; waits that are not satisfied fail at once, naming the reason. */
  end(reason: string): void {
    this.#end ??= { reason };
    this.#changed();
  }

  /** Hands every item on, past and future, then the reason of the end. */
  follow(onItem: (item: T) => void, onEnd: (reason: string) => void): void {
    let at = 0;
    const look = () => {
      while (at < this.#items.length) onItem(this.#items[at++]!);
      if (this.#end === undefined) return;
      this.#watchers.delete(look);
      onEnd(this.#end.reason);
    };
    this.#watchers.add(look);
    look();
  }

  /**
   * The first item from index `from` on that satisfies the predicate, waiting for it if need be.
   * @throws {Error} after `within` ms, or when the source ends before; both list what arrived
   */
  async waitFor(
    predicate: (item: T) => boolean,
    { within = PATIENCE, from = 0 }: { readonly within?: number; readonly from?: number } = {},
  ): Promise<T> {
    let at = from;
    let found: { readonly item: T } | undefined;
    await this.#until(() => {
      for (; at < this.#items.length && found === undefined; at++) {
        if (predicate(this.#items[at]!)) found = { item: this.#items[at]! };
      }
      return found !== undefined;
    }, within);
    return found!.item;
  }

  /** Waits until nothing more can arrive; returns why. Throws after `within` ms. */
  async waitForEnd({ within = PATIENCE }: { readonly within?: number } = {}): Promise<string> {
    await this.#until(() => this.#end !== undefined, within);
    return this.#end!.reason;
  }

  #until(condition: () => boolean, within: number): Promise<void> {
    if (condition()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const done = (error?: Error) => {
        clearTimeout(timer);
        this.#watchers.delete(look);
        error === undefined ? resolve() : reject(error);
      };
      const look = () => {
        if (condition()) done();
        else if (this.#end !== undefined) done(this.#failure(`ended (${this.#end.reason})`));
      };
      const timer = setTimeout(
        () => done(this.#failure(`did not come within ${within} ms`)),
        within,
      );
      this.#watchers.add(look);
      look();
    });
  }

  #failure(why: string): Error {
    const seen = this.#items.map((item) =>
      (typeof item === "string" ? item : JSON.stringify(item)).slice(0, 500)
    );
    return new Error(
      `Cannot find what is awaited from ${this.what}: it ${why}; seen ${seen.length} items` +
        seen.slice(-40).map((text) => `\n  ${text}`).join(""),
    );
  }

  #changed(): void {
    for (const look of [...this.#watchers]) look();
  }
}

/**
 * The value of a promise, or a failure that says what took too long.
 * @throws {Error} after `ms`
 */
export async function within<T>(promise: Promise<T>, what: string, ms = PATIENCE): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    return await Promise.race([
      promise,
      new Promise<never>((_, reject) => {
        timer = setTimeout(
          () => reject(new Error(`Cannot finish ${what}: nothing within ${ms} ms`)),
          ms,
        );
      }),
    ]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Asks again and again until the answer satisfies the predicate; for things that give no event,
 * such as a status page or a process table. The longer it has waited, the longer are its pauses:
 * what is asked works for each answer, too.
 * @throws {Error} after `ms`, with the last answer
 */
export async function eventually<T>(
  ask: () => Promise<T> | T,
  predicate: (value: T) => boolean,
  what: string,
  ms = PATIENCE,
): Promise<T> {
  const began = performance.now();
  for (;;) {
    const value = await ask();
    if (predicate(value)) return value;
    const waited = performance.now() - began;
    if (waited > ms) {
      throw new Error(`Cannot see ${what}: still ${JSON.stringify(value)?.slice(0, 2000)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, Math.min(10 + waited / 10, 50)));
  }
}
