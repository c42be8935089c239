/**
 * What has to differ when the two ends speak different eras, and nothing else. Same era on both
 * sides: no edit at all. `docs/eras.md` lists every row in words.
 */

import type { JsonEdit } from "../lib/json-edit.ts";
import { isObject, type JsonObject } from "../lib/json.ts";
import { ENVELOPE_KEYS, MetaKey } from "./envelope.ts";
import { ErrorCode } from "./errors.ts";
import type { Client } from "./exchange.ts";
import { answerable } from "./inputs.ts";
import type { ResponseMessage } from "./message.ts";
import { type Era, LATEST_MODERN_VERSION } from "./versions.ts";

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

const NONE: readonly JsonEdit[] = [];

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

/** The `_meta` of a request's params, `{}` where there is none. */
export function metaOf(params: JsonObject | undefined): JsonObject {
  return isObject(params?._meta) ? params._meta : {};
}
