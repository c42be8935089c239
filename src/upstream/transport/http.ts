import { isObject, type JsonObject } from "../../lib/json.ts";
import { messageOf } from "../../lib/text.ts";
import { pause } from "../../lib/time.ts";
import { type Era, Header } from "../../protocol/eras.ts";
import { InvalidMessage, type Message, type ResponseMessage } from "../../protocol/message.ts";
import type { ParamHeader } from "../../protocol/param-headers.ts";
import { loginWords } from "./challenge.ts";
import {
  HttpStatusError,
  LoginError,
  LostCallError,
  NetworkError,
  NOT_SENT,
  protocolFault,
  unavailable,
} from "./failures.ts";
import {
  errorBody,
  EVENT_STREAM,
  type EventHandlers,
  HttpClient,
  type HttpOptions,
  mediaType,
  messageIn,
  POST_HEADERS,
  repeatInHeaders,
} from "./http-client.ts";
import {
  mayBeForgotten,
  PROBE_LIMIT,
  type ReadRefusal,
  refusalIn,
  SESSION_PROBE,
  type SessionRefusal,
  SessionWatch,
} from "./lost-session.ts";
import { Sendings } from "./sendings.ts";
import {
  type CloseReason,
  type InvalidInput,
  type NetworkFault,
  PAGE_LIMIT,
  receive,
  type SendOptions,
  type TextHandlers,
  type Transport,
  type TransportHandlers,
} from "./transport.ts";

/** What {@link StreamableHttpTransport} is made of. */
export interface StreamableHttpOptions extends HttpOptions {
  /** Which arguments of a tool, by its own name, a modern request repeats in headers. */
  readonly toolHeaders: (tool: string) => readonly ParamHeader[];
}

/** Attempts in a row to take up a broken stream before it counts as lost. */
const RESUME_ATTEMPTS = 3;
/** Pause before a stream is taken up again where the server named none (`retry`), in ms. */
const DEFAULT_RETRY = 1_000;
const MAX_RETRY = 30_000;
/** The shortest such pause, whatever the server names; doubled while nothing comes, in ms. */
const MIN_RETRY = 50;
/** How long a server may take to accept a notification or an answer, in ms. */
const NOTIFY_TIMEOUT = 30_000;
const SERVER_STREAM = "the event stream";

/** What the streams of a transport tell of. */
interface Told {
  /** Undefined when nothing is to be told any more. */
  handlers: TransportHandlers | undefined;
  /** An answer that may mean that the session is gone; where it does not, it is an answer. */
  doubt(message: ResponseMessage, what: string): Promise<void>;
}

/** State of one response, be it a stream over all the connections it takes or a single text. */
class Stream implements EventHandlers, TextHandlers {
  lastEventId: string | undefined;
  retry = DEFAULT_RETRY;
  answered = false;
  /** Counts events, to tell a stream that moves from one that only breaks. */
  progress = 0;
  /** Counts those of them that say something. */
  messages = 0;
  /** The last thing on it that was no message: the answer, where nothing else is. */
  junk: InvalidInput | undefined;
  /** Why nobody was there when it was last asked for. */
  gone: NetworkFault | undefined;

  constructor(
    readonly what: string,
    readonly requestId: number | undefined,
    private readonly told: Told,
  ) {}

  get limit(): number | undefined {
    return this.isList(this.requestId ?? 0) ? PAGE_LIMIT : undefined;
  }

  isList(id: number): boolean {
    return this.told.handlers?.isList?.(id) === true;
  }

  onId(id: string): void {
    this.lastEventId = id === "" ? undefined : id;
    this.progress++;
  }

  onRetry(ms: number): void {
    this.retry = Math.max(MIN_RETRY, Math.min(ms, MAX_RETRY));
  }

  onEvent(event: Parameters<typeof messageIn>[0]): void {
    this.progress++;
    const text = messageIn(event);
    if (text === undefined) return;
    this.messages++;
    receive(text, this, this.requestId);
  }

  onMessage(message: Message, carriedBy: number | undefined): void {
    if (message.kind === "response" && message.id === this.requestId) {
      this.answered = true;
      if (mayBeForgotten({ status: 200, code: message.error?.code })) {
        return void this.told.doubt(message, this.what);
      }
    }
    this.told.handlers?.onMessage(message, carriedBy);
  }

  onInvalid(input: InvalidInput): void {
    const { handlers } = this.told;
    // What is no event is the answer, whatever it is.
    if (this.messages === 0 || input.error.idText.replaceAll('"', "") === String(this.requestId)) {
      this.answered = true;
      return handlers?.onInvalid(input);
    }
    // Beside its answer a stream may carry what is none, and of nobody's request.
    this.junk = input;
    const error = new InvalidMessage(input.error.code, input.error.message, "null");
    handlers?.onInvalid({ ...input, error, carriedBy: undefined });
  }
}

