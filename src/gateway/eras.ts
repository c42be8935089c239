/**
 * Passes a request to one upstream in whatever era that speaks: the four cells between the eras. Same
 * era on both sides: nothing happens here.
 */

import { editJson, type JsonEdit, rawAt } from "../lib/json-edit.ts";
import { ErrorCode, RpcError } from "../protocol/errors.ts";
import type { Exchange } from "../protocol/exchange.ts";
import { type InputRequest, readInputRequired } from "../protocol/inputs.ts";
import type { ResponseMessage } from "../protocol/message.ts";
import { structuredContentEdits } from "../protocol/projection.ts";
import type { View } from "../registry/types.ts";
import type { Upstream } from "../upstream/upstream.ts";
import { badState, type Parking } from "./parking.ts";

/** What a request can be forwarded to. */
export type Forwarder = Pick<Upstream, "name" | "lineFor">;

/**
 * Forwards and bridges. `edits` put the upstream's own names into the request.
 * @throws {RpcError}
 */
export async function forwardTo(
  upstream: Forwarder,
  exchange: Exchange,
  edits: readonly JsonEdit[],
  view: View,
  parking: Parking,
): Promise<ResponseMessage> {
  const { client, request } = exchange;
  exchange.server = upstream.name;
  const isRetry = client.era === "modern" && request.params?.requestState !== undefined;
  const resumed = isRetry ? parking.resume(exchange, upstream.name) : undefined;
  if (resumed !== undefined) return await resumed;
  const found = upstream.lineFor(exchange);
  const line = found instanceof Promise ? await found : found;
  if (client.era === "modern" && line.era === "legacy") {
    if (isRetry) {
      line.release();
      throw badState("it is not ours");
    }
    // The call may outlive this request, and then its line with it.
    return await parking.start(
      exchange,
      upstream.name,
      (parked) => line.forward(parked, edits).finally(() => line.release()),
    );
  }
  try {
    if (client.era === line.era) return await line.forward(exchange, edits);
    const response = await withRounds(
      exchange,
      (answers) => line.forward(exchange, [...edits, ...answers]),
    );
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
  const renamed = edits.find(({ path }) => path.join() === "params,name")?.value;
  const tool = renamed === undefined ? request.params?.name : JSON.parse(renamed);
  const wrapped = structuredContentEdits(response, view.wrapsOutput(server, String(tool)));
  return wrapped.length === 0 ? response : { ...response, raw: editJson(response.raw, wrapped) };
}

/** A server that asks more often than this is not getting anywhere. */
export const MAX_ROUNDS = 10;

/**
 * A legacy client's call to a modern upstream: sent with `send`, and again with the client's answers
 * for as long as the upstream asks (2026-07-28, multi round-trip requests). Its `input_required` is
 * taken apart into requests to the client.
 * @throws {RpcError} when the client cannot or will not answer, or after {@link MAX_ROUNDS}
 */
export async function withRounds(
  exchange: Exchange,
  send: (edits: readonly JsonEdit[]) => Promise<ResponseMessage>,
): Promise<ResponseMessage> {
  let answers: readonly JsonEdit[] = [];
  for (let round = 0; round <= MAX_ROUNDS; round++) {
    const response = await send(answers);
    const input = readInputRequired(response.raw, response.result);
    if (input === undefined) return response;
    const entries = await Promise.all(input.requests.map((one) => answer(exchange, one)));
    answers = [
      { path: ["params", "inputResponses"], value: `{${entries.join(",")}}` },
      { path: ["params", "requestState"], value: input.stateText },
    ];
  }
  throw new RpcError(
    ErrorCode.UpstreamProtocol,
    `The server asked for input more than ${MAX_ROUNDS} times in one call`,
  );
}

async function answer(exchange: Exchange, { key, method, params, paramsText }: InputRequest) {
  // Modern URL elicitation has no id; legacy clients require one (2025-11-25).
  const nameless = method === "elicitation/create" && params?.mode === "url" &&
    params.elicitationId === undefined;
  const text = nameless
    ? editJson(paramsText!, [{ path: ["elicitationId"], value: `"${crypto.randomUUID()}"` }])
    : paramsText;
  const response = await exchange.ask(method, text);
  const result = rawAt(response.raw, ["result"]);
  if (result !== undefined) return `${JSON.stringify(key)}:${result}`;
  const why = typeof response.error?.message === "string" ? response.error.message : "no reason";
  throw new RpcError(ErrorCode.InternalError, `The client refused "${method}": ${why}`);
}
