/** Takes out of JSON what stands under telling keys, without reading it: it may be cut, or in strings. */

import { isSensitiveKey, REDACTED } from "./secrets.ts";

/** The end of a key and what parts it from its value. */
const KEY_END = /"\s{0,8}:\s{0,8}/g;
const LONGEST_KEY = 100;
/** More backslashes than this are no JSON in JSON in JSON. */
const MOST_ESCAPES = 63;

/** The same JSON, also one that was cut, without the values under telling keys. */
export function withoutKeyed(json: string): string {
  let [out, from] = ["", 0];
  for (const { index: close, 0: colon } of json.matchAll(KEY_END)) {
    if (close < from) continue;
    const escapes = escapesBefore(json, close);
    const open = json.lastIndexOf('"', close - 1);
    const key = json.slice(open + 1, close - escapes);
    if (open < 0 || key.length > LONGEST_KEY || escapesBefore(json, open) !== escapes) continue;
    if (!isSensitiveKey(key)) continue;
    const start = close + colon.length;
    const end = valueEnd(json, start, escapes);
    if (end === undefined) continue;
    const quote = `${"\\".repeat(escapes)}"`;
    out += `${json.slice(from, start)}${quote}${REDACTED}${quote}`;
    from = end;
  }
  return out + json.slice(from);
}

/** How many backslashes stand before a quote: none in JSON itself, one in JSON in a string, … */
function escapesBefore(json: string, quote: number): number {
  let count = 0;
  while (count <= MOST_ESCAPES && json[quote - 1 - count] === "\\") count++;
  return count;
}

/** Where a value ends that is in strings so deep; undefined for one that says nothing. */
function valueEnd(json: string, start: number, escapes: number): number | undefined {
  const plain = /(?:true|false|null)\b|[-\d.eE+]+/y;
  plain.lastIndex = start;
  const [word] = plain.exec(json) ?? [];
  if (word !== undefined) return /\d/.test(word) ? start + word.length : undefined;
  let [depth, isInside] = [0, false];
  const marks = /["{}[\]]/g;
  marks.lastIndex = start;
  for (let mark = marks.exec(json); mark !== null; mark = marks.exec(json)) {
    const { index, 0: sign } = mark;
    if (sign === '"') {
      const before = escapesBefore(json, index);
      // The string that all of it is in has ended.
      if (before < escapes) return index - before;
      if (before % (2 * escapes + 2) !== escapes) continue;
      isInside = !isInside;
      if (isInside && json.startsWith(`${"\\".repeat(escapes)}"`, index + 1)) {
        if (depth === 0) return undefined;
      }
    } else if (!isInside) depth += sign === "{" || sign === "[" ? 1 : -1;
    if (depth < 0) return undefined;
    if (depth === 0 && !isInside) return index + 1;
  }
  return json.length;
}
