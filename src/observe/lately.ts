/** How much there was to do: by the history, or where none is kept by the last calls alone. */

import { hasFailed } from "./call.ts";
import { Pending } from "./history/pending.ts";
import { RANGES, type Tallied, trafficOf, type UsageBy, usageIn } from "./history/queries.ts";
import type { Store } from "./history/store.ts";
import type { Observatory } from "./observatory.ts";

/** What the history answers, where one is kept and can be used. */
export async function fromHistory<T, Asked extends readonly unknown[]>(
  observatory: Observatory,
  query: (store: Store, ...asked: Asked) => T | Promise<T>,
  ...asked: Asked
): Promise<T | undefined> {
  return await (await observatory.history())?.ask((store) => query(store, ...asked));
}

/** Of a range that ends now, step by step. */
export function trafficOver(observatory: Observatory, range: string) {
  return counted(observatory, trafficOf, RANGES[range]!, Date.now());
}

/** Who was used how much over a range that ends now; the most used first. */
export function usageOver(observatory: Observatory, by: UsageBy, range: string) {
  return counted(observatory, usageIn, by, RANGES[range]!, Date.now());
}

/** What the gateway itself takes of a call that a server has answered: the median, ms. */
export function gatewayMs({ recorder }: Observatory): number | undefined {
  const times = recorder.recent({ filter: (call) => call.server !== "" && !hasFailed(call) })
    .map((call) => call.gatewayMs).sort((a, b) => a - b);
  return times[Math.ceil(times.length / 2) - 1];
}

async function counted<T, Asked extends readonly unknown[]>(
  observatory: Observatory,
  query: (tallied: Tallied, ...asked: Asked) => Promise<T>,
  ...asked: Asked
): Promise<T> {
  const known = await fromHistory(observatory, query, ...asked);
  if (known !== undefined) return known;
  const pending = new Pending();
  for (const call of observatory.recorder.recent().reverse()) pending.add(call);
  return await query(pending.take().tallies, ...asked);
}
