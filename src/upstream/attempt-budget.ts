/** How often servers that were lost may be tried again, all of them together. */

/** One for the whole gateway: a hundred dying servers must not fork a hundred processes a second. */
export interface AttemptBudget {
  /**
   * Claims the next attempt; returns in how many milliseconds it is due, 0 for at once. Claims are
   * served in their order; one that is not used is lost. `now` is in milliseconds of one clock.
   */
  claim(now: number): number;
}

/** How fast an {@link AttemptBudget} lets attempts pass. */
export interface AttemptBudgetOptions {
  /** Attempts in a second. @default 10 */
  readonly perSecond?: number;
  /** Attempts that may be made at once after a quiet time. @default 20 */
  readonly burst?: number;
}

/**
 * A budget of attempts. The defaults let the loss of a server or of a whole host heal without a
 * wait, and keep a storm under what two cores start without being kept from serving.
 * @throws {RangeError} unless both are at least 1
 */
export function createAttemptBudget(options: AttemptBudgetOptions = {}): AttemptBudget {
  const { perSecond = 10, burst = 20 } = options;
  if (!(perSecond >= 1) || !(burst >= 1)) {
    throw new RangeError(
      `Cannot limit attempts to "${perSecond}/s, burst ${burst}": expected at least 1 of each`,
    );
  }
  const spacing = 1_000 / perSecond;
  /** When the attempt claimed last would be due, had there been no burst. */
  let due = -Infinity;
  return {
    claim(now) {
      due = Math.max(due, now - burst * spacing) + spacing;
      return Math.max(0, Math.ceil(due - now));
    },
  };
}
