/**
 * Expressions in strings: `${NAME}`, `${env:NAME}`, `${file:path}`, `${cmd:text}`, `${input:id}` and
 * a few names of places such as `${workspaceFolder}`.
 *
 * All but commands take a default, `${NAME:-default}`. As in a shell it counts where there is no
 * value or an empty one, and may contain further expressions, as a path may; `$${` gives a literal
 * `${` up to its `}`. What an expression brings is not looked at again, so no value can recurse or
 * smuggle in another expression. A command goes to the shell as written, up to the brace that
 * closes it.
 */

import { fromEntries, type RawObject } from "./document.ts";
import { type ConfigPath, quote } from "./issue.ts";
import type { IssueCollector } from "./validate.ts";

/** What stands between the braces, without its default. */
export interface Reference {
  readonly kind: "name" | "env" | "file" | "cmd" | "input" | "place";
  /** A name, id, path or command, by the kind. */
  readonly name: string;
}

/** What a reference stands for; where it has no value, why, as the issue says it. */
export type Found = { readonly value: string; readonly from: ValueSource } | Unavailable;

/** Why there is no value; it contains no secret. */
export interface Unavailable {
  readonly value?: never;
  readonly why: string;
  readonly remedy?: string | undefined;
}

/** Where a value is from: what is `secret` is always one, what is a `place` never. */
export type ValueSource = "environment" | "secret" | "place";

/** Gives the value of a reference. Pure: a string may be expanded more than once. */
export type Lookup = (reference: Reference) => Found;

/** A value that an expression brought in. */
export interface UsedVariable {
  readonly name: string;
  readonly value: string;
  readonly from: ValueSource;
}

/** A reference without value and without default. */
export interface MissingValue extends Unavailable {
  readonly name: string;
}

/** One string after expansion. */
export interface Expansion {
  /** What could not be expanded stands in it as written. */
  readonly value: string;
  readonly used: readonly UsedVariable[];
  readonly missing: readonly MissingValue[];
  /** The first `${…` that is not an expression, without its default. */
  readonly malformed?: string;
}

/** Expressions within expressions; deeper ones are malformed. */
const MAX_NESTING = 8;

const EXPRESSION_START = /\$\$\{|\$\{/g;
const NAME = /^[A-Za-z_][A-Za-z0-9_]*/;
const INPUT_ID = /^[^{}:$]+/;
const PLACE = /^(?:workspaceFolder|workspaceFolderBasename|userHome|pathSeparator|\/)(?=[}:])/;

/** Expands one string. Never throws, whatever the string is. */
export function expandString(text: string, lookup: Lookup): Expansion {
  if (!text.includes("${")) return { value: text, used: [], missing: [] };
  const state: State = { text, lookup, position: 0, used: [], missing: [] };
  const value = expandUntil(state, undefined, 0);
  const { used, missing, malformed } = state;
  return { value, used, missing, ...(malformed === undefined ? {} : { malformed }) };
}

interface State {
  readonly text: string;
  readonly lookup: Lookup;
  position: number;
  readonly used: UsedVariable[];
  readonly missing: MissingValue[];
  malformed?: string;
}

const DEFAULT_END = /\}/g;
const ARGUMENT_END = /\}|:-/g;

/** Reads to what ends it (which it leaves), or to the end of the text. */
function expandUntil(state: State, end: RegExp | undefined, depth: number): string {
  const { text } = state;
  let result = "";
  while (state.position < text.length) {
    const match = searchFrom(EXPRESSION_START, text, state.position);
    const start = match?.index ?? text.length;
    const close = end && searchFrom(end, text, state.position)?.index;
    if (close !== undefined && close < start) {
      result += text.slice(state.position, close);
      state.position = close;
      return result;
    }
    result += text.slice(state.position, start);
    state.position = start;
    if (match === null) break;
    result += match[0] === "$${" ? literal(state) : expression(state, depth);
  }
  return result;
}

function searchFrom(pattern: RegExp, text: string, position: number): RegExpExecArray | null {
  pattern.lastIndex = position;
  return pattern.exec(text);
}

/** `$${NAME}` gives `${NAME}`. */
function literal(state: State): string {
  const from = state.position + 1;
  const close = state.text.indexOf("}", from);
  state.position = close === -1 ? state.text.length : close + 1;
  return state.text.slice(from, state.position);
}

function expression(state: State, depth: number): string {
  const { text } = state;
  const start = state.position;
  if (depth >= MAX_NESTING) return malformed(state, start);
  const reference = readReference(state, depth);
  const hasDefault = reference?.kind !== "cmd" && text.startsWith(":-", state.position);
  if (reference === undefined || !(hasDefault || text[state.position] === "}")) {
    return malformed(state, start);
  }
  const found = state.lookup(reference);
  if (!hasDefault) {
    state.position++;
    if (found.value === undefined) {
      state.missing.push({ name: reference.name, ...found });
      return text.slice(start, state.position);
    }
    return use(state, reference, found);
  }
  state.position += 2;
  const takesDefault = found.value === undefined || found.value === "";
  // A default that is not taken is still read, to find its end, but what it says does not count.
  const inner: State = takesDefault ? state : { ...state, lookup: UNASKED, used: [], missing: [] };
  const fallback = expandUntil(inner, DEFAULT_END, depth + 1);
  state.position = inner.position;
  if (inner.malformed !== undefined) state.malformed ??= inner.malformed;
  if (text[state.position] !== "}") return malformed(state, start);
  state.position++;
  return takesDefault ? fallback : use(state, reference, found);
}

