import type { Entry } from "../../../src/log/entry.ts";

/** A line of the log that says this and nothing else. */
export function lineOf(message: string): Entry {
  return { time: 0, level: "info", category: "c", message, fields: "", detail: [], json: null };
}
