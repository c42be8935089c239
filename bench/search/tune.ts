/**
 * Varies the numbers of `src/gating/words/postings.ts` one at a time and says what is better on the
 * tuned halves of the sets, alone and among 3 000 other tools. Changes nothing by itself: numbers that
 * gain less than chance are best left as they are.
 *
 *     deno run -A bench/search/tune.ts
 */

import process from "node:process";
import { type Field, RANKING, type Ranking } from "../../src/gating/words/postings.ts";
import { buildIndex } from "../../src/gating/words/index.ts";
import { halfOf, readDataset } from "./dataset.ts";
import { measure } from "./measures.ts";

/** Of the large sets a part will do. */
const MOST_QUERIES = 400;
const FACTORS = [0.5, 0.75, 1.33, 2];

const others = readDataset("toucan3000")?.documents ?? [];
const cases = ["mcpproxy45", "metatool", "toollinkos"].flatMap((name) => {
  const set = readDataset(name);
  if (set === undefined) return [];
  const queries = set.queries.filter((query) => halfOf(query) === "tuned").slice(0, MOST_QUERIES);
  return [
    { queries, documents: set.documents },
    { queries, documents: [...set.documents, ...others] },
  ];
});

/** The mean of R@5 and NDCG@10 over all sets, times 100. */
function value(ranking: Ranking): number {
  const values = cases.map(({ queries, documents }) => {
    const index = buildIndex(documents, ranking);
    const { recall5, ndcg10 } = measure(
      queries,
      (query) => index.search(query, { limit: 10 }).hits.map(({ document }) => document.id),
    );
    return (recall5 + ndcg10) / 2;
  });
  return values.reduce((sum, one) => sum + one, 0) / values.length * 100;
}

function vary(name: string, now: number, build: (number: number) => Ranking): void {
  const tried = (now === 0 ? [0.1, 0.3, 1] : [0, ...FACTORS.map((factor) => now * factor)])
    .map((number) => `${number.toFixed(2)}: ${(value(build(number)) - base).toFixed(2)}`);
  process.stdout.write(`${name.padEnd(24)} ${now.toFixed(2)} | ${tried.join("  ")}\n`);
}

const base = value(RANKING);
process.stdout.write(`${base.toFixed(2)} as it is; the differences:\n`);
for (const [name, now] of Object.entries(RANKING)) {
  if (typeof now === "number") vary(name, now, (number) => ({ ...RANKING, [name]: number }));
}
for (const [field, rule] of Object.entries(RANKING.fields) as [Field, Ranking["fields"][Field]][]) {
  for (const part of ["weight", "length"] as const) {
    const build = (number: number): Ranking => ({
      ...RANKING,
      fields: { ...RANKING.fields, [field]: { ...rule, [part]: number } },
    });
    if (part === "weight" || rule.weight > 0) vary(`${field}.${part}`, rule[part], build);
  }
}
