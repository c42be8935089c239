/**
 * One transport with its correlation table: requests go out, and everything the upstream says
 * about one reaches the exchange that made it, and no other.
 */

import { editJson, type JsonEdit, rawAt } from "../../lib/json-edit.ts";
import type { JsonObject } from "../../lib/json.ts";
import { TokenBucket } from "../../lib/rate-limit.ts";
import { messageOf } from "../../lib/text.ts";
import type { Clock } from "../../lib/time.ts";
import type { Era } from "../../protocol/eras.ts";
import { ErrorCode, RpcError } from "../../protocol/errors.ts";
import type { Exchange } from "../../protocol/exchange.ts";
import { INPUT_METHODS } from "../../protocol/inputs.ts";
import {
  errorResponse,
  idTextOf,
  type Message,
  notification,
  type NotificationMessage,
  type RequestId,
  type RequestMessage,
  type ResponseMessage,
  resultResponse,
} from "../../protocol/message.ts";
import {
  ConnectionLostError,
  LostCallError,
  NOT_SENT,
  protocolFault,
  serverLabel,
  timedOut,
  unavailable,
} from "../transport/failures.ts";
import type { CloseReason, InvalidInput, Transport, UpstreamLog } from "../transport/transport.ts";
import { ownId } from "../transport/transport.ts";
import {
  Correlation,
  Forwarding,
  lossByClose,
  lossBySend,
  mayBeRunning,
  type RequestOptions,
  type SentFrom,
  SentRequest,
} from "./correlation.ts";
import { hasRoots, type Identity } from "./line.ts";
import {
  Abandoned,
  type Answerer,
  originAmong,
  originBy,
  originOf,
  Questions,
} from "./questions.ts";

/** Pieces of what is no message, with none between them, after which a program is no server. */
const MOST_JUNK = 20_000;

/** See the top of the file. Owned by a connection. */
export class Channel implements SentFrom {
  /** What the upstream speaks; set by the handshake. */
  era: Era = "legacy";
  readonly server: string;
  readonly transport: Transport;
  readonly log: UpstreamLog;
  readonly clock: Clock;
  readonly identity: Identity;
  /** Milliseconds a forwarded call may take; may be changed for those that follow. */
  timeout: number;
  /** When the upstream last said anything. */
  heardAt: number;
  /** Calls of clients that ran out of time since the last one that was answered. */
  timeoutsInRow = 0;
  /** Calls of clients that ran out of time since the upstream last said anything. */
  timeoutsUnheard = 0;
  readonly #events: ChannelEvents;
  readonly #calls: Correlation;
  readonly #questions = new Questions((raw) => void this.#post(raw, ""));
  readonly #abandoned = new Abandoned();
  /** A server that prints its log to stdout must not fill ours. */
  readonly #junk: TokenBucket;
  /** Pieces of it since the last message. */
  #junkInRow = 0;
  #closed: CloseReason | undefined;

  constructor(options: ChannelOptions) {
    this.transport = options.transport;
    this.identity = options.identity;
    this.server = options.server;
    this.log = options.log;
    this.clock = options.clock;
    this.timeout = options.timeout;
    this.heardAt = this.clock.now();
    this.#events = options.events;
    this.#junk = new TokenBucket({ ratePerSecond: 2, burst: 10, now: this.heardAt });
    this.#calls = new Correlation(this.clock, (call) => this.#expire(call));
  }

  /** Why it is closed, `undefined` while it is open. */
  get closed(): CloseReason | undefined {
    return this.#closed;
  }

  /** Calls in flight. */
  get inFlight(): number {
    return this.#calls.size;
  }

