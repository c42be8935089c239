import type { LogLevel, LogRecord } from "@logtape/logtape";
import { isSensitiveKey, REDACTED, type Redactor } from "../lib/secrets.ts";
import { field, oneLine, oneLineJson, truncate } from "../lib/text.ts";
import { levelLabel, SEVERITY } from "./level.ts";

/** `text` for people, `json` for machines: one object per line. */
export type LogFormat = "text" | "json";

/**
 * A log record after redaction and escaping: only strings, no reference to anything of the
 * program's, one step from the bytes of any destination.
 */
export interface Entry {
  /** Milliseconds since the epoch. */
  readonly time: number;
  readonly level: LogLevel;
  /** `upstream memory`. */
  readonly category: string;
  readonly message: string;
  /** `key=value key=value`, or empty. */
  readonly fields: string;
  /** Further lines (stack traces), each safe to print. */
  readonly detail: readonly string[];
  /** The whole entry as a JSON object where the format is `json`, else null. */
  readonly json: string | null;
}

/** How records are turned into entries; both may change while the program runs. */
export interface RenderOptions {
  readonly format: LogFormat;
  readonly redactor: Redactor;
}

const MAX_MESSAGE = 8_192;
const MAX_VALUE = 2_048;
const MAX_JSON = 32_768;
const MAX_DETAIL_LINES = 40;

/** Renders a record. Never throws for any property value. */
export function renderEntry(record: LogRecord, options: RenderOptions): Entry {
  const { format, redactor } = options;
  const { names, message } = renderMessage(record, redactor);
  const head = {
    time: record.timestamp,
    level: record.level,
    // Names and words of ours.
    category: oneLine(redactor.own(categoryName(record.category))),
    message: oneLine(truncate(message, MAX_MESSAGE)),
  };
  if (format === "json") {
    return { ...head, fields: "", detail: [], json: renderJson(record, message, redactor) };
  }
  const fields: string[] = [];
  const detail: string[] = [];
  for (const [key, value] of Object.entries(record.properties)) {
    if (value === undefined) continue;
    const wantsStack = value instanceof Error && showsStack(record.level);
    if (wantsStack) detail.push(...stackLines(value, redactor));
    if (!names.includes(key)) fields.push(field(redactor.own(key), shown(key, value, redactor)));
  }
  return { ...head, fields: fields.join(" "), detail, json: null };
}

/** An entry of the log's own, for what has no record behind it. */
export function ownEntry(
  format: LogFormat,
  level: LogLevel,
  message: string,
  redactor: Redactor,
): Entry {
  const record: LogRecord = {
    category: ["mcproxy", "log"],
    level,
    timestamp: Date.now(),
    message: [message],
    rawMessage: message,
    properties: {},
  };
  return renderEntry(record, { format, redactor });
}

/** Expected failures are told in one line; where something broke, the stack goes with it. */
function showsStack(level: LogLevel): boolean {
  return level === "error" || level === "fatal";
}

function categoryName(category: readonly string[]): string {
  const own = category[0] === "mcproxy" && category.length > 1;
  return (own ? category.slice(1) : category).join(" ");
}

/** A brace written twice is a brace. */
const PLACEHOLDER = /\{\{|\}\}|\{(\w+)\}/g;

/**
 * The message with its values, and the names of the properties it shows, so that text output does
 * not repeat them. A secret is masked by its property's name here too. What names no property is
 * no placeholder, and a text without any may have been built of anything.
 */
function renderMessage(
  { rawMessage, message, properties }: LogRecord,
  redactor: Redactor,
): { readonly names: readonly string[]; readonly message: string } {
  const names: string[] = [];
  const template = typeof rawMessage === "string" ? rawMessage : message.join("");
  // Before it is filled in: no placeholder may cut a secret in two.
  const text = redactor.own(template).replace(PLACEHOLDER, (found, name?: string) => {
    if (name === undefined) return found[0]!;
    if (!Object.hasOwn(properties, name)) return found;
    names.push(name);
    if (isSensitiveKey(name)) return REDACTED;
    return truncate(inline(properties[name], redactor), MAX_VALUE);
  });
  return { names, message: names.length > 0 ? redactor.own(text) : redactor.text(text) };
}

function shown(key: string, value: unknown, redactor: Redactor): string {
  // Through an object, so that a telling key masks the value.
  const copy = redactor.value({ [key]: value instanceof Error ? errorChain(value) : value });
  return truncate(inline(Object.values(copy as object)[0], redactor), MAX_VALUE);
}

