import { isObject, type Json, type JsonObject, parsedText } from "../lib/json.ts";
import { cut } from "../lib/text.ts";
import type { Client, Exchange } from "../protocol/exchange.ts";
import { idTextOf, resultResponse } from "../protocol/message.ts";
import { serverMeta } from "../registry/answers.ts";
import type { View } from "../registry/types.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Gate, Snapshot } from "./gate.ts";

/** One call of a meta tool, in one snapshot. */
export interface MetaCall {
  readonly client: Client;
  readonly endpoint: Endpoint;
  readonly registry: Snapshot;
  /** The gate of the endpoint: only what is behind it exists for this call. */
  readonly gate: Gate;
  readonly args: JsonObject;
}

// Reads the arguments of meta tools as models write them: numbers as text, one string for a list of
// one, `null` for nothing. What is not asked for is not looked at.

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
  const value = typeof given === "string" ? parsedText(given) : given;
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
  if (texts.some((one) => typeof one === "object")) {
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
  if (list.some((one) => typeof one === "object")) {
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
  const list = value.trimStart().startsWith("[") ? parsedText(value) : undefined;
  return Array.isArray(list) ? list : value.split(",");
}

function shown(value: Json): string {
  if (Array.isArray(value)) return "a list";
  if (value !== null && typeof value === "object") return "an object";
  return cut(JSON.stringify(value), 40);
}

/** What a meta tool answers. */
export interface MetaResult {
  /** For the model. */
  readonly text: string;
  /** The same as data. */
  readonly structured?: JsonObject;
  /** The model has made a mistake it can mend: `text` says how. */
  readonly isError?: boolean;
}

/** The response to a call of a meta tool, as a client of either era gets it (server/tools: results). */
export function metaReply(
  { client, request }: Pick<Exchange, "client" | "request">,
  view: View,
  { text, structured, isError = false }: MetaResult,
): string {
  const parts = [
    `"content":[${wellFormed({ type: "text", text })}]`,
    ...(structured === undefined ? [] : [`"structuredContent":${wellFormed(structured)}`]),
    `"isError":${isError}`,
    ...(client.era === "legacy" ? [] : ['"resultType":"complete"', serverMeta(view)]),
  ];
  return resultResponse(idTextOf(request), `{${parts.join(",")}}`);
}

/**
 * JSON that every parser takes: some refuse a message for half a character, and of what models and
 * servers write, not all is whole, nor is what was cut.
 */
function wellFormed(value: JsonObject): string {
  const text = JSON.stringify(value);
  if (!text.includes("\\ud")) return text;
  return JSON.stringify(
    value,
    (_key, part: unknown) => typeof part === "string" ? part.toWellFormed() : part,
  );
}

/** A mistake of the model, in words it can mend it by. */
export function mistake(text: string, structured?: JsonObject): MetaResult {
  return { text, isError: true, ...(structured === undefined ? {} : { structured }) };
}
