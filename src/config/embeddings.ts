import { isLoopback } from "../lib/loopback.ts";
import type { IssueCollector } from "./collector.ts";
import type { EmbeddingsConfig } from "./gating.ts";

/** Warns of a key that anybody on the way to the endpoint could read. */
export function warnBareKey(
  { url, apiKey }: EmbeddingsConfig,
  collector: Pick<IssueCollector, "warn">,
): void {
  const { protocol, hostname, username, password } = new URL(url);
  const hasSecret = apiKey !== undefined || username !== "" || password !== "";
  if (!hasSecret || protocol !== "http:" || isLoopback(hostname)) return;
  collector.warn(["embeddings", "url"], "its key crosses the network unencrypted", {
    remedy: "use https, or an endpoint on this machine",
  });
}
