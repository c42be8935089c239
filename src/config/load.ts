/**
 * A {@link Config}, or what is wrong with it: of files on disk with all they refer to, or of the text
 * of one alone.
 */

import process from "node:process";
import { canonicalJson, isObject, valueAt } from "../lib/json.ts";
import { loadCredentials } from "./credentials.ts";
import { type ConfigTree, fromEntries } from "./document.ts";
import {
  expandTree,
  isMissingIn,
  reportMalformed,
  type UsedVariable,
  warnShortTimeout,
} from "./expand.ts";
import { fileIssue, listFiles, parseText, readText, type Sources } from "./files.ts";
import { type ConfigIssue, type ConfigPath, formatPath, withoutUndefined } from "./issue.ts";
import { parseJsonc } from "./jsonc.ts";
import { isClientFile, shapeDocument, type ShapeResult } from "./layouts.ts";
import { reportAliases, reportCollision, warnUnusedChoices } from "./profiles.ts";
import { warnBareKey } from "./schema-gating.ts";
import { loadPatterns, mentionsPatterns } from "./schema-results.ts";
import { lateSchemas, loadOptions, RootSchema, SettingsSchema } from "./schema.ts";
import { secretsOfVariables } from "./secrets.ts";
import { parseServer } from "./server.ts";
import { DEFAULT_SETTINGS, type Layers, settingsFromEnv } from "./settings.ts";
import type { Config, ConfigResult, Env, ServerConfig, Settings } from "./types.ts";
import { IssueCollector, reportUnknownKeys, validate } from "./validate.ts";
import { Fetches, lookupIn, storeOf, type ValueStore } from "./values.ts";

/** The keys the root of the internal raw form may have. */
export const ROOT_KEYS: readonly string[] = Object.keys(RootSchema.entries);
const SETTINGS_KEYS: readonly string[] = Object.keys(SettingsSchema.entries);

/** Keys like "x-base" hold what YAML anchors name, or notes; nobody else looks at them. */
const NOTE = /^x-/;

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
  await loadOptions(Object.keys(env).join(" "));
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
  const fetches = new Fetches(env, sources);
  // The environment comes before the files here, too.
  const allowCommands = layers.environment.settings.allowCommands ??
    merged.tree.value["allowCommands"] === true;
  const store = { env, credentials: credentials.values, allowCommands, fetch: fetches.fetch };
  const parse = () =>
    parseTree(merged.tree, { files, hidden: [...sources.keys()].sort(), store, layers });
  let result = parse();
  // A path may be in a file: each round can ask for more.
  while (await fetches.settle()) result = parse();
  warnings.unshift(...fetches.warnings);
  warnings.push(...merged.warnings);
  return { ...withNotes(result, { files, issues, warnings }), sources };
}

async function readShaped(file: string, sources: Map<string, string>): Promise<ShapeResult> {
  const read = await readText(file, { sources });
  if (!read.ok) {
    const remedy = read.missing ? "create it, or name another one with --config FILE" : read.remedy;
    const issue = fileIssue(file, `Cannot read the configuration: ${read.why}`, remedy);
    return { ok: false, issues: [issue] };
  }
  return await shapedText(read.text, file);
}

/** The tree of a text of any format. Never rejects. */
export async function shapedText(text: string, file: string): Promise<ShapeResult> {
  if (mentionsPatterns(text)) await loadPatterns();
  await loadOptions(text);
  const parsed = await parseText(text, file);
  return parsed.ok ? shapeDocument(parsed.document, ROOT_KEYS) : parsed;
}

/** What {@link parseConfig} needs beside the text. */
export interface ParseConfigOptions {
  /** Name of the file for issues. */
  readonly file: string;
  /** Where `${NAME}` looks. */
  readonly env: Env;
}

/**
 * Parses the text of a JSON file alone: no other file is read and no command run, so that `${file:}`
 * and `${cmd:}` have no value. Pure, and never throws, whatever the text is.
 */
export function parseConfig(text: string, { file, env }: ParseConfigOptions): ConfigResult {
  const parsed = parseJsonc(text, file);
  if (!parsed.ok) return parsed;
  const shaped = shapeDocument(parsed.document, ROOT_KEYS);
  if (!shaped.ok) return shaped;
  const result = parseTree(shaped.tree, { files: [file], store: storeOf(env) });
  return withNotes(result, { ...shaped, files: [file] });
}

