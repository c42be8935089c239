import { fieldsIn } from "../../log/fields.ts";
import { LOG_LEVELS, type LogLine, parseLevel, recentLines } from "../../log/mod.ts";
import { type Asked, limitIn, unreadable } from "./ask.ts";

/** A line as it is told: by what is a secret now. */
export function shownLine({ message, fields, ...line }: LogLine, redact: (text: string) => string) {
  return { ...line, message: redact(message), fields: fieldsIn(redact(fields)) };
}

/** Whether a line is asked for: of a level or above it, with this text in it. @throws {ApiError} */
export function lineFilter(query: URLSearchParams): (line: LogLine) => boolean {
  const given = query.get("level") ?? "";
  const level = given === "" ? LOG_LEVELS[0]! : parseLevel(given);
  if (level === null) throw unreadable("level", `one of ${LOG_LEVELS.join(", ")}`);
  const least = LOG_LEVELS.indexOf(level);
  const text = (query.get("q") ?? "").toLowerCase();
  return (line) =>
    LOG_LEVELS.indexOf(line.level) >= least &&
    `${line.category} ${line.message} ${line.fields}`.toLowerCase().includes(text);
}

/** `GET /api/log`: the latest first. */
export function log({ gateway, query }: Asked) {
  const isAsked = lineFilter(query);
  const limit = limitIn(query);
  const before = Number(query.get("before") ?? Infinity);
  const found = recentLines.lines().filter((line) => line.id < before && isAsked(line));
  const items = found.slice(0, limit).map((line) => shownLine(line, gateway.redact));
  return { items, next: found.length > limit ? String(items.at(-1)!.id) : null };
}
