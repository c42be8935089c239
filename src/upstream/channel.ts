/**
 * One transport with its correlation table: requests go out, and everything the upstream says
 * about one reaches the exchange that made it, and no other (DESIGN §5).
 */

import { TokenBucket } from "../lib/rate-limit.ts";
import { editJson, type JsonEdit, rawAt } from "../lib/json-edit.ts";
import type { JsonObject } from "../lib/json.ts";
import { ErrorCode, RpcError } from "../protocol/errors.ts";
import type { Client, Exchange } from "../protocol/exchange.ts";
import {
  errorResponse,
  idTextOf,
  type Message,
  notification,
  type NotificationMessage,
  request,
  type RequestId,
  type RequestMessage,
  type ResponseMessage,
  resultResponse,
} from "../protocol/message.ts";
import { envelopeEdits, metaOf, requestEdits, responseEdits } from "../protocol/projection.ts";
import type { Era } from "../protocol/versions.ts";
import { VERSION } from "../lib/version.ts";
import type { Clock } from "./clock.ts";
import { Correlation, type PendingCall } from "./correlation.ts";
import { messageOf, protocolFault, serverLabel, timedOut, unavailable } from "./failures.ts";
import { restoreId } from "./restore-id.ts";
import type { UpstreamLog } from "./log.ts";
import type { CloseReason, InvalidInput, Transport } from "./transport.ts";

/** Who the gateway is, towards every upstream. */
export const CLIENT_INFO: JsonObject = { name: "mcproxy", title: "mcproxy", version: VERSION };

/** What the gateway itself can answer an upstream; a client's own capabilities come later. */
export const CLIENT_CAPABILITIES: JsonObject = {};

/** What a channel tells its owner. */
export interface ChannelEvents {
  /**
   * A notification that is not about one call's progress. `exchange` is the client request it can
   * be attributed to without guessing, where there is one.
   */
  onNotification(message: NotificationMessage, exchange: Exchange | undefined): void;
  /**
   * A request of the upstream other than `ping`. Returns the response's JSON text (with the id the
   * request has), or undefined for the default: not supported. Never throws.
   */
  onRequest?(
    message: RequestMessage,
    exchange: Exchange | undefined,
  ): Promise<string> | undefined;
  /** Server messages may have been missed. */
  onGap(): void;
  /** The transport is gone; every call has been settled. Called once. */
  onClose(reason: CloseReason): void;
}

/** What a {@link Channel} is made of. */
export interface ChannelOptions {
  readonly server: string;
  readonly transport: Transport;
  readonly log: UpstreamLog;
  readonly clock: Clock;
  /** Milliseconds a forwarded call may take; progress starts them anew. */
  readonly timeout: number;
  readonly events: ChannelEvents;
}

/** Options of the gateway's own requests. */
export interface RequestOptions {
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds; `Infinity` for a stream that stays open. */
  readonly timeout: number;
  /**
   * Whether an aborted or expired request is cancelled upstream. Not before a handshake is done:
   * old servers do not expect it there. @default true
   */
  readonly cancel?: boolean;
}

type Outcome = ResponseMessage | RpcError;

/** See the top of the file. Owned by a connection. */
export class Channel {
  /** What the upstream speaks; set by the handshake. */
  era: Era = "legacy";
  readonly transport: Transport;
  readonly #server: string;
  readonly #log: UpstreamLog;
  readonly #timeout: number;
  readonly #events: ChannelEvents;
  readonly #calls: Correlation<Outcome>;
  readonly #clock: Clock;
  /** A server that prints its log to stdout must not fill ours. */
  readonly #junk: TokenBucket;
  #closed: CloseReason | undefined;