/** For defaults that are not taken: their files are not read and their commands not run. */
const UNASKED: Lookup = () => ({ value: "", from: "place" });

function use(
  { used }: State,
  { name }: Reference,
  { value, from }: Extract<Found, { readonly value: string }>,
): string {
  used.push({ name, value, from });
  return value;
}

/** The reference that begins at the position; leaves the position behind it. */
function readReference(state: State, depth: number): Reference | undefined {
  const { text } = state;
  const at = state.position + 2;
  const rest = text.slice(at, at + 256);
  const take = (pattern: RegExp, kind: Reference["kind"], from: number) => {
    const name = pattern.exec(text.slice(from, from + 256))?.[0];
    if (name === undefined) return undefined;
    state.position = from + name.length;
    return { kind, name };
  };
  if (rest.startsWith("env:")) return take(NAME, "env", at + 4);
  if (rest.startsWith("input:")) return take(INPUT_ID, "input", at + 6);
  if (rest.startsWith("cmd:")) return readCommand(state, at + 4);
  if (rest.startsWith("file:")) {
    state.position = at + 5;
    const name = expandUntil(state, ARGUMENT_END, depth + 1);
    return name === "" ? undefined : { kind: "file", name };
  }
  return take(PLACE, "place", at) ?? take(NAME, "name", at);
}

/** A command may have braces of its own, in pairs. */
function readCommand(state: State, from: number): Reference | undefined {
  let depth = 0;
  for (let at = from; at < state.text.length; at++) {
    const character = state.text[at];
    if (character === "{") depth++;
    if (character !== "}" || depth-- > 0) continue;
    state.position = at;
    const name = state.text.slice(from, at).trim();
    return name === "" ? undefined : { kind: "cmd", name };
  }
  // To look through the rest again for each of many would take for ever.
  state.position = state.text.length;
  return undefined;
}

function malformed(state: State, start: number): string {
  const close = state.text.indexOf("}", start);
  const end = close === -1 ? state.text.length : close + 1;
  // The rest may be a default or a command somebody wrote a secret into.
  state.malformed ??= state.text.slice(start, end).replace(
    /:-.+|(?<=\$\{cmd:).+/s,
    (rest) => rest.startsWith(":-") ? ":-…" : "…",
  );
  state.position = Math.max(end, state.position);
  return state.text.slice(start, state.position);
}

/** What expanding every string of a value gave. */
export interface TreeExpansion {
  readonly value: RawObject;
  readonly used: readonly UsedVariable[];
  readonly missing: readonly (MissingValue & { readonly path: ConfigPath })[];
  readonly malformed: readonly { readonly path: ConfigPath; readonly text: string }[];
}

/**
 * Expands every string in the values of an object, keys excepted. The result is a copy; objects in it have
 * no prototype. The data must be of bounded depth, which a parsed document is. `lookupFor` is asked
 * for each key; where it gives none the value stays as it is.
 */
export function expandTree(
  value: object,
  lookupFor: (key: string) => Lookup | undefined,
): TreeExpansion {
  const used: UsedVariable[] = [];
  const missing: (MissingValue & { path: ConfigPath })[] = [];
  const broken: { path: ConfigPath; text: string }[] = [];
  const visit = (node: unknown, path: ConfigPath, lookup: Lookup): unknown => {
    if (typeof node === "string") {
      const expansion = expandString(node, lookup);
      for (const variable of expansion.used) used.push(variable);
      for (const one of expansion.missing) missing.push({ path, ...one });
      if (expansion.malformed !== undefined) broken.push({ path, text: expansion.malformed });
      return expansion.value;
    }
    if (Array.isArray(node)) {
      return node.map((item, index) => visit(item, [...path, index], lookup));
    }
    if (typeof node !== "object" || node === null) return node;
    return copyOf(node, (key, item) => visit(item, [...path, key], lookup));
  };
  const expanded = copyOf(value, (key, item) => {
    const lookup = lookupFor(key);
    return lookup === undefined ? item : visit(item, [key], lookup);
  });
  return { value: expanded, used, missing, malformed: broken };
}

function copyOf(
  object: object,
  change: (key: string, item: unknown) => unknown,
): Record<string, unknown> {
  return fromEntries(Object.entries(object).map(([key, item]) => [key, change(key, item)]));
}

/** Tells the places of values that are missing from the others. */
export function isMissingIn({ missing }: TreeExpansion): (path: ConfigPath) => boolean {
  const places = new Set(missing.map(({ path }) => JSON.stringify(path)));
  return (path) => places.has(JSON.stringify(path));
}

/** Reports each `${…}` that is not an expression. */
export function reportMalformed({ malformed }: TreeExpansion, collector: IssueCollector): void {
  for (const { path, text } of malformed) {
    collector.error(
      path,
      `found ${quote(text)}, expected "\${NAME}", "\${NAME:-default}", or a known kind such as ` +
        '"${file:/path}"',
      { remedy: 'write "$${" for a literal "${"' },
    );
  }
}

/** Other clients count timeouts in seconds: a bare `60` is hardly ever meant as 60 ms. */
export function warnShortTimeout(value: unknown, key: string, collector: IssueCollector): void {
  if (typeof value !== "number" || !(value >= 1 && value < 1000)) return;
  collector.warn([key], `${value} means ${value} milliseconds`, {
    remedy: `write "${value}s" for seconds, or "${value}ms" to keep it`,
  });
}
