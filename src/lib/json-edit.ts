/**
 * Edits JSON text in place.
 *
 * The gateway forwards what it did not write. Parsing and serialising again would round large
 * numbers, reorder integer-like keys and cost a copy of every result, so a message keeps its text
 * and only the few members the gateway owns (id, name, progress token, envelope) are replaced.
 *
 * Every function here expects text that `JSON.parse` has accepted; none of them validates.
 */

import { isObject, type Json, type JsonObject } from "./json.ts";

/** One change: the member at `path` becomes `value` (JSON text), or goes when it is `undefined`. */
export interface JsonEdit {
  readonly path: readonly string[];
  readonly value: string | undefined;
}

interface Member {
  readonly key: string;
  readonly keyStart: number;
  readonly valueStart: number;
  readonly valueEnd: number;
}

/** Thrown inside the scanner: the text is legal JSON but has two members of one name. */
class DuplicateKey extends Error {}

/**
 * Returns `text` (an object) with the edits applied, everything else character for character.
 * Missing parents are created; a parent that is not an object is replaced by one.
 *
 * An object that repeats a key on the way to an edit is re-serialised instead, so that both ends
 * of the wire see the one value the gateway decided on.
 */
export function editJson(text: string, edits: readonly JsonEdit[]): string {
  if (edits.length === 0) return text;
  try {
    return editObject(text, skipSpace(text, 0), edits, 0).text;
  } catch (error) {
    if (error instanceof DuplicateKey) return editParsed(text, edits);
    throw error;
  }
}

/** The text of the member at `path`, or `undefined`. With a repeated key, the last one counts. */
export function rawAt(text: string, path: readonly string[]): string | undefined {
  let start = skipSpace(text, 0);
  let end = text.length;
  for (const key of path) {
    if (text.charCodeAt(start) !== OPEN_BRACE) return undefined;
    let found: Member | undefined;
    scanObject(text, start, (member) => {
      if (member.key === key) found = member;
    });
    if (found === undefined) return undefined;
    start = found.valueStart;
    end = found.valueEnd;
  }
  return path.length === 0 ? text.trim() : text.slice(start, end);
}

/** The texts of an array's elements, or `undefined` where `text` is not an array. */
export function rawElements(text: string): string[] | undefined {
  let at = skipSpace(text, 0);
  if (text.charCodeAt(at) !== OPEN_BRACKET) return undefined;
  const elements: string[] = [];
  at = skipSpace(text, at + 1);
  while (at < text.length && text.charCodeAt(at) !== CLOSE_BRACKET) {
    const end = skipValue(text, at);
    elements.push(text.slice(at, end));
    at = skipSpace(text, end);
    if (text.charCodeAt(at) === COMMA) at = skipSpace(text, at + 1);
  }
  return elements;
}

/** The same JSON without line breaks, for transports that frame by line. Cheap when there are none. */
export function oneLine(text: string): string {
  // A raw line break can only stand between tokens: inside a string JSON requires an escape.
  return text.includes("\n") || text.includes("\r") ? text.replace(/[\r\n]+/g, " ") : text;
}

const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;
const OPEN_BRACKET = 91;
const CLOSE_BRACKET = 93;
const QUOTE = 34;
const BACKSLASH = 92;
const COMMA = 44;

function skipSpace(text: string, at: number): number {
  for (;; at++) {
    const code = text.charCodeAt(at);
    if (code !== 32 && code !== 10 && code !== 13 && code !== 9) return at;
  }
}

/** `at` is an opening quote; returns the index behind the closing one. */
function skipString(text: string, at: number): number {
  let end = at;
  for (;;) {
    end = text.indexOf('"', end + 1);
    if (end < 0) return text.length;
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return end + 1;
  }
}

function skipValue(text: string, at: number): number {
  const first = text.charCodeAt(at);
  if (first === QUOTE) return skipString(text, at);
  if (first !== OPEN_BRACE && first !== OPEN_BRACKET) {
    for (; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code === COMMA || code === CLOSE_BRACE || code === CLOSE_BRACKET || code <= 32) return at;
    }
    return at;
  }
  let depth = 0;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = skipString(text, at);
      continue;
    }
    at++;
    if (code === OPEN_BRACE || code === OPEN_BRACKET) depth++;
    else if ((code === CLOSE_BRACE || code === CLOSE_BRACKET) && --depth === 0) return at;
  }
  return at;
}

