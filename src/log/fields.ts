import { type JsonObject, parsedObject, parsedText } from "../lib/json.ts";

/** `key=value` with blanks between, values in quotes where they have to be. */
const FIELD = /(\S+?)=("(?:[^"\\]|\\.)*"|\S*)/g;

/** What stands in the fields of a line of the log: as text, or where that is JSON, in all of it. */
export function fieldsIn(text: string): JsonObject {
  if (text.startsWith("{")) {
    const { ts: _ts, level: _level, logger: _logger, msg: _msg, ...rest } = parsedObject(text) ??
      {};
    return rest;
  }
  return Object.fromEntries(
    text.matchAll(FIELD).map(([, key, value = ""]) => {
      return [key, (value.startsWith('"') ? parsedText(value) : undefined) ?? value];
    }),
  );
}
