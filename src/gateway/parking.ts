/**
 * Calls of modern clients to legacy upstreams that ask something back. A modern server answers
 * `input_required` and forgets; a legacy server holds its call open and waits. So the upstream
 * call is parked here between the client's rounds, and the signed `requestState` finds it again.
 */

import { type CancelSignal, CancelSource } from "../lib/cancel.ts";
import { editJson, type JsonEdit, rawAt } from "../lib/json-edit.ts";
import { canonicalJson, isObject, type JsonObject, nodeCrypto } from "../lib/json.ts";
import { ErrorCode, RpcError } from "../protocol/errors.ts";
import type { CallNotes, Client, Exchange } from "../protocol/exchange.ts";
import { badState, cannotAnswer } from "../protocol/inputs.ts";
import {
  idTextOf,
  parseMessage,
  type RequestMessage,
  type ResponseMessage,
  resultResponse,
  withId,
} from "../protocol/message.ts";
import type { Limits } from "./access/limits.ts";
import { nextRid, unanswered } from "./clients/exchange.ts";

/**
 * Bounds of what is parked; beyond them an upstream's question is refused. Generous for people who
 * think, small against the memory budget.
 */
const PARKING_LIMITS = {
  /** Calls parked at one time. */
  calls: 1_000,
  /** Characters of questions and notifications held for all of them. */
  characters: 16 * 1024 * 1024,
  /** Milliseconds a client may take for one round. */
  age: 10 * 60_000,
};

/** All parked calls of a gateway. `close()` cancels them. */
export class Parking {
  readonly #signer = new StateSigner();
  readonly #calls = new Map<string, ParkedCall>();
  #characters = 0;
  #count = 0;

  /** `control` is where a parked call keeps its place among those in flight. */
  constructor(
    readonly limits = PARKING_LIMITS,
    private readonly control: () => Pick<Limits, "park" | "leave"> | undefined = () => undefined,
  ) {}

  /** Calls between start and end, parked or not. */
  get size(): number {
    return this.#calls.size;
  }

  /**
   * Starts the upstream call of a request. Resolves with the upstream's response or with an
   * `input_required` result.
   * @throws {RpcError} what the call throws
   */
  async start(exchange: Exchange, server: string, forward: Forward): Promise<ResponseMessage> {
    const id = String(++this.#count);
    const call = new ParkedCall(exchange, id, this, forward);
    this.#calls.set(id, call);
    return await this.#visit(call, exchange, server);
  }

  /**
   * Resumes the call a request's `requestState` names, for one more round. Undefined when the
   * state was not signed here for such a request: an upstream's own state, or an altered one.
   * @throws {RpcError} -32602 for a state that is used up or too old
   */
  resume(exchange: Exchange, server: string): Promise<ResponseMessage> | undefined {
    const { request } = exchange;
    const state = request.params?.requestState;
    if (typeof state !== "string") return undefined;
    const claims = this.#signer.verify(state, stateContext(exchange, server));
    if (claims === undefined) return undefined;
    if (claims.expires < Date.now()) throw badState("it has expired");
    const call = this.#calls.get(claims.call);
    if (call === undefined) throw badState("the call has ended");
    if (call.claims.round !== claims.round || !call.isParked) throw badState("answered already");
    this.#go(call);
    call.answer(request);
    return this.#visit(call, exchange, server);
  }

  /** Gives up what waits for these clients: they will not be let in any more. */
  cancelWhere(isOver: (client: Client) => boolean, why: string): void {
    for (const call of this.#calls.values()) {
      if (call.isParked && isOver(call.client)) call.cancel(why);
    }
  }

  /** Cancels everything that is parked. */
  close(): void {
    for (const call of this.#calls.values()) call.cancel("the gateway is stopping");
  }

  /**
   * Counts characters that are held for a call.
   * @throws {RpcError} when it is too much
   */
  reserve(call: ParkedCall, characters: number): void {
    const parked = [...this.#calls.values()].filter((each) => each.isParked).length;
    if (parked >= this.limits.calls && !call.isParked) {
      throw new RpcError(ErrorCode.InternalError, "Too many calls wait for their clients");
    }
    if (this.#characters + characters > this.limits.characters) {
      throw new RpcError(ErrorCode.InternalError, "Too much waits for clients' answers");
    }
    this.#characters += characters;
    call.reserved += characters;
  }

  /** Nobody can come back for a call any more. */
  forget(call: ParkedCall): void {
    if (this.#calls.delete(call.claims.call)) this.#characters -= call.reserved;
    this.#go(call);
  }

  /** A call does not wait any more. */
  #go(call: ParkedCall): void {
    if (call.state !== undefined) this.control()?.leave(call.state);
    call.state = undefined;
  }

  async #visit(call: ParkedCall, exchange: Exchange, server: string): Promise<ResponseMessage> {
    const { request } = exchange;
    const response = await call.visit(exchange);
    if (response?.id === request.id) return response;
    if (response !== undefined) return withId(response, request);
    const state = this.#signer.sign(call.claims, stateContext(exchange, server));
    // It may have been given up meanwhile.
    if (call.isParked) this.control()?.park(exchange, call.state = state);
    const raw = resultResponse(
      idTextOf(request),
      `{"resultType":"input_required","inputRequests":${call.questionsText()},` +
        `"requestState":${JSON.stringify(state)}}`,
    );
    return parseMessage(raw) as ResponseMessage;
  }
}

/** Starts the upstream call of an exchange. */
type Forward = (exchange: Exchange) => Promise<ResponseMessage>;

interface Question {
  /** As its client is given it. */
  readonly text: string;
  readonly settle: (outcome: ResponseMessage | RpcError) => void;
}

const NO_TOKEN: JsonEdit = { path: ["params", "_meta", "progressToken"], value: undefined };

/** Several questions asked in one breath become one round. Milliseconds. */
const GATHER = 5;

/**
 * One upstream call that outlives the client's single requests: towards the upstream it is the one
 * exchange, towards the client each request is a visit that sees what has happened since.
 */
class ParkedCall implements Exchange {
  readonly rid = nextRid();
  server: string;
  /** That of the request that sees what comes next, or was the last to. */
  record: CallNotes | undefined;
  readonly client: Client;
  readonly request: RequestMessage;
  readonly signal = new CancelSource();
  /** What the client's state has to say to be good: a state is good for its own round only. */
  readonly claims: StateClaims;
  /** Whether it waits for its client. */
  isParked = false;
  /** What its client was given to come back with, while it waits. */
  state: string | undefined;
  /** Characters of questions and notifications that are held for it. */
  reserved = 0;
  readonly #questions = new Map<string, Question>();
  readonly #held: string[] = [];
  #visitor: Exchange | undefined;
  /** Kept for a client that is still to come back. */
  readonly #outcome: Promise<ResponseMessage>;
  readonly #refused = Promise.withResolvers<never>();
  #asked = Promise.withResolvers<void>();
  #asks = 0;
  #ended = false;
  #expiry: ReturnType<typeof setTimeout> | undefined;

  constructor(first: Exchange, id: string, private readonly parking: Parking, forward: Forward) {
    this.claims = { call: id, round: 0, expires: 0 };
    this.client = first.client;
    this.request = first.request;
    this.server = first.server;
    this.record = first.record;
    this.#outcome = forward(this).finally(() => {
      this.#ended = true;
      this.#refuseQuestions("the call has ended");
    });
    // Whoever visits looks at it; while nobody does, a failure is not unhandled.
    this.#outcome.catch(() => {});
    this.#refused.promise.catch(() => {});
  }

