/** What came of calls over a time, from counters that only grow. */

import { Tally } from "../history/tally.ts";
import type { Family, Histogram } from "../series.ts";

/** Of the calls to one server. */
export type Totals = Pick<Tally, "calls" | "failed" | "buckets">;

/** Of all servers, by name. */
export type TotalsByServer = ReadonlyMap<string, Totals>;

/** How many looks a window is made of: more of them make it more exact. */
const LOOKS = 60;

/** Adds up the series of each server. Who cancels a call has not been failed. */
export function totalsOf(operations: Family<Histogram>): TotalsByServer {
  const totals = new Map<string, Tally>();
  for (const [{ server, errorType }, { count, buckets }] of operations) {
    if (server === undefined) continue;
    const own = totals.getOrInsertComputed(server, () => new Tally());
    own.calls += count;
    if (errorType !== undefined && errorType !== "cancelled") own.failed += count;
    buckets.forEach((more, at) => own.buckets[at]! += more);
  }
  return totals;
}

/** Remembers what the counters were, as far back as its span in ms, in so many steps. */
export class Window {
  readonly #looks: { readonly at: number; readonly totals: TotalsByServer }[] = [];

  constructor(private readonly span: number) {}

  /** What was added over the span, or since the first look where that is later. */
  look(at: number, totals: TotalsByServer): (server: string) => Totals {
    const looks = this.#looks;
    const last = looks.at(-1)?.at ?? -Infinity;
    if (at - last >= this.span / LOOKS) looks.push({ at, totals });
    while (looks.length > 1 && looks[1]!.at <= at - this.span) looks.shift();
    const before = looks[0]!.totals;
    return (server) => added(totals.get(server) ?? new Tally(), before.get(server));
  }
}

/** Counters of a server that has been replaced begin anew. */
function added(now: Totals, before: Totals | undefined): Totals {
  if (before === undefined || before.calls > now.calls) return now;
  return {
    calls: now.calls - before.calls,
    failed: Math.max(0, now.failed - before.failed),
    buckets: now.buckets.map((count, at) => Math.max(0, count - before.buckets[at]!)),
  };
}
