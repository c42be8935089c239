/**
 * `Mcp-Param-*` headers (2026-07-28, Streamable HTTP: custom headers from tool parameters,
 * SEP-2243): arguments that a tool's `inputSchema` marks with `x-mcp-header` are repeated in HTTP
 * headers. Pure; the tool is the one of the peer the headers go to or come from.
 */

import { isObject, type Json, type JsonObject, valueAt } from "../lib/json.ts";
import { DEFAULT_DIALECT, KEYWORDS } from "../schema/dialect.ts";
import { decodeHeaderValue, encodeHeaderValue, headerMismatch, type HeaderReader } from "./eras.ts";
import type { Inventory } from "./lists.ts";

/** Cheap look at a tool's text: without this there is nothing to read. */
export const PARAM_HEADER_KEY = "x-mcp-header";

const PREFIX = "mcp-param-";

/** One argument that is repeated in a header. */
export interface ParamHeader {
  /** The whole name of the header, lower case. */
  readonly header: string;
  /** Where the argument is, from the root of `arguments`. */
  readonly path: readonly string[];
  readonly isNumeric: boolean;
}

/** What a schema declares. */
export interface ParamHeaders {
  readonly declared: readonly ParamHeader[];
  /** Why the declarations, and so the tool, are invalid for HTTP; undefined when they are not. */
  readonly problem: string | undefined;
}

/** A field name (RFC 9110, section 5.1). */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Deeper schemas are taken as invalid: no client reads that far. */
const MAX_DEPTH = 64;

/** Reads the declarations of a tool's `inputSchema`. Never throws. */
export function readParamHeaders(inputSchema: Json | undefined): ParamHeaders {
  const declared: ParamHeader[] = [];
  const seen = new Set<string>();
  let problem: string | undefined;
  const fault = (path: readonly string[], why: string) => {
    problem ??= `${path.join(".") || "the root"}: ${why}`;
  };
  const declare = (schema: JsonObject, path: readonly string[], reachable: boolean) => {
    const name = schema[PARAM_HEADER_KEY];
    if (!reachable || path.length === 0) {
      return fault(path, `"${PARAM_HEADER_KEY}" is allowed only below "properties"`);
    }
    if (typeof name !== "string" || !TOKEN.test(name)) {
      return fault(path, `"${PARAM_HEADER_KEY}" must be the name of an HTTP header`);
    }
    const header = PREFIX + name.toLowerCase();
    if (seen.has(header)) return fault(path, `"${PARAM_HEADER_KEY}" is ${name} a second time`);
    const { type } = schema;
    const isNumeric = type === "integer" || type === "number";
    if (type !== "string" && type !== "boolean" && type !== "integer") {
      fault(path, `"${PARAM_HEADER_KEY}" needs a type of string, integer or boolean`);
      // Such a tool must not be offered; a client that calls it all the same sends the header.
      if (!isNumeric) return;
    }
    seen.add(header);
    declared.push({ header, path, isNumeric });
  };
  const visit = (schema: Json | undefined, path: readonly string[], reachable: boolean) => {
    if (!isObject(schema)) return;
    if (path.length > MAX_DEPTH) return fault(path.slice(0, 3), "nested too deeply");
    if (Object.hasOwn(schema, PARAM_HEADER_KEY)) declare(schema, path, reachable);
    for (const [keyword, value] of Object.entries(schema)) {
      const form = KEYWORDS[DEFAULT_DIALECT].get(keyword);
      if (form === "schema map") {
        const below = reachable && keyword === "properties";
        if (!isObject(value)) continue;
        for (const [key, child] of Object.entries(value)) visit(child, [...path, key], below);
      } else if (form?.startsWith("schema")) {
        const inner = [...path, `<${keyword}>`];
        for (const child of Array.isArray(value) ? value : [value]) visit(child, inner, false);
      }
    }
  };
  visit(inputSchema, [], true);
  return { declared, problem };
}

/** The headers of a call, by lower-case name, as its tool declares them. */
export function headersOf(
  declared: readonly ParamHeader[],
  args: JsonObject | undefined,
): Map<string, string> {
  const headers = new Map<string, string>();
  for (const { header, path } of declared) {
    const text = textOf(valueAt(args, path));
    if (text !== undefined) headers.set(header, encodeHeaderValue(text));
  }
  return headers;
}

/**
 * Checks that the headers of a call say what its arguments say. `header` reads by lower-case name.
 * @throws {RpcError} -32020
 */
export function checkParamHeaders(
  declared: readonly ParamHeader[],
  args: JsonObject | undefined,
  header: HeaderReader,
): void {
  for (const { header: name, path, isNumeric } of declared) {
    const value = valueAt(args, path);
    const expected = textOf(value);
    // Absent or null: no header is expected. No primitive: that is the tool's to refuse.
    if (expected === undefined) continue;
    const sent = header(name);
    const decoded = sent === undefined ? undefined : decodeHeaderValue(sent.trim());
    if (decoded === expected) continue;
    // An integer compares as a number: 42.0 is 42 (server validation).
    const isEqual = isNumeric && typeof value === "number" && decoded !== undefined &&
      /^-?\d+(\.\d+)?$/.test(decoded) && Number(decoded) === value;
    if (isEqual) continue;
    throw headerMismatch(name, sent, expected);
  }
}

function textOf(value: Json | undefined): string | undefined {
  if (typeof value === "string") return value.toWellFormed();
  if (typeof value === "boolean") return String(value);
  const isExact = !Number.isInteger(value) || Number.isSafeInteger(value);
  return Number.isFinite(value) && isExact ? String(value) : undefined;
}

type Declared = ReadonlyMap<string, readonly ParamHeader[]>;

const known = new WeakMap<Inventory, Declared>();

/**
 * Which arguments of a tool are repeated in headers, by the tool's own name; read once per
 * inventory, and of the few tools only that say so.
 */
export function declaredHeaders(inventory: Inventory, tool: string): readonly ParamHeader[] {
  return known.getOrInsertComputed(inventory, readDeclared).get(tool) ?? [];
}

function readDeclared({ lists: { tools } }: Inventory): Declared {
  const concerned = tools.items.filter(({ raw }) => raw.includes(PARAM_HEADER_KEY));
  return new Map(concerned.map(({ key, raw }) => {
    const { declared, problem } = readParamHeaders((JSON.parse(raw) as JsonObject).inputSchema);
    return [key, problem === undefined ? declared : []];
  }));
}

/** Why a client over modern HTTP must not offer this tool, or `undefined` (SEP-2243). */
export function headerProblem(raw: string): string | undefined {
  return raw.includes(PARAM_HEADER_KEY)
    ? readParamHeaders((JSON.parse(raw) as JsonObject).inputSchema).problem
    : undefined;
}
