/**
 * `deno task bench`: every budget that can be measured, each against a baseline in the
 * same run. Budgets are reported, not enforced: exits with 1 only when something could not be
 * measured. A run of all cases with the usual flags writes `bench/results`, any other with `--save`.
 *
 *     deno task bench [--target deno|deno-bundle|bun|binary]... [--only CASE]... [--rounds N]
 *         [--minutes N] [--v8-flags=FLAGS] [--save]
 */

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { allocated } from "./cases/allocated.ts";
import { callHttp } from "./cases/call-http.ts";
import { call } from "./cases/call.ts";
import { clients } from "./cases/clients.ts";
import { crash } from "./cases/crash.ts";
import { door } from "./cases/door.ts";
import { history } from "./cases/history.ts";
import { execute } from "./cases/execute.ts";
import { large } from "./cases/large.ts";
import { jsonEdit } from "./cases/json-edit.ts";
import { list } from "./cases/list.ts";
import { logins } from "./cases/logins.ts";
import { memory } from "./cases/memory.ts";
import { audit } from "./cases/audit.ts";
import { pins } from "./cases/pins.ts";
import { profiles } from "./cases/profiles.ts";
import { recording } from "./cases/recording.ts";
import { reload } from "./cases/reload.ts";
import { restart } from "./cases/restart.ts";
import { start } from "./cases/start.ts";
import { tracing } from "./cases/tracing.ts";
import { typical } from "./cases/typical.ts";
import { withKey } from "./cases/with-key.ts";
import { Generator } from "./harness/load.ts";
import {
  availableTargets,
  flagsOf,
  runtimeCommand,
  runtimeOf,
  type Target,
  TARGETS,
  useV8Flags,
} from "./harness/programs.ts";
import { type CaseRow, merged, type Results, sectionOf, tableOf } from "./harness/report.ts";

const CASES = [
  start,
  restart,
  list,
  profiles,
  call,
  callHttp,
  large,
  execute,
  allocated,
  memory,
  clients,
  typical,
  crash,
  reload,
  jsonEdit,
  door,
  pins,
  audit,
  recording,
  tracing,
  history,
  withKey,
  logins,
];
const RESULTS = fileURLToPath(new URL("results/", import.meta.url));

const { values } = parseArgs({
  options: {
    target: { type: "string", multiple: true },
    only: { type: "string", multiple: true },
    rounds: { type: "string", default: "5" },
    minutes: { type: "string" },
    "v8-flags": { type: "string" },
    save: { type: "boolean", default: false },
  },
});
if (values["v8-flags"] !== undefined) useV8Flags(values["v8-flags"]);
const targets = chosen(values.target, availableTargets(), "target");
const names = chosen(values.only, CASES.map(({ name }) => name), "case");
const rounds = Number(values.rounds);
// Ten minutes for who asks for it by name, one among all the others.
const minutes = Number(values.minutes ?? (values.only?.includes(typical.name) ? 10 : 1));
const machine = `${availableParallelism()} cores ${process.platform} ${process.arch}`;

// Not by default: what was started leads process groups of its own, which Ctrl+C does not reach.
process.on("SIGINT", () => process.exit(130));
process.on("SIGTERM", () => process.exit(143));

await using generator = new Generator();
const all: Results[] = [];
for (const target of targets) {
  const results = await measure(target);
  console.log(`\n${tableOf(results.rows).join("\n")}`);
  for (const failure of results.failures) console.log(`NOT MEASURED ${failure}`);
  all.push(results);
}
if (values.save || (values.only ?? values["v8-flags"]) === undefined) save();
process.exitCode = all.every(({ failures }) => failures.length === 0) ? 0 : 1;

async function measure(target: Target): Promise<Results> {
  const rows: CaseRow[] = [];
  const failures: string[] = [];
  for (const { name, run } of CASES.filter((one) => names.includes(one.name))) {
    console.error(`${target}: ${name} …`);
    try {
      const measured = await run({ target, generator, rounds, minutes });
      rows.push(...measured.map((row) => ({ ...row, case: name })));
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      console.error(message);
      // What follows the first line is the program's own output, which no result file needs.
      failures.push(`${name}: ${message.split("\n", 1)[0]}`);
    }
  }
  const date = new Date().toISOString().slice(0, 10);
  const [version, flags] = [versionOf(target), flagsOf(target)];
  return { target, version, flags, date, machine, rounds, rows, failures };
}

function versionOf(target: Target): string {
  const { command, args } = runtimeCommand(target);
  const text = execFileSync(command, [...args, "--version"], { encoding: "utf8" });
  const number = /\d+\.\d+\.\d+/.exec(text)?.[0] ?? "unknown";
  return `${runtimeOf(target) === "deno" ? "Deno" : "Bun"} ${number}`;
}

/** Writes what was measured now; targets and cases that were not keep their last results. */
function save(): void {
  const known = CASES.map(({ name }) => name);
  for (const results of all) {
    const text = JSON.stringify(merged(saved(results.target), results, known, names), null, 2);
    writeFileSync(`${RESULTS}${results.target}.json`, `${text}\n`);
  }
  const sections = TARGETS.flatMap((target) => {
    const results = saved(target);
    return results === undefined ? [] : [sectionOf(results)];
  });
  const head = "# Benchmark results\n\nWritten by `deno task bench`; see " +
    `\`docs/performance.md\` for what each line means. Machine: ${machine}.\n\n`;
  writeFileSync(`${RESULTS}README.md`, head + sections.join("\n"));
}

/** What `bench/results` has of a target, unless it has never been measured. */
function saved(target: string): Results | undefined {
  const path = `${RESULTS}${target}.json`;
  return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) as Results : undefined;
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
