/** Holds the arguments of a call against its tool's schema before they travel to the server. */

import { isObject, type Json, type JsonObject } from "../lib/json.ts";
import { rulesOf } from "./argument-rules.ts";
import { checkJsonSchema } from "./check.ts";
import { DEFAULT_DIALECT, type Dialect, dialectOf } from "./dialect.ts";
import { CheckEnded, CheckRun, type Mismatch } from "./run.ts";

/**
 * What is wrong with some arguments, the first ten; empty where nothing is, or where that is for
 * the server to find out. Takes some milliseconds at the very most.
 */
export type ArgumentCheck = (args: JsonObject) => readonly Mismatch[];

/** Larger schemas are not worth reading, characters of JSON. */
export const LONGEST_SCHEMA = 100_000;

/** Most characters of one text of a mismatch. */
const LONGEST_TEXT = 300;

/**
 * The check for a tool's input schema, to be kept: reading the schema takes longer than the check.
 * `undefined` for what is no schema in any dialect it may be meant in, and for one that refers to
 * other documents: a server that takes it knows better.
 *
 * @param more names of arguments that the schema does not list and the call takes all the same
 */
export function argumentCheck(
  schema: Json | undefined,
  more: ReadonlySet<string> = new Set(),
): ArgumentCheck | undefined {
  if (!isObject(schema)) return undefined;
  const dialect = dialectFor(schema);
  if (dialect === undefined) return undefined;
  const rules = rulesOf(schema, dialect, more);
  return (args) => {
    const run = new CheckRun();
    try {
      run.apply(rules, args);
    } catch (error) {
      if (!(error instanceof CheckEnded)) throw error;
    }
    return run.found.map(({ path, problem, expected }) => ({
      path: cut(path),
      problem: cut(problem),
      ...(expected === undefined ? {} : { expected: cut(expected) }),
    }));
  };
}

/** What schemas that do not say it are mostly written in, where they are not of the default. */
const UNSAID: readonly (readonly [uri: string, dialect: Dialect])[] = [
  ["http://json-schema.org/draft-07/schema#", "draft-07"],
  ["http://json-schema.org/draft-04/schema#", "draft-04"],
];

/** The dialect in which a schema is one. */
function dialectFor(schema: JsonObject): Dialect | undefined {
  const { $schema } = schema;
  if (isSound(schema)) {
    return typeof $schema === "string" ? dialectOf($schema) : DEFAULT_DIALECT;
  }
  if ($schema !== undefined) return undefined;
  return UNSAID.find(([uri]) => isSound({ ...schema, $schema: uri }))?.[1];
}

function isSound(schema: JsonObject): boolean {
  return checkJsonSchema(schema).every(({ type }) => type === "pattern" || type === "dialect");
}

function cut(text: string): string {
  return text.length <= LONGEST_TEXT ? text : `${text.slice(0, LONGEST_TEXT)}…`;
}
