/** The rules of single keywords, those that hold no other schema. */

import { isObject, type Json, type JsonObject } from "../lib/json.ts";
import { suggest } from "../lib/suggest.ts";
import { cut } from "../lib/text.ts";
import type { CheckRun, Rule } from "./run.ts";

/** `type`. Of a value of another type nothing else is said, nor of one that will be converted. */
export function typeRule(types: readonly string[], preset: Json | undefined): Rule {
  const expected = types.join(" or ");
  return (value, run) => {
    if (types.some((type) => isOfType(value, type))) return true;
    if (!isLikeDefault(value, preset) && !types.some((type) => mayBecome(value, type))) {
      run.fault({ problem: `got ${shown(value)}`, expected, isOfOtherType: true });
    }
    return false;
  };
}

function isOfType(value: Json, type: string): boolean {
  const kind: string = typeof value;
  // A text that is too large for a number may well be one of an integer.
  if (type === "integer") {
    return kind === "number" && (Number.isInteger(value) || !Number.isFinite(value));
  }
  if (type === "array") return Array.isArray(value);
  if (type === "object") return isObject(value);
  return type === "null" ? value === null : kind === type;
}

/** Most values of an enumeration that a mistake repeats. */
const MOST_VALUES = 20;

/** `enum`, and `const` as one of one. */
export function enumRule(values: readonly Json[]): Rule {
  const plain = new Set<Json>();
  const others: Json[] = [];
  for (const value of values) {
    if (typeof value === "object" && value !== null) others.push(value);
    else plain.add(value);
  }
  const first = values.slice(0, MOST_VALUES).map(shown).join(", ");
  const expected = values.length > MOST_VALUES ? `one of ${first}, …` : `one of ${first}`;
  return (value, run) => {
    if (plain.has(value) || others.some((other) => run.isSame(other, value))) return;
    run.fault({ problem: `got ${shown(value)}`, expected: values.length === 1 ? first : expected });
  };
}

/** A bound of numbers; other values are none of its business. */
export function numberRule(holds: (value: number) => boolean, expected: string): Rule {
  return (value, run) => {
    if (typeof value !== "number" || holds(value)) return;
    run.fault({ problem: `got ${shown(value)}`, expected });
  };
}

/** Whether a number is `of` times a whole one; fractions have no exact form, nearly is enough. */
export function isMultiple(value: number, of: number): boolean {
  const times = value / of;
  return !Number.isFinite(times) ||
    Math.abs(times - Math.round(times)) <= 1e-9 * Math.max(1, Math.abs(times));
}

/** `minLength`. Characters that take two places count twice, as in zod; others count less. */
export function minLengthRule(least: number): Rule {
  return (value, run) => {
    if (typeof value !== "string" || value.length >= least) return;
    run.fault({
      problem: `got ${value.length} characters`,
      expected: `at least ${least} characters`,
    });
  };
}

/** `maxLength`. Characters that take two places count once, as in the specification. */
export function maxLengthRule(most: number): Rule {
  return (value, run) => {
    if (typeof value !== "string" || value.length <= most) return;
    let { length } = value;
    if (length / 2 <= most) {
      run.sweep(length);
      length = [...value].length;
    }
    if (length > most) {
      run.fault({ problem: `got ${length} characters`, expected: `at most ${most} characters` });
    }
  };
}

/** A bound of how many members or items there are. */
export function countRule(
  isMeant: (value: Json) => boolean,
  holds: (count: number) => boolean,
  expected: string,
): Rule {
  return (value, run) => {
    if (!isMeant(value)) return;
    const { length: count } = Array.isArray(value) ? value : Object.keys(value as object);
    run.sweep(count);
    if (!holds(count)) run.fault({ problem: `got ${count}`, expected });
  };
}

/** `required`, but for what has a default. */
export function requiredRule(
  names: readonly string[],
  { properties }: JsonObject,
): Rule | undefined {
  const needed = names.filter((name) => !hasDefault(properties, name));
  if (needed.length === 0) return undefined;
  return (value, run) => {
    if (!isObject(value)) return;
    run.sweep(needed.length);
    for (const name of needed) {
      if (Object.hasOwn(value, name)) continue;
      const property = isObject(properties) ? properties[name] : undefined;
      const type = isObject(property) ? property.type : undefined;
      const expected = type === undefined ? {} : { expected: [type].flat().join(" or ") };
      run.fault({ step: name, problem: "is missing", ...expected });
    }
  };
}

/** The name that an unknown one was meant to be, of those that are not given. */
export function meantName(
  name: string,
  names: ReadonlySet<string>,
  given: JsonObject,
  run: CheckRun,
): string | undefined {
  const free = [...names].filter((known) => !Object.hasOwn(given, known));
  run.sweep(name.length * free.reduce((letters, known) => letters + known.length, 1));
  return suggest(name, free);
}

/** Most characters of a value that are repeated. */
const LONGEST_VALUE = 60;

/** A value in few characters. */
export function shown(value: Json): string {
  if (Array.isArray(value)) return value.length === 0 ? "an empty array" : "an array";
  if (typeof value === "object" && value !== null) return "an object";
  // Not as JSON, which knows no infinity.
  if (typeof value === "number") return String(value);
  // Cut first: it may be megabytes.
  return JSON.stringify(typeof value === "string" ? cut(value, LONGEST_VALUE) : value);
}

// What servers make of values that are not of the type they ask for. Many convert: pydantic as it
// comes, zod where it says `coerce`, typed getters as in Go. None tells it in its schema, and a call
// that the server would have taken must not end here.

/** Longer texts are no numbers. Characters. */
const LONGEST_NUMBER = 400;

/** What pydantic reads as a boolean, and nothing. */
const BOOLEAN = /^(?:true|false|yes|no|on|off|[tfyn01])?$/i;

/** Whether a server may well convert this to a value of the type. */
export function mayBecome(value: Json, type: string): boolean {
  if (typeof value !== "string") return type === "boolean" && (value === 0 || value === 1);
  if (type === "boolean") return BOOLEAN.test(value);
  if (type === "null") return value === "null";
  // Models and clients write them as text, so that FastMCP reads texts of JSON.
  if (type === "array") return startsWith(value, "[");
  if (type === "object") return startsWith(value, "{");
  const number = value.length <= LONGEST_NUMBER ? Number(value) : NaN;
  return type === "integer" ? Number.isInteger(number) : type === "number" && !Number.isNaN(number);
}

/**
 * Whether this is of the type of the schema's own default, which a server surely takes: Python's
 * `path: str = None` is told as a string with the default null, and `limit=1000` as a string, too.
 */
export function isLikeDefault(value: Json, preset: Json | undefined): boolean {
  return preset !== undefined && kindOf(value) === kindOf(preset);
}

/** Whether a call may do without a required member: some generators require what has a default. */
export function hasDefault(properties: Json | undefined, name: string): boolean {
  if (!isObject(properties) || !Object.hasOwn(properties, name)) return false;
  const property = properties[name];
  return isObject(property) && property.default !== undefined;
}

/** Whether a member may be null for "not given", as models write it. */
export function mayBeNull({ required }: JsonObject, name: string): boolean {
  return !Array.isArray(required) || !required.includes(name);
}

function startsWith(text: string, sign: string): boolean {
  return text.slice(0, 100).trimStart().startsWith(sign);
}

function kindOf(value: Json): string {
  return value === null ? "null" : Array.isArray(value) ? "array" : typeof value;
}
