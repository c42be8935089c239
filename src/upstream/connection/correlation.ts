/**
 * Which call an upstream's message belongs to. Every connection has one table; ids are never
 * reused on it, so that a late or repeated answer meets nobody.
 */

import type { CancelSignal } from "../../lib/cancel.ts";
import { editJson, type JsonEdit, rawAt } from "../../lib/json-edit.ts";
import type { Clock } from "../../lib/time.ts";
import type { Era } from "../../protocol/eras.ts";
import { RpcError } from "../../protocol/errors.ts";
import type { Exchange, TracedRequest } from "../../protocol/exchange.ts";
import { lackBehind } from "../../protocol/inputs.ts";
import {
  errorResponse,
  idTextOf,
  metaOf,
  parseMessage,
  request,
  type RequestId,
  type RequestMessage,
  type ResponseMessage,
} from "../../protocol/message.ts";
import { envelopeEdits, requestEdits, responseEdits } from "../../protocol/projection.ts";
import { HttpStatusError, LostCallError, NetworkError } from "../transport/failures.ts";
import type { CloseReason } from "../transport/transport.ts";
import { CLIENT_INFO, type Identity } from "./line.ts";

/** Options of the gateway's own requests. */
export interface RequestOptions {
  readonly signal?: CancelSignal | undefined;
  /** Milliseconds; `Infinity` for a stream that stays open. */
  readonly timeout: number;
  /**
   * Whether an aborted or expired request is cancelled upstream. Not before a handshake is done:
   * old servers do not expect it there. @default true
   */
  readonly cancel?: boolean;
  /** Told the id the request has towards the upstream, before it is sent. */
  readonly onId?: (id: number) => void;
}

/** What becomes of a call. */
export type Outcome = ResponseMessage | RpcError;

/** What a request needs of the channel it goes over. */
export interface SentFrom {
  readonly era: Era;
  readonly identity: Identity;
  readonly timeout: number;
  readonly clock: Clock;
  /** When the upstream last said anything. */
  readonly heardAt: number;
  /** The signal of a request has tripped. */
  aborted(call: SentRequest): void;
}

/**
 * A request on its way: one of the gateway's own. It is the entry of the table and the listener of
 * its signal too: nothing else is made for a call.
 */
export class SentRequest {
  /** Who waits for the response. */
  readonly waiting = Promise.withResolvers<ResponseMessage>();
  /** What it has towards the upstream, from when it is opened; also its progress token there. */
  id = 0;
  /** The client's progress token as JSON text, where it gave one. */
  tokenText: string | undefined = undefined;
  /** Its client has been asked something on its behalf. */
  asked = false;
  /** The highest progress its client has been told. */
  highest: number | undefined = undefined;
  /** Infinity while {@link Correlation.hold} is in force. */
  deadline = Infinity;
  /** How often it is held. */
  held = 0;
  traced: TracedRequest | undefined = undefined;

  constructor(
    protected readonly from: SentFrom,
    readonly method: string,
    readonly options: RequestOptions,
    private readonly paramsText?: string,
    /** The client request behind it; undefined for the gateway's own requests. */
    readonly exchange?: Exchange,
  ) {}

  /** What is sent. */
  text(): string {
    const { era, identity: { info, capabilities } } = this.from;
    this.options.onId?.(this.id);
    const text = request(String(this.id), this.method, this.paramsText);
    return era === "modern" ? editJson(text, envelopeEdits(info, capabilities)) : text;
  }

  /** To be called exactly once, whatever happens. */
  settle(outcome: Outcome): void {
    this.options.signal?.removeEventListener("abort", this);
    if (outcome instanceof RpcError) return this.waiting.reject(outcome);
    try {
      this.waiting.resolve(this.told(outcome));
    } catch (error) {
      this.waiting.reject(error);
    }
  }

  handleEvent(): void {
    this.from.aborted(this);
  }

  /** The response in the terms of who waits for it. */
  protected told(response: ResponseMessage): ResponseMessage {
    return response;
  }
}

const ID: readonly string[] = ["id"];
const TOKEN: readonly string[] = ["params", "_meta", "progressToken"];

/** A client's request, passed on; `edits` are the router's. */
export class Forwarding extends SentRequest {
  declare readonly exchange: Exchange;

  constructor(from: SentFrom, exchange: Exchange, private readonly edits: readonly JsonEdit[]) {
    const { request: { method }, signal } = exchange;
    super(from, method, { timeout: from.timeout, signal }, undefined, exchange);
  }

