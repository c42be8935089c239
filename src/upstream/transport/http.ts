import type { HttpTarget } from "../../config/types.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import { messageOf } from "../../lib/text.ts";
import { type Clock, pause } from "../../lib/time.ts";
import { type Era, Header } from "../../protocol/eras.ts";
import { headersOf, type ParamHeader } from "../../protocol/param-headers.ts";
import {
  HttpStatusError,
  LostCallError,
  NetworkError,
  NOT_SENT,
  protocolFault,
  unavailable,
} from "./failures.ts";
import {
  errorBody,
  EVENT_STREAM,
  HttpClient,
  mediaType,
  messageIn,
  POST_HEADERS,
  repeatInHeaders,
  Sendings,
} from "./http-client.ts";
import {
  type CloseReason,
  receive,
  type SendOptions,
  type Transport,
  type TransportHandlers,
  type UpstreamLog,
} from "./transport.ts";

/** What the HTTP transports are made of. */
export interface HttpOptions {
  readonly server: string;
  readonly target: HttpTarget;
  readonly log: UpstreamLog;
  readonly clock: Clock;
}

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
/** How long a server may take to accept a notification or an answer, in ms. */
const NOTIFY_TIMEOUT = 30_000;

/** State of one response stream over all the connections it takes. */
class Stream {
  lastEventId: string | undefined;
  retry = DEFAULT_RETRY;
  answered = false;
  /** Counts events, to tell a stream that moves from one that only breaks. */
  progress = 0;

  constructor(readonly what: string, readonly requestId: number | undefined) {}
}

/**
 * Streamable HTTP of both eras. Written here and not taken from the SDK: texts are forwarded as
 * they came, every server message keeps the request whose stream carried it (that is how
 * elicitation and logs find their client), and the SDK costs 20 MB of memory.
 */
export class StreamableHttpTransport implements Transport {
  readonly kind = "http";
  readonly pid = undefined;
  readonly #server: string;
  readonly #log: UpstreamLog;
  readonly #clock: Clock;
  readonly #http: HttpClient;
  readonly #toolHeaders: StreamableHttpOptions["toolHeaders"];
  readonly #closing = new AbortController();
  readonly #sendings: Sendings;
  #handlers: TransportHandlers | undefined;
  #sessionId: string | undefined;
  #version: string | undefined;
  #era: Era = "legacy";

  constructor(options: StreamableHttpOptions) {
    this.#toolHeaders = options.toolHeaders;
    this.#server = options.server;
    this.#log = options.log;
    this.#clock = options.clock;
    this.#http = new HttpClient(options.server, options.target);
    this.#sendings = new Sendings(options.clock);
  }

  start(handlers: TransportHandlers): Promise<void> {
    this.#handlers = handlers;
    return Promise.resolve();
  }