  /** Those of them the upstream is at work on: streams that stay open are none. */
  get atWork(): number {
    return [...this.#calls.calls].filter(({ options }) => options.timeout < Infinity).length;
  }

  /**
   * Starts the transport.
   * @throws {RpcError} UpstreamUnavailable
   */
  async start(signal: AbortSignal): Promise<void> {
    await this.transport.start({
      onMessage: (message, carriedBy) => this.#receive(message, carriedBy),
      onInvalid: (input) => this.#invalid(input),
      isList: (id) => /\/list$/.test(this.#calls.get(id)?.method ?? ""),
      onClose: (reason) => this.#onClose(reason),
      onGap: () => this.#events.onGap(),
    }, { signal });
  }

  /**
   * Passes a client's request on and its response back, in the client's terms. `edits` are the
   * router's (names and URIs).
   * @throws {RpcError} UpstreamUnavailable, UpstreamTimeout, UpstreamProtocol
   */
  forward(exchange: Exchange, edits: readonly JsonEdit[]): Promise<ResponseMessage> {
    return this.#begin(new Forwarding(this, exchange, edits));
  }

  /**
   * Sends a request of the gateway's own; an error response is a result here, not a throw.
   * @throws {RpcError} as {@link forward}, and UpstreamUnavailable when `signal` aborts
   */
  request(
    method: string,
    paramsText: string | undefined,
    options: RequestOptions,
  ): Promise<ResponseMessage> {
    return this.#begin(new SentRequest(this, method, options, paramsText));
  }

  /** The upstream has said something. Called for every message, so it is numbers and no more. */
  heard(): void {
    this.heardAt = this.clock.now();
    this.timeoutsUnheard = 0;
  }

  /** A client session has ended. */
  readonly left = (session: string): void => this.#abandoned.left(session);

  /** Sends a notification; what becomes of it is only logged. */
  async notify(method: string, paramsText?: string): Promise<void> {
    await this.#post(notification(method, paramsText), method);
  }

  /** Closes the transport; calls in flight fail. Never rejects. */
  async close(): Promise<void> {
    await this.transport.close();
    this.#onClose({ code: "closed", message: "was stopped" });
  }

  /** Gives it up because of `reason`: calls in flight fail with it. Never rejects. */
  async giveUp(reason: CloseReason): Promise<void> {
    this.#onClose(reason);
    await this.transport.close();
  }

  /** Nobody waits for a call any more. */
  aborted(call: SentRequest): void {
    if (this.#calls.take(call.id) === undefined) return;
    this.#disown(call);
    const { cancel = true, signal } = call.options;
    if (cancel) this.#cancelUpstream(call.id, messageOf(signal?.reason ?? "cancelled"));
    else this.transport.abandon(call.id);
    call.settle(this.#cancelled(call.method));
  }

  #begin(call: SentRequest): Promise<ResponseMessage> {
    const { method, options: { signal }, waiting } = call;
    if (this.#closed !== undefined) {
      return Promise.reject(
        call.exchange === undefined
          ? new ConnectionLostError(this.server, this.#closed)
          : new LostCallError(this.server, this.#closed.message, NOT_SENT),
      );
    }
    if (signal?.aborted) return Promise.reject(this.#cancelled(method));
    const requestId = this.#calls.open(call);
    signal?.addEventListener("abort", call);
    // A text that cannot be made is a failed send too: the call must not stay in the table.
    try {
      const text = call.text();
      const client = call.exchange?.client;
      this.transport.send(text, { method, requestId, client, headers: call.traced?.headers })
        ?.catch((error) => this.#unsent(call, error));
    } catch (error) {
      this.#unsent(call, error);
    }
    return waiting.promise;
  }

  #unsent(call: SentRequest, error: unknown): void {
    if (this.#calls.take(call.id) === undefined) return;
    const known = error instanceof RpcError
      ? error
      : unavailable(this.server, `could not be reached: ${messageOf(error)}`);
    const loss = call.exchange === undefined ? known : lossBySend(this.server, call, known);
    if (mayBeRunning(loss)) this.#disown(call);
    call.settle(loss);
  }

  /** The front has stopped caring about the call, so nobody reads this. */
  #cancelled(method: string): RpcError {
    const why = `Call of "${method}" on ${serverLabel(this.server)} was cancelled`;
    return new RpcError(ErrorCode.UpstreamUnavailable, why);
  }

  /** A request is never cancelled as `initialize` (lifecycle), which never comes here. */
  #cancelUpstream(id: number, reason: string): void {
    const { kind } = this.transport;
    if (this.era === "modern" && kind === "http") return this.transport.abandon(id);
    void this.notify("notifications/cancelled", JSON.stringify({ requestId: id, reason }));
    // Nothing more is wanted of its stream. (Before 2026-07-28 closing it alone is no cancel.)
    this.transport.abandon(id);
  }

  /** Whatever is still said about it must reach nobody else. */
  #disown({ id, exchange, options: { timeout } }: SentRequest): void {
    if (exchange === undefined) return;
    // Over modern HTTP nothing comes but on the stream that is closed.
    if (this.era === "modern" && this.transport.kind === "http") return;
    const now = this.clock.now();
    this.#abandoned.add(id, exchange.client, now + timeout, now);
  }

  #expire(call: SentRequest): void {
    this.#disown(call);
    if (call.exchange !== undefined) {
      this.timeoutsInRow++;
      this.timeoutsUnheard++;
    }
    if (call.method === "initialize" || call.method === "server/discover") {
      this.transport.abandon(call.id);
    } else this.#cancelUpstream(call.id, "Timed out");
    call.settle(timedOut(this.server, call.method, call.options.timeout));
  }

  #receive(message: Message, carriedBy: number | undefined): void {
    this.heard();
    this.#junkInRow = 0;
    switch (message.kind) {
      case "response": {
        const call = this.#calls.take(message.id);
        if (call !== undefined) {
          if (call.exchange !== undefined) this.timeoutsInRow = 0;
          this.#abandoned.answered(call.exchange?.client, this.heardAt);
          call.settle(message);
        } else {
          // Answered twice, after its time, after a cancel, or never asked: nobody waits for it.
          if (typeof message.id === "number") this.#abandoned.delete(message.id, this.heardAt);
          this.log.debug("Dropped an answer nobody waits for", { id: message.id });
        }
        return;
      }
      case "notification":
        if (message.method === "notifications/progress") return this.#progress(message);
        if (message.method === "notifications/cancelled" && this.#takesBack(message)) return;
        return this.#notified(message, carriedBy);
      case "request":
        return this.#answer(message, carriedBy);
    }
  }

  /**
   * The server takes back a request of its own, or a `subscriptions/listen` (2026-07-28, stdio:
   * graceful teardown). The ids of the two directions are apart, and so are the eras.
   */
  #takesBack({ params }: NotificationMessage): boolean {
    const id = params?.requestId as RequestId | undefined;
    if (this.era === "legacy") return id !== undefined && this.#questions.cancel(id);
    const call = this.#calls.get(ownId(id) as RequestId | undefined);
    if (call?.method !== "subscriptions/listen") return false;
    this.#calls.take(call.id)?.settle(unavailable(this.server, "ended the subscription"));
    return true;
  }

  #notified(message: NotificationMessage, carriedBy: number | undefined): void {
    const origin = this.#origin(message, carriedBy);
    const exchange = origin.kind === "call" ? origin.call.exchange : undefined;
    this.#events.onNotification(message, exchange, carriedBy);
  }

  #progress(message: NotificationMessage): void {
    const { progressToken, progress } = message.params ?? {};
    const call = this.#calls.progress(ownId(progressToken), progress);
    if (call?.tokenText === undefined) {
      this.log.debug("Dropped progress nobody asked for");
      return;
    }
    const edit = { path: ["params", "progressToken"], value: call.tokenText };
    call.exchange?.notify(editJson(message.raw, [edit]));
  }

