import { setImmediate } from "node:timers/promises";
import type { JsonObject } from "../lib/json.ts";
import { costedTools, type RegistryCost, registryCost } from "../registry/gating/cost.ts";
import { toolTokens } from "../registry/tool-tokens.ts";
import type { Registry } from "../registry/types.ts";

/** How long counting keeps the process from anything else at a stretch, in ms. */
const SLICE = 5;
/** Tools between two looks at the clock: less than a millisecond's worth of usual ones. */
const STRIDE = 8;

/**
 * Counts tokens of whole snapshots (estimates) for whoever asks, in slices: thousands of tools take
 * longer than a call may wait. A tool that was counted once is not counted again.
 */
export class TokenTally {
  readonly #costs = new WeakMap<Registry, Promise<RegistryCost>>();
  /** By the JSON of each tool of the snapshot that was counted last. */
  #known: ReadonlyMap<string, number> = new Map();
  #last: Promise<unknown> = Promise.resolve();

  /** What the snapshot's views cost. */
  of(registry: Registry): Promise<RegistryCost> {
    let cost = this.#costs.get(registry);
    if (cost === undefined) {
      // One after the other, for each starts with what the one before has counted.
      const count = () => this.#count(registry);
      this.#last = cost = this.#last.then(count, count);
      this.#costs.set(registry, cost);
    }
    return cost;
  }

  async #count(registry: Registry): Promise<RegistryCost> {
    const counts = new Map<string, number>();
    let counted = 0;
    let started = performance.now();
    for (const raw of costedTools(registry)) {
      if (counts.has(raw)) continue;
      const known = this.#known.get(raw);
      counts.set(raw, known ?? toolTokens(JSON.parse(raw) as JsonObject));
      if (known === undefined && ++counted % STRIDE === 0 && performance.now() - started > SLICE) {
        await setImmediate();
        started = performance.now();
      }
    }
    this.#known = counts;
    return registryCost(registry, (raw) => counts.get(raw)!);
  }
}
