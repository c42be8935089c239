/**
 * `deno task bench:context`: what gating saves of a model's context at 45, 100, 500 and 3 000 tools,
 * counted exactly with o200k, and how long the status takes to estimate it. Of public sets beside
 * the project, skipped where they are missing. Goals are reported, not enforced;
 * tests/gateway/gating/context.test.ts guards them with the project's own tools. Writes
 * `bench/results/context.json`, of which the timings are kept for each runtime.
 *
 *     deno task bench:context
 *     node_modules/bun/bin/bun.exe bench/context/main.ts
 */

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import process from "node:process";
import { exactTokenizer } from "../../src/lib/tokens.ts";
import { type ContextCost, measureContext } from "./measure.ts";
import { readSets } from "./sets.ts";
import { type StatusTiming, timeStatus } from "./timing.ts";

const RESULTS = new URL("../results/context.json", import.meta.url);

/** Least savings after one search, in percent, by number of tools. */
const GOALS: readonly (readonly [tools: number, percent: number])[] = [[500, 98], [100, 90]];

const skipped: string[] = [];
const sets = readSets((name) => skipped.push(name));
for (const name of skipped) console.log(`skipped: ${name}, no such folder`);
// First, so that it is the work of a process that has not counted before.
const timing = await Promise.all(
  sets.filter(({ name }) => name === "toucan3000").slice(-1)
    .map(timeStatus),
);
const { count } = await exactTokenizer();
const lines: ContextCost[] = [];
for (const set of sets) {
  const cost = await measureContext(set, count);
  lines.push(cost);
  console.log(textOf(cost));
}
for (const { tools, first, longest, again } of timing) {
  console.log(
    `status with ${tools} tools: first ${first} ms, at most ${longest} ms at a stretch; ` +
      `then ${again} ms`,
  );
}
// What was measured with all of them is not replaced by less.
if (skipped.length === 0) save(timing[0]);

function textOf(cost: ContextCost): string {
  const { set, tools, full, meta, queries, hits, structuredHits, schemas, estimate } = cost;
  const saved = Object.entries(cost.savedPercent).map(([n, share]) => `${n}: ${share} %`);
  const goal = GOALS.find(([least]) => tools >= least)?.[1];
  const verdict = goal === undefined
    ? ""
    : cost.savedPercent["1"]! >= goal
    ? ` (goal ${goal} %)`
    : ` (MISSED ${goal} %)`;
  return [
    `${set}, ${tools} tools: ${full} tokens, meta tools ${meta}; ${queries} queries`,
    `  8 hits ${hits.mean} (median ${hits.median}, p95 ${hits.p95}), ` +
    `structured ${structuredHits.mean}; 2 schemas ${schemas.mean} ` +
    `(median ${schemas.median}, p95 ${schemas.p95})`,
    `  saved after searches ${saved.join(", ")}${verdict}; structured ` +
    `${cost.savedPercentStructured} %; loses from search ${cost.breakEven} on`,
    `  tokenx ${estimate.total} % in total, ${estimate.meanPerTool} % a tool ` +
    `(p5 ${estimate.p5}, p95 ${estimate.p95})`,
  ].join("\n");
}

function save(status: StatusTiming | undefined): void {
  const runtime = process.versions.bun === undefined ? "deno" : "bun";
  const before = existsSync(RESULTS) ? JSON.parse(readFileSync(RESULTS, "utf8")) : {};
  const results = {
    date: new Date().toISOString().slice(0, 10),
    machine: `${availableParallelism()} cores ${process.platform} ${process.arch}`,
    status: { ...before.status, [runtime]: status },
    lines,
  };
  writeFileSync(RESULTS, `${JSON.stringify(results, null, 2)}\n`);
}
