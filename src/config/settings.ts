/** Settings from other places than the file, and which of all count. */

import * as v from "valibot";
import { parsedText } from "../lib/json.ts";
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
  // Issues about members are as those of a file: `MCPROXY_GATING.mode`.
  const collector = new IssueCollector({
    place: ([setting, ...members]) => ({
      ...NOWHERE,
      path: [variableOf(String(setting)), ...members],
    }),
  });
  for (const [variable, text] of Object.entries(env)) {
    if (!variable.startsWith(PREFIX) || !text) continue;
    const setting = SETTING_OF.get(variable);
    const meant = setting === undefined ? misspelt(variable) : undefined;
    if (setting !== undefined) settings[setting] = readSetting(setting, text, collector);
    else if (meant !== undefined) {
      const message = `no such variable (did you mean "${meant}"?)`;
      collector.warnings.push({ ...NOWHERE, path: variable, message });
    }
  }
  const { issues, warnings } = collector;
  return { settings: withoutUndefined(settings) as Partial<Settings>, issues, warnings };
}

const NOWHERE = { file: "environment", line: 0, column: 0 };

const PREFIX = "MCPROXY_";

/** Without the prefix, which would make any two alike. */
function misspelt(variable: string): string | undefined {
  const names = [...SETTING_OF.keys()].map((name) => name.slice(PREFIX.length));
  const nearest = suggest(variable.slice(PREFIX.length), names);
  return nearest === undefined ? undefined : PREFIX + nearest;
}

/** What the schema makes of the text; undefined for what it does not accept. */
function readSetting(setting: string, text: string, collector: IssueCollector): unknown {
  const schema = SettingsSchema.entries[setting as keyof typeof SettingsSchema.entries];
  const json = /^[\[{]/.test(text) ? parsedText(text) : undefined;
  if (json !== undefined) {
    const source = { [setting]: json };
    const { output } = validate(v.object({ [setting]: schema }), source, collector, { source });
    const read = output?.[setting];
    if (setting === "embeddings" && read !== undefined) {
      warnBareKey(read as EmbeddingsConfig, collector);
    }
    return read;
  }
  let expected = "a value";
  for (const value of readings(text)) {
    const result = v.safeParse(schema, value);
    if (result.success) return result.output;
    // What is said of the likeliest reading, the last one.
    expected = result.issues[0].message;
  }
  collector.error([setting], `found ${describeFound(text, [setting])}, expected ${expected}`);
  return undefined;
}

/** Everything that text which is no JSON may mean, the likeliest last for messages. */
function* readings(text: string): Iterable<unknown> {
  yield text.split(",").map((item) => item.trim()).filter((item) => item !== "");
  if (text === "true" || text === "false") yield text === "true";
  yield text;
  if (/^\d+(\.\d+)?$/.test(text)) yield Number(text);
}

/** A port number from text of digits, 0 to 65535; undefined for anything else. */
export function parsePort(text: string): number | undefined {
  if (!/^\d{1,5}$/.test(text)) return undefined;
  const port = Number(text);
  return port <= 65_535 ? port : undefined;
}
