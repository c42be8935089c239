/** How long calls took, as counts between bounds: what can be added up over servers and days. */

import { BOUNDS } from "../series.ts";

/** Counts of calls, one for each bound, and one above. */
export type Buckets = Uint32Array;

/** None yet. */
export function noBuckets(): Buckets {
  return new Uint32Array(BOUNDS.length + 1);
}

/** Where a call of that many ms is counted. */
export function bucketOf(ms: number): number {
  let at = 0;
  while (ms > BOUNDS[at]! * 1_000) at++;
  return at;
}

/** As they are kept: the counts up to the last that is not 0, which is written as nothing. */
export function bucketsText(buckets: Buckets): string {
  return Array.from(buckets, (count) => count || "").join().replace(/,+$/, "");
}

/** Adds others, or what {@link bucketsText} has written; what is no number counts nothing. */
export function addBuckets(to: Buckets, more: unknown): void {
  const counts = more instanceof Uint32Array ? more : String(more).split(",", to.length);
  for (let at = 0; at < counts.length; at++) to[at]! += Number(counts[at]) || 0;
}

/**
 * The duration, ms, that this part of the calls did not exceed, as if those of a bucket were spread
 * evenly over it. Undefined without calls; above the last bound that bound.
 */
export function quantile(buckets: Buckets, part: number): number | undefined {
  const all = buckets.reduce((sum, count) => sum + count, 0);
  if (all === 0) return undefined;
  let left = part * all;
  for (let at = 0; at < BOUNDS.length; at++) {
    const count = buckets[at]!;
    const [from, to] = [1_000 * (BOUNDS[at - 1] ?? 0), 1_000 * BOUNDS[at]!];
    if (count > 0 && left <= count) return from + (to - from) * Math.max(left, 0) / count;
    left -= count;
  }
  return 1_000 * BOUNDS.at(-1)!;
}
