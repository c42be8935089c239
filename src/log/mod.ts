/**
 * Logging for the rest of the program, which imports this file and no other of the folder.
 *
 *     const log = getLogger("mcproxy", "upstream", name);
 *     log.info("Ready in {ms} ms", { ms, tools: 9, rid });
 *
 * Name what varies as a property instead of putting it into the text: properties are masked by
 * their names (`token`, `authorization`, …), kept apart in JSON, and cost nothing below the level.
 * Records about one request carry its correlation id as `rid`. Errors go in as they are
 * (`{ error }`): in full, with their stack, from level error on, else as one line.
 */

import { getLogger as getLogTapeLogger, type Logger } from "@logtape/logtape";

export type { Logger, LogLevel } from "@logtape/logtape";
export {
  configureLogging,
  type LogDestination,
  type Logging,
  type LoggingOptions,
} from "./configure.ts";
export type { LogFormat } from "./entry.ts";
export { LOG_LEVELS, parseLevel } from "./level.ts";
export type { Output, StandardOutputs } from "./output.ts";
export { type LogLine, recentLines } from "./recent.ts";

/**
 * What logs texts that were built with others' words in them: nothing in those is a placeholder.
 */
export function textLogger(log: Logger): Record<"debug" | "info" | "warn" | "error", LogText> {
  const plain = (level: "debug" | "info" | "warn" | "error"): LogText => (text, properties = {}) =>
    log[level](text.replace(/[{}]/g, "$&$&"), properties);
  return { debug: plain("debug"), info: plain("info"), warn: plain("warn"), error: plain("error") };
}

type LogText = (text: string, properties?: Record<string, unknown>) => void;

/** The logger of a category, `("mcproxy", "upstream", "memory")`. Usable before the log is set up. */
export function getLogger(...category: readonly string[]): Logger {
  // LogTape finds them in a plain object, and a server may be called "constructor".
  return getLogTapeLogger(category.map((name) => name in {} ? JSON.stringify(name) : name));
}
