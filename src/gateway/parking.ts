/**
 * Calls of modern clients to legacy upstreams that ask something back. A modern server answers
 * `input_required` and forgets; a legacy server holds its call open and waits. So the upstream
 * call is parked here between the client's rounds, and the signed `requestState` finds it again.
 */

import { editJson } from "../lib/json-edit.ts";
import { canonicalJson, type JsonObject, nodeCrypto } from "../lib/json.ts";
import { ErrorCode, RpcError } from "../protocol/errors.ts";
import type { Exchange } from "../protocol/exchange.ts";
import {
  idTextOf,
  parseMessage,
  type RequestMessage,
  type ResponseMessage,
  resultResponse,
} from "../protocol/message.ts";
import { type Forward, ParkedCall } from "./parked-call.ts";

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

  constructor(private readonly limits = PARKING_LIMITS) {}

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
    const call = new ParkedCall(exchange, {
      id,
      maxAge: this.limits.age,
      reserve: (characters) => this.#reserve(id, characters),
      onForgotten: (held) => {
        this.#calls.delete(id);
        this.#characters -= held;
      },
    });
    this.#calls.set(id, call);
    call.run(forward);
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
    const claims = this.#signer.verify(state, contextOf(request, server), Date.now());
    if (claims === "expired") throw badState("it has expired");
    if (typeof claims === "string") return undefined;
    const call = this.#calls.get(claims.call);
    if (call === undefined) throw badState("the call has ended");
    if (call.claims.round !== claims.round || !call.isParked) throw badState("answered already");
    call.answer(request);
    return this.#visit(call, exchange, server);
  }

  /** Cancels everything that is parked. */
  close(): void {
    for (const call of this.#calls.values()) call.cancel("the gateway is stopping");
  }

  async #visit(call: ParkedCall, exchange: Exchange, server: string): Promise<ResponseMessage> {
    const { request } = exchange;
    const response = await call.visit(exchange);
    if (response !== undefined) return withId(response, request);
    const state = this.#signer.sign(call.claims, contextOf(request, server));
    const raw = resultResponse(
      idTextOf(request),
      `{"resultType":"input_required","inputRequests":${call.questionsText()},` +
        `"requestState":${JSON.stringify(state)}}`,
    );
    return parseMessage(raw) as ResponseMessage;
  }

  #reserve(id: string, characters: number): void {
    const parked = [...this.#calls.values()].filter((call) => call.isParked).length;
    if (parked >= this.limits.calls && this.#calls.get(id)?.isParked !== true) {
      throw new RpcError(ErrorCode.InternalError, "Too many calls wait for their clients");
    }
    if (this.#characters + characters > this.limits.characters) {
      throw new RpcError(ErrorCode.InternalError, "Too much waits for clients' answers");
    }
    this.#characters += characters;
  }
}

/** What a retry has to have in common with the request whose answer was `input_required`. */
function contextOf({ method, params }: RequestMessage, server: string): StateContext {
  return { principal: "", session: "", server, method, digest: paramsDigest(params) };
}

function withId(response: ResponseMessage, request: RequestMessage): ResponseMessage {
  if (response.id === request.id) return response;
  const raw = editJson(response.raw, [{ path: ["id"], value: idTextOf(request) }]);
  return { ...response, id: request.id, raw };
}

/** For a request that claims to be the retry of a call that was not parked here. */
export function foreignState(): RpcError {
  return badState("it is not ours");
}

function badState(why: string): RpcError {
  return new RpcError(
    ErrorCode.InvalidParams,
    `Invalid params: requestState cannot be resumed (${why}); send the call again without it`,
  );
}

/**
 * `requestState` of a call that is parked here (2026-07-28, multi round-trip requests). The client
 * keeps it and gives it back; it is attacker-controlled input, so it is signed and bound to
 * everything the retry has to have in common with the first request.
 */

/** What a state must be presented with to be good. */
export interface StateContext {
  /** Who asks; empty without authentication. */
  readonly principal: string;
  /** The session's label, empty for a client without session. */
  readonly session: string;
  readonly server: string;
  readonly method: string;
  /** {@link paramsDigest} of the request. */
  readonly digest: string;
}

/** What a state says when it is good. */
export interface StateClaims {
  /** Which parked call. */
  readonly call: string;
  /** Which round of it; an earlier one has been answered already. */
  readonly round: number;
  /** Milliseconds since the epoch after which it is worthless. */
  readonly expires: number;
}

/** Why a state was refused, for the log; the client learns only that it was. */
export type StateFault = "malformed" | "altered or presented with other parameters" | "expired";

/** Signs and checks states with a key that lives as long as the process, like what it signs for. */
export class StateSigner {
  #secret: Buffer | undefined;

  /** The text for the client to keep. */
  sign(claims: StateClaims, context: StateContext): string {
    const payload = Buffer.from(JSON.stringify(claims)).toString("base64url");
    return `${payload}.${this.#mac(payload, context).toString("base64url")}`;
  }

  /** The claims of a state that is good for `context` at `now`, or why it is not. */
  verify(state: string, context: StateContext, now: number): StateClaims | StateFault {
    const [payload, mac, ...rest] = state.split(".");
    if (payload === undefined || mac === undefined || rest.length > 0) return "malformed";
    const given = Buffer.from(mac, "base64url");
    const expected = this.#mac(payload, context);
    if (given.length !== expected.length || !nodeCrypto().timingSafeEqual(given, expected)) {
      return "altered or presented with other parameters";
    }
    // Signed by us, so it is what we wrote.
    const claims = JSON.parse(Buffer.from(payload, "base64url").toString()) as StateClaims;
    return claims.expires < now ? "expired" : claims;
  }

  #mac(payload: string, context: StateContext): Buffer {
    const { principal, session, server, method, digest } = context;
    // As JSON, so that no two contexts run together into one text.
    const text = JSON.stringify([payload, principal, session, server, method, digest]);
    this.#secret ??= nodeCrypto().randomBytes(32);
    return nodeCrypto().createHmac("sha256", this.#secret).update(text).digest();
  }
}

/** A digest of what a retry must repeat: the parameters without what differs between rounds. */
export function paramsDigest(params: JsonObject | undefined): string {
  const { _meta, inputResponses: _responses, requestState: _state, ...same } = params ?? {};
  return nodeCrypto().createHash("sha256").update(canonicalJson(same)).digest("base64url");
}
