/**
 * Passes a request to one upstream in whatever era that speaks: the four cells between the eras. Same
 * era on both sides: nothing happens here.
 */

import { editJson, type JsonEdit } from "../lib/json-edit.ts";
import type { Exchange } from "../protocol/exchange.ts";
import { badState, calledName } from "../protocol/inputs.ts";
import type { ResponseMessage } from "../protocol/message.ts";
import { structuredContentEdits } from "../protocol/projection.ts";
import type { View } from "../registry/types.ts";
import { withRounds } from "../upstream/connection/questions.ts";
import type { OnceLine } from "../upstream/connection/line.ts";
import type { Upstream } from "../upstream/upstream.ts";
import type { Parking } from "./parking.ts";

/** Where calls wait that ask their clients; loaded with the first that may. */
export type Parked = () => Promise<Parking>;

/** What a request can be forwarded to. */
export type Forwarder = Pick<Upstream, "name" | "lineFor">;

/**
 * Forwards and bridges. `edits` put the upstream's own names into the request.
 * @throws {RpcError}
 */
export function forwardTo(
  upstream: Forwarder,
  exchange: Exchange,
  edits: readonly JsonEdit[],
  view: View,
  parking: Parked,
): Promise<ResponseMessage> {
  // Not async, as little on the way of a call is: it returns the promise it is given.
  const { client, request } = exchange;
  exchange.server = upstream.name;
  const isRetry = client.era === "modern" && request.params?.requestState !== undefined;
  return isRetry
    ? resume(upstream, exchange, edits, view, parking)
    : begin(upstream, exchange, edits, view, parking);
}

/** The retry of a call that is parked here, or of one that its server keeps in mind. */
async function resume(...call: Parameters<typeof forwardTo>): Promise<ResponseMessage> {
  const [upstream, exchange, , , parking] = call;
  return await ((await parking()).resume(exchange, upstream.name) ?? begin(...call));
}

function begin(
  upstream: Forwarder,
  exchange: Exchange,
  edits: readonly JsonEdit[],
  view: View,
  parking: Parked,
  line: OnceLine | Promise<OnceLine> = upstream.lineFor(exchange),
): Promise<ResponseMessage> {
  // Bound, as a closure costs every call the room for what it would close over.
  if (line instanceof Promise) {
    return line.then(begin.bind(undefined, upstream, exchange, edits, view, parking));
  }
  return exchange.client.era === line.era
    ? line.forwardOnce(exchange, edits)
    : bridge(upstream, exchange, edits, view, parking, line);
}

/** Forwards to a server that speaks the other era. */
async function bridge(
  upstream: Forwarder,
  exchange: Exchange,
  edits: readonly JsonEdit[],
  view: View,
  parking: Parked,
  line: OnceLine,
): Promise<ResponseMessage> {
  if (exchange.client.era === "modern") {
    if (exchange.request.params?.requestState !== undefined) {
      line.release();
      throw badState("it is not ours");
    }
    const calls = await parking().catch((error) => {
      line.release();
      throw error;
    });
    // The call may outlive this request, and then its line with it.
    return await calls.start(
      exchange,
      upstream.name,
      (parked) => line.forwardOnce(parked, edits),
    );
  }
  try {
    const send = (answers: readonly JsonEdit[]) => line.forward(exchange, [...edits, ...answers]);
    const response = await withRounds(exchange, send);
    return legacyOutput(response, exchange, edits, upstream.name, view);
  } finally {
    line.release();
  }
}

/** A legacy client was shown an object for an output schema that is none, and gets one. */
function legacyOutput(
  response: ResponseMessage,
  { request }: Exchange,
  edits: readonly JsonEdit[],
  server: string,
  view: View,
): ResponseMessage {
  if (request.method !== "tools/call") return response;
  const tool = calledName(request, edits);
  const wrapped = structuredContentEdits(response, view.wrapsOutput(server, tool));
  return wrapped.length === 0 ? response : { ...response, raw: editJson(response.raw, wrapped) };
}
