import type { EventSourceMessage } from "eventsource-parser";
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
import type { HttpOptions } from "./http-client.ts";
import { EVENT_STREAM, HttpClient, mediaType } from "./http-client.ts";
import { PROBE_LIMIT, SESSION_PROBE, SessionWatch } from "./lost-session.ts";
import { Sendings } from "./sendings.ts";
import {
  type CloseReason,
  receive,
  type SendOptions,
  type Transport,
  type TransportHandlers,
} from "./transport.ts";

const STREAM = "the event stream";
/** What else it can end with: all that is no failure of the network. */
const TOO_MUCH = `answered ${STREAM} with more than 64 MiB`;
/** How long the server may take to accept a message, in ms; the answer has its own limit. */
const POST_TIMEOUT = 30_000;

/**
 * HTTP+SSE of 2024-11-05: one event stream for everything the server says, whose first event names
 * the URL to post to. It cannot be resumed: when the stream ends the connection is gone.
 */
export class SseTransport implements Transport {
  readonly kind = "sse";
  readonly pid = undefined;
  readonly #server: string;
  readonly #http: HttpClient;
  readonly #closing = new AbortController();
  readonly #sendings: Sendings;
  readonly #session: SessionWatch;
  #handlers: TransportHandlers | undefined;
  #endpoint: URL | undefined;
  /** Where it may be if it is not there: a server does not know the path a proxy has put it below. */
  #others: URL[] = [];
  /** There is a session that may be forgotten, though its stream stays open. */
  #isAgreed = false;

