/**
 * Edits JSON text in place.
 *
 * The gateway forwards what it did not write. Parsing and serialising again would round large
 * numbers, reorder integer-like keys and cost a copy of every result, so a message keeps its text
 * and only the few members the gateway owns (id, name, progress token, envelope) are replaced.
 *
 * Every function here expects text that `JSON.parse` has accepted; none of them validates.
 */

/** One change: the member at `path` becomes `value` (JSON text), or goes when it is `undefined`. */
export interface JsonEdit {
  readonly path: readonly string[];
  readonly value: string | undefined;
}

/** Thrown inside the scanner: the object at `start` is legal JSON but repeats `key`. */
class DuplicateKey extends Error {
  constructor(readonly start: number, readonly key: string) {
    super();
  }
}

/**
 * Returns `text` (an object) with the edits applied, everything else character for character.
 * Missing parents are created; a parent that is not an object is replaced by one.
 *
 * Of a key that is repeated on the way to an edit only the last member stays, which is the one that
 * `JSON.parse` sees, so that both ends of the wire see the one value the gateway decided on.
 */
export function editJson(text: string, edits: readonly JsonEdit[]): string {
  if (edits.length === 0) return text;
  const scan: Scan = { text, at: 0, hasEscapes: text.includes("\\"), out: "", from: 0 };
  try {
    editObject(scan, skipSpace(text, 0), edits, 0);
    return scan.out + text.slice(scan.from);
  } catch (error) {
    if (!(error instanceof DuplicateKey)) throw error;
    return editJson(withoutRepeats(text, error.start, error.key), edits);
  }
}

/** The text of the member at `path`, or `undefined`. With a repeated key, the last one counts. */
export function rawAt(text: string, path: readonly string[]): string | undefined {
  if (path.length === 0) return text.trim();
  const hasEscapes = text.includes("\\");
  let start = skipSpace(text, 0);
  let end = text.length;
  for (const key of path) {
    if (text.charCodeAt(start) !== OPEN_BRACE) return undefined;
    let found = -1;
    let at = skipSpace(text, start + 1);
    while (at < text.length && text.charCodeAt(at) !== CLOSE_BRACE) {
      const keyEnd = skipString(text, at);
      const isMine = keyIs(text, at, keyEnd, key, hasEscapes);
      const valueStart = skipSpace(text, skipSpace(text, keyEnd) + 1);
      at = skipValue(text, valueStart);
      if (isMine) {
        found = valueStart;
        end = at;
      }
      at = nextMember(text, at);
    }
    if (found < 0) return undefined;
    start = found;
  }
  return text.slice(start, end);
}

/** The texts of an array's first elements, or `undefined` where `text` is not an array. */
export function rawElements(text: string, most = Infinity): string[] | undefined {
  let at = skipSpace(text, 0);
  if (text.charCodeAt(at) !== OPEN_BRACKET) return undefined;
  const elements: string[] = [];
  at = skipSpace(text, at + 1);
  while (at < text.length && text.charCodeAt(at) !== CLOSE_BRACKET && elements.length < most) {
    const end = skipValue(text, at);
    elements.push(text.slice(at, end));
    at = skipSpace(text, end);
    if (text.charCodeAt(at) === COMMA) at = skipSpace(text, at + 1);
  }
  return elements;
}

/** An object's keys and the texts of its values, or `undefined` where `text` is not an object. */
export function rawMembers(text: string): [key: string, value: string][] | undefined {
  let at = skipSpace(text, 0);
  if (text.charCodeAt(at) !== OPEN_BRACE) return undefined;
  const members: [string, string][] = [];
  at = skipSpace(text, at + 1);
  while (at < text.length && text.charCodeAt(at) !== CLOSE_BRACE) {
    const keyEnd = skipString(text, at);
    const start = skipSpace(text, skipSpace(text, keyEnd) + 1);
    const end = skipValue(text, start);
    members.push([JSON.parse(text.slice(at, keyEnd)), text.slice(start, end)]);
    at = nextMember(text, end);
  }
  return members;
}