/**
 * Streamable HTTP of both eras. Written here and not taken from the SDK: texts are forwarded as
 * they came, every server message keeps the request whose stream carried it (that is how
 * elicitation and logs find their client), and the SDK costs 20 MB of memory.
 */
export class StreamableHttpTransport implements Transport {
  readonly kind = "http";
  readonly pid = undefined;
  readonly #http: HttpClient;
  readonly #closing = new AbortController();
  readonly #sendings: Sendings;
  readonly #session: SessionWatch;
  readonly #told: Told = {
    handlers: undefined,
    doubt: async (message, what) => {
      const id = message.id as number;
      const isForgotten = await this.#isForgotten(refusalIn(200, message.raw), what);
      if (isForgotten) this.#session.forget(id);
      else this.#told.handlers?.onMessage(message, id);
    },
  };
  /** Why nothing can be asked any more, when all that was asked before is answered. */
  #unknown: LoginError | undefined;
  #sessionId: string | undefined;
  #version: string | undefined;
  #era: Era = "legacy";

  constructor(private readonly options: StreamableHttpOptions) {
    const expire = (message: string) => this.#lost({ code: "session-expired", message });
    // What is on its way is bound to a login by a session alone, or by what may open one.
    const isBound = () => this.#sessionId || this.#version === undefined;
    const tell = () => isBound() ? expire("was logged in to anew") : this.#told.handlers?.onGap?.();
    this.#http = new HttpClient({ ...options, watch: { signal: this.#closing.signal, tell } });
    this.#sendings = new Sendings(options.clock);
    this.#session = new SessionWatch({
      clock: options.clock,
      ask: () => this.#probe(),
      onForgotten: () => expire("has forgotten the session"),
    });
  }

  start(handlers: TransportHandlers): Promise<void> {
    this.#told.handlers = handlers;
    return Promise.resolve();
  }

  async send(raw: string, options: SendOptions): Promise<void> {
    const { method, requestId, client } = options;
    if (this.#closing.signal.aborted) {
      throw new LostCallError(this.options.server, "is disconnected", NOT_SENT);
    }
    // A request has its caller's limit; nobody else would end a notification that hangs.
    const limit = requestId === undefined ? NOTIFY_TIMEOUT : undefined;
    const sending = this.#sendings.begin(requestId, limit, method === "subscriptions/listen");
    const { signal } = sending;
    try {
      if (this.#session.gone !== undefined) {
        this.#session.forget(requestId);
        await this.#session.gone;
        signal.throwIfAborted();
      }
      await this.#post(raw, options, signal);
    } catch (error) {
      if (signal.aborted) throw unavailable(this.options.server, "is no longer asked");
      // Without its server there is no session either; a new handshake finds out what is left. That
      // one socket was closed is no sign of it, and no business of the other calls.
      if (error instanceof NetworkError && error.phase === "connect" && error.fault !== "closed") {
        if (error.neverSent && requestId !== undefined) this.#session.unsent.add(requestId);
        this.#lost({ code: "disconnected", fault: error.fault, message: error.why });
      }
      if (error instanceof LoginError && error.isForAll && !(client && this.options.credentialOf)) {
        this.#unknown = error;
        if (requestId !== undefined) this.#session.unsent.add(requestId);
      }
      throw error;
    } finally {
      this.#sendings.end(requestId, sending);
      if (this.#unknown !== undefined && this.#sendings.isIdle) {
        const { why: message, granted } = this.#unknown;
        this.#lost({ code: "login", message, granted });
      }
    }
    if (method === "notifications/initialized") void this.#serverStream();
  }

  abandon(requestId: number): void {
    this.#sendings.abandon(requestId);
  }

  setProtocol(version: string | undefined, era: Era): void {
    this.#version = version;
    this.#era = era;
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    const headers = this.#headers();
    this.#lost({ code: "closed", message: "was stopped" });
    if (!(Header.SessionId in headers)) return;
    try {
      await this.#http.endSession(headers);
    } catch (error) {
      this.options.log.debug("Cannot end the session", { error: messageOf(error) });
    }
  }

  #headers(): Record<string, string> {
    return {
      ...(this.#version === undefined ? {} : { [Header.ProtocolVersion]: this.#version }),
      ...(this.#sessionId === undefined ? {} : { [Header.SessionId]: this.#sessionId }),
    };
  }

  /** A modern request repeats parts of its body in headers (2026-07-28 transports). */
  #postHeaders(raw: string, method: string): Record<string, string> {
    const headers = Object.assign(this.#headers(), POST_HEADERS);
    if (this.#era === "modern" && method !== "") {
      const { params } = JSON.parse(raw) as JsonObject;
      const known = isObject(params) ? params : undefined;
      repeatInHeaders(headers, method, known, this.options.toolHeaders);
    }
    return headers;
  }

  async #post(
    raw: string,
    { method, requestId, client, headers: further }: SendOptions,
    signal: AbortSignal,
  ): Promise<void> {
    const what = method === "" ? "an answer" : `"${method}"`;
    const headers = Object.assign(this.#postHeaders(raw, method), further);
    // What a call does it may do twice, so others decide about it.
    const mayRepeat = method !== "tools/call";
    let refusal: ReadRefusal | undefined;
    let response;
    if (requestId !== undefined) this.#session.sent();
    try {
      const sent = { method: "POST", headers, body: raw, signal, what, mayRepeat, client } as const;
      response = await this.#http.send(sent);
      if (!response.ok) refusal = await this.#readRefusal(response, what, requestId);
    } finally {
      if (requestId !== undefined) this.#session.decided();
    }
    if (refusal !== undefined) return await this.#refused(refusal, what, requestId);
    if (method === "initialize") {
      this.#sessionId = response.headers.get(Header.SessionId) ?? undefined;
    }
    if (requestId === undefined) {
      await response.body?.cancel();
      return;
    }
    const type = mediaType(response);
    if (type === EVENT_STREAM) {
      await this.#follow(response, new Stream(what, requestId, this.#told), signal);
    } else if (response.status === 202 || response.status === 204) {
      await response.body?.cancel();
      throw protocolFault(this.options.server, `accepted ${what} without an answer`);
    } else if (type === "application/json" || type === "") {
      const answer = new Stream(what, requestId, this.#told);
      receive(await this.#http.text(response, what), answer, requestId);
      if (!answer.answered) {
        throw protocolFault(this.options.server, `answered ${what} with something else`);
      }
    } else {
      await response.body?.cancel();
      throw protocolFault(
        this.options.server,
        `answered ${what} as ${type}; expected application/json or ${EVENT_STREAM}`,
      );
    }
  }

  /** What a status of 300 and more comes with, and whether it means that the session is gone. */
  async #readRefusal(
    response: Response,
    what: string,
    requestId: number | undefined,
  ): Promise<ReadRefusal> {
    const { status } = response;
    const text = await this.#http.said(response, what);
    const isForgotten = await this.#isForgotten(refusalIn(status, text), what);
    // Whoever fails in the middle of its work may have done a part of it.
    if (isForgotten) this.#session.forget(status < 500 ? requestId : undefined);
    return { status, text, isForgotten, why: loginWords(response, this.#http.credential) };
  }

  /** The JSON-RPC error in the body of a refusal, where there is one. */
  async #refused(
    { status, text, isForgotten, why }: ReadRefusal,
    what: string,
    requestId: number | undefined,
  ): Promise<void> {
    if (isForgotten) await this.#session.gone;
    const own = isForgotten || requestId === undefined || text === undefined
      ? undefined
      : errorBody(text, String(requestId));
    if (own === undefined || status === 401) {
      throw new HttpStatusError(this.options.server, status, what + this.#http.via, text, why);
    }
    receive(own, new Stream(what, requestId, this.#told), requestId);
  }

  /** Whether a refusal means that the session is gone; 404 means it by itself (transports). */
  async #isForgotten(refusal: SessionRefusal, what: string): Promise<boolean> {
    if (this.#sessionId === undefined || this.#http.isForeign) return this.#http.isForeign;
    return refusal.status === 404 && what !== SERVER_STREAM && mayBeForgotten(refusal) ||
      await this.#session.isForgotten(refusal, what);
  }

  async #probe(): Promise<SessionRefusal> {
    const sending = this.#sendings.begin(undefined, PROBE_LIMIT);
    const what = "a probe of the session";
    try {
      const { signal } = sending;
      const headers = this.#postHeaders(SESSION_PROBE, "");
      const probe = { method: "POST", headers, body: SESSION_PROBE, signal, what } as const;
      const response = await this.#http.send(probe);
      let text: string | undefined;
      if (mediaType(response) === EVENT_STREAM) {
        const onEvent = (event: Parameters<typeof messageIn>[0]) =>
          void (text ??= messageIn(event));
        await this.#http.events(response, what, { onEvent });
      } else text = await this.#http.text(response, what);
      return refusalIn(response.status, text);
    } finally {
      this.#sendings.end(undefined, sending);
    }
  }

  /**
   * Reads a response stream, and takes it up again where the server lets it be (2025-11-25
   * transports: resumability), until the answer is there.
   */
  async #follow(response: Response, stream: Stream, signal: AbortSignal): Promise<void> {
    let failures = 0;
    let idle = 0;
    let current: Response | undefined = response;
    let reason = "ended its answer stream";
    for (;;) {
      if (current !== undefined) {
        const { messages } = stream;
        try {
          await this.#http.events(current, stream.what, stream, this.#sendings);
          reason = "ended its answer stream";
          // Closing is how a server has a client poll (2025-11-25); the call's own limit bounds it.
          if (stream.lastEventId !== undefined) failures = 0;
        } catch (error) {
          signal.throwIfAborted();
          if (!(error instanceof NetworkError)) throw error;
          reason = error.why;
          stream.junk = undefined; // who is cut off may not have come to its answer
        }
        if (stream.answered) return;
        if (stream.messages > messages) failures = idle = 0;
        else idle++;
      }
      if (stream.lastEventId === undefined || this.#era === "modern") {
        if (stream.junk !== undefined) return this.#told.handlers?.onInvalid(stream.junk);
        throw new LostCallError(this.options.server, `${reason} before it answered ${stream.what}`);
      }
      if (++failures > RESUME_ATTEMPTS) {
        const why = `${reason} and did not take up ${stream.what} again`;
        throw new LostCallError(this.options.server, why);
      }
      // A poll that brings nothing is repeated less and less often.
      await pause(restAfter(stream, idle), this.options.clock, signal);
      signal.throwIfAborted();
      current = await this.#resume(stream, signal);
    }
  }

  /** Undefined when the attempt failed in a way that another may not. */
  async #resume(stream: Stream, signal: AbortSignal): Promise<Response | undefined> {
    const headers: Record<string, string> = { ...this.#headers(), accept: EVENT_STREAM };
    if (stream.lastEventId !== undefined) headers[Header.LastEventId] = stream.lastEventId;
    try {
      const response = await this.#http.send({ method: "GET", headers, signal, what: stream.what });
      if (response.ok && mediaType(response) === EVENT_STREAM) return response;
      await response.body?.cancel();
      stream.gone = undefined;
      const { status } = response;
      if (await this.#isForgotten({ status }, SERVER_STREAM)) {
        this.#session.forget(undefined);
        // Ends all calls, this one as well, with what has become of them.
        await this.#session.gone;
      }
      if (status < 500) throw new HttpStatusError(this.options.server, status, stream.what);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof NetworkError)) throw error;
      stream.gone = error.neverSent ? error.fault : undefined;
    }
    return undefined;
  }

  /**
   * The stream for messages outside any request; a server need not have one (405), and that there is
   * none is no loss. Only where nobody listens any more the server itself is gone.
   */
  async #serverStream(): Promise<void> {
    if (this.#era === "modern") return;
    const signal = this.#closing.signal;
    const stream = new Stream(SERVER_STREAM, undefined, this.#told);
    let worked = false;
    let failures = 0;
    let idle = 0;
    let mute = 0;
    for (;;) {
      const { progress, messages } = stream;
      let opened = false;
      try {
        const response = await this.#resume(stream, signal);
        if (response !== undefined) {
          opened = worked = true;
          await this.#http.events(response, SERVER_STREAM, stream, this.#sendings);
        }
      } catch (error) {
        if (signal.aborted) return;
        this.options.log.debug("Event stream broke or is refused", { error: messageOf(error) });
        // Who has never had one will not get one.
        if (error instanceof HttpStatusError && !worked) return;
      }
      failures = opened ? 0 : failures + 1;
      if (failures >= RESUME_ATTEMPTS) {
        const { gone: fault } = stream;
        const message = "is disconnected: its event stream broke";
        if (fault !== undefined) return this.#lost({ code: "disconnected", fault, message });
        if (!worked) return;
      }
      // A server that ends an empty stream again and again is asked less and less often.
      idle = stream.progress > progress ? 0 : Math.min(idle + 1, 10);
      mute = stream.messages > messages ? 0 : Math.min(mute + 1, 10);
      if (opened && stream.lastEventId === undefined) this.#told.handlers?.onGap?.();
      const rest = Math.min(stream.retry * 2 ** idle, MAX_RETRY);
      await pause(Math.max(rest, restAfter(stream, mute)), this.options.clock, signal);
      if (signal.aborted) return;
    }
  }

  #lost(reason: CloseReason): void {
    const handlers = this.#told.handlers;
    if (handlers === undefined) return;
    this.#told.handlers = undefined;
    handlers.onClose({ ...reason, unsent: this.#session.unsent });
    this.#session.close();
    this.#sessionId = undefined;
    this.#closing.abort();
    this.#sendings.abandonAll();
  }
}

/** Milliseconds before a stream is asked for again that ended `idle` times in a row saying nothing. */
function restAfter({ retry }: Stream, idle: number): number {
  return Math.max(retry, Math.min(MIN_RETRY * 2 ** idle, DEFAULT_RETRY));
}
