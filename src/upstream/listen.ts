import { isObject, type JsonObject } from "../lib/json.ts";
import { nextDelay, STABLE_AFTER } from "./backoff.ts";
import type { Channel } from "./channel.ts";
import { type Clock, pause } from "./clock.ts";
import { messageOf } from "./failures.ts";
import type { UpstreamLog } from "./log.ts";

/** What a `subscriptions/listen` asks for (2026-07-28 subscriptions). */
export type ListenFilter = Readonly<Record<string, true>>;

/** The list changes a modern server says it announces; undefined when it announces none. */
export function listChangedFilter(capabilities: JsonObject): ListenFilter | undefined {
  const filter: Record<string, true> = {};
  for (const name of ["tools", "prompts", "resources"]) {
    const capability = capabilities[name];
    if (isObject(capability) && capability.listChanged === true) {
      filter[`${name}ListChanged`] = true;
    }
  }
  return Object.keys(filter).length === 0 ? undefined : filter;
}

/** What {@link keepListening} needs beside its channel. */
export interface ListenOptions {
  readonly filter: ListenFilter;
  readonly log: UpstreamLog;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** A subscription ended; what changed until the next one holds went unannounced. */
  readonly onGap: () => void;
}

/**
 * Keeps a subscription open on a modern connection until `signal` aborts or the channel closes.
 * A server that refuses it is left alone: its lists then change only with a reconnect.
 */
export async function keepListening(channel: Channel, options: ListenOptions): Promise<void> {
  const { filter, log, clock, signal } = options;
  const params = JSON.stringify({ notifications: filter });
  for (let failures = 0; !signal.aborted && channel.closed === undefined;) {
    const since = clock.now();
    try {
      const response = await channel.request("subscriptions/listen", params, {
        timeout: Infinity,
        signal,
      });
      if (response.error !== undefined) {
        log.debug("The server takes no subscription", { code: response.error.code });
        return;
      }
    } catch (error) {
      if (signal.aborted || channel.closed !== undefined) return;
      log.debug("Subscription ended", { error: messageOf(error) });
    }
    failures = clock.now() - since >= STABLE_AFTER ? 1 : failures + 1;
    await pause(nextDelay(failures + 1, Math.random()), clock, signal);
    if (!signal.aborted) options.onGap();
  }
}
