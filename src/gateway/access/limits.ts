/** How much a principal may do: asked before each call, where the configuration has limits. */

import type { Config, LimitsConfig, Rate } from "../../config/types.ts";
import type { Endpoint } from "../../gating/endpoint.ts";
import { TokenBucket } from "../../lib/rate-limit.ts";
import { putLast } from "../../lib/recent.ts";
import { plural } from "../../lib/text.ts";
import { ErrorCode, RpcError } from "../../protocol/errors.ts";
import type { Exchange } from "../../protocol/exchange.ts";

/** For a request that may come again: HTTP has a status for it, and `Retry-After`. */
export class LaterError extends RpcError {
  constructor(readonly status: 429 | 503, message: string, readonly seconds: number) {
    super(status === 429 ? ErrorCode.LimitReached : ErrorCode.InternalError, message);
  }
}

/** What is a call here; lists are answered from memory. */
export const COUNTED: ReadonlySet<string> = new Set([
  "tools/call",
  "prompts/get",
  "resources/read",
]);

const SECONDS = { second: 1, minute: 60, hour: 3_600 } as const;

/** Principals that are counted at a time; whoever has been quiet the longest is forgotten. */
const MOST = 10_000;

/** Counts what is allowed by the time, for as long as the same is allowed. */
class Meter {
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(readonly rate: Rate, private readonly most: number) {}

  /** Takes one for somebody; milliseconds to wait where there is none left. */
  take(who: string, now: number): number {
    const { count, per } = this.rate;
    const ratePerSecond = count / SECONDS[per];
    const bucket = this.#buckets.get(who) ??
      new TokenBucket({ ratePerSecond, burst: Math.max(5, ratePerSecond * 10), now });
    putLast(this.#buckets, who, bucket, this.most);
    return bucket.take(now).allowed ? 0 : bucket.wait;
  }
}

/**
 * What counts at an endpoint, and what it is counted with: what its profile says is counted apart
 * from everything else.
 */
export function limitAt<Key extends keyof LimitsConfig>(
  key: Key,
  { profile }: Endpoint,
  { limits, profiles }: Pick<Config["settings"], "limits" | "profiles">,
) {
  const own = profile === undefined
    ? undefined
    : profiles.find(({ name }) => name === profile)?.limits?.[key];
  return own === undefined
    ? { value: limits?.[key], scope: "" }
    : { value: own, scope: `profile ${profile}\0` };
}

/** A call in flight, and what keeps its place: its exchange, the state that it is parked under. */
interface CallPlace {
  readonly key: string;
  holders: number;
}

/** The limits of a configuration, as it is now. What is the same after a reload is counted on. */
export class Limits {
  readonly #meters = new Map<string, Meter>();
  readonly #inFlight = new Map<string, number>();
  /** By the exchange; and where the call waits for its client's next one, by its `requestState`. */
  readonly #places = new Map<Exchange | string, CallPlace>();

  constructor(
    private readonly config: () => Pick<Config, "settings" | "servers">,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Counts a call that has come. @throws {LaterError} where there are too many */
  enter(exchange: Exchange, endpoint: Endpoint): void {
    if (!COUNTED.has(exchange.request.method)) return;
    const { settings } = this.config();
    const who = exchange.client.principal?.id ?? "";
    const concurrent = limitAt("concurrent", endpoint, settings);
    const key = concurrent.scope + who;
    const inFlight = this.#inFlight.get(key) ?? 0;
    const state = exchange.request.params?.requestState;
    const parked = typeof state === "string" ? this.#places.get(state) : undefined;
    // Who comes back to a call has its place, once at a time: it may not be for that call after all.
    const own = parked?.key === key && parked.holders === 1 ? parked : undefined;
    if (own === undefined && concurrent.value !== undefined && inFlight >= concurrent.value) {
      throw reached(`${plural(concurrent.value, "call")} at a time`, 0);
    }
    const calls = limitAt("calls", endpoint, settings);
    if (calls.value !== undefined) this.#take(calls.scope, calls.value, who, "");
    // Counted also without a limit: a reload may bring one.
    const place = own ?? { key, holders: 0 };
    if (own === undefined) this.#inFlight.set(key, inFlight + 1);
    place.holders++;
    this.#places.set(exchange, place);
  }

  /** A call waits for its client to come back with this state: until {@link leave} it is in flight. */
  park(exchange: Exchange, state: string): void {
    const place = this.#places.get(exchange);
    if (place === undefined) return;
    place.holders++;
    this.#places.set(state, place);
  }

  /** A call has ended, or was never one; one that was parked has, or goes on. */
  leave(one: Exchange | string): void {
    const place = this.#places.get(one);
    if (place === undefined) return;
    this.#places.delete(one);
    if (--place.holders > 0) return;
    const { key } = place;
    const left = this.#inFlight.get(key)! - 1;
    if (left > 0) this.#inFlight.set(key, left);
    else this.#inFlight.delete(key);
  }

  /** Counts a call that is about to be sent to a server. @throws {LaterError} as {@link enter} */
  spend({ request: { method } }: Exchange, server: string): void {
    const rate = this.config().servers.get(server)?.rate;
    if (rate === undefined || !COUNTED.has(method)) return;
    this.#take(`server ${server}`, rate, "", ` to ${JSON.stringify(server)}`);
  }

  #take(scope: string, rate: Rate, who: string, where: string): void {
    let meter = this.#meters.get(scope);
    if (meter?.rate.count !== rate.count || meter.rate.per !== rate.per) {
      meter = new Meter(rate, MOST);
      this.#meters.set(scope, meter);
    }
    const wait = meter.take(who, this.now());
    const { count, per } = rate;
    if (wait > 0) {
      throw reached(`${plural(count, "call")} ${per === "hour" ? "an" : "a"} ${per}${where}`, wait);
    }
  }
}

/** What is told beyond a limit. */
export function reached(limit: string, wait: number): LaterError {
  const seconds = Math.max(1, Math.ceil(wait / 1_000));
  const message = `Limit of ${limit} reached; try again in ${seconds} s`;
  return new LaterError(429, message, seconds);
}
