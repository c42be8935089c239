/**
 * Tells the eras apart on one HTTP endpoint, from the body first (2026-07-28 basic/versioning):
 * `Mcp-Method` is sent by some legacy clients too, so a header alone never makes a request modern.
 */

import { isObject, type JsonObject } from "../lib/json.ts";
import { MetaKey } from "./envelope.ts";
import { ErrorCode, RpcError } from "./errors.ts";
import { decodeHeaderValue, Header, nameOf } from "./headers.ts";
import type { Message, RequestMessage } from "./message.ts";
import { metaOf } from "./projection.ts";
import { eraOf, MODERN_VERSIONS } from "./versions.ts";

/** Reads a header by its lower-case name. */
export type HeaderReader = (name: string) => string | undefined;

/** What the envelope of a modern request says about its sender. */
export interface Envelope {
  readonly protocolVersion: string;
  readonly capabilities: JsonObject;
  readonly info: JsonObject;
  /** Absent: the client wants no `notifications/message` for this request. */
  readonly logLevel: string | undefined;
}

/**
 * True when a message claims the modern era, by its envelope or, lacking one, by the header. An
 * `initialize` without envelope is legacy by definition.
 */
export function isModern(message: Message, header: HeaderReader): boolean {
  if (message.kind === "response") return false;
  if (metaOf(message.params)[MetaKey.ProtocolVersion] !== undefined) return true;
  if (message.method === "initialize") return false;
  const version = header(Header.ProtocolVersion);
  return version !== undefined && eraOf(version) === "modern";
}

/** No header says anything: a message that did not come by HTTP. */
export const NO_HEADERS: HeaderReader = () => undefined;

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
  return new RpcError(
    ErrorCode.InvalidParams,
    `Invalid params: _meta["${key}"] must be ${expected}`,
  );
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
  const found = sent === undefined ? "is missing" : `says ${JSON.stringify(sent)}`;
  throw new RpcError(
    ErrorCode.HeaderMismatch,
    `Header mismatch: ${name} ${found}; the body says ${JSON.stringify(expected)}`,
  );
}
