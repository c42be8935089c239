/**
 * Calls of legacy clients to modern upstreams that ask something back: `input_required` is taken
 * apart into requests to the client, and the call repeated with the answers (2026-07-28, multi
 * round-trip requests).
 */

import { editJson, type JsonEdit, rawAt } from "../lib/json-edit.ts";
import { ErrorCode, RpcError } from "../protocol/errors.ts";
import type { Exchange } from "../protocol/exchange.ts";
import { type InputRequest, readInputRequired } from "../protocol/inputs.ts";
import type { ResponseMessage } from "../protocol/message.ts";

/** A server that asks more often than this is not getting anywhere. */
export const MAX_ROUNDS = 10;

/**
 * Sends a request with `send`, and again with the client's answers for as long as the upstream
 * asks.
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
