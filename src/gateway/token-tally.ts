import { setTimeout } from "node:timers/promises";
import { costedTools, type RegistryCost, registryCost, type Snapshot } from "../gating/gate.ts";
import type { JsonObject } from "../lib/json.ts";
import { toolTokens } from "../registry/source.ts";

/** How long counting keeps the process from anything else at a stretch, in ms. */
const SLICE = 5;
/** Tools between two looks at the clock: less than a millisecond's worth of usual ones. */
const STRIDE = 8;

/**
 * Counts tokens of whole snapshots (estimates) for whoever asks, in slices: thousands of tools take
 * longer than a call may wait. A tool that was counted once is not counted again.
 */
export class TokenTally {
  readonly #costs = new WeakMap<Snapshot, Promise<RegistryCost>>();
  /** By the JSON of each tool of the snapshot that was counted last. */
  #known: ReadonlyMap<string, number> = new Map();
  #last: Promise<unknown> = Promise.resolve();

  /** What the snapshot's views cost. */
  of(registry: Snapshot): Promise<RegistryCost> {
    let cost = this.#costs.get(registry);
    if (cost === undefined) {
      // One after the other, for each starts with what the one before has counted.
      const count = () => this.#count(registry);
      this.#last = cost = this.#last.then(count, count);
      this.#costs.set(registry, cost);
    }
    return cost;
  }

  /** A tool's tokens by its JSON; at once for those of the snapshot that was counted last. */
  tokensOf(raw: string): number {
    return this.#known.get(raw) ?? toolTokens(JSON.parse(raw) as JsonObject);
  }

  async #count(registry: Snapshot): Promise<RegistryCost> {
    const counts = new Map<string, number>();
    let looked = 0;
    let started = performance.now();
    for (const raw of costedTools(registry)) {
      // Finding one again costs something, too, and twenty profiles have most of them twenty times.
      if (++looked % STRIDE === 0 && performance.now() - started > SLICE) {
        // Not setImmediate(): with that Deno reads from no socket in between.
        await setTimeout(0);
        started = performance.now();
      }
      if (counts.has(raw)) continue;
      counts.set(raw, this.tokensOf(raw));
    }
    this.#known = counts;
    return registryCost(registry, (raw) => counts.get(raw)!);
  }
}
