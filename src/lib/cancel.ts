/**
 * The part of an `AbortSignal` that the request path needs. Every request has one, and a real one
 * costs more than routing does: on Deno it made a fifth of the processor time garbage collection.
 */
export interface CancelSignal {
  readonly aborted: boolean;
  /** What it was cancelled with, `undefined` before. */
  readonly reason: unknown;
  addEventListener(type: "abort", listener: () => void): void;
  removeEventListener(type: "abort", listener: () => void): void;
  throwIfAborted(): void;
}

/** A {@link CancelSignal} and the way to trip it. Each listener is called once. */
export class CancelSource implements CancelSignal {
  #reason: unknown;
  #aborted = false;
  /** Nearly always none or one. */
  #listeners: (() => void)[] | undefined;

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
    const listeners = this.#listeners;
    this.#listeners = undefined;
    for (const listener of listeners ?? []) {
      try {
        listener();
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  addEventListener(_type: "abort", listener: () => void): void {
    if (!this.#aborted) (this.#listeners ??= []).push(listener);
  }

  removeEventListener(_type: "abort", listener: () => void): void {
    const at = this.#listeners?.indexOf(listener) ?? -1;
    if (at >= 0) this.#listeners!.splice(at, 1);
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
