/** Which of several instances of a server gets the next call, as a pure function. */

import type { Phase } from "./state.ts";

/** One instance, as the choice sees it. */
export interface Candidate {
  readonly phase: Phase;
  /** It did not answer as it should of late; used when there is nothing better. */
  readonly suspect: boolean;
  /** Calls it has now. */
  readonly inUse: number;
}

/** Better ones first; one that is closed is never chosen. */
const ORDER: Readonly<Record<Phase, number>> = {
  ready: 0,
  connecting: 1,
  idle: 2,
  backoff: 3,
  closed: Infinity,
};

/**
 * The position of the best candidate: by phase, then not suspect, then with the fewest calls. Among
 * equals it is the first from `turn` on, so that a turn that moves on lets them alternate. Undefined
 * where all are closed or `excluded`.
 */
export function choose<T extends Candidate>(
  candidates: readonly T[],
  turn: number,
  excluded?: ReadonlySet<T>,
): number | undefined {
  let best: number | undefined;
  for (let step = 0; step < candidates.length; step++) {
    const at = (turn + step) % candidates.length;
    const candidate = candidates[at]!;
    if (candidate.phase === "closed" || excluded?.has(candidate)) continue;
    if (best === undefined || isBetter(candidate, candidates[best]!)) best = at;
  }
  return best;
}

function isBetter(a: Candidate, b: Candidate): boolean {
  if (a.phase !== b.phase) return ORDER[a.phase] < ORDER[b.phase];
  if (a.suspect !== b.suspect) return b.suspect;
  return a.inUse < b.inUse;
}

/** The phase of all instances together: that of the best of them. */
export function bestPhase(phases: readonly Phase[]): Phase {
  return OVERALL.find((phase) => phases.includes(phase)) ?? "closed";
}

/** Another order than that of the choice: one that rests does not hide that another one is lost. */
const OVERALL: readonly Phase[] = ["ready", "connecting", "backoff", "idle", "closed"];
