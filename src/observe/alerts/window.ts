/** What came of calls over a time, from counters that only grow. */

import { type Buckets, noBuckets } from "../history/tally.ts";
import { BOUNDS, type Family, type Histogram } from "../series.ts";

/** Of the calls to one server. */
export interface Totals {
  calls: number;
  failed: number;
  readonly buckets: Buckets;
}

/** Of all servers, by name. */
export type TotalsByServer = ReadonlyMap<string, Totals>;

/** How many looks a window is made of: more of them make it more exact. */
const LOOKS = 60;

/** Adds up the series of each server. Who cancels a call has not been failed. */
export function totalsOf(operations: Family<Histogram>): TotalsByServer {
  const totals = new Map<string, Totals>();
  for (const [{ server, errorType }, { buckets }] of operations) {
    if (server === undefined) continue;
    const own = totals.getOrInsertComputed(server, none);
    const isFailed = errorType !== undefined && errorType !== "cancelled";
    for (let at = 0; at <= BOUNDS.length; at++) {
      own.calls += buckets[at]!;
      if (isFailed) own.failed += buckets[at]!;
      own.buckets[at]! += buckets[at]!;
    }
  }
  return totals;
}

function none(): Totals {
  return { calls: 0, failed: 0, buckets: noBuckets() };
}

/** Remembers what the counters were, as far back as its span in ms, in so many steps. */
export class Window {
  readonly #looks: { readonly at: number; readonly totals: TotalsByServer }[] = [];

  constructor(private readonly span: number) {}

  /** What was added over the span, or since the first look where that is later. */
  look(at: number, totals: TotalsByServer): (server: string) => Totals {
    const looks = this.#looks;
    if (looks.length === 0 || at - looks.at(-1)!.at >= this.span / LOOKS) {
      looks.push({ at, totals });
    }
    while (looks.length > 1 && looks[1]!.at <= at - this.span) looks.shift();
    const before = looks[0]!.totals;
    return (server) => added(totals.get(server) ?? none(), before.get(server));
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
