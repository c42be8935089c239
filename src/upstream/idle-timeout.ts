import type { ServerConfig } from "../config/config.ts";

/** How long a lazy server that says nothing else stays after its last use, in ms. */
export const LAZY_IDLE_TIMEOUT = 300_000;

/** Milliseconds without use after which a server is stopped; undefined for never. */
export function idleTimeoutOf(
  { idleTimeout, lazy }: Pick<ServerConfig, "idleTimeout" | "lazy">,
): number | undefined {
  return idleTimeout ?? (lazy ? LAZY_IDLE_TIMEOUT : undefined);
}