/** The same JSON without line breaks, for transports that frame by line. Cheap when there are none. */
export function withoutLineBreaks(text: string): string {
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

/** The index of the first character from `at` on that is no white space of JSON. */
export function skipSpace(text: string, at: number): number {
  for (;; at++) {
    const code = text.charCodeAt(at);
    if (code !== 32 && code !== 10 && code !== 13 && code !== 9) return at;
  }
}

/** Most strings are shorter than this, and looking at their characters is cheaper than a search. */
const SHORT = 48;

/** `at` is an opening quote; returns the index behind the closing one. */
export function skipString(text: string, at: number): number {
  let end = at + 1;
  for (const limit = at + SHORT; end < limit; end++) {
    const code = text.charCodeAt(end);
    if (code === QUOTE) return end + 1;
    if (code === BACKSLASH) end++;
  }
  for (;; end++) {
    end = text.indexOf('"', end);
    if (end < 0) return text.length;
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return end + 1;
  }
}

/** Whether the key whose quotes are at `start` and before `end` is `key`; makes no copy of it. */
function keyIs(
  text: string,
  start: number,
  end: number,
  key: string,
  hasEscapes: boolean,
): boolean {
  // The first character tells most keys apart, for the price of no call.
  if (
    end - start - 2 === key.length &&
    (key === "" || text.charCodeAt(start + 1) === key.charCodeAt(0)) &&
    text.startsWith(key, start + 1)
  ) return !hasEscapes || !key.includes("\\");
  if (!hasEscapes) return false;
  const raw = text.slice(start, end);
  return raw.includes("\\") && JSON.parse(raw) === key;
}

/** From behind a value to the next key, or to the closing brace. */
function nextMember(text: string, at: number): number {
  const comma = skipSpace(text, at);
  return text.charCodeAt(comma) === COMMA ? skipSpace(text, comma + 1) : comma;
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

/** A text that is being edited. */
interface Scan {
  readonly text: string;
  /** Where the last function that reads left off. */
  at: number;
  /** Without an escape anywhere, keys can be compared as they stand. */
  readonly hasEscapes: boolean;
  /** What the text before `from` has become. */
  out: string;
  from: number;
}

/** Goes on behind `next`, with `value` for what stands between `end` and there. */
function replace(scan: Scan, end: number, value: string, next: number): void {
  scan.out += scan.text.slice(scan.from, end) + value;
  scan.from = next;
}

/**
 * Edits the object at `start`; `scan.at` is behind it then. Goes over the text once, and copies only
 * what surrounds an edit.
 */
function editObject(scan: Scan, start: number, edits: readonly JsonEdit[], depth: number): void {
  const { text } = scan;
  /** Where new members go, in what comes out. */
  const head = scan.out.length + start + 1 - scan.from;
  let keptBefore = -1;
  // Of the size it may need: an array that grows gets room for 17.
  const seen = new Array<string>(edits.length);
  let count = 0;
  let at = skipSpace(text, start + 1);
  while (at < text.length && text.charCodeAt(at) !== CLOSE_BRACE) {
    const keyStart = at;
    const keyEnd = skipString(text, at);
    const valueStart = skipSpace(text, skipSpace(text, keyEnd) + 1);
    const key = editedKey(scan, keyStart, keyEnd, edits, depth);
    if (key === undefined) {
      keptBefore = skipValue(text, valueStart);
      at = nextMember(text, keptBefore);
      continue;
    }
    if (seen.includes(key)) throw new DuplicateKey(start, key);
    seen[count++] = key;
    const stays = editValue(scan, valueStart, edits, depth, key);
    at = nextMember(text, scan.at);
    // What goes does so with the comma before it, and the first one with the comma behind it.
    if (!stays && keptBefore >= 0) replace(scan, keptBefore, "", scan.at);
    else if (!stays) replace(scan, keyStart, "", at);
    if (stays || keptBefore >= 0) keptBefore = scan.at;
  }
  scan.at = at + 1;
  let missing: JsonEdit[] | undefined;
  for (const edit of edits) if (!seen.includes(edit.path[depth]!)) (missing ??= []).push(edit);
  const added = missing === undefined ? "" : newMembers(missing, depth);
  if (added === "") return;
  if (scan.from <= start) replace(scan, start + 1, "", start + 1);
  const comma = keptBefore >= 0 ? "," : "";
  scan.out = `${scan.out.slice(0, head)}${added}${comma}${scan.out.slice(head)}`;
}

/** The key that an edit wants to reach and this member has. */
function editedKey(
  scan: Scan,
  keyStart: number,
  keyEnd: number,
  edits: readonly JsonEdit[],
  depth: number,
): string | undefined {
  for (let index = 0; index < edits.length; index++) {
    const key = edits[index]!.path[depth]!;
    if (keyIs(scan.text, keyStart, keyEnd, key, scan.hasEscapes)) return key;
  }
  return undefined;
}

/** Edits the value of a member; false when it goes. */
function editValue(
  scan: Scan,
  start: number,
  edits: readonly JsonEdit[],
  depth: number,
  key: string,
): boolean {
  const { text } = scan;
  let deeper = 0;
  let one: JsonEdit | undefined;
  for (let index = edits.length - 1; index >= 0; index--) {
    const edit = edits[index]!;
    if (edit.path[depth] !== key) continue;
    if (edit.path.length === depth + 1) {
      scan.at = skipValue(text, start);
      if (edit.value !== undefined) replace(scan, start, edit.value, scan.at);
      return edit.value !== undefined;
    }
    deeper++;
    one = edit;
  }
  const inner = deeper === edits.length
    ? edits
    : deeper === 1
    ? [one!]
    : edits.filter(({ path }) => path[depth] === key);
  if (text.charCodeAt(start) === OPEN_BRACE) editObject(scan, start, inner, depth + 1);
  else {
    scan.at = skipValue(text, start);
    const created = newMembers(inner, depth + 1);
    if (created !== "") replace(scan, start, `{${created}}`, scan.at);
  }
  return true;
}

/** Members for edits whose key is not there yet, without braces; deletions add nothing. */
function newMembers(edits: readonly JsonEdit[], depth: number): string {
  const [{ path, value }] = edits as [JsonEdit];
  if (edits.length === 1 && path.length === depth + 1) {
    return value === undefined ? "" : `${JSON.stringify(path[depth])}:${value}`;
  }
  const setting = edits.filter((edit) => edit.value !== undefined);
  const keys = new Set(setting.map((edit) => edit.path[depth]!));
  return [...keys].map((key) => {
    const mine = setting.filter((edit) => edit.path[depth] === key);
    const last = mine.findLast((edit) => edit.path.length === depth + 1);
    const value = last === undefined ? `{${newMembers(mine, depth + 1)}}` : last.value;
    return `${JSON.stringify(key)}:${value}`;
  }).join(",");
}

/** The text without all but the last member called `key` of the object at `start`. */
function withoutRepeats(text: string, start: number, key: string): string {
  let out = "";
  let from = 0;
  let repeat: { readonly start: number; readonly end: number } | undefined;
  let at = skipSpace(text, start + 1);
  while (at < text.length && text.charCodeAt(at) !== CLOSE_BRACE) {
    const keyStart = at;
    const keyEnd = skipString(text, at);
    at = nextMember(text, skipValue(text, skipSpace(text, skipSpace(text, keyEnd) + 1)));
    if (!keyIs(text, keyStart, keyEnd, key, true)) continue;
    if (repeat !== undefined) {
      out += text.slice(from, repeat.start);
      from = repeat.end;
    }
    repeat = { start: keyStart, end: at };
  }
  return out + text.slice(from);
}
