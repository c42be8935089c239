import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

let directory: string | undefined;

/**
 * Environment of a program under test that keeps nothing in the user's own folders. One directory
 * for everything this process starts, removed at its end: nothing of a run is left for the next.
 * Not `XDG_CACHE_HOME`: there the runtimes keep what they have compiled.
 */
export function cacheEnv(): { readonly CACHE_DIRECTORY: string; readonly STATE_DIRECTORY: string } {
  if (directory === undefined) {
    const made = directory = mkdtempSync(join(tmpdir(), "mcproxy-cache-"));
    process.on("exit", () => rmSync(made, { recursive: true, force: true }));
  }
  return { CACHE_DIRECTORY: directory, STATE_DIRECTORY: join(directory, "state") };
}
