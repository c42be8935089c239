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
 * `--only` prints what it measures and writes nothing. A slow machine needs more than ten minutes.
 */

import { execFileSync, spawnSync } from "node:child_process";
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
const WITH_LOOPBACK = ["-rn", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"];

const { values } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    minutes: { type: "string", default: "10" },
    // From this program to itself.
    inside: { type: "string" },
    notes: { type: "string", default: "[]" },
  },
});
process.on("SIGINT", () => process.exit(130));
process.on("SIGTERM", () => process.exit(143));
if (values.inside === undefined) prepare();
else await measure(values.inside === "true", JSON.parse(values.notes));

/** What needs the registry, then this program again without a network. */
function prepare(): void {
  const notes: string[] = [];
  const npm = (...args: readonly string[]) =>
    spawnSync("npm", args, { cwd: HERE, encoding: "utf8", timeout: 90_000 });
  console.error("npm ci …");
  const { status, stderr } = npm("ci", "--ignore-scripts", "--no-audit", "--no-fund");
  if (status !== 0) notes.push(`The others could not be installed: ${lastError(stderr)}`);
  const one = npm("view", "@1mcp/agent", "version");
  notes.push(
    one.status === 0
      ? `1mcp (@1mcp/agent ${one.stdout.trim()}) is not among those installed.`
      : `1mcp could not be had: npm says ${lastError(one.stderr)} for @1mcp/agent, the name in ` +
        "its repository.",
  );
  const isolated = spawnSync("unshare", [...WITH_LOOPBACK, "true"]).status === 0;
  const again = ["run", "-A", `${HERE}main.ts`, "--inside", String(isolated)];
  again.push("--notes", JSON.stringify(notes), "--only", values.only, "--minutes", values.minutes);
  const command = [Deno.execPath(), ...again];
  const [first, ...rest] = isolated ? ["unshare", ...WITH_LOOPBACK, ...command] : command;
  process.exitCode = spawnSync(first!, rest, { stdio: "inherit" }).status ?? 1;
}

function lastError(stderr: string): string {
  return /npm error code (\S+)/.exec(stderr)?.[1] ?? "nothing of use";
}

async function measure(isolated: boolean, notes: readonly string[]): Promise<void> {
  // What comes before, and the step that runs then, take less than two minutes.
  const end = performance.now() + (Number(values.minutes) - 2) * 60_000;
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
