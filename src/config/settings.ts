/** Settings from other places than the file, and which of all count. */

import * as v from "valibot";
import { suggest } from "../lib/suggest.ts";
import { type ConfigIssue, withoutUndefined } from "./issue.ts";
import { warnBareKey } from "./schema-gating.ts";
import { SettingsSchema } from "./schema.ts";
import type { EmbeddingsConfig, Env, Settings } from "./types.ts";
import { describeFound, IssueCollector, validate } from "./validate.ts";

/** What an empty file would give; pinned by a test. */
export const DEFAULT_SETTINGS: Settings = withoutUndefined(v.parse(SettingsSchema, {}));

/** What comes before the settings of files: flags before the environment, each read once. */
export interface Layers {
  readonly environment: EnvSettings;
  readonly flags?: FlagSettings;
}

/** What flags can say. */
export type FlagSettings = {
  readonly [Key in "host" | "port" | "logFormat" | "logLevel"]?: Settings[Key] | undefined;
};

/** The variable a setting can be given by: `MCPROXY_LOG_LEVEL` for `logLevel`. */
export function variableOf(setting: string): string {
  return `MCPROXY_${setting.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

/** Settings by their variables. */
const SETTING_OF: ReadonlyMap<string, string> = new Map(
  Object.keys(SettingsSchema.entries).map((setting) => [variableOf(setting), setting]),
);

/** What the environment says of the settings; issues and warnings name the variable. */
export interface EnvSettings {
  readonly settings: Partial<Settings>;
  readonly issues: readonly ConfigIssue[];
  readonly warnings: readonly ConfigIssue[];
}

/**
 * Reads `MCPROXY_PORT`, `MCPROXY_LOG_LEVEL` and so on, one for each setting; an empty one counts as
 * not set. Lists have commas between their items, or are JSON, as objects are.
 */
export function settingsFromEnv(env: Env): EnvSettings {
  const settings: Record<string, unknown> = {};
  const issues: ConfigIssue[] = [];
  const warnings: ConfigIssue[] = [];
  for (const [variable, text] of Object.entries(env)) {
    if (!variable.startsWith(PREFIX) || !text) continue;
    const setting = SETTING_OF.get(variable);
    if (setting === undefined) {
      const meant = misspelt(variable);
      if (meant !== undefined) {
        warnings.push(about(variable, `no such variable (did you mean "${meant}"?)`));
      }
      continue;
    }
    const read = readSetting(variable, setting, text);
    if (read.ok) {
      settings[setting] = read.value;
      warnings.push(...read.warnings);
    } else issues.push(...read.issues);
  }
  return { settings: settings as Partial<Settings>, issues, warnings };
}

const PREFIX = "MCPROXY_";

/** Without the prefix, which would make any two alike. */
function misspelt(variable: string): string | undefined {
  const names = [...SETTING_OF.keys()].map((name) => name.slice(PREFIX.length));
  const nearest = suggest(variable.slice(PREFIX.length), names);
  return nearest === undefined ? undefined : PREFIX + nearest;
}

function about(variable: string, message: string): ConfigIssue {
  return { file: "environment", line: 0, column: 0, path: variable, message };
}

type ReadSetting =
  | { readonly ok: true; readonly value: unknown; readonly warnings: readonly ConfigIssue[] }
  | { readonly ok: false; readonly issues: readonly ConfigIssue[] };

/** The first reading of the text that the schema accepts. */
function readSetting(variable: string, setting: string, text: string): ReadSetting {
  const schema = SettingsSchema.entries[setting as keyof typeof SettingsSchema.entries];
  const json = /^[\[{]/.test(text) ? parseJson(text) : undefined;
  if (json !== undefined) return readJson(variable, setting, schema, json);
  let expected: string | undefined;
  for (const value of readings(text)) {
    const result = v.safeParse(schema, value);
    if (result.success) return { ok: true, value: result.output, warnings: [] };
    // What is said of the likeliest reading, the last one.
    expected = result.issues[0]?.message;
  }
  const found = describeFound(text, [setting]);
  return {
    ok: false,
    issues: [about(variable, `found ${found}, expected ${expected ?? "a value"}`)],
  };
}

/** Its issues are about members, as those of a file are: `MCPROXY_GATING.mode`. */
function readJson(
  variable: string,
  setting: string,
  schema: v.GenericSchema,
  value: unknown,
): ReadSetting {
  const collector = new IssueCollector({
    place: ([, ...members]) => ({ ...about(variable, ""), path: [variable, ...members] }),
  });
  const source = { [setting]: value };
  const { output } = validate(v.object({ [setting]: schema }), source, collector, { source });
  if (output === undefined) return { ok: false, issues: collector.issues };
  const read = output[setting];
  if (setting === "embeddings") warnBareKey(read as EmbeddingsConfig, collector);
  return { ok: true, value: read, warnings: collector.warnings };
}

/** Everything that text which is no JSON may mean, the likeliest last for messages. */
function* readings(text: string): Iterable<unknown> {
  yield text.split(",").map((item) => item.trim()).filter((item) => item !== "");
  if (text === "true" || text === "false") yield text === "true";
  yield text;
  if (/^\d+(\.\d+)?$/.test(text)) yield Number(text);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A port number from text of digits, 0 to 65535; undefined for anything else. */
export function parsePort(text: string): number | undefined {
  if (!/^\d{1,5}$/.test(text)) return undefined;
  const port = Number(text);
  return port <= 65_535 ? port : undefined;
}
