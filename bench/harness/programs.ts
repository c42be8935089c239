import { existsSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** What the gateway is run as. The benchmark itself runs on Deno. */
export type Target = "deno" | "bun" | "binary";

/** The root folder of the project. */
export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

const BUN = `${ROOT}node_modules/bun/bin/bun.exe`;
const BINARY = `${ROOT}dist/test/mcproxy-bun`;

/** The flag of the release and of `npm start`; both sides of a comparison get it. */
const DENO_FLAGS = ["--v8-flags=--max-semi-space-size=2,--optimize-for-size"];

/** A command line. */
export interface CommandLine {
  readonly command: string;
  readonly args: readonly string[];
}

/** The targets that can be measured here. */
export function availableTargets(): Target[] {
  const all: Target[] = ["deno", "bun"];
  if (existsSync(BINARY)) all.push("binary");
  return all;
}

/** The gateway on a config file; port 0 picks one. */
export function gatewayCommand(target: Target, config: string, port = 0): CommandLine {
  const args = ["serve", "--log", "--port", String(port), "--config", config];
  return target === "binary" ? { command: BINARY, args } : script(target, `${ROOT}main.ts`, args);
}

/** A baseline in `bench/programs`, on the runtime of the target (the binary is Bun's). */
export function baselineCommand(
  target: Target,
  program: string,
  args: readonly string[] = [],
): CommandLine {
  const path = `${ROOT}bench/programs/${program}`;
  return script(target === "deno" ? "deno" : "bun", path, args);
}

/** The runtime a target's baselines run on. */
export function runtimeCommand(target: Target): CommandLine {
  return { command: target === "deno" ? process.execPath : BUN, args: [] };
}

function script(runtime: "deno" | "bun", path: string, args: readonly string[]): CommandLine {
  return runtime === "deno"
    ? { command: process.execPath, args: ["run", "-A", ...DENO_FLAGS, path, ...args] }
    : { command: BUN, args: [path, ...args] };
}
