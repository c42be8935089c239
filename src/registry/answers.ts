/** What the gateway says about itself, in both eras. */

import { joinBytes } from "../lib/json.ts";
import { VERSION } from "../lib/version.ts";
import { MetaKey, MODERN_VERSIONS } from "../protocol/eras.ts";
import type { CacheHints } from "./lists.ts";
import type { View } from "./types.ts";

/** `serverInfo` of the aggregate. */
export const SERVER_INFO = { name: "mcproxy", title: "mcproxy", version: VERSION } as const;

/** How long a modern client may keep what it was told, where no upstream says less. Milliseconds. */
const DEFAULT_TTL_MS = 5_000;

function serverInfoText(view: View): string {
  return view.serverInfo ?? JSON.stringify(SERVER_INFO);
}

/** The text of an `initialize` result (lifecycle, legacy era). */
export function initializeResult(view: View, protocolVersion: string): string {
  const parts = [
    `"protocolVersion":${JSON.stringify(protocolVersion)}`,
    `"capabilities":${JSON.stringify(view.capabilitiesFor("legacy"))}`,
    `"serverInfo":${serverInfoText(view)}`,
  ];
  return withInstructions(parts, view);
}

/** The text of a `server/discover` result (2026-07-28). */
export function discoverResult(view: View): string {
  const parts = [
    `"supportedVersions":${JSON.stringify(MODERN_VERSIONS)}`,
    `"capabilities":${JSON.stringify(view.capabilitiesFor("modern"))}`,
    modernMembers(view),
  ];
  return withInstructions(parts, view);
}

function withInstructions(parts: readonly string[], { instructions }: View): string {
  const last = instructions === undefined ? [] : [`"instructions":${JSON.stringify(instructions)}`];
  return `{${[...parts, ...last].join(",")}}`;
}

/** The `_meta` member every modern result of the gateway's own should carry. */
export function serverMeta(view: View): string {
  return `"_meta":{${JSON.stringify(MetaKey.ServerInfo)}:${serverInfoText(view)}}`;
}

/** What a modern result of the gateway's own that may be kept says beside its content. */
export function modernMembers(view: View, { ttlMs, cacheScope }: Partial<CacheHints> = {}): string {
  const hints = `"ttlMs":${ttlMs ?? DEFAULT_TTL_MS},"cacheScope":"${cacheScope ?? "private"}"`;
  return `"resultType":"complete",${hints},${serverMeta(view)}`;
}

/** The text of one response on its way to a client; bytes where they are cheaper to send. */
export type Reply = string | Uint8Array<ArrayBuffer>;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The reply as text, for transports that write text. */
export function replyText(reply: Reply): string {
  return typeof reply === "string" ? reply : decoder.decode(reply);
}

/** A text that comes as bytes too, whichever is cheaper to send. */
export interface SplicedBody {
  readonly text: string;
  readonly isNarrow: boolean;
  bytes(): Uint8Array;
}

/** `head` + `body` + `tail`: a string while one byte a character will do, else one buffer. */
export function spliced(head: string, body: SplicedBody, tail: string): Reply {
  if (body.isNarrow) return head + body.text + tail;
  const parts = [encoder.encode(head), body.bytes(), encoder.encode(tail)];
  return joinBytes(parts, parts.reduce((size, { length }) => size + length, 0));
}
