/** What differs between two values, for people to read. Loaded where there is something to show. */

import { showHidden } from "./hidden-text.ts";
import { type Json, parsedText } from "./json.ts";
import { oneLine } from "./text.ts";

/** Characters that are shown around a difference. */
const AROUND = 40;
/** Below a longer path all is one value: many paths that go deep would fill the memory. */
const LONGEST_PATH = 200;

/**
 * Lines for every value that differs by its path, `-` before the old and `+` before the new. Nothing
 * foreign in them can end a line or hide itself.
 * @param old lines of JSON, for `undefined` there is nothing
 */
export function jsonDifference(old: string | undefined, next: string | undefined): string[] {
  const before = valuesOf(old);
  const after = valuesOf(next);
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((path) => {
    const written = [before.get(path), after.get(path)];
    if (written[0] === written[1]) return [];
    const plain = written.map((text) => text?.startsWith('"') ? JSON.parse(text) as string : text);
    // `1` and `"1"` are not the same.
    const [from, to] = plain[0] === plain[1] ? written : plain;
    const line = (sign: string, text: string | undefined, other = "") =>
      text === undefined ? [] : [oneLine(showHidden(`${sign} ${path}: ${differing(text, other)}`))];
    return [...line("-", from, to), ...line("+", to, from)];
  });
}

/** The single values as JSON by their paths, none of which is another's. */
function valuesOf(lines: string | undefined): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  const read = (value: Json | undefined, path: string): void => {
    const isOpen = typeof value === "object" && value !== null && path.length <= LONGEST_PATH;
    const members = isOpen ? Object.entries(value) : [];
    for (const [name, member] of members) {
      const isPlain = Array.isArray(value) || /^[A-Za-z_$][\w$-]*$/.test(name);
      const step = isPlain ? name : JSON.stringify(name);
      read(member, path === "" ? step : `${path}.${step}`);
    }
    if (members.length === 0) values.set(path, JSON.stringify(value));
  };
  lines?.split("\n").forEach((line, at) =>
    read(parsedText(line) ?? line, at === 0 ? "" : `#${at}`)
  );
  return values;
}

/** The text without the beginning and the end that it shares with the other one. */
function differing(text: string, other: string): string {
  const most = Math.min(text.length, other.length);
  let start = 0;
  while (start < most && text[start] === other[start]) start++;
  let end = 0;
  while (end < most - start && text.at(-1 - end) === other.at(-1 - end)) end++;
  const from = Math.max(0, start - AROUND);
  const to = Math.min(text.length, text.length - end + AROUND);
  const shown = text.slice(from, to).toWellFormed();
  return `${from > 0 ? "…" : ""}${shown}${to < text.length ? "…" : ""}`;
}
