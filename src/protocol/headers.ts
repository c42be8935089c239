/**
 * The HTTP headers a modern request repeats its body in (2026-07-28, transports: request
 * metadata), so that a proxy can route without reading the body. A receiver that does read the
 * body must refuse a contradiction.
 */

import type { JsonObject } from "../lib/json.ts";

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
  const bytes = new TextEncoder().encode(value);
  return `=?base64?${btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""))}?=`;
}

/** The text behind a header value, or `undefined` for a sentinel that is not UTF-8 in base64. */
export function decodeHeaderValue(value: string): string | undefined {
  if (!isSentinel(value)) return value;
  const payload = SENTINEL.exec(value)?.[1];
  if (payload === undefined || payload.length % 4 !== 0) return undefined;
  try {
    const bytes = Uint8Array.from(atob(payload), (char) => char.charCodeAt(0));
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function isSentinel(value: string): boolean {
  return value.startsWith("=?base64?") && value.endsWith("?=");
}
