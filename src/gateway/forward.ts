/**
 * Passes a request to one upstream in whatever era that speaks: the four cells of DESIGN §4. Same
 * era on both sides: nothing happens here.
 */

import type { JsonEdit } from "../lib/json-edit.ts";
import type { Exchange } from "../protocol/exchange.ts";
import type { ResponseMessage } from "../protocol/message.ts";
import type { Line } from "../upstream/line.ts";
import { ActiveExchange } from "./exchange.ts";
import type { Parking } from "./parking.ts";
import { withRounds } from "./rounds.ts";

/** What a request can be forwarded to; `Upstream` is one. */
export interface Forwarder {
  readonly name: string;
  /** The connection that serves this exchange; to be released when the call has ended. */
  lineFor(exchange: Exchange): Line | Promise<Line>;
}

/**
 * Forwards and bridges.
 * @throws {RpcError}
 */
export async function forwardTo(
  upstream: Forwarder,
  exchange: Exchange,
  edits: readonly JsonEdit[],
  parking: Parking,
): Promise<ResponseMessage> {
  const { client, request } = exchange;
  if (exchange instanceof ActiveExchange) exchange.server = upstream.name;
  const resumed = client.era === "modern" && request.params?.requestState !== undefined
    ? parking.resume(exchange, upstream.name)
    : undefined;
  if (resumed !== undefined) return await resumed;
  // INTERIM
  // deno-lint-ignore no-explicit-any
  const u = upstream as any;
  const found: Line | Promise<Line> = u.lineFor?.(exchange) ??
    { era: u.status().era ?? "legacy", forward: u.forward.bind(u), release: () => {} };
  const line = found instanceof Promise ? await found : found;
  if (client.era === "modern" && line.era === "legacy") {
    // The call may outlive this request, and then its line with it.
    return await parking.start(
      exchange,
      upstream.name,
      (parked) => line.forward(parked, edits).finally(() => line.release()),
    );
  }
  try {
    return client.era === line.era
      ? await line.forward(exchange, edits)
      : await withRounds(exchange, (answers) => line.forward(exchange, [...edits, ...answers]));
  } finally {
    line.release();
  }
}
