/** How long to wait before an upstream is tried again. */

/** A connection that lived this long, in ms, ends the series of failures before it. */
export const STABLE_AFTER = 10_000;

/** Longest pause between two attempts, in ms, before jitter. */
export const MAX_BACKOFF = 60_000;

const FIRST_PAUSE = 500;
const JITTER = 0.2;

/**
 * Milliseconds before retry number `attempt` (1 is the first after a failure): at once, then
 * 0.5 s doubling to {@link MAX_BACKOFF}, each ±20 % so that servers lost together do not come back
 * together. `random` is in [0, 1). It never gives up.
 */
export function nextDelay(attempt: number, random: number): number {
  if (attempt <= 1) return 0;
  const pause = Math.min(FIRST_PAUSE * 2 ** Math.min(attempt - 2, 30), MAX_BACKOFF);
  return Math.round(pause * (1 - JITTER + 2 * JITTER * random));
}
