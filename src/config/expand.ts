/**
 * Variables in strings: `${NAME}` and `${NAME:-default}` from the environment.
 *
 * As in a shell the default counts where the variable is unset or empty, and may contain further
 * variables; `$${` gives a literal `${` up to its `}`. What a variable contains is not looked at
 * again, so no value can recurse or smuggle in another variable.
 */

import type { Env } from "./config.ts";
import type { ConfigPath } from "./issue.ts";

/** A variable that had a value in the environment. */
export interface UsedVariable {
  readonly name: string;
  readonly value: string;
}

/** One string after expansion. */
export interface Expansion {
  /** What could not be expanded stands in it as written. */
  readonly value: string;
  readonly used: readonly UsedVariable[];
  /** Names without a value and without a default. */
  readonly unset: readonly string[];
  /** The first `${…` that is not an expression, without its default. */
  readonly malformed?: string;
}

/** Defaults within defaults; deeper ones are malformed. */
const MAX_NESTING = 8;

const EXPRESSION_START = /\$\$\{|\$\{/g;
const NAME = /^[A-Za-z_][A-Za-z0-9_]*/;

/** Expands one string. Never throws, whatever the string is. */
export function expandString(text: string, env: Env): Expansion {
  if (!text.includes("${")) return { value: text, used: [], unset: [] };
  const state: State = { text, env, position: 0, used: [], unset: [] };
  const value = expandUntil(state, false, 0);
  const { used, unset, malformed } = state;
  return { value, used, unset, ...(malformed === undefined ? {} : { malformed }) };
}

interface State {
  readonly text: string;
  readonly env: Env;
  position: number;
  readonly used: UsedVariable[];
  readonly unset: string[];
  malformed?: string;
}

/** Reads to the end, or, inside a default, to the `}` that closes it (which it leaves). */
function expandUntil(state: State, inDefault: boolean, depth: number): string {
  const { text } = state;
  let result = "";
  while (state.position < text.length) {
    EXPRESSION_START.lastIndex = state.position;
    const match = EXPRESSION_START.exec(text);
    const start = match?.index ?? text.length;
    if (inDefault) {
      const close = text.indexOf("}", state.position);
      if (close !== -1 && close < start) {
        result += text.slice(state.position, close);
        state.position = close;
        return result;
      }
    }
    result += text.slice(state.position, start);
    state.position = start;
    if (match === null) break;
    result += match[0] === "$${" ? literal(state) : expression(state, depth);
  }
  return result;
}

/** `$${NAME}` gives `${NAME}`. */
function literal(state: State): string {
  const from = state.position + 1;
  const close = state.text.indexOf("}", from);
  state.position = close === -1 ? state.text.length : close + 1;
  return state.text.slice(from, state.position);
}

function expression(state: State, depth: number): string {
  const { text, env } = state;
  const start = state.position;
  const name = NAME.exec(text.slice(start + 2, start + 2 + 256))?.[0];
  const afterName = start + 2 + (name?.length ?? 0);
  const hasDefault = text.startsWith(":-", afterName);
  if (name === undefined || depth >= MAX_NESTING || !(hasDefault || text[afterName] === "}")) {
    return malformed(state, start);
  }
  const value = Object.hasOwn(env, name) ? env[name] : undefined;
  if (!hasDefault) {
    state.position = afterName + 1;
    if (value === undefined) {
      state.unset.push(name);
      return text.slice(start, state.position);
    }
    state.used.push({ name, value });
    return value;
  }
  state.position = afterName + 2;
  const takesDefault = value === undefined || value === "";
  // A default that is not taken is still read, to find its end, but its variables do not count.
  const inner: State = takesDefault ? state : { ...state, used: [], unset: [] };
  const fallback = expandUntil(inner, true, depth + 1);
  state.position = inner.position;
  if (inner.malformed !== undefined) state.malformed ??= inner.malformed;
  if (text[state.position] !== "}") return malformed(state, start);
  state.position++;
  if (takesDefault) return fallback;
  state.used.push({ name, value });
  return value;
}

function malformed(state: State, start: number): string {
  const close = state.text.indexOf("}", start);
  const end = close === -1 ? state.text.length : close + 1;
  const written = state.text.slice(start, end);
  // The rest may be a default somebody wrote a secret into.
  state.malformed ??= written.replace(/:-.+/s, ":-…");
  state.position = Math.max(end, state.position);
  return written;
}

/** What expanding every string of a value gave. */
export interface TreeExpansion {
  readonly value: unknown;
  readonly used: readonly UsedVariable[];
  readonly unset: readonly { readonly path: ConfigPath; readonly name: string }[];
  readonly malformed: readonly { readonly path: ConfigPath; readonly text: string }[];
}

/**
 * Expands every string inside plain data, keys excepted. The result is a copy; objects in it have
 * no prototype. The data must be of bounded depth, which a parsed document is.
 *
 * Values for which `isLiteral` answers true (asked for the keys of the top object) stay as they are.
 */
export function expandTree(
  value: unknown,
  env: Env,
  isLiteral: (key: string) => boolean = () => false,
): TreeExpansion {
  const used: UsedVariable[] = [];
  const unset: { path: ConfigPath; name: string }[] = [];
  const broken: { path: ConfigPath; text: string }[] = [];
  const visit = (node: unknown, path: ConfigPath): unknown => {
    if (typeof node === "string") {
      const expansion = expandString(node, env);
      for (const variable of expansion.used) used.push(variable);
      for (const name of expansion.unset) unset.push({ path, name });
      if (expansion.malformed !== undefined) broken.push({ path, text: expansion.malformed });
      return expansion.value;
    }
    if (Array.isArray(node)) return node.map((item, index) => visit(item, [...path, index]));
    if (typeof node !== "object" || node === null) return node;
    const copy: Record<string, unknown> = Object.create(null);
    for (const [key, item] of Object.entries(node)) {
      copy[key] = path.length === 0 && isLiteral(key) ? item : visit(item, [...path, key]);
    }
    return copy;
  };
  return { value: visit(value, []), used, unset, malformed: broken };
}
