/** How good a ranking is: the usual measures of retrieval, each the mean over all queries. */

import type { LabelledQuery } from "./dataset.ts";

/** Each from 0 to 1. */
export interface Measures {
  readonly queries: number;
  /** Share of the right tools that are among the first 1, 5, 10. */
  readonly recall1: number;
  readonly recall5: number;
  readonly recall10: number;
  /** Grades (gain is linear in them) discounted by rank, over those of the best possible ranking. */
  readonly ndcg10: number;
  /** One over the rank of the first right tool. */
  readonly mrr: number;
}

/** Ids of the tools for a query, best first, at least ten where there are so many. */
export type Search = (query: string) => readonly string[];

/** Asks all queries. */
export function measure(queries: readonly LabelledQuery[], search: Search): Measures {
  const each = queries.map((query) => measureOne(query, search(query.query)));
  const mean = (pick: (one: Omit<Measures, "queries">) => number) =>
    each.reduce((sum, one) => sum + pick(one), 0) / Math.max(1, each.length);
  return {
    queries: queries.length,
    recall1: mean((one) => one.recall1),
    recall5: mean((one) => one.recall5),
    recall10: mean((one) => one.recall10),
    ndcg10: mean((one) => one.ndcg10),
    mrr: mean((one) => one.mrr),
  };
}

function measureOne(
  { relevant, grades = {} }: LabelledQuery,
  found: readonly string[],
): Omit<Measures, "queries"> {
  const right = new Set(relevant);
  const recall = (depth: number) =>
    found.slice(0, depth).filter((id) => right.has(id)).length / right.size;
  const first = found.slice(0, 10).findIndex((id) => right.has(id));
  const gains = (ids: readonly string[]) =>
    ids.slice(0, 10).reduce(
      (sum, id, index) => sum + (right.has(id) ? grades[id] ?? 1 : 0) / Math.log2(index + 2),
      0,
    );
  const best = [...right].sort((one, other) => (grades[other] ?? 1) - (grades[one] ?? 1));
  return {
    recall1: recall(1),
    recall5: recall(5),
    recall10: recall(10),
    ndcg10: gains(found) / gains(best),
    mrr: first < 0 ? 0 : 1 / (first + 1),
  };
}
