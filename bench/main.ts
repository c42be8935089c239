/**
 * `deno task bench`: every budget that can be measured, each against a baseline in the
 * same run. Budgets are reported, not enforced: exits with 1 only when something could not be
 * measured. A run of all cases writes `bench/results`.
 *
 *     deno task bench [--target deno|bun|binary]... [--only CASE]... [--rounds N]
 */

import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { call } from "./cases/call.ts";
import { crash } from "./cases/crash.ts";
import { execute } from "./cases/execute.ts";
import { jsonEdit } from "./cases/json-edit.ts";
import { list } from "./cases/list.ts";
import { memory } from "./cases/memory.ts";
import { profiles } from "./cases/profiles.ts";
import { reload } from "./cases/reload.ts";
import { start } from "./cases/start.ts";
import { Generator } from "./harness/load.ts";
import { availableTargets, runtimeCommand, type Target } from "./harness/programs.ts";
import { type Results, sectionOf, tableOf } from "./harness/report.ts";
import type { Row } from "./harness/row.ts";

const CASES = [start, list, profiles, call, execute, memory, crash, reload, jsonEdit];
const RESULTS = fileURLToPath(new URL("results/", import.meta.url));

const { values } = parseArgs({
  options: {
    target: { type: "string", multiple: true },
    only: { type: "string", multiple: true },
    rounds: { type: "string", default: "5" },
  },
});
const targets = chosen(values.target, availableTargets(), "target");
const names = chosen(values.only, CASES.map(({ name }) => name), "case");
const rounds = Number(values.rounds);
const machine = `${availableParallelism()} cores ${process.platform} ${process.arch}`;

// Not by default: what was started leads process groups of its own, which Ctrl+C does not reach.
process.on("SIGINT", () => process.exit(130));
process.on("SIGTERM", () => process.exit(143));

await using generator = await Generator.start();
const all: Results[] = [];
for (const target of targets) {
  const results = await measure(target);
  console.log(`\n${tableOf(results.rows).join("\n")}`);
  for (const failure of results.failures) console.log(`NOT MEASURED ${failure}`);
  all.push(results);
}
if (values.only === undefined) save();
process.exitCode = all.every(({ failures }) => failures.length === 0) ? 0 : 1;

async function measure(target: Target): Promise<Results> {
  const rows: Row[] = [];
  const failures: string[] = [];
  for (const { name, run } of CASES.filter((one) => names.includes(one.name))) {
    console.error(`${target}: ${name} …`);
    try {
      rows.push(...await run({ target, generator, rounds }));
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      console.error(message);
      // What follows the first line is the program's own output, which no result file needs.
      failures.push(`${name}: ${message.split("\n", 1)[0]}`);
    }
  }
  const date = new Date().toISOString().slice(0, 10);
  return { target, version: versionOf(target), date, machine, rounds, rows, failures };
}

function versionOf(target: Target): string {
  const { command, args } = runtimeCommand(target);
  const text = execFileSync(command, [...args, "--version"], { encoding: "utf8" });
  const number = /\d+\.\d+\.\d+/.exec(text)?.[0] ?? "unknown";
  return `${target === "deno" ? "Deno" : "Bun"} ${number}`;
}

/** Writes what was measured now; targets that were not keep their last results. */
function save(): void {
  for (const results of all) {
    writeFileSync(`${RESULTS}${results.target}.json`, `${JSON.stringify(results, null, 2)}\n`);
  }
  const sections = (["deno", "bun", "binary"] as const).flatMap((target) => {
    try {
      return [sectionOf(JSON.parse(readFileSync(`${RESULTS}${target}.json`, "utf8")) as Results)];
    } catch {
      return []; // never measured
    }
  });
  const head = "# Benchmark results\n\nWritten by `deno task bench`; see " +
    `\`docs/performance.md\` for what each line means. Machine: ${machine}.\n\n`;
  writeFileSync(`${RESULTS}README.md`, head + sections.join("\n"));
}

function chosen<Name extends string>(
  asked: readonly string[] | undefined,
  known: readonly Name[],
  what: string,
): readonly Name[] {
  for (const name of asked ?? []) {
    if (!known.includes(name as Name)) {
      console.error(`Cannot measure ${what} "${name}": expected ${known.join(", ")}`);
      process.exit(2);
    }
  }
  return known.filter((name) => asked === undefined || asked.includes(name));
}