/** One value as text: strings as they are, errors as their messages, the rest as JSON. */
function inline(value: unknown, redactor: Redactor): string {
  if (value instanceof Error) return redactor.text(errorChain(value));
  const safe = redactor.value(value);
  return typeof safe === "string" ? safe : JSON.stringify(safe) ?? String(safe);
}

/** `Cannot start "x": spawn failed: ENOENT`, each cause once. */
function errorChain(error: Error): string {
  const parts: string[] = [];
  let at: unknown = error;
  for (let depth = 0; at !== undefined && at !== null && depth < 5; depth++) {
    const part = at instanceof Error ? at.message || at.name : String(at);
    // Many authors put the cause's message into their own.
    if (!parts.some((earlier) => earlier.includes(part))) parts.push(part);
    at = at instanceof Error ? at.cause : undefined;
  }
  return parts.join(": ");
}

function stackLines(error: Error, redactor: Redactor): string[] {
  const lines = truncate(redactor.text(error.stack ?? ""), MAX_MESSAGE).split(/\r?\n/);
  return lines.slice(0, MAX_DETAIL_LINES).map((line) => oneLine(line.trim()))
    .filter((line) => line !== "");
}

const OWN_KEYS = new Set(["ts", "level", "logger", "msg"]);

function renderJson(record: LogRecord, message: string, redactor: Redactor): string {
  const head = {
    ts: new Date(record.timestamp).toISOString(),
    level: levelLabel(record.level),
    logger: redactor.own(record.category.join(".")),
    msg: truncate(message, MAX_MESSAGE),
  };
  const { properties } = record;
  const pairs = Object.keys(properties).map((key): [string, unknown] => {
    // Through an object, so that a telling key masks the value.
    const [value] = Object.values(redactor.value({ [key]: properties[key] }) as object);
    return [
      // The line's own keys are what a machine reads first: a property never hides them.
      OWN_KEYS.has(key) ? `${key}_` : redactor.own(key),
      properties[key] instanceof Error && !showsStack(record.level)
        ? { ...value, stack: undefined }
        : value,
    ];
  });
  const json = stringify({ ...head, ...Object.fromEntries(pairs) });
  if (json.length <= MAX_JSON) return json;
  const { rid } = Object.fromEntries(pairs);
  return stringify({ ...head, rid, truncated: `${json.length} characters` });
}

function stringify(value: unknown): string {
  return oneLineJson(JSON.stringify(
    value,
    (_key, item) => typeof item === "string" ? truncate(item, MAX_MESSAGE + 64) : item,
  ));
}

/** Turns an entry into what one destination takes, without the final newline or frame. */
export type Encode = (entry: Entry) => string;

/** Fits `upstream filesystem` and the like; longer categories push their message to the right. */
const CATEGORY_WIDTH = 15;

/** Lines for people: time, level, category, message, fields; stacks indented below. */
export function textEncoder(options: { readonly colors: boolean }): Encode {
  const paint = options.colors ? sgr : (_code: string, text: string) => text;
  return (entry) => {
    if (entry.json !== null) return entry.json;
    const time = paint("2", new Date(entry.time).toISOString());
    const level = paint(COLORS[entry.level], levelLabel(entry.level).padEnd(5));
    const category = paint("36", entry.category.padEnd(CATEGORY_WIDTH));
    const fields = entry.fields === "" ? "" : `  ${paint("2", entry.fields)}`;
    const lines = [`${time} ${level} ${category}  ${entry.message}${fields}`];
    for (const line of entry.detail) lines.push(paint("2", `    ${line}`));
    return lines.join("\n");
  };
}

/**
 * Lines for systemd's journal: each carries `<severity>` (sd-daemon(3)); time and name of the
 * program are the journal's own.
 */
export function journalEncoder(): Encode {
  return (entry) => {
    const prefix = `<${SEVERITY[entry.level]}>`;
    if (entry.json !== null) return prefix + entry.json;
    const lines = [summary(entry), ...entry.detail.map((line) => `    ${line}`)];
    return lines.map((line) => prefix + line).join("\n");
  };
}

/** The entry on one line without time and level: what goes into a syslog message. */
export function syslogBody(entry: Entry): string {
  if (entry.json !== null) return entry.json;
  return [summary(entry), ...entry.detail].join(" | ");
}

function summary(entry: Entry): string {
  return `${entry.category}: ${entry.message}${entry.fields === "" ? "" : `  ${entry.fields}`}`;
}

const COLORS: Readonly<Record<LogLevel, string>> = {
  trace: "2",
  debug: "2",
  info: "32",
  warning: "33",
  error: "31",
  fatal: "1;31",
};

function sgr(code: string, text: string): string {
  return `\x1b[${code}m${text}\x1b[0m`;
}
