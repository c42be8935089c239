/**
 * `deno task bench:search [FOLDER]`: how good and how fast the search over tools is, beside a plain
 * BM25F and MiniSearch, on the project's own labelled set and on the public ones in the folder (beside
 * the project where none is given; skipped where they are missing); and how good it is on each set
 * when all its numbers are chosen on the others. tests/gating/words/search-quality.test.ts guards the
 * own set. Writes `bench/results/search.json`, of which the timings are kept for each runtime.
 *
 *     deno task bench:search ../datasets
 *     node_modules/bun/bin/bun.exe bench/search/main.ts ../datasets
 */

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import process from "node:process";
import type { ToolDocument } from "../../src/gating/words/document.ts";
import { RANKING } from "../../src/gating/words/postings.ts";
import { buildIndex } from "../../src/gating/words/index.ts";
import {
  asTasks,
  type Dataset,
  folderGiven,
  PUBLIC,
  readDataset,
  readOwnDataset,
} from "./dataset.ts";
import { leaveOut, type Views } from "./leave-out.ts";
import { measure, type Measures, type Search } from "./measures.ts";
import { miniSearch } from "./mini.ts";
import { plainBm25f } from "./plain.ts";
import { time, type Timing } from "./timing.ts";

const RESULTS = new URL("../results/search.json", import.meta.url);
const DISTRACTORS = "toucan3000";

/** Tasks of one set, each of several queries. */
const MOST_TASKS = 200;

type Engine = "ours" | "without synonyms" | "plain BM25F" | "minisearch";
const ENGINES: Readonly<Record<Engine, (documents: readonly ToolDocument[]) => Search>> = {
  ours: (documents) => searchOf(documents),
  "without synonyms": (documents) => searchOf(documents, { ...RANKING, synonymWords: 0 }),
  "plain BM25F": plainBm25f,
  minisearch: miniSearch,
};

/** One line of the results. */
interface Line extends Measures {
  readonly dataset: string;
  readonly asked: "queries" | "tasks";
  readonly among: number;
  readonly engine: Engine;
}

const folder = folderGiven();
const distractors = read(DISTRACTORS);
const public_ = PUBLIC.flatMap((name) => read(name) ?? []);
const sets = [...public_, readOwnDataset()];

// First, so that the first build is a process's first.
const timing = timings();
const lines = sets.flatMap(linesOf);

for (const line of lines) console.log(textOf(line));
for (const [engine, times] of Object.entries(timing)) {
  const all = Object.entries(times).map(([name, ms]) => `${name} ${ms.toFixed(2)}`);
  console.log(`${engine}, ms: ${all.join(", ")}`);
}
const { chosen, inForce } = leaveOut(sets, distractors?.documents ?? []);
for (const [index, { name, views, ranking }] of chosen.entries()) {
  console.log(`${name} left out:  ${viewsText(views)}  in force: ${viewsText(inForce[index]!)}`);
  console.log(`  by the others: ${JSON.stringify(ranking)}`);
}
if (public_.length > 0 && distractors !== undefined) save();

function read(name: string): Dataset | undefined {
  const set = readDataset(name, folder);
  if (set === undefined) console.log(`skipped: ${name}, no such folder`);
  return set;
}

/** R@5 and NDCG@10 of each way to ask. */
function viewsText(views: Views): string {
  return Object.entries(views)
    .map(([name, { recall5, ndcg10 }]) => `${name} ${recall5.toFixed(3)}/${ndcg10.toFixed(3)}`)
    .join(" ");
}

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
  const lines = (tools: Dataset["documents"], asked: Line["asked"]) =>
    searchesOf(tools).map(([engine, search]): Line => ({
      dataset: name,
      asked,
      among: tools.length,
      engine,
      ...measure(asked === "tasks" ? asTasks(queries, MOST_TASKS) : queries, search),
    }));
  const all = [...documents, ...distractors?.documents ?? []];
  return [
    ...lines(documents, "queries"),
    ...lines(documents, "tasks"),
    ...(distractors === undefined ? [] : lines(all, "queries")),
  ];
}

function searchesOf(documents: readonly ToolDocument[]): readonly (readonly [Engine, Search])[] {
  return (Object.keys(ENGINES) as Engine[]).map((name) => [name, ENGINES[name](documents)]);
}

function textOf(line: Line): string {
  const { dataset, asked, among, engine, queries } = line;
  const names = { recall1: "R@1", recall5: "R@5", recall10: "R@10", ndcg10: "NDCG@10", mrr: "MRR" };
  const figures = (Object.keys(names) as (keyof typeof names)[])
    .map((key) => `${names[key]} ${line[key].toFixed(3)}`);
  const what = `${dataset}, ${queries} ${asked}, ${among} tools, ${engine}:`;
  return `${what.padEnd(58)} ${figures.join("  ")}`;
}

function save(): void {
  const runtime = process.versions.bun === undefined ? "deno" : "bun";
  const before = existsSync(RESULTS) ? JSON.parse(readFileSync(RESULTS, "utf8")) : {};
  const results = {
    date: new Date().toISOString().slice(0, 10),
    machine: `${availableParallelism()} cores ${process.platform} ${process.arch}`,
    timing: { ...before.timing, [runtime]: timing },
    lines,
    leftOut: chosen,
    inForce,
  };
  writeFileSync(RESULTS, `${JSON.stringify(results, null, 2)}\n`);
}