/** A result, and beside it what was found before there was a tree. */
function withNotes(
  result: ConfigResult,
  { issues, warnings, files }: {
    readonly issues: readonly ConfigIssue[];
    readonly warnings: readonly ConfigIssue[];
    /** In the order they were loaded. */
    readonly files: readonly string[];
  },
): ConfigResult {
  if (!result.ok || issues.length > 0) {
    const found = result.ok ? [] : result.issues;
    return { ok: false, issues: inOrder([...issues, ...found], files) };
  }
  return { ...result, warnings: inOrder([...warnings, ...result.warnings], files) };
}

/** What {@link parseTree} needs beside the tree. */
export interface ParseTreeOptions {
  /** In the order they were loaded; see {@link Config.file}. */
  readonly files: readonly string[];
  /** What no server that is kept in may see. @default the files */
  readonly hidden?: readonly string[];
  readonly store: ValueStore;
  /** @default the `MCPROXY_*` of the environment */
  readonly layers?: Layers | undefined;
}

/** Checks and completes the internal raw form. Pure. */
export function parseTree(
  tree: ConfigTree,
  { files, hidden = files, store, layers = { environment: settingsFromEnv(store.env) } }:
    ParseTreeOptions,
): ConfigResult {
  const collector = new IssueCollector(tree);
  const source = tree.value;
  let hasMisplaced = false;
  const ours = Object.fromEntries(Object.entries(source).filter(([key]) => !NOTE.test(key)));
  const meant = reportUnknownKeys(ours, ROOT_KEYS, collector, (key) => {
    const value = source[key];
    const isServer = typeof value === "object" && value !== null &&
      ("command" in value || "url" in value);
    if (isServer) hasMisplaced = true;
    return isServer ? 'servers belong into "mcpServers"' : undefined;
  });
  if (!("mcpServers" in source) && !meant.has("mcpServers") && !hasMisplaced) {
    collector.error([], 'missing key "mcpServers", expected an object of servers');
  }
  const used: UsedVariable[] = [];
  const context: ParseContext = { tree, store, collector, used, hidden };
  const fromFile = parseSettings(ours, context);
  const { environment, flags = {} } = layers;
  const settings = { ...fromFile, ...environment.settings, ...withoutUndefined(flags) };
  // Those of a variable have been looked at, and complained of by its name.
  if (settings.embeddings !== undefined && settings.embeddings === fromFile.embeddings) {
    warnBareKey(settings.embeddings, collector);
  }
  lateSchemas.auth?.checkIssuers(settings, collector);
  lateSchemas.access?.checkAccess(settings, collector);
  lateSchemas.observe?.checkObserved(settings, tree.names, collector);
  const servers = parseServers(settings, context);
  const issues = [...environment.issues, ...collector.issues];
  if (issues.length > 0) return { ok: false, issues: inOrder(issues, files) };
  const expandedSecrets = [...new Set(secretsOfVariables(used))];
  const file = files.join(", ");
  const config: Config = { file, servers, settings, expandedSecrets };
  const warnings = inOrder([...environment.warnings, ...collector.warnings], files);
  return { ok: true, config, warnings };
}

interface ParseContext {
  readonly tree: ConfigTree;
  readonly store: ValueStore;
  readonly collector: IssueCollector;
  readonly used: UsedVariable[];
  readonly hidden: readonly string[];
}

/** By file, those that were not loaded as configuration first, then by line and column. */
function inOrder(issues: readonly ConfigIssue[], files: readonly string[]): ConfigIssue[] {
  const rank = new Map(files.map((file, index) => [file, index]));
  const of = ({ file }: ConfigIssue) => rank.get(file) ?? -1;
  return issues.toSorted((a, b) => of(a) - of(b) || a.line - b.line || a.column - b.column);
}

/** The defaults stand in for settings with issues, so that the servers are checked all the same. */
function parseSettings(ours: object, { tree, store, collector, used }: ParseContext): Settings {
  // Whether commands may run must be known before anything is expanded.
  const isExpanded = (key: string) => SETTINGS_KEYS.includes(key) && key !== "allowCommands";
  const expansion = expandTree(
    ours,
    (key) => isExpanded(key) ? lookupIn(store, tree.origin([key])) : undefined,
  );
  for (const variable of expansion.used) used.push(variable);
  reportMalformed(expansion, collector);
  for (const { path, why, remedy } of expansion.missing) collector.error(path, why, { remedy });
  const options = { source: tree.value, skip: isMissingIn(expansion) };
  const { output } = validate(RootSchema, expansion.value, collector, options);
  for (const key of ["timeout", "startupTimeout"]) {
    warnShortTimeout(tree.value[key], key, collector);
  }
  if (output === undefined) return DEFAULT_SETTINGS;
  const { $schema: _schema, mcpServers: _servers, ...rest } = output;
  return withoutUndefined(rest);
}

