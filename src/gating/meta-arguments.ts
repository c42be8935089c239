/**
 * Reads the arguments of meta tools as models write them: numbers as text, one string for a list of
 * one, `null` for nothing. What is not asked for is not looked at.
 */

import { isObject, type Json, type JsonObject } from "../lib/json.ts";

/** An argument that cannot be meant; the message is for the model. */
export class ArgumentMistake extends Error {
  override readonly name = "ArgumentMistake";
}

/**
 * The arguments of a `tools/call`.
 * @throws {ArgumentMistake} where they are no object, and no text of one
 */
export function readMetaArguments(given: Json | undefined): JsonObject {
  if (given === undefined || given === null || given === "") return {};
  const value = typeof given === "string" ? parsed(given) : given;
  if (isObject(value)) return value;
  throw new ArgumentMistake(`"arguments" must be an object; got ${shown(given)}`);
}

/**
 * A text, trimmed; `undefined` for none and for blanks.
 * @throws {ArgumentMistake}
 */
export function readString(args: JsonObject, name: string): string | undefined {
  const value = args[name];
  if (value === undefined || value === null) return undefined;
  const texts = Array.isArray(value) ? value : [value];
  if (texts.some(isNoScalar)) {
    throw new ArgumentMistake(`"${name}" must be a string; got ${shown(value)}`);
  }
  const text = texts.join(" ").trim();
  return text === "" ? undefined : text;
}

/**
 * Texts, in order and each once: a list, or one string, which may be JSON or separated by commas.
 * @throws {ArgumentMistake}
 */
export function readTexts(args: JsonObject, name: string): readonly string[] {
  const value = args[name];
  if (value === undefined || value === null) return [];
  const list = Array.isArray(value) ? value : listOf(value);
  if (list.some(isNoScalar)) {
    throw new ArgumentMistake(`"${name}" must be a list of strings; got ${shown(value)}`);
  }
  return [...new Set(list.map((one) => String(one).trim()).filter((one) => one !== ""))];
}

/**
 * A whole number, brought into its bounds; `undefined` for none.
 * @throws {ArgumentMistake}
 */
export function readCount(
  args: JsonObject,
  name: string,
  { least, most }: { readonly least: number; readonly most: number },
): number | undefined {
  const value = args[name];
  if (value === undefined || value === null || value === "") return undefined;
  const number = typeof value === "string" ? Number(value) : value;
  if (typeof number !== "number" || Number.isNaN(number)) {
    throw new ArgumentMistake(`"${name}" must be a whole number; got ${shown(value)}`);
  }
  return Math.trunc(Math.min(most, Math.max(least, number)));
}

function listOf(value: Json): readonly Json[] {
  if (typeof value !== "string") return [value];
  const list = value.trimStart().startsWith("[") ? parsed(value) : undefined;
  return Array.isArray(list) ? list : value.split(",");
}

function parsed(text: string): Json | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isNoScalar(value: Json): boolean {
  return typeof value === "object";
}

function shown(value: Json): string {
  if (Array.isArray(value)) return "a list";
  if (value !== null && typeof value === "object") return "an object";
  const text = JSON.stringify(value);
  return text.length <= 40 ? text : `${text.slice(0, 40)}…`;
}
