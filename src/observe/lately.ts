/** How much there was to do: by the history, or where none is kept by the last calls alone. */

import { hasFailed, type ObservedCall } from "./call.ts";
import { RANGES, trafficOf, type UsageBy, usageIn } from "./history/queries.ts";
import type { Store } from "./history/store.ts";
import type { Observatory } from "./observatory.ts";

const MINUTE = 60_000;

/** What the history answers, where one is kept and can be used. */
export async function fromHistory<T, Asked extends readonly unknown[]>(
  observatory: Observatory,
  query: (store: Store, ...asked: Asked) => T | Promise<T>,
  ...asked: Asked
): Promise<T | undefined> {
  return await (await observatory.history())?.ask((store) => query(store, ...asked));
}

/** Of a range that ends now, step by step. */
export async function trafficOver(observatory: Observatory, range: string) {
  const known = await fromHistory(observatory, trafficOf, RANGES[range]!, Date.now());
  return known ?? trafficIn(observatory.recorder.recent(), RANGES[range]!, Date.now());
}

/** Who was used how much since `from`; the most used first. */
export async function usageOver(observatory: Observatory, by: UsageBy, range: string) {
  const known = await fromHistory(observatory, usageIn, by, RANGES[range]!, Date.now());
  if (known !== undefined) return known;
  const from = Date.now() - RANGES[range]!;
  return {
    from,
    items: usageOfCalls(observatory.recorder.recent({ filter: ({ at }) => at >= from }), by),
  };
}

/** How many, how many of them failed, and how long they took. */
export function loadOf(calls: readonly ObservedCall[]) {
  const times = calls.map(({ ms }) => ms).sort((a, b) => a - b);
  const part = (share: number) => times[Math.ceil(times.length * share) - 1];
  const failed = calls.filter(hasFailed).length;
  return { calls: calls.length, failed, p50: part(0.5), p95: part(0.95) };
}

function trafficIn(calls: readonly ObservedCall[], range: number, now: number) {
  const step = Math.ceil(range / 96 / MINUTE) * MINUTE;
  const count = Math.round(range / step);
  const to = (Math.floor(now / step) + 1) * step;
  const from = to - count * step;
  const shown = calls.filter(({ at }) => at >= from);
  const indexOf = ({ at }: ObservedCall) => Math.min(count - 1, Math.floor((at - from) / step));
  const steps = Map.groupBy(shown, indexOf);
  return {
    ...{ from, to, step, total: loadOf(shown) },
    before: loadOf(calls.filter(({ at }) => at < from && at >= from - count * step)),
    steps: Array.from({ length: count }, (_, index) => ({
      at: from + index * step,
      ...loadOf(steps.get(index) ?? []),
    })),
    servers: new Map(
      Array.from(Map.groupBy(shown, ({ server }) => server), ([name, own]) => {
        const spark: number[] = Array(count).fill(0);
        for (const call of own) spark[indexOf(call)]!++;
        return [name, { total: loadOf(own), spark }];
      }),
    ),
  };
}

function usageOfCalls(calls: readonly ObservedCall[], by: UsageBy) {
  const keyOf = (call: ObservedCall) => by === "tool" ? call.name ?? "" : call[by];
  return Array.from(Map.groupBy(calls, keyOf), ([key, own]) => ({
    key,
    ...loadOf(own),
    toolErrors: own.filter(({ outcome }) => outcome === "tool_error").length,
    bytesOut: own.reduce((sum, { bytesOut }) => sum + bytesOut, 0),
  })).filter(({ key }) => key !== "").sort((a, b) => b.calls - a.calls).slice(0, 500);
}
