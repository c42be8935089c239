/**
 * What has to differ when the two ends speak different eras, and nothing else. Same era on both
 * sides: no edit at all. `docs/eras.md` lists every row in words.
 */

import { type JsonEdit, rawAt } from "../lib/json-edit.ts";
import { isObject, type Json, type JsonObject } from "../lib/json.ts";
import { DEFAULT_DIALECT, KEYWORDS } from "../schema/dialect.ts";
import { ENVELOPE_KEYS, type Era, LATEST_MODERN_VERSION, MetaKey } from "./eras.ts";
import { ErrorCode } from "./errors.ts";
import type { Client } from "./exchange.ts";
import { answerable } from "./inputs.ts";
import type { ListItem, ListKind } from "./lists.ts";
import type { ResponseMessage } from "./message.ts";

/** The envelope a modern request must carry, as edits of the request (basic/index 2026-07-28). */
export function envelopeEdits(
  info: JsonObject,
  capabilities: JsonObject,
  logLevel?: string,
): readonly JsonEdit[] {
  const set = (key: string, value: unknown): JsonEdit => ({
    path: ["params", "_meta", key],
    value: JSON.stringify(value),
  });
  return [
    set(MetaKey.ProtocolVersion, LATEST_MODERN_VERSION),
    set(MetaKey.ClientCapabilities, capabilities),
    set(MetaKey.ClientInfo, info),
    ...(logLevel === undefined ? [] : [set(MetaKey.LogLevel, logLevel)]),
  ];
}

/**
 * How a client introduces itself to an upstream. Strict servers refuse a `clientInfo` that lacks
 * name or version (they may do without it, but not with half of it); `gateway` then stands in.
 */
export function introduction(client: Client, gateway: JsonObject): JsonObject {
  const { name, version } = client.info;
  return typeof name === "string" && typeof version === "string" ? client.info : gateway;
}

/**
 * Edits that carry a client's request into the era of the upstream. A modern upstream is told of
 * what the gateway can bridge of a legacy client's capabilities, and of no more; `gateway` is the
 * gateway's own `clientInfo`, see {@link introduction}.
 */
export function requestEdits(
  client: Client,
  upstream: Era,
  gateway: JsonObject,
): readonly JsonEdit[] {
  if (client.era === upstream) return NONE;
  if (upstream === "legacy") return WITHOUT_ENVELOPE;
  return envelopeEdits(
    introduction(client, gateway),
    answerable(client.capabilities),
    client.logLevel,
  );
}

/** Edits that carry an upstream's response to `method` into the era of the client. */
export function responseEdits(
  response: ResponseMessage,
  method: string,
  upstream: Era,
  client: Era,
): readonly JsonEdit[] {
  if (upstream === client) return NONE;
  const { result, error } = response;
  if (result !== undefined) {
    return client === "modern" ? modernResult(result, method) : LEGACY_RESULT;
  }
  // -32002 exists only before 2026-07-28; the other direction needs nothing, old clients know both.
  return client === "modern" && error?.code === ErrorCode.LegacyResourceNotFound
    ? [{ path: ["error", "code"], value: String(ErrorCode.InvalidParams) }]
    : NONE;
}

const WITHOUT_ENVELOPE: readonly JsonEdit[] = ENVELOPE_KEYS.map((key) => ({
  path: ["params", "_meta", key],
  value: undefined,
}));

/** The strict empty-result schema of old SDKs refuses a `resultType`. */
const LEGACY_RESULT: readonly JsonEdit[] = ["resultType", "ttlMs", "cacheScope"].map((key) => ({
  path: ["result", key],
  value: undefined,
}));

/** Methods whose modern results must say how long they may be cached (SEP-2549). */
const CACHEABLE = new Set(["resources/read"]);

function modernResult(result: JsonObject, method: string): readonly JsonEdit[] {
  const edits: JsonEdit[] = [];
  if (result.resultType === undefined) {
    edits.push({ path: ["result", "resultType"], value: '"complete"' });
  }
  if (CACHEABLE.has(method)) {
    // A legacy upstream never said it may be kept, so it may not.
    if (result.ttlMs === undefined) edits.push({ path: ["result", "ttlMs"], value: "0" });
    if (result.cacheScope === undefined) {
      edits.push({ path: ["result", "cacheScope"], value: '"private"' });
    }
  }
  return edits;
}

