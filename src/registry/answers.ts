/** What the gateway says about itself, in both eras. */

import { VERSION } from "../lib/version.ts";
import { MetaKey } from "../protocol/envelope.ts";
import { MODERN_VERSIONS } from "../protocol/versions.ts";
import type { View } from "./types.ts";

/** `serverInfo` of the aggregate. */
export const SERVER_INFO = { name: "mcproxy", title: "mcproxy", version: VERSION } as const;

/** How long a modern client may keep what it was told, where no upstream says less. Milliseconds. */
export const DEFAULT_TTL_MS = 5_000;

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
  if (view.instructions !== undefined) {
    parts.push(`"instructions":${JSON.stringify(view.instructions)}`);
  }
  return `{${parts.join(",")}}`;
}

/** The text of a `server/discover` result (2026-07-28). */
export function discoverResult(view: View): string {
  const parts = [
    '"resultType":"complete"',
    `"supportedVersions":${JSON.stringify(MODERN_VERSIONS)}`,
    `"capabilities":${JSON.stringify(view.capabilitiesFor("modern"))}`,
    `"ttlMs":${DEFAULT_TTL_MS},"cacheScope":"private"`,
    serverMeta(view),
  ];
  if (view.instructions !== undefined) {
    parts.push(`"instructions":${JSON.stringify(view.instructions)}`);
  }
  return `{${parts.join(",")}}`;
}

/** The `_meta` member every modern result of the gateway's own should carry. */
export function serverMeta(view: View): string {
  return `"_meta":{${JSON.stringify(MetaKey.ServerInfo)}:${serverInfoText(view)}}`;
}
