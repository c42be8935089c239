import { Inbox } from "../inbox.ts";
import { isResponseTo, notificationText, type Received, received, requestText } from "./message.ts";
import { readSse, type SseStream } from "./sse.ts";

/** An HTTP answer as it came: body either as text or, for an event stream, as it arrives. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** The whole body; empty for an event stream. */
  readonly text: string;
  /** The messages of an event stream, or the one of a JSON body. */
  readonly messages: Inbox<Received>;
  /** The event stream, undefined for every other body. */
  readonly stream: SseStream | undefined;
  /** Hangs up. */
  close(): void;
}

/** Sends one request and reads its answer; an event stream is returned as soon as it begins. */
export async function send(url: string, init: RequestInit): Promise<HttpAnswer> {
  const abort = new AbortController();
  const response = await fetch(url, { redirect: "manual", ...init, signal: abort.signal });
  const { status, headers } = response;
  const what = `${init.method ?? "GET"} ${url} (${status})`;
  const messages = new Inbox<Received>(what);
  const type = headers.get("content-type") ?? "";
  if (response.body === null || !type.startsWith("text/event-stream")) {
    const text = await response.text();
    if (type.startsWith("application/json")) messages.push(received(text));
    messages.end(`body ${text.slice(0, 500)}`);
    return { status, headers, text, messages, stream: undefined, close: () => {} };
  }
  const stream = readSse(response.body, what, () => abort.abort());
  forward(stream, messages);
  return { status, headers, text: "", messages, stream, close: stream.close };
}

function forward(stream: SseStream, messages: Inbox<Received>): void {
  stream.events.follow(({ data }) => {
    // A priming event (2025-11-25) has an id and empty data: no message.
    if (data !== undefined && data !== "") messages.push(received(data));
  }, (reason) => messages.end(reason));
}

/** What a client of any era can do; the suite is written against this. */
export interface Client {
  /** Sends a request and returns the response, whatever came before it. */
  request(method: string, params?: unknown, options?: RequestOptions): Promise<Received>;
}

/** How one request is sent. */
export interface RequestOptions {
  /** The request's id; default counted. */
  readonly id?: string | number;
  /** Milliseconds to wait for the response. */
  readonly within?: number;
}

const ACCEPT = "application/json, text/event-stream";

/** A legacy Streamable HTTP client (2025-03-26 … 2025-11-25, and 2024-11-05 for `initialize`). */
export class HttpClient implements Client {
  #nextId = 1;
  /** `initialize`'s result as it came. */
  initialized: Received | undefined;
  session: string | undefined;

  constructor(readonly url: string, readonly version = "2025-11-25") {}

  /** A client that has said `initialize` and `initialized`. */
  static async connect(
    url: string,
    { version = "2025-11-25", capabilities = {} }: {
      readonly version?: string;
      readonly capabilities?: unknown;
    } = {},
  ): Promise<HttpClient> {
    const client = new HttpClient(url, version);
    const answer = await client.post(
      requestText("init", "initialize", {
        protocolVersion: version,
        capabilities,
        clientInfo: { name: "raw-http", version: "1" },
      }),
    );
    client.session = answer.headers.get("mcp-session-id") ?? undefined;
    client.initialized = await answer.messages.waitFor(isResponseTo("init"));
    await client.post(notificationText("notifications/initialized"));
    return client;
  }

  /** The headers of every request; a null takes one away. */
  headers(extra: Record<string, string | null> = {}): Record<string, string> {
    const all: Record<string, string | null> = {
      "content-type": "application/json",
      accept: ACCEPT,
      ...(this.session === undefined ? {} : {
        "mcp-session-id": this.session,
        "mcp-protocol-version": this.version,
      }),
      ...extra,
    };
    return Object.fromEntries(Object.entries(all).filter((pair) => pair[1] !== null)) as Record<
      string,
      string
    >;
  }

  /** POSTs a text. */
  post(body: string, extra: Record<string, string | null> = {}): Promise<HttpAnswer> {
    return send(this.url, { method: "POST", body, headers: this.headers(extra) });
  }

  /** Opens the session's GET stream. */
  listen(extra: Record<string, string | null> = {}): Promise<HttpAnswer> {
    return send(this.url, {
      headers: this.headers({ "content-type": null, accept: "text/event-stream", ...extra }),
    });
  }

  /** Ends the session. */
  delete(): Promise<HttpAnswer> {
    return send(this.url, { method: "DELETE", headers: this.headers({ "content-type": null }) });
  }

  /** Starts a request and returns its answer as it arrives. */
  start(
    method: string,
    params?: unknown,
    id: string | number = this.#nextId++,
  ): Promise<HttpAnswer> {
    return this.post(requestText(id, method, params));
  }

  async request(
    method: string,
    params?: unknown,
    { id = this.#nextId++, within }: RequestOptions = {},
  ): Promise<Received> {
    const answer = await this.start(method, params, id);
    return await answer.messages.waitFor(isResponseTo(id), within === undefined ? {} : { within });
  }

  async notify(method: string, params?: unknown): Promise<HttpAnswer> {
    return await this.post(notificationText(method, params));
  }
}
