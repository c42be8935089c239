import { getLogLevels, type LogLevel } from "@logtape/logtape";

/** All levels from the most to the least talkative. */
export const LOG_LEVELS: readonly LogLevel[] = getLogLevels();

/** Reads a level as people type it (`warn` as well, any case); null when it is none. */
export function parseLevel(text: string): LogLevel | null {
  const name = text.trim().toLowerCase();
  if (name === "warn") return "warning";
  return LOG_LEVELS.find((level) => level === name) ?? null;
}

/** The name of a level in text and JSON, five characters at most. */
export function levelLabel(level: LogLevel): string {
  return level === "warning" ? "warn" : level;
}

/**
 * Syslog severity (RFC 5424 §6.2.1). A fatal error of this program is `crit`; `emerg` is a broken
 * machine and is shouted at every terminal.
 */
export const SEVERITY: Readonly<Record<LogLevel, number>> = {
  fatal: 2,
  error: 3,
  warning: 4,
  info: 6,
  debug: 7,
  trace: 7,
};

/** Syslog priority of a level in the facility `daemon`. */
export function priority(level: LogLevel): number {
  return 3 * 8 + SEVERITY[level];
}
