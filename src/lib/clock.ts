/** Time as the upstream side uses it, so that tests can turn it by hand. */
export interface Clock {
  /** Milliseconds; only differences mean anything. */
  now(): number;
  /** Calls back once after `ms`; returns the function that takes it back. */
  after(ms: number, callback: () => void): () => void;
}

/** Timers take a signed 32-bit number; one more would fire at once. */
const MAX_DELAY = 2_147_483_647;

/** The real time. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, Math.min(Math.max(ms, 0), MAX_DELAY));
    return () => clearTimeout(timer);
  },
};

/**
 * Resolves after `ms`, at once and without error when `signal` aborts: a pause that a stop cuts
 * short. The caller looks at the signal.
 */
export function pause(ms: number, clock: Clock, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      cancel();
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const cancel = clock.after(ms, done);
    signal?.addEventListener("abort", done);
  });
}
