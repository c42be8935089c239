import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { V8_FLAGS } from "../../scripts/engine.ts";

/** What the gateway is run as, in the order of the report. The benchmark itself runs on Deno. */
export const TARGETS = ["deno", "deno-bundle", "bun", "binary"] as const;

/** One of {@link TARGETS}. */
export type Target = typeof TARGETS[number];

/** The root folder of the project. */
export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

const BUN = `${ROOT}node_modules/bun/bin/bun.exe`;
const BUNDLE = `${ROOT}dist/mcproxy.js`;
const BINARY = `${ROOT}dist/test/mcproxy-bun`;

/** What has to be built, as the file that tells when it was, and what builds it. */
const BUILDS: Partial<Record<Target, readonly [file: string, by: string]>> = {
  "deno-bundle": [`${ROOT}dist/bundle/main.js`, "deno task bundle"],
  binary: [BINARY, "deno run -A scripts/compile.ts --for-tests"],
};

/** The flags of the release and of `npm start`, unless others are tried. */
let v8Flags = V8_FLAGS;

/** What `deno.json` switches on, for a program that is not found below it. */
const UNSTABLE = ["--unstable-net", "--unstable-no-legacy-abort"];

/** A command line. */
export interface CommandLine {
  readonly command: string;
  readonly args: readonly string[];
  /** Beside what the benchmark itself has. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Both sides of all comparisons on Deno get these flags from now on; none where it is empty. */
export function useV8Flags(flags: string): void {
  v8Flags = flags;
}

/** The targets that can be measured here; of each other one stderr is told why not. */
export function availableTargets(): Target[] {
  const sources = readdirSync(`${ROOT}src`, { recursive: true }).map((name) => `src/${name}`);
  const newest = Math.max(...["main.ts", ...sources].map((name) => changedAt(ROOT + name)));
  return TARGETS.filter((target) => {
    const [file, by] = BUILDS[target] ?? [];
    if (file === undefined || changedAt(file) > newest) return true;
    // What was built from an earlier source would be measured as today's.
    const what = changedAt(file) === 0 ? "it is not built" : "its build is older than the source";
    console.error(`${target} is left out, since ${what}: run "${by}"`);
    return false;
  });
}

/** When a file was changed last, ms; 0 where there is none. */
function changedAt(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** What runs a target; the binary is Bun's. */
export function runtimeOf(target: Target): "deno" | "bun" {
  return target === "deno" || target === "deno-bundle" ? "deno" : "bun";
}

/** Whether a target is a build, not the source. */
export function isBuilt(target: Target): boolean {
  return BUILDS[target] !== undefined;
}

/** The engine flags of a target, for the report. */
export function flagsOf(target: Target): string {
  return runtimeOf(target) === "deno" ? v8Flags : "";
}

/** The gateway on a config file; port 0 picks one. */
export function gatewayCommand(target: Target, config: string, port = 0): CommandLine {
  const args = ["serve", "--log", "--port", String(port), "--config", config];
  return target === "binary"
    ? { command: BINARY, args }
    : script(runtimeOf(target), gatewayScript(target), args);
}

/** The file a target that is no binary runs. */
export function gatewayScript(target: Exclude<Target, "binary">): string {
  return target === "deno-bundle" ? BUNDLE : `${ROOT}main.ts`;
}

/** A baseline in `bench/programs`, on the runtime of the target and built as the target is. */
export function baselineCommand(
  target: Target,
  program: string,
  args: readonly string[] = [],
): CommandLine {
  const file = baselineFile(target, program);
  return target === "binary" ? { command: file, args } : script(runtimeOf(target), file, args);
}

/** What a program in `bench/programs` that measures something by itself prints as JSON. */
export async function printedBy(target: Target, program: string): Promise<unknown> {
  const { command, args } = baselineCommand(target, program);
  const { stdout } = await promisify(execFile)(command, [...args], { cwd: ROOT, timeout: 120_000 });
  return JSON.parse(stdout);
}

let builds: string | undefined;
const built = new Set<string>();

/** The file of a baseline, which is built at its first use: source starts later than what is. */
export function baselineFile(target: Target, program: string): string {
  const source = `${ROOT}bench/programs/${program}`;
  if (!isBuilt(target)) return source;
  if (builds === undefined) {
    const folder = builds = mkdtempSync(join(tmpdir(), "mcproxy-bench-builds-"));
    process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  }
  const file = join(builds, `${target}-${program}${target === "binary" ? "" : ".js"}`);
  if (!built.has(file)) {
    const [command, args] = target === "binary"
      ? [BUN, ["build", "--compile", "--minify", "--bytecode", "--format=esm", "--outfile"]]
      : [process.execPath, ["bundle", "--quiet", "--minify", "--output"]];
    execFileSync(command, [...args, file, source], { cwd: ROOT, stdio: "pipe" });
    built.add(file);
  }
  return file;
}

/** The runtime a target's baselines run on. */
export function runtimeCommand(target: Target): CommandLine {
  return { command: runtimeOf(target) === "deno" ? process.execPath : BUN, args: [] };
}

function script(runtime: "deno" | "bun", path: string, args: readonly string[]): CommandLine {
  if (runtime === "bun") return { command: BUN, args: [path, ...args] };
  const engine = v8Flags === "" ? [] : [`--v8-flags=${v8Flags}`];
  return {
    command: process.execPath,
    args: ["run", "-A", ...UNSTABLE, ...engine, path, ...args],
  };
}
