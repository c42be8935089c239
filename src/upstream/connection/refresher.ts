import type { Clock } from "../../lib/clock.ts";
import type { ListKind } from "../../protocol/lists.ts";

/** What a {@link Refresher} is made of. */
export interface RefresherOptions {
  readonly clock: Clock;
  /** Milliseconds from the first mark to the run: a server announces changes in bursts. */
  readonly delay: number;
  /** Reads these lists again. Must not reject. */
  readonly run: (kinds: ReadonlySet<ListKind>) => Promise<void>;
}

/**
 * Turns a storm of "this list changed" into few reads: marks within `delay` are one run, marks
 * during a run are one more run after it, so the last read always begins after the last mark.
 */
export class Refresher {
  readonly #options: RefresherOptions;
  #marked = new Set<ListKind>();
  #cancel: (() => void) | undefined;
  #running = false;
  #stopped = false;

  constructor(options: RefresherOptions) {
    this.#options = options;
  }

  /** These lists are no longer what was read. */
  mark(kinds: Iterable<ListKind>): void {
    for (const kind of kinds) this.#marked.add(kind);
    this.#schedule();
  }

  /** Forgets all marks and runs nothing any more; a run under way ends by itself. */
  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
    this.#cancel = undefined;
    this.#marked.clear();
  }

  #schedule(): void {
    if (this.#stopped || this.#running || this.#cancel !== undefined) return;
    if (this.#marked.size === 0) return;
    this.#cancel = this.#options.clock.after(this.#options.delay, () => void this.#run());
  }

  async #run(): Promise<void> {
    this.#cancel = undefined;
    this.#running = true;
    const kinds = this.#marked;
    this.#marked = new Set();
    await this.#options.run(kinds);
    this.#running = false;
    this.#schedule();
  }
}
