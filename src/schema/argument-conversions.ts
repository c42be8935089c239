/**
 * What servers make of values that are not of the type they ask for. Many convert: pydantic as it
 * comes, zod where it says `coerce`, typed getters as in Go. None tells it in its schema, and a call
 * that the server would have taken must not end here.
 */

import { isObject, type Json, type JsonObject } from "../lib/json.ts";

/** Longer texts are no numbers. Characters. */
const LONGEST_NUMBER = 400;

/** What pydantic reads as a boolean, and nothing. */
const BOOLEAN = /^(?:true|false|yes|no|on|off|[tfyn01])?$/i;

/** Whether a server may well convert this to a value of the type. */
export function mayBecome(value: Json, type: string): boolean {
  if (typeof value !== "string") return type === "boolean" && (value === 0 || value === 1);
  switch (type) {
    case "integer":
      return value.length <= LONGEST_NUMBER && Number.isInteger(Number(value));
    case "number":
      return value.length <= LONGEST_NUMBER && !Number.isNaN(Number(value));
    case "boolean":
      return BOOLEAN.test(value);
    case "null":
      return value === "null";
    // Models and clients write them as text, so that FastMCP reads texts of JSON.
    case "array":
      return startsWith(value, "[");
    case "object":
      return startsWith(value, "{");
    default:
      return false;
  }
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
