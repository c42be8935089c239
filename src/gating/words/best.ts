/**
 * Those of the indexes that can be among the best by score, in no order, and all that are as good as
 * the last of them: sorting thousands would cost more than finding them.
 */
export function best(
  indexes: readonly number[],
  limit: number,
  scores: Float64Array,
): readonly number[] {
  if (indexes.length <= limit) return indexes;
  const sorted = Float64Array.from(indexes, (index) => scores[index]!).sort();
  const least = sorted[Math.max(0, sorted.length - Math.max(1, limit))]!;
  return indexes.filter((index) => scores[index]! >= least);
}
