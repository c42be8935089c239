/**
 * Whether a schema is one: its keywords have the form its dialect gives them, and its references
 * lead somewhere. No values are validated, nothing is fetched or compiled.
 */

import { attempt, isObject, type Json, type JsonObject } from "../lib/json.ts";
import { cut } from "../lib/text.ts";
import { DEFAULT_DIALECT, type Dialect, dialectOf, type KeywordForm, KEYWORDS } from "./dialect.ts";
import {
  escapeStep,
  lostReferences,
  MAX_SCHEMA_DEPTH,
  type SchemaPlace,
  schemaPlaces,
} from "./walk.ts";

/** One thing wrong with a schema. */
export interface SchemaProblem {
  /**
   * `invalid`: not a schema of the dialect it says, or of 2020-12 where it says none.
   * `dialect`: valid in the dialect it says, not in 2020-12.
   * `unknown-dialect`: its `$schema` names none that is known.
   * `pattern`: no regular expression of JSON Schema (ECMA-262).
   * `dangling`: a reference to nowhere in the document; `remote`: one to another document.
   * `deep`: nested deeper than {@link MAX_SCHEMA_DEPTH}; what is below was not looked at.
   */
  readonly type:
    | "invalid"
    | "dialect"
    | "unknown-dialect"
    | "pattern"
    | "dangling"
    | "remote"
    | "deep";
  /** JSON pointer as a fragment: `#/properties/path/type`. */
  readonly pointer: string;
  /** What was found and expected, as a clause. Texts of the schema are quoted and cut. */
  readonly message: string;
}

/** Everything wrong with a schema, in its order; empty for a boolean, which is a schema. */
export function checkJsonSchema(schema: Json): readonly SchemaProblem[] {
  if (typeof schema === "boolean") return [];
  if (!isObject(schema)) {
    return [{ type: "invalid", pointer: "#", message: mismatch(schema, "a schema") }];
  }
  const { $schema } = schema;
  const named = typeof $schema === "string" ? dialectOf($schema) : DEFAULT_DIALECT;
  const dialect = named ?? DEFAULT_DIALECT;
  const places = [...schemaPlaces(schema, KEYWORDS[dialect])];
  const problems = places.flatMap((place) => keywordProblems(place, dialect));
  if (named === undefined) {
    const message = `${show($schema!)} is no dialect that is known`;
    problems.unshift({ type: "unknown-dialect", pointer: "#/$schema", message });
  }
  if (dialect !== DEFAULT_DIALECT && problems.length === 0) {
    problems.push(...otherwiseIn(DEFAULT_DIALECT, dialect, schema));
  }
  for (const { type, pointer, reference } of lostReferences(places)) {
    const message = type === "dangling"
      ? `${show(reference)} leads nowhere in this schema`
      : `${show(reference)} is in another document`;
    problems.push({ type, pointer, message });
  }
  return problems;
}

function otherwiseIn(other: Dialect, own: Dialect, schema: JsonObject): SchemaProblem[] {
  return [...schemaPlaces(schema, KEYWORDS[other])]
    .flatMap((place) => keywordProblems(place, other))
    .filter(({ type }) => type === "invalid")
    .map(({ pointer, message }) => ({
      type: "dialect",
      pointer,
      message: `${message} in ${other} (valid in ${own})`,
    }));
}

function keywordProblems(place: SchemaPlace, dialect: Dialect): SchemaProblem[] {
  const { schema, pointer, depth } = place;
  if (depth >= MAX_SCHEMA_DEPTH) {
    const message = `is nested more than ${MAX_SCHEMA_DEPTH} levels deep`;
    return [{ type: "deep", pointer, message }];
  }
  return Object.entries(schema).flatMap(([key, value]): SchemaProblem[] => {
    const form = KEYWORDS[dialect].get(key);
    if (form === undefined || value === undefined) return [];
    const at = `${pointer}/${escapeStep(key)}`;
    const expected = expectation(form, value, dialect);
    if (expected !== undefined) {
      return [{ type: "invalid", pointer: at, message: mismatch(value, expected) }];
    }
    if (form === "pattern" && !isPattern(value as string)) {
      const message = `${show(value)} is no regular expression of JSON Schema`;
      return [{ type: "pattern", pointer: at, message }];
    }
    return [];
  });
}

const TYPES: readonly Json[] = [
  "array",
  "boolean",
  "integer",
  "null",
  "number",
  "object",
  "string",
];

/** What should be there instead; `undefined` where the value has the form. */
function expectation(form: KeywordForm, value: Json, dialect: Dialect): string | undefined {
  const isSchema = (one: Json | undefined) =>
    isObject(one) || (typeof one === "boolean" && dialect !== "draft-04");
  const isList = (one: Json | undefined) => Array.isArray(one) && one.every(isSchema);
  const unless = (fits: boolean, expected: string) => fits ? undefined : expected;
  switch (form) {
    case "schema":
      return unless(isSchema(value), "a schema");
    case "schema or boolean":
      return unless(isSchema(value) || typeof value === "boolean", "a schema or a boolean");
    case "schemas":
      return unless(isList(value) && (value as Json[]).length > 0, "a list of schemas, not empty");
    case "schema or schemas":
      return unless(isSchema(value) || isList(value), "a schema or a list of schemas");
    case "schema map":
      return unless(everyMember(value, isSchema), "an object of schemas");
    case "dependencies":
      return unless(
        everyMember(value, (one) => isSchema(one) || isStrings(one)),
        "an object of schemas or lists of names",
      );
    case "type":
      return unless(isType(value), `one of ${TYPES.join(", ")}, or a list of them`);
    case "strings":
      return unless(isStrings(value), "a list of names, each once");
    case "strings map":
      return unless(everyMember(value, isStrings), "an object of lists of names");
    case "array":
      return unless(Array.isArray(value), "a list");
    case "count":
      return unless(Number.isInteger(value) && (value as number) >= 0, "a whole number from 0");
    case "number":
      return unless(typeof value === "number", "a number");
    case "positive number":
      return unless(typeof value === "number" && value > 0, "a number above 0");
    case "boolean":
      return unless(typeof value === "boolean", "true or false");
    case "string":
    case "pattern":
      return unless(typeof value === "string", "a string");
  }
}

function everyMember(value: Json, holds: (member: Json | undefined) => boolean): boolean {
  return isObject(value) && Object.values(value).every(holds);
}

function isStrings(value: Json | undefined): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === "string") &&
    new Set(value).size === value.length;
}

function isType(value: Json): boolean {
  if (!Array.isArray(value)) return TYPES.includes(value);
  return value.length > 0 && new Set(value).size === value.length &&
    value.every((item) => TYPES.includes(item));
}

function isPattern(pattern: string): boolean {
  // With "u" as the specification has it, without as most of the world writes it.
  return ["u", ""].some((flags) => attempt(() => new RegExp(pattern, flags)) !== undefined);
}

function mismatch(value: Json, expected: string): string {
  return `found ${show(value)}, expected ${expected}`;
}

/** How much of a value a message repeats. */
const LONGEST_QUOTE = 60;

function show(value: Json): string {
  if (typeof value === "object" && value !== null) {
    return Array.isArray(value) ? `a list of ${value.length}` : "an object";
  }
  return cut(JSON.stringify(value), LONGEST_QUOTE);
}
