import type { EmbeddingsConfig } from "../../config/gating.ts";
import type { Logger } from "../../log/mod.ts";

/** The logger, as far as it is used. */
export type SearchLog = Pick<Logger, "info" | "warning">;

/** What an endpoint is asked for; each may fail by itself. */
export type Use = "queries" | "tools";

/** What is worse without it. */
const WITHOUT: Readonly<Record<Use, string>> = {
  queries: "Search goes",
  tools: "Search finds tools that are new",
};

/** Says in the log when an endpoint fails, and when it is back: each once, whatever is tried between. */
export class Outage {
  readonly #log: SearchLog;
  readonly #about: { readonly model: string; readonly host: string };
  readonly #failing = new Set<Use>();

  constructor(log: SearchLog, { model, url }: Pick<EmbeddingsConfig, "model" | "url">) {
    this.#log = log;
    // Not more of the URL: it may have a key in it.
    this.#about = { model, host: new URL(url).host };
  }

  /** It did not work. @param reason the end of a sentence */
  down(use: Use, reason: string): void {
    const isNews = this.#failing.size === 0;
    this.#failing.add(use);
    if (!isNews) return;
    this.#log.warning(`${WITHOUT[use]} by words alone: {model} at {host} {reason}`, {
      ...this.#about,
      reason,
    });
  }

  /** It worked. */
  up(use: Use): void {
    if (!this.#failing.delete(use) || this.#failing.size > 0) return;
    this.#log.info("Search has the embeddings of {model} at {host} again", this.#about);
  }
}
