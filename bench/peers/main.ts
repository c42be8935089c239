/**
 * `deno task bench:peers`: ours beside bare forwarders, an aggregator written with the SDK, and
 * other gateways from npm. Writes `bench/results/peers*` and the section of docs/performance.md.
 * What a step cannot measure is told in its place; the whole ends within ten minutes.
 *
 * It runs in a network namespace with nothing but a loopback, since some of the others listen on
 * every interface; where there is none to be had, those are left out.
 *
 *     deno task bench:peers [--only PART-OF-A-NAME] [--minutes N]
 *
 * `--only` prints what it measures and writes nothing. A slow machine needs more than ten minutes,
 * which `npm ci` is part of.
 */

import { execFileSync, spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { startProcess } from "../../tests/support/process.ts";
import { ROOT, runtimeCommand } from "../harness/programs.ts";
import { Measuring } from "./measure.ts";
import { type Figure, type PeerResults, peersSection, plots } from "./report.ts";
import { allSides } from "./sides.ts";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const RESULTS = `${ROOT}bench/results`;
const PAGE = `${ROOT}docs/performance.md`;
/** The last step takes 70 s at most, and what it has started is stopped and all written then, ms. */
const LAST = 90_000;
/** Of minutes: one for the registry, and the last step. */
const LEAST = 3;
const WITH_LOOPBACK = ["-rn", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"];

const { values } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    minutes: { type: "string", default: "10" },
    // From this program to itself.
    inside: { type: "string" },
    until: { type: "string", default: "" },
    notes: { type: "string", default: "[]" },
  },
});
const minutes = Number(values.minutes);
if (!(minutes >= LEAST)) {
  console.error(
    `Cannot measure for "${values.minutes}" minutes: expected a number from ${LEAST} on`,
  );
  process.exit(2);
}
/** What runs now, in a group of its own; its end. */
let running: { readonly pid: number; readonly ended: Promise<unknown> } | undefined;
for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  process.on(signal, () => void stop(signal).finally(() => process.exit(code)));
}
if (values.inside === undefined) await prepare();
else await measure(values.inside === "true", Number(values.until), JSON.parse(values.notes));

/** What needs the registry, then this program again without a network. */
async function prepare(): Promise<void> {
  const until = Date.now() + minutes * 60_000;
  const notes: string[] = [];
  const npm = (...args: readonly string[]) => run("npm", args, 90_000);
  console.error("npm ci …");
  const { status, stderr } = await npm("ci", "--ignore-scripts", "--no-audit", "--no-fund");
  if (status !== 0) notes.push(`The others could not be installed: ${lastError(stderr)}`);
  const one = await npm("view", "@1mcp/agent", "version");
  notes.push(
    one.status === 0
      ? `1mcp (@1mcp/agent ${one.stdout.trim()}) is not among those installed.`
      : `1mcp could not be had: npm says ${lastError(one.stderr)} for @1mcp/agent, the name in ` +
        "its repository.",
  );
  const isolated = (await run("unshare", [...WITH_LOOPBACK, "true"], 10_000)).status === 0;
  const again = ["run", "-A", `${HERE}main.ts`, "--inside", String(isolated)];
  again.push("--notes", JSON.stringify(notes), "--only", values.only, "--until", String(until));
  const command = [Deno.execPath(), ...again];
  const [first, ...rest] = isolated ? ["unshare", ...WITH_LOOPBACK, ...command] : command;
  process.exitCode = (await run(first!, rest)).status ?? 1;
}

/** Runs a command; one with a limit (ms) keeps its output to itself, and ends with it. */
async function run(command: string, args: readonly string[], limit?: number) {
  const stdio = limit === undefined ? "inherit" : "pipe";
  const child = spawn(command, [...args], { cwd: HERE, detached: true, stdio });
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name]?.setEncoding("utf8").on("data", (text: string) => said[name] += text);
  }
  const ended = new Promise<number | null>((resolve) => {
    child.once("close", resolve);
    child.once("error", () => resolve(null)); // There is no such command.
  });
  if (child.pid !== undefined) running = { pid: child.pid, ended };
  const timer = limit === undefined ? undefined : setTimeout(() => end("SIGKILL"), limit);
  const status = await ended;
  clearTimeout(timer);
  running = undefined;
  return { status, ...said };
}

/** Passes a signal on, and kills the group of whom it has not ended within five seconds. */
async function stop(signal: NodeJS.Signals): Promise<void> {
  if (running === undefined) return;
  const { ended } = running;
  end(signal);
  await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 5_000))]);
  end("SIGKILL");
}

/** Signals the whole group of what runs now. */
function end(signal: NodeJS.Signals): void {
  try {
    if (running !== undefined) process.kill(-running.pid, signal);
  } catch {
    // It has ended by itself.
  }
}

function lastError(stderr: string): string {
  return /npm error code (\S+)/.exec(stderr)?.[1] ?? "nothing of use";
}

/** `until`: when it is to have ended, by the clock, ms. */
async function measure(
  isolated: boolean,
  until: number,
  notes: readonly string[],
): Promise<void> {
  const end = performance.now() + until - Date.now() - LAST;
  const figures: Record<string, Record<string, Figure>> = {};
  const told = [...notes];
  const sides: string[] = [];
  for (const side of allSides()) {
    if (!side.name.includes(values.only)) continue;
    const reason = side.missing ??
      (side.binds === "all" && !isolated
        ? "it listens on every interface, and this machine gives no network namespace"
        : undefined);
    if (reason !== undefined) {
      told.push(`${side.name} was left out: ${reason}.`);
      continue;
    }
    console.error(side.name);
    sides.push(side.name);
    const generator = await startProcess("node", [`${HERE}load.mjs`]);
    const take = (key: string, figure: Figure) => (figures[key] ??= {})[side.name] = figure;
    await new Measuring(generator, end).side(side, take);
    await generator.kill();
  }
  const date = new Date().toISOString().slice(0, 10);
  save({ date, machine: machine(), sides, figures, notes: told });
}

function machine(): string {
  const version = (command: string, args: readonly string[]) =>
    /\d+\.\d+\.\d+/.exec(execFileSync(command, [...args, "--version"], { encoding: "utf8" }))?.[0];
  const bun = runtimeCommand("bun");
  return `${cpus().length} cores (${cpus()[0]?.model ?? process.arch}), ${process.platform}, ` +
    `Deno ${version(Deno.execPath(), [])}, Bun ${version(bun.command, bun.args)}, ` +
    `Node ${version("node", [])} for all others`;
}

function save(results: PeerResults): void {
  const section = peersSection(results, "../bench/results");
  console.log(section);
  if (values.only !== "") return;
  writeFileSync(`${RESULTS}/peers.json`, `${JSON.stringify(results, null, 2)}\n`);
  for (const [name, plot] of Object.entries(plots(results))) {
    writeFileSync(`${RESULTS}/${name}`, plot);
  }
  const page = readFileSync(PAGE, "utf8");
  const marked = /(<!-- bench:peers -->\n)[^]*(\n<!-- end of bench:peers -->)/;
  writeFileSync(PAGE, page.replace(marked, (_, from, to) => `${from}\n${section}\n${to}`));
  execFileSync(Deno.execPath(), ["fmt", "--quiet", PAGE]);
}
