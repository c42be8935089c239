/** How long calls took, as counts between bounds: what can be added up over servers and days. */

/** The upper bounds, in ms; calls beyond the last are counted above it. */
export const DURATION_BOUNDS: readonly number[] = [
  ...[1, 2.5, 5, 10, 20, 50, 100, 200, 500],
  ...[1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000],
];

/** Counts of calls, one for each bound, and one above. */
export type Buckets = Uint32Array;

/** None yet. */
export function noBuckets(): Buckets {
  return new Uint32Array(DURATION_BOUNDS.length + 1);
}

/** Where a call of that many ms is counted. */
export function bucketOf(ms: number): number {
  let at = 0;
  while (at < DURATION_BOUNDS.length && ms > DURATION_BOUNDS[at]!) at++;
  return at;
}

/**
 * As it is kept, added to what is kept already: the counts up to the last that is not 0, which is
 * written as nothing.
 */
export function bucketsText(buckets: Buckets, kept = ""): string {
  const sum = buckets.slice();
  addBuckets(sum, kept);
  return Array.from(sum, (count) => count || "").join().replace(/,+$/, "");
}

/** Adds what {@link bucketsText} has written; what is no number counts nothing. */
export function addBuckets(to: Buckets, text: string): void {
  if (text === "") return;
  const counts = text.split(",", to.length);
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
  for (let at = 0; at < DURATION_BOUNDS.length; at++) {
    const count = buckets[at]!;
    const [from, to] = [DURATION_BOUNDS[at - 1] ?? 0, DURATION_BOUNDS[at]!];
    if (count > 0 && left <= count) return from + (to - from) * Math.max(left, 0) / count;
    left -= count;
  }
  return DURATION_BOUNDS.at(-1);
}
