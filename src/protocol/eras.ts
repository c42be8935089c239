/**
 * Protocol versions and eras. The *legacy* era (… 2025-11-25) has `initialize`, sessions and
 * server-to-client requests; the *modern* era (2026-07-28) is stateless with an envelope in
 * `_meta` of every request.
 */

import { attempt, isObject, type JsonObject } from "../lib/json.ts";
import { ErrorCode, invalidParams, RpcError } from "./errors.ts";
import { type Message, metaOf, type RequestMessage } from "./message.ts";

/** Which generation of the protocol a peer speaks. */
export type Era = "legacy" | "modern";

/** Versions negotiated by `initialize`, oldest first. 2024-10-07 is the pre-release tag. */
export const LEGACY_VERSIONS = [
  "2024-10-07",
  "2024-11-05",
  "2025-03-26",
  "2025-06-18",
  "2025-11-25",
] as const;

/** Versions named in the envelope of each request, oldest first. */
export const MODERN_VERSIONS = ["2026-07-28"] as const;

/** The version offered to an upstream by `initialize`, and to a client that asks for an unknown one. */
export const LATEST_LEGACY_VERSION = "2025-11-25";

/** The version the gateway's own modern requests carry. */
export const LATEST_MODERN_VERSION = "2026-07-28";

/** For a resource that a client cannot have; each era has a code of its own for it. */
export function resourceNotFound(uri: string, why: string, era: Era): RpcError {
  const code = era === "legacy" ? ErrorCode.LegacyResourceNotFound : ErrorCode.InvalidParams;
  return new RpcError(code, why, { uri });
}

/** The version whose transport is HTTP+SSE. */
export const SSE_VERSION = "2024-11-05";

/** The only version with JSON-RPC batches on Streamable HTTP. */
export const BATCH_VERSION = "2025-03-26";

/** The era of a version the gateway speaks, or `undefined` for any other text. */
export function eraOf(version: string): Era | undefined {
  if ((LEGACY_VERSIONS as readonly string[]).includes(version)) return "legacy";
  if ((MODERN_VERSIONS as readonly string[]).includes(version)) return "modern";
  return undefined;
}

/**
 * The version an `initialize` is answered with: the client's own where it is a known legacy one,
 * else the latest legacy one (lifecycle, version negotiation).
 */
export function negotiateVersion(requested: unknown): string {
  return typeof requested === "string" && eraOf(requested) === "legacy"
    ? requested
    : LATEST_LEGACY_VERSION;
}

/**
 * The `_meta` keys of the modern era (2026-07-28, basic/index: request metadata). Every modern
 * request carries the first two; every modern result should carry `serverInfo`.
 */
export const MetaKey = {
  ProtocolVersion: "io.modelcontextprotocol/protocolVersion",
  ClientCapabilities: "io.modelcontextprotocol/clientCapabilities",
  ClientInfo: "io.modelcontextprotocol/clientInfo",
  LogLevel: "io.modelcontextprotocol/logLevel",
  ServerInfo: "io.modelcontextprotocol/serverInfo",
  SubscriptionId: "io.modelcontextprotocol/subscriptionId",
  RelatedTask: "io.modelcontextprotocol/related-task",
  ProgressToken: "progressToken",
} as const;

/** The keys that belong to one hop: never passed to a peer of the other era as they are. */
export const ENVELOPE_KEYS: readonly string[] = [
  MetaKey.ProtocolVersion,
  MetaKey.ClientCapabilities,
  MetaKey.ClientInfo,
  MetaKey.LogLevel,
];

// Tells the eras apart on one HTTP endpoint, from the body first (2026-07-28 basic/versioning):
// `Mcp-Method` is sent by some legacy clients too, so a header alone never makes a request modern.

/** Reads a header by its lower-case name. */
export type HeaderReader = (name: string) => string | undefined;

/** What the envelope of a modern request says about its sender. */
export interface Envelope {
  readonly protocolVersion: string;
  /** What the client declared it can do; requests to it must stay inside. */
  readonly capabilities: JsonObject;
  /** `clientInfo`, `{}` when it gave none. */
  readonly info: JsonObject;
  /** Absent: the client wants no `notifications/message` for this request. */
  readonly logLevel: string | undefined;
}

/**
 * True when a message claims the modern era, by its envelope or, lacking one, by `version`, which
 * the header of that name says. An `initialize` without envelope is legacy by definition.
 */
export function isModern(message: Message, version: string | null = null): boolean {
  if (message.kind === "response") return false;
  const meta = message.params?._meta;
  if (isObject(meta) && meta[MetaKey.ProtocolVersion] !== undefined) return true;
  return version !== null && message.method !== "initialize" && eraOf(version) === "modern";
}

/** No header says anything: a message that did not come by HTTP. */
const NO_HEADERS: HeaderReader = () => undefined;

