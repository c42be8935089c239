/**
 * What an upstream asks its client, by requests of its own or by `input_required`; and which client
 * request a message of it belongs to: decided without a guess.
 */

import { editJson, type JsonEdit, rawAt } from "../../lib/json-edit.ts";
import { ErrorCode, invalidRequest, RpcError, toRpcError } from "../../protocol/errors.ts";
import type { Client, Exchange } from "../../protocol/exchange.ts";
import { type InputRequest, readInputRequired } from "../../protocol/inputs.ts";
import {
  errorResponse,
  idKey,
  idTextOf,
  type RequestId,
  type RequestMessage,
  type ResponseMessage,
} from "../../protocol/message.ts";
import type { SentRequest } from "./correlation.ts";

/**
 * Gets the answer to a request of the upstream: the text of a response, under any id. `signal`
 * aborts when the upstream does not want it any more.
 */
export type Answerer = (signal: AbortSignal) => Promise<string>;

/** The requests an upstream has put to its client and that are not answered yet. */
export class Questions {
  readonly #open = new Map<string, AbortController>();

  /** `post` sends a response to the upstream. */
  constructor(private readonly post: (raw: string) => void) {}

  /** Sends the answer as soon as `answer` has it; what that rejects with becomes an error. */
  async put(message: RequestMessage, answer: Answerer): Promise<void> {
    const key = idKey(message.id);
    const idText = idTextOf(message);
    if (this.#open.has(key)) {
      const error = invalidRequest(`id ${idText} is already in flight`);
      return this.post(errorResponse(idText, error));
    }
    const abort = new AbortController();
    this.#open.set(key, abort);
    let raw: string;
    try {
      raw = editJson(await answer(abort.signal), [{ path: ["id"], value: idText }]);
    } catch (error) {
      raw = errorResponse(idText, toRpcError(error));
    }
    // Taken back meanwhile: such a request must not be answered (utilities/cancellation).
    if (this.#open.get(key) !== abort) return;
    this.#open.delete(key);
    this.post(raw);
  }

  /** The upstream takes one back; false for an id that is not open. */
  cancel(id: RequestId): boolean {
    const key = idKey(id);
    const abort = this.#open.get(key);
    this.#open.delete(key);
    abort?.abort(new Error("The server took the request back"));
    return abort !== undefined;
  }

  /** The upstream is gone. */
  close(): void {
    const all = [...this.#open.values()];
    this.#open.clear();
    for (const abort of all) abort.abort(new Error("The server is gone"));
  }
}

/** What is known of where a message comes from, decided without a guess. */
export type Attribution =
  /** This call. */
  | { readonly kind: "call"; readonly call: SentRequest }
  /** One of several calls of this client, whose latest it is. */
  | { readonly kind: "client"; readonly call: SentRequest }
  /** Several clients could be meant, or one that does not wait for its call any more. */
  | { readonly kind: "ambiguous" }
  /** Nobody is waiting for anything. */
  | { readonly kind: "none" };

/** Milliseconds after an answer in which the upstream may still have a word about its call. */
export const AFTERWORDS = 500;

/** Calls nobody waits for any more, and about which the upstream may still speak. */
export class Abandoned {
  /** Those their clients have given up, while the upstream may not have noticed. */
  readonly #calls = new Map<number, { readonly client: Client; readonly until: number }>();
  /** Whose call was answered last and when, and when the last of anybody else's. */
  #last: Client | undefined;
  #lastAt = -Infinity;
  #othersAt = -Infinity;

  /** Until when it is reckoned with, on the clock of its channel; most are never answered. */
  add(id: number, client: Client, until: number, now: number): void {
    this.#forget(now);
    this.#calls.set(id, { client, until });
  }

  /**
   * A call of this client, or one of our own, has been answered. Called for each, so it is numbers
   * and no more.
   */
  answered(client: Client | undefined, now: number): void {
    if (client === undefined) return;
    if (this.#last === undefined || !isSameClient(this.#last, client)) {
      this.#last = client;
      this.#othersAt = this.#lastAt;
    }
    this.#lastAt = now;
  }

  /** This session has ended, as it wished: the next client must not pay for what might follow. */
  left(session: string): void {
    if (this.#last?.session !== session) return;
    this.#last = undefined;
    this.#lastAt = this.#othersAt;
  }

  /** The upstream has answered one that was given up. */
  delete(id: number, now: number): void {
    const call = this.#calls.get(id);
    if (call !== undefined && call.until > now) this.answered(call.client, now);
    this.#calls.delete(id);
  }

  clear(): void {
    this.#calls.clear();
  }

  /** Whether one of another client's may still be running, or was answered just now. */
  hasOther(client: Client, now: number): boolean {
    const isLast = this.#last !== undefined && isSameClient(this.#last, client);
    if ((isLast ? this.#othersAt : this.#lastAt) > now - AFTERWORDS) return true;
    if (this.#calls.size === 0) return false;
    this.#forget(now);
    for (const call of this.#calls.values()) {
      if (!isSameClient(call.client, client)) return true;
    }
    return false;
  }

  #forget(now: number): void {
    for (const [id, { until }] of this.#calls) {
      if (until <= now) this.#calls.delete(id);
    }
  }
}

/** The origin of a message that came on the stream of a call. */
export function originBy(call: SentRequest | undefined): Attribution {
  return call?.exchange === undefined ? { kind: "none" } : { kind: "call", call };
}

/** The origin of a message that names what is a session's: the latest of that session's calls. */
export function originOf(session: string, calls: Iterable<SentRequest>): Attribution {
  const call = [...calls].findLast(({ exchange }) => exchange?.client.session === session);
  return call === undefined ? { kind: "none" } : { kind: "client", call };
}

/**
 * The origin of a message that came on no call's own stream: the only client call in flight, or
 * the only client. One given up by another client, or answered a moment ago, counts as if it were in
 * flight: what is still said about it must not reach a stranger.
 */
export function originAmong(
  calls: Iterable<SentRequest>,
  abandoned: Abandoned,
  now: number,
): Attribution {
  let found: SentRequest | undefined;
  let several = false;
  for (const call of calls) {
    if (call.exchange === undefined) continue;
    if (found !== undefined) {
      several = true;
      if (!isSameClient(found.exchange!.client, call.exchange.client)) return { kind: "ambiguous" };
    }
    found = call;
  }
  if (found === undefined) return { kind: "none" };
  if (abandoned.hasOther(found.exchange!.client, now)) return { kind: "ambiguous" };
  return { kind: several ? "client" : "call", call: found };
}

/** Only a session, or the one pipe it has come by, makes two requests surely of one client. */
function isSameClient(a: Client, b: Client): boolean {
  if (a.session === undefined) return a.pipe !== undefined && a.pipe === b.pipe;
  return a.session === b.session;
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
