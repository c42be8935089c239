import { editJson, rawAt } from "../lib/json-edit.ts";
import { isObject, type JsonObject } from "../lib/json.ts";
import { type Clock, pause, systemClock } from "../lib/time.ts";
import { encodeHeaderValue, Header, isModern, MetaKey, nameOf } from "../protocol/eras.ts";
import { ErrorCode, RpcError } from "../protocol/errors.ts";
import { LIST_RULES } from "../protocol/lists.ts";
import {
  errorResponse,
  idKey,
  idTextOf,
  InvalidMessage,
  type Message,
  metaOf,
  notification,
  parseMessage,
  parseMessages,
  type RequestMessage,
} from "../protocol/message.ts";
import { methodRule } from "../protocol/methods.ts";
import { BridgeHttp, failureText, type Outcome } from "./bridge-http.ts";

/** Options of a {@link BridgeLink}. */
export interface BridgeLinkOptions {
  /** The gateway's endpoint. */
  readonly url: string;
  /** The same for people, without credentials. */
  readonly label: string;
  /** Takes each message for the client: one line of JSON without its end. */
  readonly write: (line: string) => void;
  /** Takes what a person who reads stderr should know. */
  readonly tell?: (text: string) => void;
  /** @default the real time */
  readonly clock?: Clock;
}

/** How long a gateway that was there before is waited for when it is gone, milliseconds. */
const RESTART_PATIENCE = 5_000;
const RETRY_PAUSE = 100;
/** Between two attempts to open the event stream: doubles up to the second one. */
const STREAM_PAUSE = 250;
const MAX_STREAM_PAUSE = 5_000;
/** How long a bridge whose client has gone waits for what was asked last, and for its goodbye. */
const END_PATIENCE = 2_000;
const DELETE_TIMEOUT = 1_000;

/** A modern request in flight. */
interface ModernRequest {
  readonly method: string;
  readonly abort: AbortController;
}

/** A legacy session at the gateway. */
interface RemoteSession {
  readonly id: string | undefined;
  readonly version: string;
  readonly capabilities: JsonObject;
  /** Aborted when another has taken its place. */
  readonly over: AbortController;
}

/**
 * A client that speaks over lines on one side, a gateway's Streamable HTTP on the other. Texts go
 * through as they are. A gateway that is restarted is found again: the session is opened anew with
 * what the client said first, and what the old one certainly has not carried out is repeated.
 */
export class BridgeLink {
  readonly #options: BridgeLinkOptions;
  readonly #http: BridgeHttp;
  readonly #clock: Clock;
  readonly #closing = new AbortController();
  readonly #pending = new Set<Promise<void>>();
  /** Modern requests in flight: to cancel one is to hang up (2026-07-28 transports). */
  readonly #modern = new Map<string, ModernRequest>();
  #handshake: Promise<void> = Promise.resolve();
  #initialize: RequestMessage | undefined;
  #initialized: string | undefined;
  #session: RemoteSession | undefined;
  #renewing: Promise<string | undefined> | undefined;
  /** Whether the gateway has ever answered: only then is it worth waiting for. */
  #met = false;

  constructor(options: BridgeLinkOptions) {
    this.#options = options;
    this.#http = new BridgeHttp(options.url);
    this.#clock = options.clock ?? systemClock;
  }

