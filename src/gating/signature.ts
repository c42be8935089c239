/** A tool's parameters in one line: `name(a: string, b?: int)`. */

import { isObject, type Json, type JsonObject } from "../lib/json.ts";
import { collapsed } from "./summary.ts";

/** Beyond so many parameters a line is no help; the full schema is. */
const MOST_PARAMETERS = 12;

/** Values are listed where they take less than this; else their type is. Characters. */
const LONGEST_VALUES = 48;

/** Names may be anything; only so much of one is shown. Characters. */
const LONGEST_NAME = 64;

/** Types inside types: arrays of arrays, references to references. */
const DEEPEST = 4;

const MOST_ALTERNATIVES = 3;

/** Of alternatives together; types inside types multiply. Characters. */
const LONGEST_ALTERNATIVES = 64;

/** How the types of JSON Schema are written here; others are left as they are not. */
const TYPES: ReadonlyMap<unknown, string> = new Map([
  ["integer", "int"],
  ["number", "number"],
  ["string", "string"],
  ["boolean", "bool"],
  ["object", "object"],
  ["array", "array"],
]);

const UNKNOWN = "any";

/**
 * The signature of a tool with this input schema, which may be anything: required parameters first,
 * each group in the order of the schema, `…` where there are too many. Types are `int`, `number`,
 * `string`, `bool`, `object`, `any`, `T[]`, and short enumerations as `"a"|"b"`.
 */
export function signatureOf(name: string, inputSchema: Json | undefined): string {
  const schema = isObject(inputSchema) ? inputSchema : {};
  const properties = isObject(schema.properties) ? Object.entries(schema.properties) : [];
  const required = new Set(Array.isArray(schema.required) ? schema.required : []);
  const ordered = [
    ...properties.filter(([key]) => required.has(key)),
    ...properties.filter(([key]) => !required.has(key)),
  ];
  const shown = ordered.slice(0, MOST_PARAMETERS).map(([key, property]) =>
    `${nameText(key)}${required.has(key) ? "" : "?"}: ${typeText(property, schema, DEEPEST)}`
  );
  if (ordered.length > shown.length) shown.push("…");
  return `${collapsed(name)}(${shown.join(", ")})`;
}

/** Names that could be taken for something else are quoted. */
function nameText(name: string): string {
  const short = name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME)}…` : name;
  return /^[\p{L}\p{N}_$.@-]+…?$/u.test(short) ? short : JSON.stringify(collapsed(short));
}

function typeText(given: Json | undefined, root: JsonObject, depth: number): string {
  if (!isObject(given) || depth === 0) return UNKNOWN;
  const schema = typeof given.$ref === "string" ? referred(given.$ref, root) : given;
  if (schema === undefined) return UNKNOWN;
  if (schema !== given) return typeText(schema, root, depth - 1);
  const values = valuesText(schema);
  if (values !== undefined) return values;
  const { type, items } = schema;
  if (type === "array") return arrayText(typeText(items, root, depth - 1));
  const several = Array.isArray(type)
    ? type.map((one): Json => ({ ...schema, type: one }))
    : [schema.anyOf, schema.oneOf].find(Array.isArray);
  if (several !== undefined) return alternatives(several, root, depth);
  return TYPES.get(type) ?? (isObject(schema.properties) ? "object" : UNKNOWN);
}

/** A place in the same document; what is elsewhere is not looked for. */
function referred(reference: string, root: JsonObject): JsonObject | undefined {
  if (!reference.startsWith("#/")) return undefined;
  let at: Json | undefined = root;
  for (const step of reference.slice(2).split("/")) {
    const key = step.replaceAll("~1", "/").replaceAll("~0", "~");
    if (!isObject(at) || !Object.hasOwn(at, key)) return undefined;
    at = at[key];
  }
  return isObject(at) ? at : undefined;
}

function valuesText({ enum: values, const: only }: JsonObject): string | undefined {
  const listed = Array.isArray(values) ? values : only === undefined ? [] : [only];
  // Nothing more is written of the long ones: an enumeration may have thousands of values.
  if (listed.length === 0 || listed.length > LONGEST_VALUES / 2) return undefined;
  const simple = listed.every((value) =>
    typeof value === "string" && value.length < LONGEST_VALUES || typeof value === "number" ||
    typeof value === "boolean" || value === null
  );
  if (!simple) return undefined;
  const text = listed.map((value) => JSON.stringify(value)).join("|");
  return text.length <= LONGEST_VALUES ? text : undefined;
}

function arrayText(item: string): string {
  return item.includes("|") ? `(${item})[]` : `${item}[]`;
}

/** That a value may be null is not worth the words. */
function alternatives(several: readonly Json[], root: JsonObject, depth: number): string {
  const types = new Set<string>();
  for (const one of several.slice(0, 2 * MOST_ALTERNATIVES)) {
    if (isObject(one) && one.type === "null") continue;
    types.add(typeText(one, root, depth - 1));
  }
  const text = [...types].join("|");
  const isTelling = types.size > 0 && types.size <= MOST_ALTERNATIVES && !types.has(UNKNOWN);
  return isTelling && text.length <= LONGEST_ALTERNATIVES ? text : UNKNOWN;
}
