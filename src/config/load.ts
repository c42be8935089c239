/** Reads configuration files from disk, with all they refer to, and makes one of them. */

import { stat } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { loadCredentials } from "./credentials.ts";
import type { ConfigTree } from "./document.ts";
import { CONFIG_FILE, fileIssue, parseText, readNames, readText, type Sources } from "./files.ts";
import type { ConfigIssue } from "./issue.ts";
import { shapeDocument, type ShapeResult } from "./layouts.ts";
import { mergeTrees, parseTree, ROOT_KEYS, withNotes } from "./parse.ts";
import { loadPatterns, mentionsPatterns } from "./schema-results.ts";
import { type Layers, settingsFromEnv } from "./settings.ts";
import type { ConfigResult, Env } from "./types.ts";
import { Fetches } from "./values.ts";

/** Options of {@link loadConfig}. */
export interface LoadConfigOptions {
  /** Where `${NAME}` looks first. */
  readonly env: Env;
  /** What comes before the settings of the files. @default the `MCPROXY_*` of `env` */
  readonly layers?: Layers | undefined;
  /** Where relative paths of credentials start. @default that of the process */
  readonly cwd?: string;
  /** The credentials file a flag names. */
  readonly credentials?: string | undefined;
}

/** What loading gives, and in either case what it depends on, as far as loading came. */
export type LoadResult = ConfigResult & {
  /** Everything that was read or looked for: a change of it may change the configuration. */
  readonly sources: Sources;
};

/**
 * Loads files, and the configuration files directly in directories, in this order: later ones have
 * the say, for each server and each setting as a whole. Never rejects: whatever is wrong (missing,
 * unreadable, too big, not UTF-8, invalid) is an issue.
 */
export async function loadConfig(
  paths: string | readonly string[],
  options: LoadConfigOptions,
): Promise<LoadResult> {
  const { env, cwd = process.cwd() } = options;
  const { layers = { environment: settingsFromEnv(env) } } = options;
  const sources = new Map<string, string>();
  const named = typeof paths === "string" ? [paths] : paths;
  const [listed, credentials] = await Promise.all([
    Promise.all(named.map((path) => listFiles(path, sources))),
    loadCredentials({ env, cwd, path: options.credentials, sources }),
  ]);
  const files = listed.flatMap((list) => list.files);
  const shaped = await Promise.all(files.map((file) => readShaped(file, sources)));
  const issues = [...listed.flatMap((list) => list.issues), ...credentials.issues];
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
  if (first === undefined || trees.length < files.length) return { ok: false, issues, sources };

  const merged = mergeTrees([first, ...rest]);
  const fetches = new Fetches({ env, sources });
  // The environment comes before the files here, too.
  const allowCommands = layers.environment.settings.allowCommands ??
    merged.tree.value["allowCommands"] === true;
  const store = { env, credentials: credentials.values, allowCommands, fetch: fetches.fetch };
  const parse = () => parseTree(merged.tree, { files, store, layers });
  let result = parse();
  // A path may be in a file: each round can ask for more.
  while (await fetches.settle()) result = parse();
  warnings.unshift(...fetches.warnings);
  warnings.push(...merged.warnings);
  return { ...withNotes(result, { files, issues, warnings }), sources };
}

interface Listed {
  readonly files: readonly string[];
  readonly issues: readonly ConfigIssue[];
}

/** A directory stands for its configuration files in the order of their names. */
async function listFiles(path: string, sources: Map<string, string>): Promise<Listed> {
  const isDirectory = await stat(path).then((stats) => stats.isDirectory(), () => false);
  const names = isDirectory ? await readNames(path, sources) : undefined;
  // Reading it says what is wrong.
  if (names === undefined) return { files: [path], issues: [] };
  const files = names.filter(isConfigName).map((name) => join(path, name));
  if (files.length > 0) return { files, issues: [] };
  const message =
    "Cannot read the configuration: found a directory without configuration files, expected " +
    "*.json, *.jsonc, *.yaml or *.yml in it";
  return { files: [], issues: [fileIssue(path, message, "put one there, or name a file")] };
}

/** Hidden files are those of editors; credentials live beside the configuration. */
function isConfigName(name: string): boolean {
  return CONFIG_FILE.test(name) && !name.startsWith(".") && !/^credentials\./i.test(name);
}

async function readShaped(file: string, sources: Map<string, string>): Promise<ShapeResult> {
  const read = await readText(file, { sources });
  if (!read.ok) {
    const remedy = read.missing ? "create it, or name another one with --config FILE" : read.remedy;
    const issue = fileIssue(file, `Cannot read the configuration: ${read.why}`, remedy);
    return { ok: false, issues: [issue] };
  }
  if (mentionsPatterns(read.text)) await loadPatterns();
  const parsed = await parseText(read.text, file);
  return parsed.ok ? shapeDocument(parsed.document, ROOT_KEYS) : parsed;
}
