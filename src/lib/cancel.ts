/** What is called when a signal trips; an object needs no closure, as with events of the DOM. */
export type CancelListener = (() => void) | { handleEvent(): void };

/**
 * The part of an `AbortSignal` that the request path needs. Every request has one, and a real one
 * costs more than routing does: on Deno it made a fifth of the processor time garbage collection.
 */
export interface CancelSignal {
  readonly aborted: boolean;
  /** What it was cancelled with, `undefined` before. */
  readonly reason: unknown;
  addEventListener(type: "abort", listener: CancelListener): void;
  removeEventListener(type: "abort", listener: CancelListener): void;
  throwIfAborted(): void;
}

/** A {@link CancelSignal} and the way to trip it. Each listener is called once. */
export class CancelSource implements CancelSignal {
  #reason: unknown;
  #aborted = false;
  /** Nearly always the only one. */
  #first: CancelListener | undefined;
  /** Those after it. */
  #others: CancelListener[] | undefined;

  get aborted(): boolean {
    return this.#aborted;
  }

  get reason(): unknown {
    return this.#reason;
  }

  /** Trips it, once; a listener that throws keeps no other from being called. */
  cancel(reason: Error): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#reason = reason;
    const listeners = [this.#first, ...this.#others ?? []];
    this.#first = this.#others = undefined;
    for (const listener of listeners) {
      try {
        if (typeof listener === "function") listener();
        else listener?.handleEvent();
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  addEventListener(_type: "abort", listener: CancelListener): void {
    if (this.#aborted) return;
    if (this.#first === undefined && this.#others === undefined) this.#first = listener;
    else (this.#others ??= []).push(listener);
  }

  removeEventListener(_type: "abort", listener: CancelListener): void {
    if (this.#first === listener) return void (this.#first = undefined);
    const at = this.#others?.indexOf(listener) ?? -1;
    if (at >= 0) this.#others!.splice(at, 1);
  }

  throwIfAborted(): void {
    if (this.#aborted) throw this.#reason;
  }
}

/** Tripped as soon as one of `signals` is. It listens to them until then, or until `detach`. */
export function anyCancelled(
  ...signals: readonly CancelSignal[]
): { readonly signal: CancelSignal; detach(): void } {
  const source = new CancelSource();
  const trips = signals.map((signal) => {
    const trip = () =>
      source.cancel(
        signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason)),
      );
    signal.addEventListener("abort", trip);
    if (signal.aborted) trip();
    return () => signal.removeEventListener("abort", trip);
  });
  return { signal: source, detach: () => trips.forEach((off) => off()) };
}
