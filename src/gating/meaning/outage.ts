import type { EmbeddingsConfig } from "../../config/gating.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../log/mod.ts";

/** The logger, as far as it is used. */
export type SearchLog = Pick<Logger, "info" | "warning">;

/** What an endpoint is asked for; each may fail by itself. */
export type Purpose = "queries" | "tools";

/** What is worse without it. */
const WITHOUT: Readonly<Record<Purpose, string>> = {
  queries: "Search goes",
  tools: "Search finds tools that are new",
};

/** An endpoint that comes and goes fills no log: so long after one outage the next is not told of. */
const QUIET_MS = 10 * 60_000;

/**
 * Says in the log when an endpoint fails, and when it is back: each once, whatever is tried between.
 * Of outages that follow each other closely only one that lasts is told of.
 */
export class Outage {
  readonly #log: SearchLog;
  readonly #clock: Pick<Clock, "now">;
  readonly #about: { readonly model: string; readonly host: string };
  readonly #failing = new Set<Purpose>();
  /** When an outage was told of, by the clock. */
  #toldAt = -Infinity;
  #isTold = false;

  constructor(
    log: SearchLog,
    { model, url }: Pick<EmbeddingsConfig, "model" | "url">,
    clock: Pick<Clock, "now">,
  ) {
    this.#log = log;
    this.#clock = clock;
    // Not more of the URL: it may have a key in it.
    this.#about = { model, host: new URL(url).host };
  }

  /** It did not work. @param reason the end of a sentence */
  down(use: Purpose, reason: string): void {
    this.#failing.add(use);
    const now = this.#clock.now();
    if (this.#isTold || now - this.#toldAt < QUIET_MS) return;
    this.#isTold = true;
    this.#toldAt = now;
    this.#log.warning(`${WITHOUT[use]} by words alone: {model} at {host} {reason}`, {
      ...this.#about,
      reason,
    });
  }

  /** It worked. */
  up(use: Purpose): void {
    if (!this.#failing.delete(use) || this.#failing.size > 0 || !this.#isTold) return;
    this.#isTold = false;
    this.#log.info("Search has the embeddings of {model} at {host} again", this.#about);
  }
}
