/** Text of a configuration file to a {@link Config}, or to what is wrong with it. */

import { IssueCollector } from "./collector.ts";
import type { Config, ConfigResult, Env, ServerConfig, Settings } from "./config.ts";
import type { ConfigDocument } from "./document.ts";
import { expandTree, type UsedVariable } from "./expand.ts";
import { type ConfigIssue, type ConfigPath, describeKind } from "./issue.ts";
import { parseJsonc } from "./jsonc.ts";
import { reportCollisions } from "./names.ts";
import { RootSchema, SettingsSchema } from "./schema.ts";
import { secretsOfVariables } from "./secrets.ts";
import { parseServer } from "./server.ts";
import { DEFAULT_SETTINGS } from "./settings.ts";
import { reportUnknownKeys, validate } from "./validate.ts";
import { reportMalformed, unsetVariable, warnShortTimeout } from "./variables.ts";

const ROOT_KEYS = Object.keys(RootSchema.entries);
const SETTINGS_KEYS = Object.keys(SettingsSchema.entries);

/** What {@link parseConfig} needs beside the text. */
export interface ParseConfigOptions {
  /** Name of the file for issues. */
  readonly file: string;
  /** Where `${NAME}` looks. */
  readonly env: Env;
}

/** Parses the text of a configuration file. Pure, and never throws, whatever the text is. */
export function parseConfig(text: string, { file, env }: ParseConfigOptions): ConfigResult {
  const parsed = parseJsonc(text, file);
  return parsed.ok ? parseDocument(parsed.document, env) : parsed;
}

/** The part of {@link parseConfig} that does not depend on the file's format. */
export function parseDocument(document: ConfigDocument, env: Env): ConfigResult {
  const collector = new IssueCollector(document);
  const root = document.value;
  if (typeof root !== "object" || root === null || Array.isArray(root)) {
    const found = describeKind(root);
    collector.error([], `found ${found}, expected an object with "mcpServers"`);
    return { ok: false, issues: collector.issues };
  }
  const source = root as Readonly<Record<string, unknown>>;
  let hasMisplaced = false;
  const meant = reportUnknownKeys(source, ROOT_KEYS, [], collector, (key) => {
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
  const settings = parseSettings(source, env, collector, used);
  const servers = parseServers(source["mcpServers"], env, settings, collector, used);
  if (collector.issues.length > 0) return { ok: false, issues: collector.issues.sort(byPlace) };
  const expandedSecrets = [...new Set(secretsOfVariables(used))];
  const config: Config = { file: document.file, servers, settings, expandedSecrets };
  return { ok: true, config, warnings: collector.warnings.sort(byPlace) };
}

function byPlace(a: ConfigIssue, b: ConfigIssue): number {
  return a.line - b.line || a.column - b.column;
}

/** The defaults stand in for settings with issues, so that the servers are checked all the same. */
function parseSettings(
  source: Readonly<Record<string, unknown>>,
  env: Env,
  collector: IssueCollector,
  used: UsedVariable[],
): Settings {
  const expansion = expandTree(source, env, (key) => !SETTINGS_KEYS.includes(key));
  for (const variable of expansion.used) used.push(variable);
  reportMalformed(expansion, [], collector);
  const unset = new Set(expansion.unset.map(({ path }) => JSON.stringify(path)));
  for (const { path, name } of expansion.unset) {
    const { message, remedy } = unsetVariable(path, name, collector);
    collector.error(path, message, remedy === undefined ? {} : { remedy });
  }
  const value = expansion.value as Record<string, unknown>;
  const skip = (path: ConfigPath) => unset.has(JSON.stringify(path));
  const { output } = validate(RootSchema, value, collector, { base: [], source, skip });
  for (const key of ["timeout", "startupTimeout"]) {
    warnShortTimeout(source[key], [key], collector);
  }
  if (output === undefined) return DEFAULT_SETTINGS;
  const { $schema: _schema, mcpServers: _servers, syslog, roots, ...settings } = output;
  return {
    ...settings,
    ...(syslog === undefined ? {} : { syslog }),
    ...(roots === undefined ? {} : { roots }),
  };
}

function parseServers(
  source: unknown,
  env: Env,
  settings: Settings,
  collector: IssueCollector,
  used: UsedVariable[],
): ReadonlyMap<string, ServerConfig> {
  const servers = new Map<string, ServerConfig>();
  if (typeof source !== "object" || source === null || Array.isArray(source)) return servers;
  const names = collector.document.keys(["mcpServers"]);
  if (names.length === 0) {
    collector.warn(["mcpServers"], "found no server, so there is nothing to serve");
  }
  for (const name of names) {
    const entry = (source as Readonly<Record<string, unknown>>)[name];
    const parsed = parseServer(name, entry, { env, settings, collector });
    for (const variable of parsed.used) used.push(variable);
    if (parsed.server !== undefined) servers.set(name, parsed.server);
  }
  reportCollisions(names, collector);
  return servers;
}