/** Visits the members of the object at `start`; returns the index behind its closing brace. */
function scanObject(text: string, start: number, visit: (member: Member) => void): number {
  let at = skipSpace(text, start + 1);
  while (at < text.length && text.charCodeAt(at) !== CLOSE_BRACE) {
    const keyStart = at;
    const keyEnd = skipString(text, at);
    const rawKey = text.slice(keyStart + 1, keyEnd - 1);
    const key = rawKey.includes("\\") ? JSON.parse(`"${rawKey}"`) as string : rawKey;
    const valueStart = skipSpace(text, skipSpace(text, keyEnd) + 1);
    const valueEnd = skipValue(text, valueStart);
    visit({ key, keyStart, valueStart, valueEnd });
    at = skipSpace(text, valueEnd);
    if (text.charCodeAt(at) === COMMA) at = skipSpace(text, at + 1);
  }
  return at + 1;
}

function editObject(
  text: string,
  start: number,
  edits: readonly JsonEdit[],
  depth: number,
): { text: string; end: number } {
  const members: { member: Member; text: string | undefined; changed: boolean }[] = [];
  const seen = new Set<string>();
  let changed = false;
  let removed = false;
  const end = scanObject(text, start, (member) => {
    const mine = edits.filter((edit) => edit.path[depth] === member.key);
    if (mine.length === 0) {
      members.push({ member, text: undefined, changed: false });
      return;
    }
    if (seen.has(member.key)) throw new DuplicateKey();
    seen.add(member.key);
    const value = editValue(text, member, mine, depth + 1);
    members.push({ member, text: value, changed: true });
    changed = true;
    removed ||= value === undefined;
  });
  const added = newMembers(edits.filter((edit) => !seen.has(edit.path[depth]!)), depth);
  if (!changed && added === "") return { text: start === 0 ? text : text.slice(start, end), end };

  const tail = start === 0 ? text.slice(end) : "";
  if (removed) {
    const kept = members.filter((entry) => !entry.changed || entry.text !== undefined)
      .map(({ member, text: value }) =>
        text.slice(member.keyStart, member.valueStart) +
        (value ?? text.slice(member.valueStart, member.valueEnd))
      );
    if (added !== "") kept.unshift(added);
    return { text: `{${kept.join(",")}}${tail}`, end };
  }
  let out = added === "" ? "{" : members.length === 0 ? `{${added}` : `{${added},`;
  let from = start + 1;
  for (const { member, text: value } of members) {
    if (value === undefined) continue;
    out += text.slice(from, member.valueStart) + value;
    from = member.valueEnd;
  }
  return { text: out + text.slice(from, end) + tail, end };
}

/** The new text of a member that edits touch, or `undefined` when it goes. */
function editValue(
  text: string,
  member: Member,
  edits: readonly JsonEdit[],
  depth: number,
): string | undefined {
  const last = edits.findLast((edit) => edit.path.length === depth);
  if (last !== undefined) return last.value;
  if (text.charCodeAt(member.valueStart) === OPEN_BRACE) {
    // A nested object is edited as a text of its own, so that offsets stay simple.
    const inner = text.slice(member.valueStart, member.valueEnd);
    return editObject(inner, 0, edits, depth).text;
  }
  const created = newMembers(edits, depth);
  return created === "" ? text.slice(member.valueStart, member.valueEnd) : `{${created}}`;
}

/** Members for edits whose key is not there yet, without braces; deletions add nothing. */
function newMembers(edits: readonly JsonEdit[], depth: number): string {
  const setting = edits.filter((edit) => edit.value !== undefined);
  const keys = new Set(setting.map((edit) => edit.path[depth]!));
  return [...keys].map((key) => {
    const mine = setting.filter((edit) => edit.path[depth] === key);
    const last = mine.findLast((edit) => edit.path.length === depth + 1);
    const value = last === undefined ? `{${newMembers(mine, depth + 1)}}` : last.value;
    return `${JSON.stringify(key)}:${value}`;
  }).join(",");
}

function editParsed(text: string, edits: readonly JsonEdit[]): string {
  const root = JSON.parse(text) as JsonObject;
  for (const { path, value } of edits) {
    let at: JsonObject = root;
    let missing = false;
    for (const key of path.slice(0, -1)) {
      const next = at[key];
      if (!isObject(next)) {
        if (value === undefined) {
          missing = true;
          break;
        }
        define(at, key, {});
      }
      at = at[key] as JsonObject;
    }
    if (missing) continue;
    const key = path[path.length - 1]!;
    if (value === undefined) delete at[key];
    else define(at, key, JSON.parse(value) as Json);
  }
  return JSON.stringify(root);
}

/** Sets an own property also for `__proto__`, which a plain assignment would misread. */
function define(target: JsonObject, key: string, value: Json): void {
  Object.defineProperty(target, key, {
    value,
    writable: true,
    enumerable: true,
    configurable: true,
  });
}
