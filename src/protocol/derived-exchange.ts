import type { CancelSignal } from "../lib/cancel.ts";
import type { JsonObject } from "../lib/json.ts";
import type { Exchange } from "./exchange.ts";

/** The same exchange with another end: for something done on its behalf that may end earlier. */
export function withSignal(exchange: Exchange, signal: CancelSignal): Exchange {
  return { ...delegating(exchange), signal };
}

/**
 * The same exchange for a second attempt: progress must increase (utilities/progress), so what is
 * not above `floor`, which its client has been told before, is left out.
 */
export function withProgressAbove(exchange: Exchange, floor: number): Exchange {
  return {
    ...delegating(exchange),
    notify: (raw) => {
      if (raw.includes('"notifications/progress"')) {
        const { params } = JSON.parse(raw) as { params?: JsonObject };
        if (typeof params?.progress === "number" && params.progress <= floor) return;
      }
      exchange.notify(raw);
    },
  };
}

function delegating(exchange: Exchange): Exchange {
  const { rid, client, request, signal } = exchange;
  return {
    rid,
    client,
    request,
    signal,
    notify: (raw) => exchange.notify(raw),
    ask: (method, paramsText, signal) => exchange.ask(method, paramsText, signal),
  };
}