function parseServers(
  settings: Settings,
  { tree, store, collector, used, hidden }: ParseContext,
): ReadonlyMap<string, ServerConfig> {
  const servers = new Map<string, ServerConfig>();
  const section = tree.value["mcpServers"];
  if (!isObject(section)) return servers;
  if (tree.names.length === 0) {
    collector.warn(["mcpServers"], "found no server, so there is nothing to serve");
  }
  const own = settings.audit === undefined ? hidden : [...hidden, settings.audit.file];
  const hasUsers = settings.auth !== undefined || tree.value["auth"] !== undefined;
  const taken = new Map<string, string>();
  for (const name of tree.names) {
    const entry: unknown = section[name];
    // For a server that is switched off no file is read and no command run.
    const values = isSwitchedOff(entry) ? { ...store, fetch: undefined } : store;
    const origin = tree.origin(["mcpServers", name]);
    const lookup = lookupIn(values, origin);
    const before = collector.issues.length;
    const context = { lookup, settings, hasUsers, collector, used, hidden: own };
    const server = parseServer(name, entry, context);
    // What its own client may put up with is no reason to serve nothing.
    const leavesOut = isClientFile(origin.file);
    if (server !== undefined || !leavesOut) reportCollision(name, taken, collector);
    if (leavesOut && collector.issues.length > before) collector.leaveOut(before);
    else if (server !== undefined) servers.set(name, server);
  }
  reportAliases(servers, collector);
  warnUnusedChoices(settings, servers, collector);
  return servers;
}

function isSwitchedOff(entry: unknown): boolean {
  return isObject(entry) && (entry["disabled"] === true || entry["enabled"] === false);
}

/**
 * Several files as one: the later one has the say, for each server and each setting as a whole. The
 * warnings are about what took the place of something else. Pure.
 */
function mergeTrees(
  trees: readonly [ConfigTree, ...ConfigTree[]],
): { readonly tree: ConfigTree; readonly warnings: readonly ConfigIssue[] } {
  const [first] = trees;
  if (trees.length === 1) return { tree: first, warnings: [] };
  const settings = new Map<string, ConfigTree>();
  const servers = new Map<string, ConfigTree>();
  const warnings: ConfigIssue[] = [];
  let section: ConfigTree | undefined;
  let broken: ConfigTree | undefined;
  const report = (path: ConfigPath, before: ConfigTree | undefined, now: ConfigTree): void => {
    if (before === undefined || isSame(path, before, now)) return;
    const { file, line, column, path: written } = before.place(path, "key");
    const message = `takes the place of ${formatPath(written)} in ${file}:${line}:${column}`;
    warnings.push(new IssueCollector(now).issue(path, message, { part: "key" }));
  };
  for (const tree of trees) {
    for (const key of Object.keys(tree.value)) {
      if (key === "mcpServers") continue;
      if (key !== "$schema") report([key], settings.get(key), tree);
      settings.set(key, tree);
    }
    if (!("mcpServers" in tree.value)) continue;
    section ??= tree;
    if (!isObject(tree.value["mcpServers"])) broken ??= tree;
    for (const name of tree.names) {
      report(["mcpServers", name], servers.get(name), tree);
      servers.set(name, tree);
    }
  }
  const owner = ([key, name]: ConfigPath): ConfigTree => {
    if (key !== "mcpServers") return settings.get(String(key)) ?? first;
    return servers.get(String(name)) ?? broken ?? section ?? first;
  };
  const value = fromEntries([...settings].map(([key, tree]) => [key, tree.value[key]]));
  if (broken !== undefined) value["mcpServers"] = broken.value["mcpServers"];
  else if (section !== undefined) {
    value["mcpServers"] = fromEntries(
      [...servers].map(([name, tree]) => [name, valueAt(tree.value, ["mcpServers", name])]),
    );
  }
  const tree: ConfigTree = {
    value,
    names: [...servers.keys()],
    place: (path, part) => owner(path).place(path, part),
    origin: (path) => owner(path).origin(path),
  };
  return { tree, warnings };
}

/** The same text in two files of one directory means the same. */
function isSame(path: ConfigPath, before: ConfigTree, now: ConfigTree): boolean {
  return canonicalJson(valueAt(before.value, path)) === canonicalJson(valueAt(now.value, path));
}