// How an entry of a list is shown to a client of the other era. Only tools differ: `execution`
// (2025-11-25, tasks) does not exist in 2026-07-28, and an `outputSchema` whose root is no object
// does not exist before it (SEP-2106). `docs/eras.md` has the rows.

const NONE: readonly JsonEdit[] = [];

/** Edits of one entry on its way from one era to another; none within an era. */
export function itemEdits(
  kind: ListKind,
  { raw }: Pick<ListItem, "raw">,
  from: Era,
  to: Era,
): readonly JsonEdit[] {
  if (kind !== "tools" || from === to) return NONE;
  if (to === "modern") {
    // Parsing every tool would cost more than the rest of a build.
    return raw.includes('"execution"') && rawAt(raw, ["execution"]) !== undefined
      ? [{ path: ["execution"], value: undefined }]
      : NONE;
  }
  return wrapsOutput(raw)
    ? [{ path: ["outputSchema"], value: wrappedSchema(rawAt(raw, ["outputSchema"])!) }]
    : NONE;
}

/**
 * Whether this tool of a modern server is shown to legacy clients with a wrapped output schema, so
 * that its `structuredContent` has to be wrapped too.
 */
export function wrapsOutput(toolText: string): boolean {
  if (!toolText.includes('"outputSchema"')) return false;
  const { outputSchema } = JSON.parse(toolText) as JsonObject;
  return isObject(outputSchema) && outputSchema.type !== "object";
}

/**
 * Edits that give a legacy client the `structuredContent` its era has: always an object.
 * `wrapped` says what {@link wrapsOutput} said of the tool; a value that is no object is wrapped
 * even where the tool declared no schema at all.
 */
export function structuredContentEdits(
  { raw, result }: ResponseMessage,
  wrapped: boolean,
): readonly JsonEdit[] {
  const content = result?.structuredContent;
  if (content === undefined || (!wrapped && isObject(content))) return NONE;
  const path = ["result", "structuredContent"];
  return [{ path, value: `{"result":${rawAt(raw, path)!}}` }];
}

/** Where the schema itself stands inside its wrapper. */
const MOVED = "#/properties/result";

/** The text of `{type:"object"}` with the schema as its only, required property `result`. */
function wrappedSchema(text: string): string {
  const schema = JSON.parse(text) as JsonObject;
  const dialect = typeof schema.$schema === "string"
    ? `"$schema":${JSON.stringify(schema.$schema)},`
    : "";
  // Written anew only where a reference has to follow: the text may hold numbers we cannot.
  const inner = /"\$(?:ref|dynamicRef|recursiveRef)"/.test(text)
    ? JSON.stringify(movedSchema(schema))
    : text;
  return `{${dialect}"type":"object","properties":{"result":${inner}},"required":["result"]}`;
}

/** Keywords whose value is data: a `$ref` in there is no reference. */
const DATA = new Set(["const", "enum", "default", "examples"]);
/** Keywords whose value maps names to schemas: a name in there is no keyword. */
function namesSchemas(keyword: string): boolean {
  const form = KEYWORDS[DEFAULT_DIALECT].get(keyword);
  return form === "schema map" || form === "dependencies";
}

/** The schema with its references to its own root following it to {@link MOVED}. */
function movedSchema(node: Json): Json {
  if (Array.isArray(node)) return node.map(movedSchema);
  // A schema with an address of its own is what its references start from, wherever it stands.
  if (!isObject(node) || (typeof node.$id === "string" && !node.$id.startsWith("#"))) return node;
  return Object.fromEntries(
    Object.entries(node).map(([key, value]): [string, Json] => {
      if (value === undefined || DATA.has(key)) return [key, value ?? null];
      if (namesSchemas(key) && isObject(value)) {
        const named = Object.entries(value);
        return [
          key,
          Object.fromEntries(named.map(([name, one]) => [name, movedSchema(one ?? null)])),
        ];
      }
      if (typeof value !== "string") return [key, movedSchema(value)];
      switch (key) {
        case "$ref":
        case "$dynamicRef":
          return [key, movedReference(value)];
        case "$recursiveRef":
          // 2019-09: without an anchor in the root the same as a plain reference to it.
          return Object.hasOwn(node, "$ref") ? [key, value] : ["$ref", movedReference(value)];
        default:
          return [key, value];
      }
    }),
  );
}

function movedReference(reference: string): string {
  return reference === "#" || reference.startsWith("#/")
    ? `${MOVED}${reference.slice(1)}`
    : reference;
}