  notify(raw: string): void {
    if (this.#visitor !== undefined) return this.#tell(this.#visitor, raw);
    if (this.#ended) return;
    try {
      this.parking.reserve(this, raw.length);
      this.#held.push(raw);
    } catch {
      // What was not asked for is the first thing to go when there is too much.
    }
  }

  async ask(
    method: string,
    paramsText: string | undefined,
    signal?: CancelSignal,
  ): Promise<ResponseMessage> {
    const params = paramsText === undefined ? undefined : JSON.parse(paramsText) as JsonObject;
    const refusal = cannotAnswer(this, method, params);
    if (refusal !== undefined) {
      // The server was told on a shared connection that somebody can answer; this client cannot,
      // and is owed the era's own error instead of what the server would make of the refusal.
      this.#refused.reject(refusal);
      this.cancel(refusal.message);
      throw refusal;
    }
    this.parking.reserve(this, paramsText?.length ?? 0);
    const { promise, resolve, reject } = Promise.withResolvers<ResponseMessage>();
    const key = `ask-${++this.#asks}`;
    // Its client answers with another request, so that nobody tells its trace of the end.
    const traced = this.record?.trace?.asked(key, method, params);
    const tail = paramsText === undefined ? "" : `,"params":${paramsText}`;
    const text = `{"method":${JSON.stringify(method)}${tail}}`;
    const withdraw = () => this.#questions.get(key)?.settle(unanswered("it was withdrawn"));
    signal?.addEventListener("abort", withdraw);
    this.#questions.set(key, {
      // A progress token belongs to a request of the server's own, which this is not any more.
      text: editJson(text, [NO_TOKEN].concat(traced?.edits(false) ?? [])),
      settle: (outcome) => {
        signal?.removeEventListener("abort", withdraw);
        this.#questions.delete(key);
        if (outcome instanceof RpcError) reject(outcome);
        else resolve(outcome);
      },
    });
    this.#asked.resolve();
    return await promise;
  }

