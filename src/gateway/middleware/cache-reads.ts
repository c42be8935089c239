import { editJson } from "../../lib/json-edit.ts";
import type { Middleware } from "./middleware.ts";
import { responseOf, type ResultCache } from "./result-cache.ts";

/** Longer than this no server is believed. Milliseconds. */
const LONGEST_TTL = 24 * 60 * 60_000;

/**
 * Gives what was read from a resource again, for as long as its server said it may be (`ttlMs` of
 * `resources/read`, 2026-07-28), and only what it said is `public`: modern clients, the only ones
 * that are told, cannot be told apart. It is the one kind of call whose results say so; nothing has
 * to be set for it.
 */
export function cacheReads(cache: ResultCache): Middleware {
  // Most servers never say so, and then nothing is looked up.
  const hinting = new Set<string>();
  return async (call, next) => {
    const { exchange, server } = call;
    if (exchange.client.era === "legacy") return await next(call);
    const keyBefore = hinting.has(server) ? cache.keyOf(call, "reads") : undefined;
    if (keyBefore !== undefined) {
      const kept = cache.find(keyBefore);
      if (kept !== undefined) return left(responseOf(exchange, kept.resultText), kept.age);
      cache.missed();
    }
    const response = await next(call);
    const { ttlMs, cacheScope } = response.result ?? {};
    if (cacheScope !== "public" || typeof ttlMs !== "number" || !(ttlMs > 0)) return response;
    hinting.add(server);
    // After a change in between, the key of before is nobody's any more.
    const key = keyBefore ?? cache.keyOf(call, "reads");
    if (key !== undefined) await cache.keep(key, server, response, Math.min(ttlMs, LONGEST_TTL));
    return response;
  };

  /** What is left of the time it may be kept by those who get it now. */
  function left(response: ReturnType<typeof responseOf>, age: number) {
    const ttlMs = Math.max(0, Math.floor(Number(response.result?.ttlMs) - age));
    const raw = editJson(response.raw, [{ path: ["result", "ttlMs"], value: String(ttlMs) }]);
    return { ...response, raw, result: { ...response.result, ttlMs } };
  }
}