  async send(raw: string, { method, requestId }: SendOptions): Promise<void> {
    if (this.#closing.signal.aborted) {
      throw new LostCallError(this.#server, "is disconnected", NOT_SENT);
    }
    // A request has its caller's limit; nobody else would end a notification that hangs.
    const limit = requestId === undefined ? NOTIFY_TIMEOUT : undefined;
    const sending = this.#sendings.begin(requestId, limit);
    const { signal } = sending;
    try {
      await this.#post(raw, method, requestId, signal);
    } catch (error) {
      if (signal.aborted) throw unavailable(this.#server, "is no longer asked");
      // Without its server there is no session either; a new handshake finds out what is left.
      if (error instanceof NetworkError && error.phase === "connect") {
        const unsent = error.neverSent ? requestId : undefined;
        this.#lost({ code: "disconnected", fault: error.fault, message: error.why, unsent });
      }
      throw error;
    } finally {
      this.#sendings.end(requestId, sending);
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
    const sessionId = this.#sessionId;
    const headers = this.#headers();
    this.#lost({ code: "closed", message: "was stopped" });
    if (sessionId === undefined) return;
    try {
      await this.#http.endSession(headers);
    } catch (error) {
      this.#log.debug("Cannot end the session", { error: messageOf(error) });
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
      const object = isObject(params) ? params : undefined;
      const name = repeatInHeaders(headers, method, object);
      if (name !== undefined && method === "tools/call") {
        const args = isObject(object?.arguments) ? object.arguments : undefined;
        for (const [key, value] of headersOf(this.#toolHeaders(name), args)) headers[key] = value;
      }
    }
    return headers;
  }

  async #post(
    raw: string,
    method: string,
    requestId: number | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const what = method === "" ? "an answer" : `"${method}"`;
    const headers = this.#postHeaders(raw, method);
    const response = await this.#http.send({ method: "POST", headers, body: raw, signal, what });
    if (!response.ok) return await this.#refused(response, what, requestId);
    if (method === "initialize") {
      this.#sessionId = response.headers.get(Header.SessionId) ?? undefined;
    }
    if (requestId === undefined) {
      await response.body?.cancel();
      return;
    }
    const type = mediaType(response);
    if (type === EVENT_STREAM) {
      await this.#follow(response, new Stream(what, requestId), signal);
    } else if (response.status === 202 || response.status === 204) {
      await response.body?.cancel();
      throw protocolFault(this.#server, `accepted ${what} without an answer`);
    } else if (type === "application/json" || type === "") {
      const text = await this.#http.text(response, what);
      if (!this.#deliver(text, requestId)) {
        throw protocolFault(this.#server, `answered ${what} with something else`);
      }
    } else {
      await response.body?.cancel();
      throw protocolFault(
        this.#server,
        `answered ${what} as ${type}; expected application/json or ${EVENT_STREAM}`,
      );
    }
  }

  /** A status of 300 and more: the JSON-RPC error in its body where there is one. */
  async #refused(
    response: Response,
    what: string,
    requestId: number | undefined,
  ): Promise<void> {
    const { status } = response;
    const error = new HttpStatusError(this.#server, status, what);
    if (status === 404 && this.#sessionId !== undefined) {
      await response.body?.cancel();
      this.#forgotten();
      throw error;
    }
    if (mediaType(response) !== "application/json") {
      await response.body?.cancel();
      throw error;
    }
    const text = await this.#http.text(response, what);
    if (status === 400 && this.#sessionId !== undefined && saysNoSession(text)) {
      this.#forgotten();
      throw error;
    }
    const own = requestId === undefined ? undefined : errorBody(text, String(requestId));
    if (own === undefined || status === 401) throw error;
    this.#deliver(own, requestId);
  }

  /** Hands a text on; true when it holds the answer to `requestId`. */
  #deliver(text: string, requestId: number | undefined): boolean {
    const handlers = this.#handlers;
    if (handlers === undefined) return true;
    let answered = false;
    receive(text, {
      ...handlers,
      onMessage: (message, carriedBy) => {
        answered ||= message.kind === "response" && message.id === requestId;
        handlers.onMessage(message, carriedBy);
      },
      onInvalid: (input) => {
        answered = true;
        handlers.onInvalid(input);
      },
    }, requestId);
    return answered;
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
        const before = stream.progress;
        try {
          await this.#pump(current, stream);
          reason = "ended its answer stream";
          // Closing is how a server has a client poll (2025-11-25); the call's own limit bounds it.
          if (stream.lastEventId !== undefined) failures = 0;
        } catch (error) {
          signal.throwIfAborted();
          if (!(error instanceof NetworkError)) throw error;
          reason = error.why;
        }
        if (stream.answered) return;
        if (stream.progress > before) failures = idle = 0;
        else idle++;
      }
      if (stream.lastEventId === undefined || this.#era === "modern") {
        throw new LostCallError(this.#server, `${reason} before it answered ${stream.what}`);
      }
      if (++failures > RESUME_ATTEMPTS) {
        const why = `${reason} and did not take up ${stream.what} again`;
        throw new LostCallError(this.#server, why);
      }
      // A poll that brings nothing is repeated less and less often.
      const rest = idle === 0 ? 0 : Math.min(25 * 2 ** idle, DEFAULT_RETRY);
      await pause(Math.max(stream.retry, rest), this.#clock, signal);
      signal.throwIfAborted();
      current = await this.#resume(stream, signal);
    }
  }

  /** Undefined when the attempt failed in a way that another may not. */
  async #resume(stream: Stream, signal: AbortSignal): Promise<Response | undefined> {
    const headers = this.#headers();
    headers["accept"] = EVENT_STREAM;
    if (stream.lastEventId !== undefined) headers[Header.LastEventId] = stream.lastEventId;
    try {
      const what = stream.what;
      const response = await this.#http.send({ method: "GET", headers, signal, what });
      if (response.ok && mediaType(response) === EVENT_STREAM) return response;
      await response.body?.cancel();
      if (response.status === 404 && this.#sessionId !== undefined) this.#forgotten();
      if (response.status < 500) {
        throw new HttpStatusError(this.#server, response.status, stream.what);
      }
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof NetworkError)) throw error;
    }
    return undefined;
  }

  async #pump(response: Response, stream: Stream): Promise<void> {
    await this.#http.events(response, stream.what, {
      onId: (id) => {
        stream.lastEventId = id === "" ? undefined : id;
        stream.progress++;
      },
      onRetry: (ms) => {
        stream.retry = Math.min(ms, MAX_RETRY);
      },
      onEvent: (event) => {
        stream.progress++;
        const text = messageIn(event);
        if (text !== undefined && this.#deliver(text, stream.requestId)) stream.answered = true;
      },
    });
  }

  /** The stream for messages outside any request; a server need not have one (405). */
  async #serverStream(): Promise<void> {
    if (this.#era === "modern") return;
    const signal = this.#closing.signal;
    const stream = new Stream("the event stream", undefined);
    let failures = 0;
    let idle = 0;
    while (failures < RESUME_ATTEMPTS) {
      const before = stream.progress;
      let opened = false;
      try {
        const response = await this.#resume(stream, signal);
        if (response !== undefined) {
          opened = true;
          await this.#pump(response, stream);
        }
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof HttpStatusError) {
          this.#log.debug("No event stream", { status: error.status });
          return;
        }
        this.#log.debug("Event stream broke", { error: messageOf(error) });
      }
      failures = opened ? 0 : failures + 1;
      // A server that ends an empty stream again and again is asked less and less often.
      idle = opened && stream.progress === before ? Math.min(idle + 1, 10) : 0;
      if (opened && stream.lastEventId === undefined) this.#handlers?.onGap?.();
      await pause(Math.min(stream.retry * 2 ** idle, MAX_RETRY), this.#clock, signal);
      if (signal.aborted) return;
    }
    this.#lost({ code: "disconnected", message: "is disconnected: its event stream broke" });
  }

  #forgotten(): void {
    this.#lost({ code: "session-expired", message: "has forgotten the session" });
  }

  #lost(reason: CloseReason): void {
    const handlers = this.#handlers;
    if (handlers === undefined) return;
    this.#handlers = undefined;
    handlers.onClose(reason);
    this.#sessionId = undefined;
    this.#closing.abort();
    this.#sendings.abandonAll();
  }
}

/**
 * A dead session should be answered with 404. The reference server and others built like it say
 * 400, code -32000 and "No valid session ID provided".
 */
function saysNoSession(text: string): boolean {
  try {
    const { error } = JSON.parse(text) as JsonObject;
    return isObject(error) && error.code === -32000 && typeof error.message === "string" &&
      /\bsession\b/i.test(error.message);
  } catch {
    return false;
  }
}