  /** Takes one line of the client. What comes of it goes to `write`. */
  receive(line: string): void {
    if (line.trim() === "" || this.#closing.signal.aborted) return;
    try {
      const { batch, messages } = parseMessages(line);
      const [first] = messages;
      if (batch) this.#track(this.#legacy(line, messages.filter(isRequest)));
      else if (first instanceof InvalidMessage) throw first;
      else if (first !== undefined) this.#message(first);
    } catch (error) {
      if (!(error instanceof InvalidMessage)) throw error;
      this.#options.write(errorResponse(error.idText, error));
    }
  }

  /** A line of the client was too long to be read. */
  tooLong(): void {
    const error = new RpcError(ErrorCode.InvalidRequest, "Invalid request: the line is too long");
    this.#options.write(errorResponse("null", error));
  }

  /** Waits a moment for what is under way, then ends the session. Never rejects. */
  async close(): Promise<void> {
    for (const { method, abort } of this.#modern.values()) {
      // It never ends by itself.
      if (method === "subscriptions/listen") abort.abort();
    }
    const idle = Promise.allSettled([...this.#pending]);
    const over = new AbortController();
    await Promise.race([idle, pause(END_PATIENCE, this.#clock, over.signal)]);
    over.abort();
    this.#closing.abort();
    this.#session?.over.abort();
    const id = this.#session?.id;
    if (id !== undefined) await this.#http.end(id, AbortSignal.timeout(DELETE_TIMEOUT));
  }

  #message(message: Message): void {
    if (message.kind === "request") {
      if (message.method === "initialize") {
        this.#handshake = this.#open(message);
        this.#track(this.#handshake);
      } else if (isModern(message, () => undefined)) this.#track(this.#modernRequest(message));
      else this.#track(this.#legacy(message.raw, [message]));
      return;
    }
    if (message.kind === "notification") {
      const id = message.params?.requestId;
      const cancelled = message.method === "notifications/cancelled" &&
        (typeof id === "string" || typeof id === "number") && this.#modern.get(idKey(id));
      if (cancelled) return cancelled.abort.abort();
      if (message.method === "notifications/initialized") {
        this.#initialized = message.raw;
        return this.#track(this.#startStream(message.raw));
      }
    }
    this.#track(this.#legacy(message.raw, []));
  }

  #track(work: Promise<void>): void {
    const guarded = work.catch((error: unknown) => {
      if (!this.#closing.signal.aborted) this.#tell(`Bridge failed: ${String(error)}`);
    }).finally(() => this.#pending.delete(guarded));
    this.#pending.add(guarded);
  }

  /** The client's own `initialize`. */
  async #open(message: RequestMessage): Promise<void> {
    this.#initialize = message;
    this.#session?.over.abort();
    this.#session = undefined;
    const outcome = await this.#exchange(message.raw, [message], () => ({}), (text) => {
      this.#options.write(text);
    });
    if (outcome !== undefined) this.#fail([message], outcome);
  }

  async #startStream(initialized: string): Promise<void> {
    await this.#legacy(initialized, []);
    if (this.#session !== undefined) void this.#listen(this.#session);
  }

  async #legacy(raw: string, requests: readonly RequestMessage[]): Promise<void> {
    await this.#handshake;
    const outcome = await this.#exchange(
      raw,
      requests,
      () => sessionHeaders(this.#session),
      this.#options.write,
    );
    if (outcome !== undefined) this.#fail(requests, outcome);
  }

  async #modernRequest(message: RequestMessage): Promise<void> {
    const { method, params } = message;
    const key = idKey(message.id);
    const abort = new AbortController();
    this.#modern.set(key, { method, abort });
    const name = nameOf(method, params);
    const headers = {
      [Header.ProtocolVersion]: String(metaOf(params)[MetaKey.ProtocolVersion]),
      [Header.Method]: encodeHeaderValue(method),
      ...(name === undefined ? {} : { [Header.Name]: encodeHeaderValue(name) }),
    };
    try {
      const write = this.#options.write;
      const outcome = await this.#exchange(message.raw, [message], () => headers, write, abort);
      if (outcome !== undefined) this.#fail([message], outcome);
    } catch (error) {
      if (!abort.signal.aborted) throw error;
    } finally {
      this.#modern.delete(key);
    }
  }

  /**
   * Sends a text until it has been taken, or must not be sent again. Returns what went wrong,
   * undefined when nothing did. Rejects when aborted.
   */
  async #exchange(
    raw: string,
    requests: readonly RequestMessage[],
    headers: () => Readonly<Record<string, string>>,
    onMessage: (raw: string) => void,
    abort?: AbortController,
  ): Promise<Outcome | undefined> {
    const waiting = new Set(requests.map(({ id }) => idKey(id)));
    const signals = abort === undefined ? [] : [abort.signal];
    const signal = AbortSignal.any([this.#closing.signal, ...signals]);
    const safe = requests.every(isSafe);
    let goneSince: number | undefined;
    for (let renewals = 0;;) {
      const session = this.#session;
      const own = headers();
      const inSession = own[Header.SessionId] !== undefined;
      const outcome = await this.#http.post({
        raw,
        waiting,
        headers: own,
        inSession,
        signal,
        onMessage: (text, headers) => {
          if (requests[0]?.method === "initialize") this.#began(text, requests[0], headers);
          onMessage(text);
        },
      });
      if (outcome.kind === "done") {
        this.#met = true;
        return undefined;
      }
      if (outcome.kind === "refused") {
        this.#met = true;
        return outcome;
      }
      if (outcome.kind === "forgotten") {
        const why = renewals++ < 2 ? await this.#renew(session) : "it forgets every session";
        if (why === undefined) continue;
        return { kind: "unreached", why: `the session is lost: ${why}` };
      }
      goneSince ??= this.#clock.now();
      const patient = this.#clock.now() - goneSince < RESTART_PATIENCE;
      const mayRepeat = outcome.kind === "unreached" || safe;
      if (!this.#met || !patient || !mayRepeat) return outcome;
      await pause(RETRY_PAUSE, this.#clock, signal);
      signal.throwIfAborted();
    }
  }

  /** The answer to `initialize` says what has been agreed. */
  #began(text: string, { id }: RequestMessage, headers: Headers): void {
    const message = parseMessage(text);
    if (message.kind !== "response" || message.id !== id || message.result === undefined) return;
    const { protocolVersion, capabilities } = message.result;
    this.#session = {
      id: headers.get(Header.SessionId) ?? undefined,
      version: String(protocolVersion),
      capabilities: isObject(capabilities) ? capabilities : {},
      over: new AbortController(),
    };
  }

