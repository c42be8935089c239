/** Smallest, middle and largest of some samples. */
export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

/** The spread of samples. @throws {Error} without any */
export function spreadOf(samples: readonly number[]): Spread {
  if (samples.length === 0) throw new Error("Cannot summarise samples: there are none");
  const sorted = [...samples].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1
    ? sorted[middle]!
    : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { min: sorted[0]!, median, max: sorted.at(-1)! };
}

/**
 * Compares round by round. Both sides of a round ran within seconds of each other, so what else
 * the machine was doing then cancels out; the medians of the two columns would keep it.
 */
export function paired(
  ours: readonly number[],
  baseline: readonly number[],
  compare: (ours: number, baseline: number) => number,
): Spread {
  return spreadOf(ours.map((value, round) => compare(value, baseline[round]!)));
}
