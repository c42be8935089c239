/**
 * `deno task bench:search`: how good and how fast the search over tools is, on public labelled sets
 * (beside the project, skipped where they are missing) and on the project's own. Goals are reported,
 * not enforced; tests/registry/search-quality.test.ts guards the own set. Writes
 * `bench/results/search.json`, of which the timings are kept for each runtime.
 *
 *     deno task bench:search
 *     node_modules/bun/bin/bun.exe bench/search/main.ts
 */

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import process from "node:process";
import type { ToolDocument } from "../../src/gating/words/document.ts";
import { RANKING } from "../../src/gating/words/postings.ts";
import { buildIndex } from "../../src/gating/words/index.ts";
import { type Dataset, halfOf, readDataset, readOwnDataset } from "./dataset.ts";
import { measure, type Measures, type Search } from "./measures.ts";
import { miniSearch } from "./mini.ts";
import { time, type Timing } from "./timing.ts";

const RESULTS = new URL("../results/search.json", import.meta.url);
const GOALS: Readonly<Record<string, Partial<Measures>>> = {
  mcpproxy45: { recall5: 0.82, recall10: 0.89, ndcg10: 0.71 },
  metatool: { recall5: 0.64 },
  toollinkos: { recall5: 0.93 },
};
const DISTRACTORS = "toucan3000";

type Engine = "ours" | "without synonyms" | "minisearch";
const ENGINES: Readonly<Record<Engine, (documents: readonly ToolDocument[]) => Search>> = {
  ours: (documents) => searchOf(documents),
  "without synonyms": (documents) => searchOf(documents, { ...RANKING, synonym: 0, substitute: 0 }),
  minisearch: miniSearch,
};

/** One line of the results. */
interface Line extends Measures {
  readonly dataset: string;
  readonly half: "tuned" | "unseen" | "all";
  readonly among: number;
  readonly engine: Engine;
}

const distractors = readDataset(DISTRACTORS);
if (distractors === undefined) console.log(`skipped: ${DISTRACTORS}, no such folder`);
const public_ = Object.keys(GOALS).flatMap((name) => {
  const set = readDataset(name);
  if (set === undefined) console.log(`skipped: ${name}, no such folder`);
  return set ?? [];
});
const sets = [...public_, readOwnDataset()];

// First, so that the first build is a process's first.
const timing = timings();
const lines = sets.flatMap(linesOf);

for (const line of lines) console.log(textOf(line));
for (const [engine, times] of Object.entries(timing)) {
  const all = Object.entries(times).map(([name, ms]) => `${name} ${ms.toFixed(2)}`);
  console.log(`${engine}, ms: ${all.join(", ")}`);
}
if (public_.length > 0 && distractors !== undefined) save();

function searchOf(documents: readonly ToolDocument[], ranking = RANKING): Search {
  const index = buildIndex(documents, ranking);
  return (query) => index.search(query, { limit: 10 }).hits.map(({ document }) => document.id);
}

function timings(): Partial<Record<Engine, Timing>> {
  if (distractors === undefined) return {};
  const queries = sets.flatMap((set) => set.queries).filter((_query, index) => index % 4 === 0);
  return {
    ours: time(distractors.documents, queries, ENGINES.ours),
    minisearch: time(distractors.documents, queries, ENGINES.minisearch),
  };
}

function linesOf({ name, documents, queries }: Dataset): readonly Line[] {
  const alone = searchesOf(documents);
  const found = (["tuned", "unseen", "all"] as const).flatMap((half) =>
    alone.map(([engine, search]): Line => ({
      dataset: name,
      half,
      among: documents.length,
      engine,
      ...measure(queries.filter((one) => half === "all" || halfOf(one) === half), search),
    }))
  );
  if (distractors === undefined) return found;
  const all = [...documents, ...distractors.documents];
  return [
    ...found,
    ...searchesOf(all).map(([engine, search]): Line => ({
      dataset: name,
      half: "all",
      among: all.length,
      engine,
      ...measure(queries, search),
    })),
  ];
}

function searchesOf(documents: readonly ToolDocument[]): readonly (readonly [Engine, Search])[] {
  return (Object.keys(ENGINES) as Engine[]).map((name) => [name, ENGINES[name](documents)]);
}

function textOf(line: Line): string {
  const { dataset, half, among, engine, queries } = line;
  const goals = engine === "ours" && half === "all" && among < 1000 ? GOALS[dataset] ?? {} : {};
  const names = { recall1: "R@1", recall5: "R@5", recall10: "R@10", ndcg10: "NDCG@10", mrr: "MRR" };
  const figures = (Object.keys(names) as (keyof typeof names)[]).map((key) => {
    const goal = goals[key];
    const verdict = goal === undefined ? "" : line[key] >= goal ? ` ≥${goal}` : ` MISSED ${goal}`;
    return `${names[key]} ${line[key].toFixed(3)}${verdict}`;
  });
  const what = `${dataset} ${half}, ${queries} queries, ${among} tools, ${engine}:`;
  return `${what.padEnd(62)} ${figures.join("  ")}`;
}

function save(): void {
  const runtime = process.versions.bun === undefined ? "deno" : "bun";
  const before = existsSync(RESULTS) ? JSON.parse(readFileSync(RESULTS, "utf8")) : {};
  const results = {
    date: new Date().toISOString().slice(0, 10),
    machine: `${availableParallelism()} cores ${process.platform} ${process.arch}`,
    timing: { ...before.timing, [runtime]: timing },
    lines,
  };
  writeFileSync(RESULTS, `${JSON.stringify(results, null, 2)}\n`);
}