  /** Opens the session anew, once for all who find it gone. Returns why it could not be. */
  #renew(lost: RemoteSession | undefined): Promise<string | undefined> {
    if (this.#session !== lost) return Promise.resolve(undefined);
    return this.#renewing ??= this.#reopen().finally(() => this.#renewing = undefined);
  }

  async #reopen(): Promise<string | undefined> {
    const message = this.#initialize;
    if (message === undefined) return "the client has not initialized one";
    this.#session?.over.abort();
    let answer = "";
    const take = (text: string) => void (answer = text);
    const outcome = await this.#exchange(message.raw, [message], () => ({}), take);
    if (outcome !== undefined) return "why" in outcome ? outcome.why : outcome.kind;
    const { error } = JSON.parse(answer) as JsonObject;
    if (isObject(error)) return String(error.message);
    this.#tell("The gateway was restarted; the session has been opened again");
    const session = this.#session;
    if (this.#initialized === undefined || session === undefined) return undefined;
    // Once: a session that is lost again is found out by the next message, not from in here.
    await this.#http.post({
      raw: this.#initialized,
      waiting: new Set(),
      headers: sessionHeaders(session),
      inSession: true,
      signal: this.#closing.signal,
      onMessage: this.#options.write,
    });
    void this.#listen(session);
    this.#announceChanges(session);
    return undefined;
  }

  /** What the client knows is of the time before: it is to ask again. */
  #announceChanges({ capabilities }: RemoteSession): void {
    const changed = new Set<string>();
    for (const rule of LIST_RULES) {
      const declared = capabilities[rule.capability];
      if (isObject(declared) && declared.listChanged === true) changed.add(rule.changed);
    }
    for (const method of changed) this.#options.write(notification(method));
  }

  /** Keeps the stream for messages outside any request open while the session lasts. */
  async #listen(session: RemoteSession): Promise<void> {
    const signal = AbortSignal.any([this.#closing.signal, session.over.signal]);
    for (let failures = 0; !signal.aborted;) {
      try {
        const response = await this.#http.open(sessionHeaders(session), signal);
        if (response.ok) {
          await this.#http.events(response, (text) => {
            failures = 0;
            this.#options.write(text);
          });
        } else {
          await response.body?.cancel();
          if (response.status === 404 && session.id !== undefined) {
            await this.#renew(session);
            return;
          }
          // 405: a server need not have this stream.
          if (response.status < 500) return;
        }
      } catch {
        // Down, or broken off: tried again below.
      }
      const wait = Math.min(STREAM_PAUSE * 2 ** failures++, MAX_STREAM_PAUSE);
      await pause(wait, this.#clock, signal);
    }
  }

  /** Answers requests that got no answer. */
  #fail(requests: readonly RequestMessage[], outcome: Outcome): void {
    const { label } = this.#options;
    if (outcome.kind === "refused" && this.#forward(requests, outcome.text)) return;
    const message = failureText(outcome, label);
    if (requests.length === 0) this.#tell(message);
    for (const request of requests) {
      const error = new RpcError(ErrorCode.UpstreamUnavailable, message);
      this.#options.write(errorResponse(idTextOf(request), error));
    }
  }

  /** Passes on the gateway's own error; it may not know whose it is. */
  #forward(requests: readonly RequestMessage[], text: string): boolean {
    const [request] = requests;
    if (request === undefined || requests.length > 1) return false;
    try {
      const { jsonrpc, error } = JSON.parse(text) as JsonObject;
      if (jsonrpc !== "2.0" || !isObject(error)) return false;
      const own = idTextOf(request);
      const same = rawAt(text, ["id"]) === own;
      this.#options.write(same ? text : editJson(text, [{ path: ["id"], value: own }]));
      return true;
    } catch {
      return false;
    }
  }

  #tell(text: string): void {
    this.#options.tell?.(text);
  }
}

function isRequest(message: Message | InvalidMessage): message is RequestMessage {
  return !(message instanceof InvalidMessage) && message.kind === "request";
}

function isSafe({ method }: RequestMessage): boolean {
  const rule = methodRule(method, "legacy") ?? methodRule(method, "modern");
  return rule?.safe === true || method === "initialize";
}

function sessionHeaders(session: RemoteSession | undefined): Readonly<Record<string, string>> {
  if (session === undefined) return {};
  return {
    [Header.ProtocolVersion]: session.version,
    ...(session.id === undefined ? {} : { [Header.SessionId]: session.id }),
  };
}
