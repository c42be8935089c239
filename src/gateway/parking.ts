/**
 * Calls of modern clients to legacy upstreams that ask something back. A modern server answers
 * `input_required` and forgets; a legacy server holds its call open and waits. So the upstream
 * call is parked here between the client's rounds, and the signed `requestState` finds it again.
 */

import type { JsonObject } from "../lib/json.ts";
import { editJson, rawAt } from "../lib/json-edit.ts";
import { isObject } from "../lib/json.ts";
import { ErrorCode, RpcError } from "../protocol/errors.ts";
import type { Client, Exchange } from "../protocol/exchange.ts";
import { cannotAnswer } from "../protocol/inputs.ts";
import {
  idTextOf,
  parseMessage,
  type RequestMessage,
  type ResponseMessage,
  resultResponse,
} from "../protocol/message.ts";
import { nextRid } from "./exchange.ts";
import { paramsDigest, type StateContext, StateSigner } from "./request-state.ts";

/** Bounds of what is parked; beyond them an upstream's question is refused. */
export interface ParkingLimits {
  /** Calls parked at one time. */
  readonly calls: number;
  /** Characters of questions and notifications held for all of them. */
  readonly characters: number;
  /** Milliseconds a client may take for one round. */
  readonly age: number;
}

/** Generous for people who think, small against the memory budget. */
export const PARKING_LIMITS: ParkingLimits = {
  calls: 1_000,
  characters: 16 * 1024 * 1024,
  age: 10 * 60_000,
};

/** Several questions asked in one breath become one round. Milliseconds. */
const GATHER = 5;

/** Starts the upstream call of an exchange. */
export type Forward = (exchange: Exchange) => Promise<ResponseMessage>;

/** All parked calls of a gateway. `close()` cancels them. */
export class Parking {
  readonly #signer = new StateSigner();
  readonly #calls = new Map<string, ParkedCall>();
  readonly #limits: ParkingLimits;
  #characters = 0;
  #count = 0;

  constructor(limits: ParkingLimits = PARKING_LIMITS) {
    this.#limits = limits;
  }

  /** Calls between start and end, parked or not. */
  get size(): number {
    return this.#calls.size;
  }

  /**
   * Serves one round: starts the call, or resumes the one its `requestState` names. Resolves with
   * the upstream's response or with an `input_required` result, for the id of this exchange.
   * @throws {RpcError} -32602 for a state that is not good, or what the upstream call throws
   */
  async serve(exchange: Exchange, server: string, forward: Forward): Promise<ResponseMessage> {
    const { request } = exchange;
    const call = request.params?.requestState === undefined
      ? this.#start(exchange, forward)
      : this.#resume(request, contextOf(request, server));
    const response = await call.visit(exchange);
    return response.kind === "input"
      ? this.#ask(call, request, server)
      : withId(response.message, idTextOf(request), request);
  }

  /** Cancels everything that is parked. */
  close(): void {
    for (const call of this.#calls.values()) call.cancel("the gateway is stopping");
  }

  #start(exchange: Exchange, forward: Forward): ParkedCall {
    const id = String(++this.#count);
    const call = new ParkedCall(exchange, {
      reserve: (characters) => this.#reserve(id, characters),
      onEnd: (held) => {
        this.#calls.delete(id);
        this.#characters -= held;
      },
      maxAge: this.#limits.age,
      id,
    });
    this.#calls.set(id, call);
    call.run(forward);
    return call;
  }

  #resume(request: RequestMessage, context: StateContext): ParkedCall {
    const state = request.params?.requestState;
    const claims = typeof state === "string"
      ? this.#signer.verify(state, context, Date.now())
      : "malformed";
    if (typeof claims === "string") throw badState(claims);
    const call = this.#calls.get(claims.call);
    if (call === undefined) throw badState("the call has ended");
    if (call.round !== claims.round || !call.isParked) throw badState("answered already");
    call.answer(request);
    return call;
  }

  #ask(call: ParkedCall, request: RequestMessage, server: string): ResponseMessage {
    const claims = { call: call.id, round: call.round, expires: call.expires };
    const state = this.#signer.sign(claims, contextOf(request, server));
    const raw = resultResponse(
      idTextOf(request),
      `{"resultType":"input_required","inputRequests":${call.questionsText()},` +
        `"requestState":${JSON.stringify(state)}}`,
    );
    return parseMessage(raw) as ResponseMessage;
  }

  #reserve(id: string, characters: number): void {
    const parked = [...this.#calls.values()].filter((call) => call.isParked).length;
    if (parked >= this.#limits.calls && this.#calls.get(id)?.isParked !== true) {
      throw new RpcError(ErrorCode.InternalError, "Too many calls wait for their clients");
    }
    if (this.#characters + characters > this.#limits.characters) {
      throw new RpcError(ErrorCode.InternalError, "Too much waits for clients' answers");
    }
    this.#characters += characters;
  }
}

interface ParkedCallOptions {
  readonly id: string;
  /** Counts what is held; throws when it is too much. */
  readonly reserve: (characters: number) => void;
  readonly onEnd: (held: number) => void;
  readonly maxAge: number;
}

interface Question {
  readonly method: string;
  readonly paramsText: string | undefined;
  readonly settle: (outcome: ResponseMessage | RpcError) => void;
}

type Visit = { readonly kind: "input" } | {
  readonly kind: "response";
  readonly message: ResponseMessage;
};

