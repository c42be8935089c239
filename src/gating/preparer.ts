import type { Clock } from "../lib/clock.ts";
import type { Registry } from "../registry/types.ts";

/** What {@link Preparer} stands on. */
export interface PreparerOptions {
  /** What is to be done for a snapshot, in steps of a few milliseconds. */
  readonly steps: (registry: Registry) => Generator<void, void>;
  /** A step threw, and the others are not done: searches do themselves what they need. */
  readonly onError: (error: unknown) => void;
  readonly clock: Clock;
}

/** A start with ten servers makes ten snapshots: the work waits until it is quiet for so long, ms. */
const QUIET = 200;

/** Where it never is, the work begins after so many milliseconds. */
const PATIENCE = 2_000;

/** Milliseconds of work between two turns of the event loop. */
const TURN = 8;

/** Does what a new snapshot needs, later and in small pieces, so that no request waits for it. */
export class Preparer {
  readonly #options: PreparerOptions;
  #next: { readonly registry: Registry; readonly since: number } | undefined;
  #unschedule: (() => void) | undefined;
  #isWorking = false;
  #isClosed = false;

  constructor(options: PreparerOptions) {
    this.#options = options;
  }

  /** There is work for this snapshot, and none for older ones any more. */
  later(registry: Registry): void {
    if (this.#isClosed) return;
    this.#next = { registry, since: this.#next?.since ?? this.#options.clock.now() };
    if (!this.#isWorking) this.#schedule();
  }

  /** Nothing is begun or gone on with after this. */
  close(): void {
    this.#isClosed = true;
    this.#next = undefined;
    this.#unschedule?.();
    this.#unschedule = undefined;
  }

  #schedule(): void {
    const { clock } = this.#options;
    if (this.#next === undefined) return;
    const delay = Math.min(QUIET, Math.max(0, this.#next.since + PATIENCE - clock.now()));
    this.#after(delay, () => {
      const { registry } = this.#next!;
      this.#next = undefined;
      this.#isWorking = true;
      this.#work(this.#options.steps(registry));
    });
  }

  #work(steps: Generator<void, void>): void {
    const { clock } = this.#options;
    const end = clock.now() + TURN;
    let isDone = false;
    try {
      while (!isDone && clock.now() < end) isDone = steps.next().done === true;
    } catch (error) {
      isDone = true;
      this.#options.onError(error);
    }
    if (!isDone) return this.#after(0, () => this.#work(steps));
    this.#isWorking = false;
    this.#schedule();
  }

  #after(ms: number, callback: () => void): void {
    this.#unschedule?.();
    this.#unschedule = this.#options.clock.after(ms, callback);
  }
}
