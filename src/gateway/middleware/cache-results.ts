import type { CacheRule } from "../../config/transform.ts";
import type { Middleware } from "./middleware.ts";
import type { ResultCache } from "./result-cache.ts";

/**
 * Gives a tool's result again for the same arguments. A principal gets only what it was answered
 * itself, unless the rule makes results public; a client that cannot be recognised gets no others.
 * `settings` is text that changes with whatever a result depends on beside the call.
 */
export function cacheResults(rule: CacheRule, cache: ResultCache, settings: string): Middleware {
  const { ttl } = rule;
  return (call, next) => {
    const whose = rule.public ? "" : call.principal;
    if (whose === undefined) return next(call);
    const scope = JSON.stringify([rule.public, whose, settings]);
    return cache.answer(call, next, { scope, ttl });
  };
}
