import { existsSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { V8_FLAGS } from "../../scripts/engine.ts";
import { cacheEnv } from "./cache.ts";
import { startProcess, type TestProcess } from "./process.ts";

/** How the program under test is run: imported, from source on a runtime, or compiled. */
export type Mode = "memory" | "deno" | "bun" | "binary";

/** The modes that are processes of their own. */
export type ProcessMode = Exclude<Mode, "memory">;

/** The root of the project. */
export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Bun as the pinned dev dependency brings it. */
export const BUN = `${ROOT}node_modules/bun/bin/bun.exe`;

/** The engine's trade of memory for speed that `npm start` and the binary have. */
export const AS_RELEASED = { DENO_V8_FLAGS: V8_FLAGS };

/** True on Bun. The process modes are run from one runtime only, which is Deno. */
export const ON_BUN = process.versions.bun !== undefined;

/**
 * The arguments with which the runtime of these tests runs a script. Deno by itself looks at each
 * start whether everything is installed, which is half of what the start costs.
 */
export function scriptArguments(script: string, ...args: readonly string[]): readonly string[] {
  const run = ON_BUN ? [] : ["run", "-A", "--node-modules-dir=manual"];
  return [...run, script, ...args];
}

/** The command line that runs the program in a mode. @throws {Error} where there is no binary */
export function programCommand(
  mode: ProcessMode,
  args: readonly string[],
): { readonly command: string; readonly args: readonly string[] } {
  switch (mode) {
    case "deno":
      return { command: process.execPath, args: scriptArguments(`${ROOT}main.ts`, ...args) };
    case "bun":
      return { command: BUN, args: [`${ROOT}main.ts`, ...args] };
    case "binary": {
      const command = process.env["MCPROXY_BINARY"] ?? `${ROOT}dist/mcproxy`;
      if (!existsSync(command)) {
        throw new Error(
          `Cannot test "${command}": no such file; compile it first, or set MCPROXY_BINARY`,
        );
      }
      return { command, args };
    }
  }
}

/** Runs the program to its end. */
export async function runProgram(
  mode: ProcessMode,
  args: readonly string[],
  options: {
    readonly env?: Readonly<Record<string, string | undefined>>;
    readonly cwd?: string;
  } = {},
): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  const running = await startProgram(mode, args, options);
  running.endInput();
  const { code } = await running.exited;
  const text = (lines: readonly string[]) => lines.join("\n");
  return { code, stdout: text(running.stdout.items), stderr: text(running.stderr.items) };
}

/** Starts the program in a process group of its own. */
export function startProgram(
  mode: ProcessMode,
  args: readonly string[],
  { env = {}, cwd = ROOT }: {
    readonly env?: Readonly<Record<string, string | undefined>>;
    readonly cwd?: string;
  } = {},
): Promise<TestProcess> {
  const { command, args: all } = programCommand(mode, args);
  return startProcess(command, all, { env: { ...process.env, ...cacheEnv(), ...env }, cwd });
}