  #origin(message: NotificationMessage | RequestMessage, carriedBy: number | undefined) {
    const owner = this.#events.ownerOf?.(message.params);
    if (owner !== undefined) return originOf(owner, this.#calls.calls);
    if (carriedBy !== undefined) return originBy(this.#calls.get(carriedBy));
    return originAmong(this.#calls.calls, this.#abandoned, this.clock.now());
  }

  #answer(message: RequestMessage, carriedBy: number | undefined): void {
    const { method } = message;
    if (method === "ping") return void this.#post(resultResponse(idTextOf(message), "{}"), "");
    // A modern server has no requests of its own (2026-07-28, multi round-trip requests).
    if (this.era === "modern" || !INPUT_METHODS.has(method)) {
      this.log.debug("Refused a request of the server", { method });
      return this.#refuse(message, `Method not found: this client does not support "${method}"`);
    }
    if (method !== "roots/list") this.#events.onQuestion?.(method, message.params);
    const origin = this.#origin(message, carriedBy);
    if (origin.kind === "call" || origin.kind === "client") {
      const { call } = origin;
      if (method !== "roots/list" || hasRoots(call.exchange!.client)) {
        // Where the call that waits is not known, none of the client's runs out of time meanwhile.
        const all = origin.kind === "call" ? [call] : [...this.#calls.calls];
        const held = all.filter(({ exchange }) => exchange !== undefined).map(({ id }) => id);
        void this.#questions.put(message, (signal) => this.#ask(message, call, held, signal));
        return;
      }
    }
    if (origin.kind === "ambiguous" && method !== "roots/list") {
      this.#events.onAmbiguous?.(method);
      return this.#refuse(
        message,
        `"${method}" is for one client, and several have calls on this connection, or had a moment ago`,
        ErrorCode.InternalError,
      );
    }
    const answer = this.#events.onRequest?.(message);
    if (answer !== undefined) return void this.#questions.put(message, () => answer);
    if (method === "roots/list") {
      return void this.#post(resultResponse(idTextOf(message), '{"roots":[]}'), "");
    }
    this.log.debug("Refused a request of the server outside any call", { method });
    this.#refuse(message, `"${method}" is for a client, and none has a call on this connection`);
  }

  async #ask(
    message: RequestMessage,
    { exchange }: SentRequest,
    held: readonly number[],
    signal: AbortSignal,
  ): ReturnType<Answerer> {
    for (const id of held) this.#calls.hold(id);
    try {
      const paramsText = message.params === undefined ? undefined : rawAt(message.raw, ["params"]);
      return (await exchange!.ask(message.method, paramsText, signal)).raw;
    } finally {
      for (const id of held) this.#calls.unhold(id);
    }
  }

