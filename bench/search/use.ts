/**
 * What `usageRanking` does to the search, simulated: somebody uses some tools and not others. Asked
 * for are the tools that are used, and the others, which must not suffer; and, as the worst case, use
 * has nothing to do with what is asked for. Means over several such people.
 *
 *     deno run -A bench/search/use.ts [FOLDER]
 */

import process from "node:process";
import { factorOf } from "../../src/gating/use.ts";
import { buildIndex } from "../../src/gating/words/index.ts";
import {
  type Dataset,
  folderGiven,
  type LabelledQuery,
  PUBLIC,
  readDataset,
  readOwnDataset,
} from "./dataset.ts";
import { measure, type Search } from "./measures.ts";

const PEOPLE = 10;
/** The share of all tools that one of them uses. */
const USED = 0.1;
/** Calls of the tool used most; the second has half as many, the third a third. */
const MOST_CALLS = 40;
/** Queries of one person; of the large sets a part will do. */
const MOST_QUERIES = 300;

type Counts = ReadonlyMap<string, number>;
const NOTHING = { before5: 0, after5: 0, beforeN: 0, afterN: 0 };
const folder = folderGiven();
const others = readDataset("toucan3000", folder)?.documents ?? [];

function report(set: Dataset): void {
  compare(set, `${set.name} alone`);
  if (others.length > 0) {
    compare({ ...set, documents: [...set.documents, ...others] }, `${set.name} among`, set);
  }
}

/** @param asked the set whose tools are used and asked for */
function compare({ documents, queries }: Dataset, name: string, asked?: Dataset): void {
  const index = buildIndex(documents);
  const searchWith = (counts: Counts): Search => (query) =>
    index.search(query, { limit: 10, prior: ({ id }) => factorOf(counts.get(id) ?? 0) })
      .hits.map(({ document }) => document.id);
  const without = searchWith(new Map());
  const ids = (asked?.documents ?? documents).map(({ id }) => id);
  const gains = { used: new Gain(), unused: new Gain(), unrelated: new Gain() };
  for (let person = 1; person <= PEOPLE; person++) {
    const random = randomFrom(person);
    const counts = useOf(shuffled(ids, random));
    const some = shuffled(queries, random).slice(0, MOST_QUERIES);
    const isUsed = ({ relevant }: LabelledQuery) => relevant.some((id) => counts.has(id));
    gains.used.add(queries.filter(isUsed).slice(0, MOST_QUERIES), without, searchWith(counts));
    gains.unused.add(some.filter((one) => !isUsed(one)), without, searchWith(counts));
    // Other tools than those that are asked for, so that nothing can be gained.
    const elsewhere = useOf(shuffled(documents.map(({ id }) => id), random));
    gains.unrelated.add(some, without, searchWith(elsewhere));
  }
  for (const [what, gain] of Object.entries(gains)) {
    process.stdout.write(`${`${name}, ${what}:`.padEnd(32)} ${gain}\n`);
  }
}

/** How often each tool was called: the first most. */
function useOf(ids: readonly string[]): Counts {
  const used = ids.slice(0, Math.max(1, Math.round(ids.length * USED)));
  return new Map(used.map((id, rank) => [id, MOST_CALLS / (rank + 1)]));
}

/** Measures without and with use, summed over people by their queries. */
class Gain {
  #queries = 0;
  readonly #sums = { ...NOTHING };

  add(queries: readonly LabelledQuery[], before: Search, after: Search): void {
    const [one, other] = [measure(queries, before), measure(queries, after)];
    this.#queries += queries.length;
    this.#sums.before5 += one.recall5 * queries.length;
    this.#sums.after5 += other.recall5 * queries.length;
    this.#sums.beforeN += one.ndcg10 * queries.length;
    this.#sums.afterN += other.ndcg10 * queries.length;
  }

  toString(): string {
    const of = (key: keyof typeof NOTHING) => this.#sums[key] / Math.max(1, this.#queries);
    const change = (before: number, after: number) =>
      `${before.toFixed(3)} → ${after.toFixed(3)} (${(100 * (after - before)).toFixed(1)})`;
    return `R@5 ${change(of("before5"), of("after5"))}  ` +
      `NDCG@10 ${change(of("beforeN"), of("afterN"))}  ${this.#queries} queries`;
  }
}

function shuffled<T>(list: readonly T[], random: () => number): readonly T[] {
  return list.map((one) => ({ one, at: random() })).sort((a, b) => a.at - b.at)
    .map(({ one }) => one);
}

/** Numbers in [0, 1), the same for the same seed. */
function randomFrom(seed: number): () => number {
  let state = Math.imul(seed, 2_654_435_761) >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

for (const name of PUBLIC) {
  const set = readDataset(name, folder);
  if (set === undefined) process.stdout.write(`skipped: ${name}, no such folder\n`);
  else report(set);
}
report(readOwnDataset());