  constructor(options: HttpOptions) {
    this.#server = options.server;
    const tell = () => this.#end({ code: "session-expired", message: "was logged in to anew" });
    this.#http = new HttpClient({ ...options, watch: { signal: this.#closing.signal, tell } });
    this.#sendings = new Sendings(options.clock);
    this.#session = new SessionWatch({
      clock: options.clock,
      ask: async () => {
        const sending = this.#sendings.begin(undefined, PROBE_LIMIT);
        const what = "a probe of the session";
        const status = await this.#post(SESSION_PROBE, what, this.#endpoint!, sending.signal)
          .finally(() => this.#sendings.end(undefined, sending));
        return { status };
      },
      onForgotten: () =>
        this.#end({ code: "session-expired", message: "has forgotten the session" }),
    });
  }

  /** Resolves when the server has named its endpoint. */
  async start(
    handlers: TransportHandlers,
    { signal: starting }: { readonly signal: AbortSignal },
  ): Promise<void> {
    const onAbort = () => this.#closing.abort();
    starting.addEventListener("abort", onAbort);
    try {
      starting.throwIfAborted();
      const response = await this.#http.send({
        method: "GET",
        headers: { accept: EVENT_STREAM },
        signal: this.#closing.signal,
        what: STREAM,
      });
      if (!response.ok || mediaType(response) !== EVENT_STREAM) {
        const what = STREAM + this.#http.via;
        if (!response.ok) {
          const said = await this.#http.said(response, STREAM);
          const why = loginWords(response, this.#http.credential);
          throw new HttpStatusError(this.#server, response.status, what, said, why);
        }
        await response.body?.cancel();
        throw protocolFault(this.#server, `answered ${STREAM} as ${mediaType(response)}`);
      }
      this.#handlers = handlers;
      await this.#firstEvent(response);
    } catch (error) {
      this.#handlers = undefined;
      this.#closing.abort();
      if (starting.aborted) throw unavailable(this.#server, "was not asked any longer");
      throw error;
    } finally {
      starting.removeEventListener("abort", onAbort);
    }
  }

  async send(raw: string, { method, requestId, headers }: SendOptions): Promise<void> {
    const url = this.#endpoint;
    if (url === undefined) throw new LostCallError(this.#server, "is disconnected", NOT_SENT);
    const sending = this.#sendings.begin(requestId, POST_TIMEOUT);
    const { signal } = sending;
    const what = method === "" ? "an answer" : `"${method}"`;
    this.#session.sent();
    let open = true;
    try {
      let status = await this.#post(raw, what, url, signal, headers);
      // Any other refusal is about the message.
      while ((status === 404 || status === 405) && !this.#isAgreed && this.#others.length > 0) {
        this.#endpoint = this.#others.shift()!;
        status = await this.#post(raw, what, this.#endpoint, signal, headers);
      }
      if (status < 300) return;
      const { isForeign } = this.#http;
      if (isForeign || this.#isAgreed && await this.#session.isForgotten({ status }, what)) {
        this.#session.forget(status < 500 ? requestId : undefined);
      }
      open = false;
      this.#session.decided();
      await this.#session.gone;
      throw new HttpStatusError(this.#server, status, what + this.#http.via);
    } catch (error) {
      if (signal.aborted) throw unavailable(this.#server, `did not accept ${what}`);
      if (error instanceof NetworkError && error.fault !== "closed") {
        if (error.neverSent && requestId !== undefined) this.#session.unsent.add(requestId);
        this.#end({ code: "disconnected", fault: error.fault, message: error.why });
      }
      if (error instanceof LoginError && error.isForAll) {
        if (requestId !== undefined) this.#session.unsent.add(requestId);
        this.#end({ code: "login", message: error.why, granted: error.granted });
      }
      throw error;
    } finally {
      if (open) this.#session.decided();
      this.#sendings.end(requestId, sending);
    }
  }

  /** Returns the status; what there is to say comes on the event stream. */
  async #post(
    body: string,
    what: string,
    url: URL,
    signal: AbortSignal,
    further?: SendOptions["headers"],
  ): Promise<number> {
    const headers = { "content-type": "application/json", ...further };
    const response = await this.#http.send({ method: "POST", headers, body, signal, what, url });
    await response.body?.cancel();
    return response.status;
  }

  /** Ends only a POST that still hangs; the answer would come on the event stream anyway. */
  abandon(requestId: number): void {
    this.#sendings.abandon(requestId);
  }

  setProtocol(version: string | undefined): void {
    this.#isAgreed = version !== undefined;
  }

  close(): Promise<void> {
    this.#end({ code: "closed", message: "was stopped" });
    this.#closing.abort();
    return Promise.resolve();
  }

  #firstEvent(response: Response): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onEvent = ({ event, data }: EventSourceMessage) => {
      if (event === "endpoint" && this.#endpoint === undefined) {
        try {
          this.#endpoint = this.#resolveEndpoint(data);
          resolve();
        } catch (error) {
          reject(error);
        }
      } else if (this.#handlers !== undefined && (event === undefined || event === "message")) {
        receive(data, this.#handlers, undefined);
      }
    };
    this.#http.events(response, STREAM, { onEvent }, this.#sendings)
      .then(() => "ended its event stream", (error) => error.why ?? TOO_MUCH)
      .then((why) => {
        reject(unavailable(this.#server, `${why} before it named its endpoint`));
        this.#end({ code: "disconnected", message: why });
      });
    return promise;
  }

  /** Same origin only: the configured headers, tokens among them, go there. */
  #resolveEndpoint(data: string): URL {
    const base = this.#http.url;
    if (!URL.canParse(data, base)) {
      throw protocolFault(this.#server, "named an endpoint that is no URL");
    }
    const url = new URL(data, base);
    if (url.origin !== base.origin) {
      throw protocolFault(this.#server, `named an endpoint of another origin, ${url.origin}`);
    }
    if (data.startsWith("/")) this.#others = belowPaths(base.pathname, url);
    return url;
  }

  #end(reason: CloseReason): void {
    const handlers = this.#handlers;
    if (handlers === undefined) return;
    this.#handlers = undefined;
    this.#endpoint = undefined;
    handlers.onClose({ ...reason, unsent: this.#session.unsent });
    this.#session.close();
    this.#closing.abort();
    this.#sendings.abandonAll();
  }
}

/** Longest path of a proxy that is tried, in segments. */
const MAX_SEGMENTS = 5;

/** The URL below each of the paths that the stream itself is below. */
function belowPaths(stream: string, url: URL): URL[] {
  const segments = stream.split("/").slice(1, -1).filter((one) => one !== "");
  return segments.slice(0, MAX_SEGMENTS).map((_, index) => {
    const other = new URL(url);
    other.pathname = `/${segments.slice(0, index + 1).join("/")}${url.pathname}`;
    return other;
  });
}
