/** Why a process could not be started, in words. */

import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { SpawnError, type SpawnOptions } from "../types.ts";

/**
 * The {@link SpawnError} for what `node:child_process` reported. The system says ENOENT alike for a
 * missing command, a missing working directory and a missing script interpreter, so this looks.
 */
export async function spawnError(
  options: Pick<SpawnOptions, "command" | "cwd">,
  cause: unknown,
): Promise<SpawnError> {
  const { command, cwd } = options;
  const fail = (code: string, reason: string): SpawnError =>
    new SpawnError(`Cannot start "${command}": ${reason}`, code, { cause });

  if (cwd !== undefined) {
    const found = await kind(cwd);
    if (found === "missing") {
      return fail("ENOENT", `no working directory "${cwd}"; expected an existing directory`);
    }
    if (found === "other") {
      return fail("ENOTDIR", `working directory "${cwd}" is a file; expected a directory`);
    }
  }
  const code = systemCode(cause);
  const isPath = command.includes("/");
  if (code === "ENOENT" && isPath && await kind(resolve(cwd ?? ".", command)) === "other") {
    return fail(code, "the interpreter in its first line is missing; expected it to be installed");
  }
  if (code === "ENOENT") {
    const expected = isPath ? "an existing program" : "a program on the PATH of its environment";
    return fail(code, `no such command; expected ${expected}`);
  }
  if (code === "EACCES") {
    return fail(code, "permission denied; expected an executable file and access to its directory");
  }
  return fail(code, cause instanceof Error ? cause.message : String(cause));
}

async function kind(path: string): Promise<"directory" | "other" | "missing"> {
  try {
    return (await stat(path)).isDirectory() ? "directory" : "other";
  } catch {
    return "missing";
  }
}

function systemCode(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : "EUNKNOWN";
}