  override text(): string {
    const { exchange: { request, client, record, server }, from: { era } } = this;
    if (record !== undefined) {
      record.attempts++;
      // The clock has just been asked for the deadline.
      const now = this.deadline - this.options.timeout;
      record.sent ||= now;
      this.traced = record.trace?.sent(this.id, server, now);
    }
    const value = String(this.id);
    const id: JsonEdit = { path: ID, value };
    const trace = this.traced?.edits(client.era === era && request.params?._meta === undefined);
    // Not spread: an array that grows gets room for 17.
    const all = trace === undefined ? [id].concat(this.edits) : [id].concat(this.edits, trace);
    this.tokenText = tokenTextOf(request);
    if (this.tokenText !== undefined) all.push({ path: TOKEN, value });
    if (client.era !== era) all.push(...requestEdits(client, era, CLIENT_INFO));
    return editJson(request.raw, all);
  }

  override settle(outcome: Outcome): void {
    const { exchange: { record }, from: { clock, heardAt } } = this;
    if (record !== undefined) {
      record.answered = outcome instanceof RpcError ? clock.now() : heardAt;
      this.traced?.ended(outcome, record.answered);
    }
    super.settle(outcome);
  }

  protected override told(response: ResponseMessage): ResponseMessage {
    const { exchange: { request, client }, from: { era, identity } } = this;
    const { capabilities } = era === "modern" ? client : identity;
    const idText = idTextOf(request);
    const lack = lackBehind(response, request, this.edits, capabilities);
    if (lack !== undefined) return parseMessage(errorResponse(idText, lack)) as ResponseMessage;
    const projected = responseEdits(response, request.method, era, client.era);
    const { kind, result, error } = response;
    const raw = editJson(restoreId(response, idText), projected);
    return { kind, raw, id: request.id, result, error };
  }
}

function tokenTextOf({ raw, params }: RequestMessage): string | undefined {
  if (params?._meta === undefined) return undefined;
  const { progressToken: token } = metaOf(params);
  if (typeof token === "string" || Number.isSafeInteger(token)) return JSON.stringify(token);
  return typeof token === "number" ? rawAt(raw, TOKEN) : undefined;
}

/**
 * The table. Taking a call out ({@link Correlation.take}) is the only way to settle it, and works
 * once; that is what makes "exactly one outcome" hold under any order of events.
 */
export class Correlation {
  readonly #calls = new Map<number, SentRequest>();
  #nextId = 1;
  /** One timer for the whole table, at or before the earliest deadline: a call costs none. */
  #disarm: (() => void) | undefined;
  #armedFor = Infinity;

  /** `onExpire`: a call ran out of time; it is out of the table already and still to be settled. */
  constructor(
    private readonly clock: Clock,
    private readonly onExpire: (call: SentRequest) => void,
  ) {}

  /** Calls that wait. */
  get size(): number {
    return this.#calls.size;
  }

