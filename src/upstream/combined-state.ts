import { bestPhase } from "./balance.ts";
import type { UpstreamState } from "./state.ts";

/**
 * The state of a server by those of its instances, at least one: the best phase there is, and the
 * restarts of all. Of a single instance it is the very same object.
 */
export function combinedState(states: readonly UpstreamState[]): UpstreamState {
  const phase = bestPhase(states.map((state) => state.phase));
  const best = states.find((state) => state.phase === phase)!;
  if (states.length === 1) return best;
  return {
    ...best,
    restarts: states.reduce((sum, { restarts }) => sum + restarts, 0),
    wasReady: states.some(({ wasReady }) => wasReady),
  };
}