/**
 * Reads the envelope of a modern request. A header that names another version is the first thing
 * to object to, whatever the version.
 * @throws {RpcError} -32602 where a required key is missing or of the wrong type, -32020 for the
 * header, -32022 for a version the gateway does not speak
 */
export function readEnvelope(request: RequestMessage, header: HeaderReader = NO_HEADERS): Envelope {
  const meta = metaOf(request.params);
  const version = meta[MetaKey.ProtocolVersion];
  if (typeof version !== "string") throw missing(MetaKey.ProtocolVersion, "a string");
  if (header(Header.ProtocolVersion) !== undefined) {
    requireHeader(Header.ProtocolVersion, header, version);
  }
  if (eraOf(version) !== "modern") {
    throw new RpcError(
      ErrorCode.UnsupportedProtocolVersion,
      `Unsupported protocol version "${version}"`,
      { supported: [...MODERN_VERSIONS], requested: version },
    );
  }
  const capabilities = meta[MetaKey.ClientCapabilities];
  if (!isObject(capabilities)) throw missing(MetaKey.ClientCapabilities, "an object");
  const info = meta[MetaKey.ClientInfo];
  if (info !== undefined && !isObject(info)) throw missing(MetaKey.ClientInfo, "an object");
  const logLevel = meta[MetaKey.LogLevel];
  if (logLevel !== undefined && typeof logLevel !== "string") {
    throw missing(MetaKey.LogLevel, "a string");
  }
  return { protocolVersion: version, capabilities, info: info ?? {}, logLevel };
}

function missing(key: string, expected: string): RpcError {
  return invalidParams(`_meta["${key}"] must be ${expected}`);
}

/**
 * Checks that the headers of a modern request say what its body says.
 * @throws {RpcError} -32020
 */
export function checkModernHeaders(
  request: RequestMessage,
  envelope: Envelope,
  header: HeaderReader,
): void {
  requireHeader(Header.ProtocolVersion, header, envelope.protocolVersion);
  requireHeader(Header.Method, header, request.method);
  const name = nameOf(request.method, request.params);
  if (name !== undefined) requireHeader(Header.Name, header, name);
}

function requireHeader(name: string, header: HeaderReader, expected: string): void {
  const sent = header(name);
  if (sent !== undefined && decodeHeaderValue(sent.trim()) === expected) return;
  throw headerMismatch(name, sent, expected);
}

/** The error for a header that does not say what the body says. */
export function headerMismatch(name: string, sent: string | undefined, body: string): RpcError {
  const found = sent === undefined ? "is missing" : `says ${JSON.stringify(sent)}`;
  const message = `Header mismatch: ${name} ${found}; the body says ${JSON.stringify(body)}`;
  return new RpcError(ErrorCode.HeaderMismatch, message);
}

// The HTTP headers a modern request repeats its body in (2026-07-28, transports: request
// metadata), so that a proxy can route without reading the body. A receiver that does read the
// body must refuse a contradiction.

/** Header names, lower case as both runtimes report them. */
export const Header = {
  ProtocolVersion: "mcp-protocol-version",
  Method: "mcp-method",
  Name: "mcp-name",
  SessionId: "mcp-session-id",
  LastEventId: "last-event-id",
} as const;

const NAME_SOURCES: ReadonlyMap<string, string> = new Map([
  ["tools/call", "name"],
  ["prompts/get", "name"],
  ["resources/read", "uri"],
  ["tasks/get", "taskId"],
  ["tasks/update", "taskId"],
  ["tasks/cancel", "taskId"],
]);

/** The body value `Mcp-Name` mirrors, or `undefined` where the method has none. */
export function nameOf(method: string, params: JsonObject | undefined): string | undefined {
  const source = NAME_SOURCES.get(method);
  const value = source === undefined ? undefined : params?.[source];
  return typeof value === "string" ? value : undefined;
}

const SAFE = /^[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?$/;
const SENTINEL = /^=\?base64\?([A-Za-z0-9+/]*={0,2})\?=$/;

/** A header value for any text: itself where it is safe in a header, else the base64 sentinel. */
export function encodeHeaderValue(value: string): string {
  // What looks like the sentinel is encoded, too, or it would be taken for one.
  if (value === "" || (SAFE.test(value) && !isSentinel(value))) return value;
  return `=?base64?${new TextEncoder().encode(value).toBase64()}?=`;
}

/** The text behind a header value, or `undefined` for a sentinel that is not UTF-8 in base64. */
export function decodeHeaderValue(value: string): string | undefined {
  if (!isSentinel(value)) return value;
  const payload = SENTINEL.exec(value)?.[1];
  if (payload === undefined || payload.length % 4 !== 0) return undefined;
  const decoder = new TextDecoder("utf-8", { fatal: true });
  return attempt(() => decoder.decode(Uint8Array.fromBase64(payload)));
}

function isSentinel(value: string): boolean {
  return value.startsWith("=?base64?") && value.endsWith("?=");
}
