/** What calls come to: counts that add up over minutes, servers and processes. */

import type { CountedCall } from "../call.ts";
import { BOUNDS } from "../series.ts";

/** In ms. */
export const MINUTE = 60_000;
/** In ms. */
export const HOUR = 60 * MINUTE;

/** All that is added up, by the names of the columns, beside the buckets. */
const SUMS = ["calls", "failed", "sum_ms", "tool_errors", "bytes_out", "repeats"] as const;

/** The tables of counts: what makes a row one, what is added up in it, and of how many ms it is. */
export const TALLIES = {
  minute: { keys: ["at", "server"], sums: SUMS.slice(0, 3), span: MINUTE },
  hour: { keys: ["at", "server", "name", "client"], sums: SUMS, span: HOUR },
} as const;

/** One of {@link TALLIES}. */
export type TallyTable = keyof typeof TALLIES;

/** Columns of one row, by name. */
export type Row = Record<string, number | string | null>;

/** Calls, those neither well nor cancelled nor with a question first, and ms; of none undefined. */
export type Load = Record<"calls" | "failed", number> & Record<"p50" | "p95", number | undefined>;

/** Counts of calls. */
export class Tally implements Record<(typeof SUMS)[number], number> {
  calls = 0;
  failed = 0;
  sum_ms = 0;
  tool_errors = 0;
  bytes_out = 0;
  repeats = 0;
  readonly buckets = noBuckets();

  /** One more. */
  count({ outcome, ms, bytesOut }: CountedCall, isFailed: boolean, isRepeated: boolean): void {
    this.calls++;
    if (isFailed) this.failed++;
    if (isRepeated) this.repeats++;
    if (outcome === "tool_error") this.tool_errors++;
    this.sum_ms += ms;
    this.bytes_out += bytesOut;
    this.buckets[bucketOf(ms)]!++;
  }

  /** What others have counted, or a row says. */
  add(more: Tally | Row): void {
    for (const name of SUMS) this[name] += Number(more[name] ?? 0);
    addBuckets(this.buckets, more["buckets"]);
  }

  get load(): Load {
    const { calls, failed, buckets } = this;
    return { calls, failed, p50: quantile(buckets, 0.5), p95: quantile(buckets, 0.95) };
  }
}

/** Counts of calls, one for each bound, and one above. */
export type Buckets = Uint32Array;

/** None yet. */
export function noBuckets(): Buckets {
  return new Uint32Array(BOUNDS.length + 1);
}

/** Where a call of that many ms is counted. */
export function bucketOf(ms: number): number {
  let at = 0;
  while (ms > BOUNDS[at]! * 1_000) at++;
  return at;
}

/** As they are kept: the counts up to the last that is not 0, which is written as nothing. */
export function bucketsText(buckets: Buckets): string {
  return Array.from(buckets, (count) => count || "").join().replace(/,+$/, "");
}

/** Adds others, or what {@link bucketsText} has written; what is no number counts nothing. */
export function addBuckets(to: Buckets, more: unknown): void {
  const counts = more instanceof Uint32Array ? more : String(more).split(",", to.length);
  for (let at = 0; at < counts.length; at++) to[at]! += Number(counts[at]) || 0;
}

/**
 * The duration, ms, that this part of the calls did not exceed, as if those of a bucket were spread
 * evenly over it. Undefined without calls; above the last bound that bound.
 */
export function quantile(buckets: Buckets, part: number): number | undefined {
  const all = buckets.reduce((sum, count) => sum + count, 0);
  if (all === 0) return undefined;
  let left = part * all;
  for (let at = 0; at < BOUNDS.length; at++) {
    const count = buckets[at]!;
    const [from, to] = [1_000 * (BOUNDS[at - 1] ?? 0), 1_000 * BOUNDS[at]!];
    if (count > 0 && left <= count) return from + (to - from) * Math.max(left, 0) / count;
    left -= count;
  }
  return 1_000 * BOUNDS.at(-1)!;
}
