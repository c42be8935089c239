/**
 * Protocol versions and eras. The *legacy* era (… 2025-11-25) has `initialize`, sessions and
 * server-to-client requests; the *modern* era (2026-07-28) is stateless with an envelope in
 * `_meta` of every request.
 */

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

/** What a Streamable HTTP request without `MCP-Protocol-Version` means (2025-03-26 transports). */
export const ASSUMED_HTTP_VERSION = "2025-03-26";

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