  /** Enters a call and returns its id. */
  open(call: SentRequest): number {
    call.id = this.#nextId++;
    call.deadline = this.clock.now() + call.options.timeout;
    this.#calls.set(call.id, call);
    if (call.deadline < this.#armedFor) this.#arm(call.deadline);
    return call.id;
  }

  /** Every call that waits, in the order they were opened. */
  get calls(): Iterable<SentRequest> {
    return this.#calls.values();
  }

  /** The call with this id, left in the table. */
  get(id: RequestId | null | undefined): SentRequest | undefined {
    return typeof id === "number" ? this.#calls.get(id) : undefined;
  }

  /** Removes and returns a call; undefined for an id that is unknown, settled or not ours. */
  take(id: RequestId | null): SentRequest | undefined {
    const call = this.get(id);
    if (call !== undefined) this.#calls.delete(call.id);
    return call;
  }

  /** The only call in flight that `matches`, where there is exactly one. */
  only(matches: (call: SentRequest) => boolean): SentRequest | undefined {
    let found: SentRequest | undefined;
    for (const call of this.#calls.values()) {
      if (!matches(call)) continue;
      if (found !== undefined) return undefined;
      found = call;
    }
    return found;
  }

  /** The call whose progress `token` is, and which has come to `value`; its time starts anew. */
  progress(token: unknown, value?: unknown): SentRequest | undefined {
    const call = typeof token === "number" ? this.#calls.get(token) : undefined;
    if (call === undefined || call.tokenText === undefined) return undefined;
    if (typeof value === "number" && value > (call.highest ?? -Infinity)) call.highest = value;
    if (call.held === 0) call.deadline = this.clock.now() + call.options.timeout;
    return call;
  }

  /**
   * Stops the time of a call, for as long as a person thinks about what is asked on its behalf. May
   * be held several times; a call that is not there (any more) is passed over.
   */
  hold(id: number): void {
    const call = this.#calls.get(id);
    if (call === undefined) return;
    call.held++;
    call.asked = true;
    call.deadline = Infinity;
  }

  /** Takes one {@link hold} back; with the last one the call's time starts anew. */
  unhold(id: number): void {
    const call = this.#calls.get(id);
    if (call === undefined || call.held === 0 || --call.held > 0) return;
    call.deadline = this.clock.now() + call.options.timeout;
    if (call.deadline < this.#armedFor) this.#arm(call.deadline);
  }

  /** Settles everything that waits with what `outcome` makes of it; the table can be used on. */
  drain(outcome: (call: SentRequest) => Outcome): void {
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    this.#disarm?.();
    this.#disarm = undefined;
    this.#armedFor = Infinity;
    for (const call of calls) call.settle(outcome(call));
  }

  #arm(deadline: number): void {
    this.#disarm?.();
    this.#armedFor = deadline;
    this.#disarm = this.clock.after(deadline - this.clock.now(), () => this.#expire());
  }

  #expire(): void {
    this.#disarm = undefined;
    this.#armedFor = Infinity;
    const now = this.clock.now();
    let next = Infinity;
    const expired: SentRequest[] = [];
    for (const call of this.#calls.values()) {
      if (call.deadline <= now) expired.push(call);
      else next = Math.min(next, call.deadline);
    }
    for (const call of expired) this.#calls.delete(call.id);
    if (next < Infinity) this.#arm(next);
    for (const call of expired) this.onExpire(call);
  }
}

/** What is known of a call in flight. */
type Fate = Pick<SentRequest, "id" | "asked" | "highest">;

/** What a client's call fails with when its connection is closed. */
export function lossByClose(
  server: string,
  { id, asked, highest }: Fate,
  { message, unsent }: CloseReason,
): LostCallError {
  return new LostCallError(server, message, { sent: !unsent?.has(id), asked, progress: highest });
}

/** What a client's call fails with when sending it has failed with `error`. */
export function lossBySend(server: string, { asked, highest }: Fate, error: RpcError): RpcError {
  const isLoss = error instanceof LostCallError;
  if (!isLoss && !(error instanceof NetworkError)) return error;
  const sent = isLoss ? error.facts.sent : !error.neverSent;
  return new LostCallError(server, error.why, { sent, asked, progress: highest }, { cause: error });
}

/** Whether the upstream may be at work on a call that failed with `error` when it was sent. */
export function mayBeRunning(error: RpcError): boolean {
  if (error instanceof LostCallError) return error.facts.sent;
  return !(error instanceof HttpStatusError) || error.status >= 500;
}

const HEAD = '{"jsonrpc":"2.0","id":';
const TAIL = ',"jsonrpc":"2.0","id":';

/**
 * The text of a response with `idText` in the place of its id.
 *
 * Servers write the id first or (the TypeScript SDK) last, in two fixed spellings; those are
 * spliced, since scanning a large result for its last member costs more than all the rest. The
 * splice is taken only where no second `id` can be hidden in the text: JSON parsers keep the last
 * of two equal keys, and an answer must not reach a client under an id the upstream chose.
 */
export function restoreId(response: ResponseMessage, idText: string): string {
  const { raw, id } = response;
  const own = String(id);
  // The last member decides, so nothing before it can matter; behind it is the brace alone.
  const end = raw.length - own.length - 1;
  if (raw.endsWith(TAIL, end) && raw.startsWith(own, end)) return `${raw.slice(0, end)}${idText}}`;
  const behind = HEAD.length + own.length;
  if (
    raw.startsWith(HEAD) && raw.startsWith(own, HEAD.length) && raw[behind] === "," &&
    raw.lastIndexOf('"id"') === HEAD.length - 5 && !raw.includes("\\u00")
  ) return `${HEAD}${idText}${raw.slice(behind)}`;
  return editJson(raw, [{ path: ID, value: idText }]);
}