  constructor(options: ChannelOptions) {
    this.transport = options.transport;
    this.#server = options.server;
    this.#log = options.log;
    this.#timeout = options.timeout;
    this.#events = options.events;
    this.#clock = options.clock;
    this.#junk = new TokenBucket({ ratePerSecond: 2, burst: 10, now: options.clock.now() });
    this.#calls = new Correlation({
      clock: options.clock,
      onExpire: (call) => this.#expire(call),
    });
  }

  /** Why it is closed, `undefined` while it is open. */
  get closed(): CloseReason | undefined {
    return this.#closed;
  }

  /** Calls in flight. */
  get inFlight(): number {
    return this.#calls.size;
  }

  /**
   * Starts the transport.
   * @throws {RpcError} UpstreamUnavailable
   */
  async start(signal: AbortSignal): Promise<void> {
    await this.transport.start({
      onMessage: (message, carriedBy) => this.#receive(message, carriedBy),
      onInvalid: (input) => this.#invalid(input),
      onClose: (reason) => this.#onClose(reason),
      onGap: () => this.#events.onGap(),
    }, { signal });
  }

  /**
   * Passes a client's request on and its response back, in the client's terms. `edits` are the
   * router's (names and URIs).
   * @throws {RpcError} UpstreamUnavailable, UpstreamTimeout, UpstreamProtocol
   */
  async forward(exchange: Exchange, edits: readonly JsonEdit[]): Promise<ResponseMessage> {
    const { request: message, client, signal } = exchange;
    const token = metaOf(message.params).progressToken;
    const hasToken = typeof token === "string" || typeof token === "number";
    const tokenText = !hasToken
      ? undefined
      : typeof token === "number" && !Number.isSafeInteger(token)
      ? rawAt(message.raw, ["params", "_meta", "progressToken"])
      : JSON.stringify(token);
    const response = await this.#call(
      { method: message.method, exchange, tokenText, timeout: this.#timeout, signal, cancel: true },
      (id) => {
        const idText = String(id);
        const all: JsonEdit[] = [{ path: ["id"], value: idText }, ...edits];
        if (hasToken) all.push({ path: ["params", "_meta", "progressToken"], value: idText });
        all.push(...requestEdits(introduced(client), this.era, CLIENT_CAPABILITIES));
        return editJson(message.raw, all);
      },
    );
    const raw = restoreId(response, idTextOf(message));
    const projected = responseEdits(response, message.method, this.era, client.era);
    return { ...response, id: message.id, raw: editJson(raw, projected) };
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
    return this.#call({ method, cancel: true, ...options }, (id) => {
      const text = request(String(id), method, paramsText);
      return this.era === "modern"
        ? editJson(text, envelopeEdits(CLIENT_INFO, CLIENT_CAPABILITIES))
        : text;
    });
  }

  /** Sends a notification; what becomes of it is only logged. */
  async notify(method: string, paramsText?: string): Promise<void> {
    await this.#post(notification(method, paramsText), method);
  }

  /** Closes the transport; calls in flight fail. Never rejects. */
  async close(): Promise<void> {
    await this.transport.close();
    this.#onClose({ code: "closed", message: "was stopped" });
  }

  async #call(
    options: {
      readonly method: string;
      readonly exchange?: Exchange;
      readonly tokenText?: string | undefined;
      readonly timeout: number;
      readonly signal?: AbortSignal | undefined;
      readonly cancel?: boolean | undefined;
    },
    text: (id: number) => string,
  ): Promise<ResponseMessage> {
    const { method, signal } = options;
    if (this.#closed !== undefined) throw unavailable(this.#server, this.#closed.message);
    if (signal?.aborted) throw this.#cancelled(method);
    const { promise, resolve, reject } = Promise.withResolvers<ResponseMessage>();
    const onAbort = () => {
      const call = this.#calls.take(id);
      if (call === undefined) return;
      if (options.cancel) this.#cancelUpstream(id, messageOf(signal?.reason ?? "cancelled"));
      else this.transport.abandon(id);
      call.settle(this.#cancelled(method));
    };
    const id = this.#calls.open({
      method,
      exchange: options.exchange,
      tokenText: options.tokenText,
      timeout: options.timeout,
      settle: (outcome) => {
        signal?.removeEventListener("abort", onAbort);
        if (outcome instanceof RpcError) reject(outcome);
        else resolve(outcome);
      },
    });
    signal?.addEventListener("abort", onAbort);
    this.transport.send(text(id), { method, requestId: id }).catch((error: unknown) => {
      this.#calls.take(id)?.settle(
        error instanceof RpcError
          ? error
          : unavailable(this.#server, `could not be reached: ${messageOf(error)}`),
      );
    });
    return await promise;
  }

  /** The front has stopped caring about the call, so nobody reads this. */
  #cancelled(method: string): RpcError {
    return new RpcError(
      ErrorCode.UpstreamUnavailable,
      `Call of "${method}" on ${serverLabel(this.#server)} was cancelled`,
    );
  }

  /** A request is never cancelled as `initialize` (lifecycle), which never comes here. */
  #cancelUpstream(id: number, reason: string): void {
    const { kind } = this.transport;
    if (this.era === "modern" && kind === "http") return this.transport.abandon(id);
    void this.notify("notifications/cancelled", JSON.stringify({ requestId: id, reason }));
    // Nothing more is wanted of its stream. (Before 2026-07-28 closing it alone is no cancel.)
    this.transport.abandon(id);
  }

  #expire(call: PendingCall<Outcome>): void {
    if (call.method === "initialize" || call.method === "server/discover") {
      this.transport.abandon(call.id);
    } else this.#cancelUpstream(call.id, "Timed out");
    call.settle(timedOut(this.#server, call.method, call.timeout));
  }

  #receive(message: Message, carriedBy: number | undefined): void {
    switch (message.kind) {
      case "response": {
        const call = this.#calls.take(message.id);
        if (call !== undefined) call.settle(message);
        // Answered twice, after its time, after a cancel, or never asked: nobody waits for it.
        else this.#log.debug("Dropped an answer nobody waits for", { id: message.id });
        return;
      }
      case "notification":
        if (message.method === "notifications/progress") return this.#progress(message);
        if (this.#endsSubscription(message)) return;
        return this.#events.onNotification(message, this.#origin(carriedBy));
      case "request":
        return this.#answer(message, carriedBy);
    }
  }

  /** The server takes back a `subscriptions/listen` (2026-07-28, stdio: graceful teardown). */
  #endsSubscription({ method, params }: NotificationMessage): boolean {
    if (method !== "notifications/cancelled") return false;
    const call = this.#calls.get(params?.requestId as RequestId | undefined);
    if (call?.method !== "subscriptions/listen") return false;
    this.#calls.take(call.id)?.settle(unavailable(this.#server, "ended the subscription"));
    return true;
  }

  #progress(message: NotificationMessage): void {
    const call = this.#calls.progress(message.params?.progressToken);
    if (call?.tokenText === undefined) {
      this.#log.debug("Dropped progress nobody asked for");
      return;
    }
    const edit = { path: ["params", "progressToken"], value: call.tokenText };
    call.exchange?.notify(editJson(message.raw, [edit]));
  }

  /** The exchange a message belongs to: that of its response stream, or the only one in flight. */
  #origin(carriedBy: number | undefined): Exchange | undefined {
    return carriedBy === undefined
      ? this.#calls.only(({ exchange }) => exchange !== undefined)?.exchange
      : this.#calls.get(carriedBy)?.exchange;
  }

  #answer(message: RequestMessage, carriedBy: number | undefined): void {
    const idText = idTextOf(message);
    if (message.method === "ping") {
      void this.#post(resultResponse(idText, "{}"), "");
      return;
    }
    const answer = this.#events.onRequest?.(message, this.#origin(carriedBy));
    if (answer !== undefined) {
      void answer.then((raw) => this.#post(raw, ""));
      return;
    }
    this.#log.debug("Refused a request of the server", { method: message.method });
    const error = new RpcError(
      ErrorCode.MethodNotFound,
      `Method not found: this client does not support "${message.method}"`,
    );
    void this.#post(errorResponse(idText, error), "");
  }

  async #post(raw: string, method: string): Promise<void> {
    if (this.#closed !== undefined) return;
    try {
      await this.transport.send(raw, { method });
    } catch (error) {
      this.#log.debug("Cannot send to the server", { method, error: messageOf(error) });
    }
  }

  #invalid({ kind, error, snippet: text, carriedBy }: InvalidInput): void {
    const known = error.idText === "null" ? undefined : Number(error.idText);
    const only = kind === "overlong"
      ? this.#calls.only(({ timeout }) => timeout < Infinity)?.id
      : undefined;
    const call = this.#calls.take(carriedBy ?? known ?? only ?? null);
    if (call !== undefined) {
      const why = kind === "junk" ? "no JSON" : error.message;
      call.settle(protocolFault(this.#server, `gave no valid answer to "${call.method}": ${why}`));
    }
    const verdict = this.#junk.take(this.#clock.now());
    if (!verdict.allowed) return;
    const suppressed = verdict.suppressed > 0 ? { suppressed: verdict.suppressed } : {};
    this.#log.warn(`Ignored what is no message: ${error.message}`, { text, ...suppressed });
  }

  #onClose(reason: CloseReason): void {
    if (this.#closed !== undefined) return;
    this.#closed = reason;
    this.#calls.drain(() => unavailable(this.#server, reason.message));
    this.#events.onClose(reason);
  }
}

/**
 * Strict servers refuse an envelope whose `clientInfo` lacks name or version (they may do without
 * it, but not with half of it); the gateway then stands in for the client.
 */
function introduced(client: Client): Client {
  const { name, version } = client.info;
  if (client.era === "modern" || (typeof name === "string" && typeof version === "string")) {
    return client;
  }
  return { ...client, info: CLIENT_INFO };
}