  #refuse(message: RequestMessage, why: string, code: number = ErrorCode.MethodNotFound): void {
    void this.#post(errorResponse(idTextOf(message), new RpcError(code, why)), "");
  }

  async #post(raw: string, method: string): Promise<void> {
    if (this.#closed !== undefined) return;
    try {
      await this.transport.send(raw, { method });
    } catch (error) {
      this.log.debug("Cannot send to the server", { method, error: messageOf(error) });
    }
  }

  #invalid({ kind, error, snippet: text, carriedBy }: InvalidInput): void {
    if (this.#closed !== undefined) return;
    // What a server works at may print as much as it likes, as builds do; a call has its own limit.
    const isFlood = ++this.#junkInRow > MOST_JUNK &&
      ![...this.#calls.calls].some(({ exchange }) => exchange !== undefined);
    if (isFlood) {
      const message = `says nothing but what is no MCP, such as ${
        JSON.stringify(text.slice(0, 80))
      }`;
      return void this.giveUp({ code: "unresponsive", message });
    }
    const known = error.idText === "null" ? undefined : Number(error.idText.replaceAll('"', ""));
    const only = kind === "overlong"
      ? this.#calls.only(({ options }) => options.timeout < Infinity)?.id
      : undefined;
    const call = this.#calls.take(carriedBy ?? known ?? only ?? null);
    if (call !== undefined) {
      this.#abandoned.answered(call.exchange?.client, this.clock.now());
      const why = kind === "junk" ? "no JSON" : error.message;
      call.settle(protocolFault(this.server, `gave no valid answer to "${call.method}": ${why}`));
    }
    const verdict = this.#junk.take(this.clock.now());
    if (!verdict.allowed) return;
    const suppressed = verdict.suppressed > 0 ? { suppressed: verdict.suppressed } : {};
    this.log.warn(`Ignored what is no message: ${error.message}`, { text, ...suppressed });
  }

  #onClose(reason: CloseReason): void {
    if (this.#closed !== undefined) return;
    this.#closed = reason;
    this.#abandoned.clear();
    this.#calls.drain((call) =>
      call.exchange === undefined || reason.code === "closed"
        ? new ConnectionLostError(this.server, reason)
        : lossByClose(this.server, call, reason)
    );
    this.#questions.close();
    this.#events.onClose(reason);
  }
}

/** What a channel tells its owner. */
export interface ChannelEvents {
  /**
   * A notification that is not about one call's progress. `exchange` is the client request it can
   * be attributed to without guessing, where there is one; `carriedBy` the gateway's request on
   * whose stream it came.
   */
  onNotification(
    message: NotificationMessage,
    exchange: Exchange | undefined,
    carriedBy: number | undefined,
  ): void;
  /**
   * A request that belongs to no client request. Returns the text of the response, with any id, or
   * undefined for the default: no roots, and nothing else is supported.
   */
  onRequest?(message: RequestMessage): Promise<string> | undefined;
  /** The session that what these parameters name belongs to (a task), where that is known. */
  ownerOf?(params: JsonObject | undefined): string | undefined;
  /** The upstream asks somebody, and several clients could be meant: it was refused. */
  onAmbiguous?(method: string): void;
  /** It asks clients for this; told of every such request but `roots/list`. */
  onQuestion?(method: string, params: JsonObject | undefined): void;
  /** Server messages may have been missed. */
  onGap(): void;
  /** The transport is gone; every call has been settled. Called once. */
  onClose(reason: CloseReason): void;
}

/** What a `Channel` is made of. */
export interface ChannelOptions {
  readonly server: string;
  readonly transport: Transport;
  readonly log: UpstreamLog;
  readonly clock: Clock;
  /** Milliseconds a forwarded call may take; progress starts them anew. */
  readonly timeout: number;
  /** As whom it introduces itself. */
  readonly identity: Identity;
  readonly events: ChannelEvents;
}
