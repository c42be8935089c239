/** One thing and what its ranks are worth. */
export interface Fused {
  readonly id: string;
  readonly score: number;
}

/** How little the difference between neighbouring ranks counts; the usual number. */
const FLATNESS = 60;

/**
 * Joins rankings of ids, each best first, by reciprocal rank: what several of them have near the top
 * comes first, however different their scores are. By score, then by id; ids count once a ranking.
 */
export function fuse(...rankings: readonly (readonly string[])[]): readonly Fused[] {
  const scores = new Map<string, number>();
  for (const ranking of rankings) {
    for (const [rank, id] of [...new Set(ranking)].entries()) {
      scores.set(id, (scores.get(id) ?? 0) + 1 / (FLATNESS + rank + 1));
    }
  }
  return [...scores].map(([id, score]) => ({ id, score }))
    .sort((one, other) => other.score - one.score || (one.id < other.id ? -1 : 1));
}
