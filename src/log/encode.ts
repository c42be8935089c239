import type { LogLevel } from "@logtape/logtape";
import type { Entry } from "./entry.ts";
import { levelLabel, severity } from "./level.ts";

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
    const prefix = `<${severity(entry.level)}>`;
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
