/** The syslog levels of MCP logging, least severe first (server/utilities/logging). */
export const LOGGING_LEVELS = [
  "debug",
  "info",
  "notice",
  "warning",
  "error",
  "critical",
  "alert",
  "emergency",
] as const;

/** One of {@link LOGGING_LEVELS}. */
export type LoggingLevel = typeof LOGGING_LEVELS[number];

/** True for a level a client may ask for. */
export function isLoggingLevel(value: unknown): value is LoggingLevel {
  return (LOGGING_LEVELS as readonly unknown[]).includes(value);
}

/**
 * Whether a client that asked for `wanted` is to see a line of `level`. Levels nobody knows are
 * shown: the reader will make more of them than we can.
 */
export function passes(level: unknown, wanted: string): boolean {
  const severity = LOGGING_LEVELS.indexOf(level as LoggingLevel);
  return severity < 0 || severity >= LOGGING_LEVELS.indexOf(wanted as LoggingLevel);
}

/** The level that lets through what any of `levels` lets through, `undefined` for none. */
export function mostVerbose(levels: Iterable<string | undefined>): LoggingLevel | undefined {
  const known = [...levels].filter(isLoggingLevel);
  return LOGGING_LEVELS.find((level) => known.includes(level));
}