  /** Lets one request of the client see what comes next: the outcome; `undefined` for questions. */
  async visit(exchange: Exchange): Promise<ResponseMessage | undefined> {
    clearTimeout(this.#expiry);
    this.isParked = false;
    this.#visitor = exchange;
    this.record = exchange.record;
    for (const raw of this.#held.splice(0)) this.#tell(exchange, raw);
    const gone = () => this.cancel("the client closed the stream");
    exchange.signal.addEventListener("abort", gone);
    if (exchange.signal.aborted) gone();
    try {
      const next = await Promise.race([this.#refused.promise, this.#outcome, this.#nextInput()]);
      if (next !== undefined || this.#ended) return await this.#outcome;
      this.#park();
      return undefined;
    } finally {
      exchange.signal.removeEventListener("abort", gone);
      this.#visitor = undefined;
      if (!this.isParked) this.#forget();
    }
  }

  /** The text of `inputRequests`: everything that waits for the client. */
  questionsText(): string {
    const entries = [...this.#questions].map(([key, { text }]) => `${JSON.stringify(key)}:${text}`);
    return `{${entries.join(",")}}`;
  }

  /** Gives the upstream the answers a retry carries. A question without one is asked again. */
  answer(retry: RequestMessage): void {
    const responses = retry.params?.inputResponses;
    this.#asked = Promise.withResolvers<void>();
    for (const [key, question] of [...this.#questions]) {
      const response = isObject(responses) ? responses[key] : undefined;
      if (!isObject(response)) continue;
      const text = rawAt(retry.raw, ["params", "inputResponses", key])!;
      question.settle(parseMessage(resultResponse("0", text)) as ResponseMessage);
    }
    if (this.#questions.size > 0) this.#asked.resolve();
  }

  /** Gives the call up, here and upstream. */
  cancel(reason: string): void {
    if (!this.#ended) this.signal.cancel(new Error(reason));
    this.#refuseQuestions(reason);
    if (this.isParked) this.#forget();
  }

  /** Resolves a moment after something has been asked, and only if it is still open then. */
  async #nextInput(): Promise<undefined> {
    for (;;) {
      await this.#asked.promise;
      await new Promise((resolve) => setTimeout(resolve, GATHER));
      if (this.#questions.size > 0 || this.#ended) return undefined;
      this.#asked = Promise.withResolvers<void>();
    }
  }

  #park(): void {
    this.isParked = true;
    const { age } = this.parking.limits;
    this.claims.round++;
    this.claims.expires = Date.now() + age;
    this.#expiry = setTimeout(() => this.cancel("the client did not answer in time"), age);
  }

  #refuseQuestions(why: string): void {
    for (const { settle } of [...this.#questions.values()]) settle(unanswered(why));
  }

  #forget(): void {
    clearTimeout(this.#expiry);
    this.isParked = false;
    this.parking.forget(this);
  }

  /** Each round's request may have another progress token, or none. */
  #tell(visitor: Exchange, raw: string): void {
    if (visitor.request === this.request || !raw.includes('"notifications/progress"')) {
      return visitor.notify(raw);
    }
    const token = rawAt(visitor.request.raw, ["params", "_meta", "progressToken"]);
    if (token === undefined) return;
    visitor.notify(editJson(raw, [{ path: ["params", "progressToken"], value: token }]));
  }
}

/** What a state says when it is good. */
export interface StateClaims {
  /** Which parked call. */
  readonly call: string;
  /** Which round of it; an earlier one has been answered already. */
  round: number;
  /** Milliseconds since the epoch after which it is worthless. */
  expires: number;
}

/**
 * Signs and checks `requestState` (2026-07-28, multi round-trip requests) with a key that lives as
 * long as the process, like what it signs for. The client keeps the state and gives it back; it is
 * attacker-controlled input, so it is bound to everything the retry has to have in common with the
 * first request.
 */
export class StateSigner {
  #secret: Buffer | undefined;

  /** The text for the client to keep; `context` is that of {@link stateContext}. */
  sign(claims: StateClaims, context: string): string {
    const payload = Buffer.from(JSON.stringify(claims)).toString("base64url");
    return `${payload}.${this.#mac(payload, context).toString("base64url")}`;
  }

  /** What a state says that was signed here for `context`; undefined for any other. */
  verify(state: string, context: string): StateClaims | undefined {
    const [payload = "", mac = "", ...rest] = state.split(".");
    const given = Buffer.from(mac, "base64url");
    const expected = this.#mac(payload, context);
    if (rest.length > 0 || given.length !== expected.length) return undefined;
    if (!nodeCrypto().timingSafeEqual(given, expected)) return undefined;
    // Signed by us, so it is what we wrote.
    return JSON.parse(Buffer.from(payload, "base64url").toString()) as StateClaims;
  }

  #mac(payload: string, context: string): Buffer {
    this.#secret ??= nodeCrypto().randomBytes(32);
    // A payload has no dot, so that no two of them run together with their contexts.
    const text = `${payload}.${context}`;
    return nodeCrypto().createHmac("sha256", this.#secret).update(text).digest();
  }
}

/** All that a retry must repeat: everything but what differs between rounds, and who asks. */
export function stateContext(
  { request: { method, params }, client: { principal } }: Pick<Exchange, "request" | "client">,
  server: string,
): string {
  const { _meta, inputResponses: _responses, requestState: _state, ...same } = params ?? {};
  return canonicalJson([server, method, same, principal?.id ?? null]);
}
