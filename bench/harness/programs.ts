import { existsSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** What the gateway is run as, in the order of the report. The benchmark itself runs on Deno. */
export const TARGETS = ["deno", "deno-bundle", "bun", "binary"] as const;

/** One of {@link TARGETS}. */
export type Target = typeof TARGETS[number];

/** The root folder of the project. */
export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

const BUN = `${ROOT}node_modules/bun/bin/bun.exe`;
const BUNDLE = `${ROOT}dist/mcproxy.js`;
const BINARY = `${ROOT}dist/test/mcproxy-bun`;

/** The flags of the release and of `npm start`, unless others are tried. */
let v8Flags = "--max-semi-space-size=2,--optimize-for-size";

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

/** The targets that can be measured here. */
export function availableTargets(): Target[] {
  const built = { deno: true, "deno-bundle": existsSync(BUNDLE), bun: true };
  return TARGETS.filter((target) => ({ ...built, binary: existsSync(BINARY) })[target]);
}

/** What runs a target; the binary is Bun's. */
export function runtimeOf(target: Target): "deno" | "bun" {
  return target === "deno" || target === "deno-bundle" ? "deno" : "bun";
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

/** A baseline in `bench/programs`, on the runtime of the target. */
export function baselineCommand(
  target: Target,
  program: string,
  args: readonly string[] = [],
): CommandLine {
  return script(runtimeOf(target), `${ROOT}bench/programs/${program}`, args);
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