/** One upstream call that outlives the client's single requests. */
class ParkedCall implements Exchange {
  readonly rid = nextRid();
  readonly client: Client;
  readonly request: RequestMessage;
  readonly #abort = new AbortController();
  readonly #questions = new Map<string, Question>();
  readonly #held: string[] = [];
  #visitor: Exchange | undefined;
  #outcome: Promise<ResponseMessage> | undefined;
  #asked = Promise.withResolvers<void>();
  #reserved = 0;
  #asks = 0;
  #round = 0;
  #expires = 0;
  #parked = false;
  #ended = false;
  #expiry: ReturnType<typeof setTimeout> | undefined;

  constructor(
    first: Exchange,
    private readonly options: ParkedCallOptions,
  ) {
    this.client = first.client;
    this.request = first.request;
  }

  get id(): string {
    return this.options.id;
  }

  /** How often its client has been asked; a state is good for its own round only. */
  get round(): number {
    return this.#round;
  }

  /** When the round ends without an answer, milliseconds since the epoch. */
  get expires(): number {
    return this.#expires;
  }

  /** Whether it waits for its client. */
  get isParked(): boolean {
    return this.#parked;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  run(forward: Forward): void {
    this.#outcome = forward(this).finally(() => this.#end());
    // Whoever visits looks at it; while nobody does, a failure is not unhandled.
    this.#outcome.catch(() => {});
  }

  notify(raw: string): void {
    if (this.#visitor !== undefined) {
      this.#visitor.notify(raw);
      return;
    }
    if (this.#ended) return;
    try {
      this.#keep(raw.length);
      this.#held.push(raw);
    } catch {
      // Progress is the first thing to go when there is too much.
    }
  }

  ask(method: string, paramsText: string | undefined): Promise<ResponseMessage> {
    const params = paramsText === undefined ? undefined : JSON.parse(paramsText) as JsonObject;
    const refusal = cannotAnswer(this.client.capabilities, method, params);
    if (refusal !== undefined) return Promise.reject(refusal);
    const { promise, resolve, reject } = Promise.withResolvers<ResponseMessage>();
    try {
      this.#keep(paramsText?.length ?? 0);
    } catch (error) {
      return Promise.reject(error);
    }
    this.#questions.set(`ask-${++this.#asks}`, {
      method,
      paramsText,
      settle: (outcome) => outcome instanceof RpcError ? reject(outcome) : resolve(outcome),
    });
    this.#asked.resolve();
    return promise;
  }

  /** Lets one request of the client see what comes next: the outcome, or questions. */
  async visit(exchange: Exchange): Promise<Visit> {
    clearTimeout(this.#expiry);
    this.#parked = false;
    this.#visitor = exchange;
    for (const raw of this.#held.splice(0)) exchange.notify(raw);
    const gone = () => this.cancel("the client closed the stream");
    exchange.signal.addEventListener("abort", gone);
    try {
      if (exchange.signal.aborted) gone();
      const outcome = this.#outcome!.then((message): Visit => ({ kind: "response", message }));
      const input = this.#asked.promise.then(() => gather()).then((): Visit => ({ kind: "input" }));
      const visit = await Promise.race([outcome, input]);
      if (visit.kind === "input" && !this.#ended) this.#park();
      return this.#ended ? await outcome : visit;
    } finally {
      exchange.signal.removeEventListener("abort", gone);
      this.#visitor = undefined;
    }
  }

  /** The text of `inputRequests`. */
  questionsText(): string {
    const entries = [...this.#questions].map(([key, { method, paramsText }]) => {
      const params = paramsText === undefined ? "" : `,"params":${paramsText}`;
      return `${JSON.stringify(key)}:{"method":${JSON.stringify(method)}${params}}`;
    });
    return `{${entries.join(",")}}`;
  }

  /** Gives the upstream the answers a retry carries. A question without one is asked again. */
  answer(retry: RequestMessage): void {
    const responses = retry.params?.inputResponses;
    this.#asked = Promise.withResolvers<void>();
    for (const [key, question] of this.#questions) {
      const response = isObject(responses) ? responses[key] : undefined;
      if (!isObject(response)) continue;
      this.#questions.delete(key);
      const text = rawAt(retry.raw, ["params", "inputResponses", key])!;
      question.settle(parseMessage(resultResponse("0", text)) as ResponseMessage);
    }
    if (this.#questions.size > 0) this.#asked.resolve();
  }

  cancel(reason: string): void {
    if (!this.#ended) this.#abort.abort(new Error(reason));
    for (const { settle } of this.#questions.values()) {
      settle(new RpcError(ErrorCode.InternalError, `Not answered: ${reason}`));
    }
    this.#questions.clear();
  }

  #park(): void {
    this.#parked = true;
    this.#round++;
    this.#expires = Date.now() + this.options.maxAge;
    this.#expiry = setTimeout(
      () => this.cancel("the client did not answer in time"),
      this.options.maxAge,
    );
  }

  #keep(characters: number): void {
    this.options.reserve(characters);
    this.#reserved += characters;
  }

  #end(): void {
    this.#ended = true;
    this.#parked = false;
    clearTimeout(this.#expiry);
    this.cancel("the call has ended");
    this.options.onEnd(this.#reserved);
  }
}

/** What a retry has to have in common with the request whose answer was `input_required`. */
function contextOf({ method, params }: RequestMessage, server: string): StateContext {
  return { principal: "", session: "", server, method, digest: paramsDigest(params) };
}

function gather(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, GATHER));
}

function withId(
  response: ResponseMessage,
  idText: string,
  request: RequestMessage,
): ResponseMessage {
  if (response.id === request.id) return response;
  return {
    ...response,
    id: request.id,
    raw: editJson(response.raw, [{ path: ["id"], value: idText }]),
  };
}

function badState(why: string): RpcError {
  return new RpcError(
    ErrorCode.InvalidParams,
    `Invalid params: requestState cannot be resumed (${why}); send the call again without it`,
  );
}
