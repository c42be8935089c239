/**
 * How good the search is on sets it was not tuned on: for each set all numbers of the ranking are
 * chosen anew on the others, from nothing, and the set that was left out says how good they are.
 * The numbers in `src/gating/words/postings.ts` are good if these are no better.
 */

import { buildIndex } from "../../src/gating/words/index.ts";
import { type Field, RANKING, type Ranking } from "../../src/gating/words/postings.ts";
import { asTasks, type Dataset, type LabelledQuery } from "./dataset.ts";
import { measure, type Measures } from "./measures.ts";

/** What one ranking makes of one set. */
export interface Views {
  readonly alone: Measures;
  /** Among the tools of all sets, and as many others as there are. */
  readonly among: Measures;
  /** Six queries at a time, see `asTasks()`. */
  readonly tasks: Measures;
}

/** A set that had no part in the choice of the numbers. */
export interface LeftOut {
  readonly name: string;
  readonly ranking: Ranking;
  readonly views: Views;
}

/** Queries of one set; of the large ones a part will do. */
const MOST_QUERIES = 100;

/** Nothing but BM25F: all else is to be earned. */
const NOTHING: Ranking = {
  ...RANKING,
  others: 0,
  further: 0,
  synonymWords: 0,
  nameCoverage: 0,
  queryCoverage: 0,
};

/** What is tried for each number. */
const NUMBERS: Partial<Record<keyof Ranking, readonly number[]>> = {
  others: [0, 0.35, 0.5, 0.7],
  synonymWords: [0, 6, 12, 24, 1000],
  further: [0, 0.5, 1],
  saturation: [1.2, 2, 3],
  length: [0.5, 0.75],
  nameCoverage: [0, 0.2, 0.5],
  queryCoverage: [0, 0.5, 1],
};
const WEIGHTS: Partial<Record<Field, readonly number[]>> = {
  name: [1, 2, 3],
  description: [0.5, 0.75, 1],
  sentence: [0, 0.25, 0.5],
  parameters: [0.4, 0.75, 1],
  server: [1, 3, 5],
  serverText: [0.1, 0.25, 0.5],
};

/** Chooses for each set by the others; `others` are more tools to be confused with. */
export function leaveOut(sets: readonly Dataset[], others: Dataset["documents"]): {
  readonly chosen: readonly LeftOut[];
  /** What the numbers in force make of the same queries. */
  readonly inForce: readonly Views[];
} {
  const parts = sets.map((set) => ({ ...set, queries: some(set.queries) }));
  const all = [...parts.flatMap(({ name, documents }) => within(name, documents)), ...others];
  const known = new Map<string, readonly Views[]>();
  const viewsOf = (ranking: Ranking) => {
    const key = JSON.stringify(ranking);
    let views = known.get(key);
    if (views === undefined) known.set(key, views = judge(parts, all, ranking));
    return views;
  };
  const chosen = sets.map(({ name }, left): LeftOut => {
    const worth = (ranking: Ranking) =>
      viewsOf(ranking).reduce((sum, views, index) => index === left ? sum : sum + value(views), 0);
    const ranking = climb(worth);
    return { name, ranking, views: viewsOf(ranking)[left]! };
  });
  return { chosen, inForce: viewsOf(RANKING) };
}

/** The best that is found by trying one number after the other. */
function climb(worth: (ranking: Ranking) => number): Ranking {
  let best = NOTHING;
  for (const [name, numbers] of Object.entries(NUMBERS)) {
    for (const number of numbers) best = better(best, { ...best, [name]: number }, worth);
  }
  for (const [field, weights] of Object.entries(WEIGHTS)) {
    for (const weight of weights) {
      const other = { ...best, weights: { ...best.weights, [field]: weight } };
      best = better(best, other, worth);
    }
  }
  return best;
}

function better(one: Ranking, other: Ranking, worth: (ranking: Ranking) => number): Ranking {
  return worth(other) > worth(one) ? other : one;
}

/** The mean of R@5 and NDCG@10 over the three ways to ask. */
function value({ alone, among, tasks }: Views): number {
  return [alone, among, tasks].reduce((sum, one) => sum + one.recall5 + one.ndcg10, 0) / 6;
}

function judge(
  sets: readonly Dataset[],
  all: Dataset["documents"],
  ranking: Ranking,
): readonly Views[] {
  const together = searchOf(all, ranking);
  return sets.map(({ name, documents, queries }): Views => {
    const search = searchOf(documents, ranking);
    return {
      alone: measure(queries, search),
      among: measure(
        queries.map((one) => ({ ...one, relevant: one.relevant.map((id) => `${name}/${id}`) })),
        together,
      ),
      tasks: measure(asTasks(queries, MOST_QUERIES), search),
    };
  });
}

function searchOf(documents: Dataset["documents"], ranking: Ranking) {
  const index = buildIndex(documents, ranking);
  return (query: string) =>
    index.search(query, { limit: 10 }).hits.map(({ document }) => document.id);
}

/** Ids of several sets side by side. */
function within(name: string, documents: Dataset["documents"]): Dataset["documents"] {
  return documents.map((one) => ({ ...one, id: `${name}/${one.id}` }));
}

/** Some, from everywhere in the list. */
function some(queries: readonly LabelledQuery[]): readonly LabelledQuery[] {
  const step = Math.ceil(queries.length / MOST_QUERIES);
  return queries.filter((_query, index) => index % step === 0);
}
