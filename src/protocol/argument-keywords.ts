/** The rules of single keywords, those that hold no other schema. */

import { isObject, type Json, type JsonObject } from "../lib/json.ts";
import { suggest } from "../lib/suggest.ts";
import type { CheckRun, Rule } from "./argument-run.ts";

/** `type`. Of a value of another type nothing else is said. */
export function typeRule(types: readonly string[]): Rule {
  const expected = typesText(types);
  return (value, run) => {
    if (types.some((type) => isOfType(value, type))) return true;
    run.fault({ problem: `got ${shown(value)}`, expected, isOfOtherType: true });
    return false;
  };
}

function isOfType(value: Json, type: string): boolean {
  const kind: string = typeof value;
  switch (type) {
    case "integer":
      // A text that is too large for a number may well be one of an integer.
      return kind === "number" && (Number.isInteger(value) || !Number.isFinite(value));
    case "array":
      return Array.isArray(value);
    case "object":
      return isObject(value);
    case "null":
      return value === null;
    default:
      return kind === type;
  }
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

/** A bound of texts, in characters, of which some take two places. */
export function lengthRule(least: number, most: number, expected: string): Rule {
  return (value, run) => {
    if (typeof value !== "string") return;
    let { length } = value;
    const mayFit = length >= least && length / 2 <= most;
    if (mayFit && (length > most || length / 2 < least)) {
      run.sweep(length);
      length = [...value].length;
    }
    if (length < least || length > most) {
      run.fault({ problem: `got ${length} characters`, expected });
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

/** `required`, and what depends on another member. */
export function requiredRule(names: readonly string[], { properties }: JsonObject): Rule {
  return (value, run) => {
    if (!isObject(value)) return;
    run.sweep(names.length);
    for (const name of names) {
      if (Object.hasOwn(value, name)) continue;
      const property = isObject(properties) ? properties[name] : undefined;
      const type = isObject(property) ? property.type : undefined;
      const expected = type === undefined ? {} : { expected: typesText([type].flat() as string[]) };
      run.fault({ step: name, problem: "is missing", ...expected });
    }
  };
}

/** Beyond so many names nobody looks for the one that was meant. */
const MOST_NAMES = 200;

/** What is wrong with a member that the schema does not name. */
export function unknownName(name: string, names: ReadonlySet<string>, run: CheckRun) {
  const fault = { problem: "is unknown" };
  if (names.size > MOST_NAMES) return fault;
  run.sweep(names.size * name.length);
  const meant = suggest(name, names);
  return meant === undefined ? fault : { ...fault, expected: `perhaps ${JSON.stringify(meant)}` };
}

/** Most characters of a value that are repeated. */
const LONGEST_VALUE = 60;

/** A value in few characters. */
export function shown(value: Json): string {
  if (Array.isArray(value)) return value.length === 0 ? "an empty array" : "an array";
  if (typeof value === "object" && value !== null) return "an object";
  if (typeof value !== "string" || value.length <= LONGEST_VALUE) return JSON.stringify(value);
  // Cut first: it may be megabytes.
  return `${JSON.stringify(value.slice(0, LONGEST_VALUE)).slice(0, -1)}…"`;
}

/** The types of a schema: `integer`, `string or null`. */
function typesText(types: readonly string[]): string {
  return types.join(" or ");
}
