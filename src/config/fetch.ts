/** Fetches what expressions ask for: the contents of files and the output of commands. */

import process from "node:process";
import type { Env } from "./config.ts";
import { type ConfigIssue, quote } from "./issue.ts";
import { commandKey, type Fetched, type ValueStore, type Wanted } from "./lookup.ts";
import { fileIssue, isReadableByOthers, readText } from "./read-file.ts";

/** Secrets are short; a bigger file was named by mistake. */
const MAX_FILE_BYTES = 64 * 1024;

/** A file may be named by what another one contains; nobody goes deeper. */
const MAX_ROUNDS = 3;

/** What was fetched. */
export interface FetchResult {
  readonly store: ValueStore;
  /** Files that others can read. */
  readonly warnings: readonly ConfigIssue[];
  /** The files asked for, absolute, there or not. */
  readonly sources: readonly string[];
}

/** Options of {@link fetchWanted}. */
export interface FetchOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * Fills `store` with all that `touch` asks it for. Everything is fetched at once, each file and each
 * command one time. Rejects for an aborted `signal` only.
 */
export async function fetchWanted(
  store: ValueStore,
  touch: (store: ValueStore) => void,
  { signal }: FetchOptions = {},
): Promise<FetchResult> {
  const files = new Map(store.files);
  const commands = new Map(store.commands);
  const warnings: ConfigIssue[] = [];
  const sources = new Set<string>();
  const filled: ValueStore = { ...store, files, commands };
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const wanted = new Map<string, Wanted>();
    touch({ ...filled, onWanted: (one) => wanted.set(`${one.kind}:${keyOf(one)}`, one) });
    if (wanted.size === 0) break;
    await Promise.all([...wanted.values()].map(async (one) => {
      if (one.kind === "cmd") {
        commands.set(keyOf(one), await runCommand(one, store.env, signal));
        return;
      }
      sources.add(one.name);
      const { fetched, warning } = await readValue(one.name, signal);
      files.set(one.name, fetched);
      if (warning !== undefined) warnings.push(warning);
    }));
  }
  return { store: filled, warnings, sources: [...sources] };
}

function keyOf({ kind, name, directory }: Wanted): string {
  return kind === "cmd" ? commandKey(name, directory) : name;
}

async function readValue(
  path: string,
  signal: AbortSignal | undefined,
): Promise<{ readonly fetched: Fetched; readonly warning?: ConfigIssue }> {
  const read = await readText(path, { limit: MAX_FILE_BYTES, signal });
  if (!read.ok) {
    const why = `Cannot read ${quote(path)}: ${read.why}`;
    const remedy = read.missing ? "create it, or name another one" : read.remedy;
    return { fetched: { why, ...(remedy === undefined ? {} : { remedy }) } };
  }
  const fetched = { value: read.text.trim() };
  if (!isReadableByOthers(read.mode, process.platform)) return { fetched };
  const mode = read.mode.toString(8).padStart(4, "0");
  return {
    fetched,
    warning: fileIssue(
      path,
      `found mode ${mode}, so others can read this secret; expected 0600`,
      "take the rights of group and others away, with chmod 600",
    ),
  };
}

async function runCommand(
  { name, directory }: Wanted,
  env: Env,
  signal: AbortSignal | undefined,
): Promise<Fetched> {
  const { commandOutput } = await import("./command.ts");
  return await commandOutput(name, { cwd: directory, env, signal });
}
