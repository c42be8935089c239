/** Reads configuration files from disk, with all they refer to, and makes one of them. */

import { readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import process from "node:process";
import { loadCredentials } from "./credentials.ts";
import type { ConfigTree } from "./document.ts";
import { CONFIG_FILE, fileIssue, parseText, readText } from "./files.ts";
import type { ConfigIssue } from "./issue.ts";
import { shapeDocument, type ShapeResult } from "./layouts.ts";
import { mergeTrees, parseTree, ROOT_KEYS, touchTree, withNotes } from "./parse.ts";
import { loadPatterns, mentionsPatterns } from "./schema-results.ts";
import { settingsFromEnv } from "./settings.ts";
import type { ConfigResult, Env } from "./types.ts";
import { fetchWanted, storeOf } from "./values.ts";

/** Options of {@link loadConfig}. */
export interface LoadConfigOptions {
  /** Where `${NAME}` looks first; `MCPROXY_*` in it come before what the files say. */
  readonly env: Env;
  /** Where relative paths of credentials start. @default that of the process */
  readonly cwd?: string;
  /** The credentials file a flag names. */
  readonly credentials?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What loading gives, and in either case what it depends on. */
export type LoadResult = ConfigResult & {
  /** As {@link Config.sources}, as far as loading came. */
  readonly sources: readonly string[];
};

/**
 * Loads files, and the configuration files directly in directories, in this order: later ones have
 * the say, for each server and each setting as a whole. Whatever is wrong (missing, unreadable, too
 * big, not UTF-8, invalid) is an issue; only an aborted `signal` makes it reject, with its reason.
 */
export async function loadConfig(
  paths: string | readonly string[],
  options: LoadConfigOptions,
): Promise<LoadResult> {
  const { env, signal, cwd = process.cwd() } = options;
  signal?.throwIfAborted();
  const sources = new Set<string>();
  const named = typeof paths === "string" ? [paths] : paths;
  const [listed, credentials] = await Promise.all([
    Promise.all(named.map((path) => listFiles(path, sources))),
    loadCredentials({ env, cwd, path: options.credentials, signal }),
  ]);
  signal?.throwIfAborted();
  for (const source of credentials.sources) sources.add(source);
  const files = listed.flatMap((list) => list.files);
  for (const file of files) sources.add(resolve(file));
  const shaped = await Promise.all(files.map((file) => readShaped(file, signal)));
  const issues = [...listed.flatMap((list) => list.issues), ...credentials.issues];
  const fail = (found: readonly ConfigIssue[]): LoadResult => ({
    ok: false,
    issues: found,
    sources: [...sources],
  });
  const warnings: ConfigIssue[] = [];
  const trees: ConfigTree[] = [];
  for (const one of shaped) {
    issues.push(...one.issues);
    if (!one.ok) continue;
    trees.push(one.tree);
    warnings.push(...one.warnings);
  }
  const [first, ...rest] = trees;
  // What is missing in the others might be in the one that cannot be read.
  if (first === undefined || trees.length < files.length) return fail(issues);

  const merged = mergeTrees([first, ...rest]);
  const fetched = await fetchWanted(
    {
      ...storeOf(env),
      credentials: credentials.values,
      allowCommands: allowsCommands(merged.tree, env),
    },
    (store) => touchTree(merged.tree, store),
    { signal },
  );
  signal?.throwIfAborted();
  for (const source of fetched.sources) sources.add(source);
  const result = withNotes(
    parseTree(merged.tree, {
      files,
      store: fetched.store,
      sources: [...sources],
    }),
    { files, issues, warnings: [...fetched.warnings, ...warnings, ...merged.warnings] },
  );
  return { ...result, sources: [...sources] };
}

/** The environment comes before the files here, too. */
function allowsCommands({ value }: ConfigTree, env: Env): boolean {
  return settingsFromEnv(env).settings.allowCommands ?? value["allowCommands"] === true;
}

interface Listed {
  readonly files: readonly string[];
  readonly issues: readonly ConfigIssue[];
}

/** A directory stands for its configuration files in the order of their names. */
async function listFiles(path: string, sources: Set<string>): Promise<Listed> {
  try {
    if (!(await stat(path)).isDirectory()) return { files: [path], issues: [] };
    sources.add(resolve(path));
    const files = (await readdir(path)).filter(isConfigName).sort().map((name) => join(path, name));
    if (files.length > 0) return { files, issues: [] };
    const message =
      "Cannot read the configuration: found a directory without configuration files, expected " +
      "*.json, *.jsonc, *.yaml or *.yml in it";
    return { files: [], issues: [fileIssue(path, message, "put one there, or name a file")] };
  } catch {
    // Reading it says what is wrong.
    return { files: [path], issues: [] };
  }
}

/** Hidden files are those of editors; credentials live beside the configuration. */
function isConfigName(name: string): boolean {
  return CONFIG_FILE.test(name) && !name.startsWith(".") && !/^credentials\./i.test(name);
}

async function readShaped(file: string, signal: AbortSignal | undefined): Promise<ShapeResult> {
  const read = await readText(file, { signal });
  if (!read.ok) {
    const remedy = read.missing ? "create it, or name another one with --config FILE" : read.remedy;
    const issue = fileIssue(file, `Cannot read the configuration: ${read.why}`, remedy);
    return { ok: false, issues: [issue] };
  }
  if (mentionsPatterns(read.text)) await loadPatterns();
  const parsed = await parseText(read.text, file);
  return parsed.ok ? shapeDocument(parsed.document, ROOT_KEYS) : parsed;
}
