/** What both HTTP transports need: where to send, with which headers, and how to read what comes. */

import process from "node:process";
import { createParser, type EventSourceMessage, type EventSourceParser } from "eventsource-parser";
import type { HttpTarget } from "../../config/types.ts";
import { editJson, rawAt } from "../../lib/json-edit.ts";
import { isObject, type JsonObject, parsedObject } from "../../lib/json.ts";
import { type Clock, nextTurn, TURN } from "../../lib/time.ts";
import type { Runtime } from "../../runtime/types.ts";
import { TRAIL_HEADER } from "../../lib/trail.ts";
import { encodeHeaderValue, Header, nameOf } from "../../protocol/eras.ts";
import { RpcError } from "../../protocol/errors.ts";
import type { Client } from "../../protocol/exchange.ts";
import { headersOf, type ParamHeader } from "../../protocol/param-headers.ts";
import {
  HttpStatusError,
  NetworkError,
  networkFault,
  protocolFault,
  unavailable,
} from "./failures.ts";
import { Sendings, unlessAborted } from "./sendings.ts";
import type { ServerCredential, UpstreamLog } from "./transport.ts";

/** Largest response body, and largest single event, in bytes. */
const BODY_LIMIT = 64 * 1024 * 1024;

/** The media type of an event stream. */
export const EVENT_STREAM = "text/event-stream";

/** What every POST of Streamable HTTP carries. */
export const POST_HEADERS = {
  "content-type": "application/json",
  accept: `application/json, ${EVENT_STREAM}`,
};

/** Requests on their way in the process beyond which others go past a `fetch` that has a limit. */
const MOST_FETCHED = 128;
/** How long the end of a session may take, in ms. */
const DELETE_TIMEOUT = 1_000;
/** As much of an event stream is read before others may have a turn, in bytes. */
const PIECE = 64 * 1024;
/** Room for a chunk at first; one that fills it is followed by a larger one, up to a piece. */
const ROOM = 4 * 1024;
/** And no more chunks than this, which may be tiny where they are unpacked. */
const MOST_CHUNKS = 256;
/** While more bytes are kept of a server's others, an answer goes on to a piece, the oldest to its end. */
const MOST_AT_ONCE = 128 * 1024 * 1024;
const blobOf = (text: string) => new Blob([text]);
const MAX_REDIRECTS = 3;
const REDIRECTS = new Set([301, 302, 307, 308]);

/** What the HTTP transports are made of. */
export interface HttpOptions {
  readonly server: string;
  readonly target: HttpTarget;
  /** {@link HttpClient} */
  readonly trail?: () => string;
  readonly runtime?: Pick<Runtime, "request" | "once">;
  /** What the server is told who asks by, where the configuration says that it is a login. */
  readonly credential?: ServerCredential | undefined;
  /** The same for the request of a client, where each has a login of his own. */
  readonly credentialOf?: ((client: Client) => ServerCredential) | undefined;
  /** The same for a server of which nothing is said, once it wants one. */
  readonly findCredential?: (() => Promise<ServerCredential>) | undefined;
  /** Told that somebody has logged in anew, until `signal` is aborted. */
  readonly watch?: { readonly signal: AbortSignal; readonly tell: () => void };
  readonly log: UpstreamLog;
  readonly clock: Clock;
}

/** One request, as both transports make it. */
export interface HttpRequest {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal: AbortSignal;
  /** For error messages: `"tools/call"` in quotes, `the event stream`. */
  readonly what: string;
  /** Where to, when not to the server's own URL. */
  readonly url?: URL;
  /** Doing it twice does no harm. */
  readonly mayRepeat?: boolean;
  /** Whose it is; undefined where it is the gateway's own. */
  readonly client?: Client | undefined;
}

/** What is told of an event stream while it is read. */
export interface EventHandlers {
  onEvent(event: EventSourceMessage): void;
  onId?(id: string): void;
  onRetry?(ms: number): void;
  /** Longest event in bytes, where not {@link BODY_LIMIT}. */
  readonly limit?: number | undefined;
}

/** What is being read of one server's answers, over all its connections. */
class Answers {
  size = 0;
  /** Those of which more than a piece is kept, the oldest first. */
  readonly large = new Set<unknown>();
  /** Resolves when one of them is kept no more. */
  room = Promise.withResolvers<void>();

  /** Whether one is to wait until others are kept no more. */
  isFull(size: number, one: unknown): boolean {
    const [oldest] = this.large.add(one);
    return this.size - size > MOST_AT_ONCE && oldest !== one;
  }

  /** Of one nothing is kept any more; returns the size it counts with from now on. */
  free(size: number, one: unknown): number {
    this.size -= size;
    if (this.large.delete(one)) {
      this.room.resolve();
      this.room = Promise.withResolvers();
    }
    return 0;
  }
}

/** By server. */
const ANSWERS = new WeakMap<HttpTarget, Answers>();
/** Those that were asked for without a word about it in the configuration. */
const CREDENTIALS = new WeakMap<HttpTarget, ServerCredential>();
/** How often a request is sent again because it was refused. */
const MOST_REFUSALS = 3;

/** HTTP to one server: its URL, its configured headers, redirects only inside its origin. */
export class HttpClient {
  readonly #answers: Answers;
  readonly url: URL;
  readonly #headers: Readonly<Record<string, string>>;
  /** There has been an answer, so the next request may go over a connection that is being closed. */
  #mayReuse = false;

  /** The runtime reads a body into what it is given; Bun does not. */
  #readsInto = true;
  /** Follows what a failure was about: that a proxy is on the way, and which. */
  readonly via: string;
  readonly #server: string;
  readonly #runtime: NonNullable<HttpOptions["runtime"]>;
  /** What says who asks, where that is a login. */
  credential: ServerCredential | undefined;
  /** The header that the session was opened with. */
  #opener: string | undefined;
  #replaced: ServerCredential["replaced"];
  /** The session was refused to another token than the one that has opened it: that is over. */
  isForeign = false;

  /** `trail` is what each request says in {@link TRAIL_HEADER}. */
  constructor(private readonly options: Omit<HttpOptions, "log" | "clock">) {
    const { server, target, runtime = {}, credential = CREDENTIALS.get(target) } = options;
    this.#server = server;
    this.#runtime = runtime;
    this.credential = credential;
    this.#answers = ANSWERS.getOrInsertComputed(target, () => new Answers());
    const { url, headers } = withoutCredentials(target.url);
    for (const [name, value] of Object.entries(target.headers)) headers[name.toLowerCase()] = value;
    this.url = url;
    this.via = viaProxy(url, process.env);
    this.#headers = headers;
  }

  /**
   * Sends a request and returns the response, whatever its status.
   * @throws {RpcError} UpstreamUnavailable for a network error or a redirect to elsewhere; the
   * signal's reason when it aborts
   */
  async send(request: HttpRequest): Promise<Response> {
    let { url = this.url, mayRepeat = false } = request;
    const { client } = request;
    const { credentialOf } = this.options;
    const isInSession = url !== this.url || Header.SessionId in request.headers;
    for (let redirects = 0, refusals = 0;;) {
      const credential = credentialOf && client ? credentialOf(client) : this.credential;
      const found = credential?.header();
      const header = typeof found === "object" ? await unlessAborted(found, request.signal) : found;
      if (!isInSession && credential === this.credential) this.#opens(header);
      let response;
      try {
        response = await this.#fetch(url, request, mayRepeat, header);
        this.#mayReuse = true;
      } catch (error) {
        request.signal.throwIfAborted();
        const { fault, words } = networkFault(error);
        if (fault === "closed" && mayRepeat && this.#mayReuse) {
          mayRepeat = false;
          continue;
        }
        const why = `could not be reached for ${request.what}${this.via}: ${words}`;
        throw new NetworkError(this.#server, "connect", fault, why, { cause: error });
      }
      const { status } = response;
      if ((status === 401 || status === 403) && refusals++ < MOST_REFUSALS) {
        this.isForeign ||= isInSession && status === 401 && header !== this.#opener;
        if (!this.isForeign && await this.#isToRepeat(response, header, credential)) continue;
      }
      if (!REDIRECTS.has(status)) return response;
      await response.body?.cancel();
      const location = response.headers.get("location");
      const next = location === null ? null : URL.parse(location, url);
      if (next === null || redirects++ === MAX_REDIRECTS) {
        throw new HttpStatusError(this.#server, response.status, request.what);
      }
      if (next.origin !== this.url.origin) {
        throw unavailable(
          this.#server,
          `redirects ${request.what} to another origin, ${next.origin}; put that into "url"`,
        );
      }
      url = next;
    }
  }

  /** What may open a session has this header, of a login that may be replaced. */
  #opens(header: string | undefined): void {
    this.#opener = header;
    const replaced = this.credential?.replaced;
    if (replaced === this.#replaced || this.options.watch === undefined) return;
    this.#replaced = replaced;
    replaced?.signal.addEventListener("abort", this.options.watch.tell, this.options.watch);
  }

  /**
   * Whether the server, which has not carried out what it refuses, is to be asked with another token.
   * @throws {LoginError} where somebody has to log in
   */
  async #isToRepeat(
    { status, headers, body }: Response,
    header: string | undefined,
    credential: ServerCredential | undefined,
  ): Promise<boolean> {
    const { target, findCredential } = this.options;
    const challenge = headers.get("www-authenticate");
    let isToRepeat = true;
    try {
      if (status === 403) {
        const lack = credential?.lacks(challenge);
        if (lack !== undefined) throw lack;
        return isToRepeat = false;
      }
      if (credential === undefined) {
        if (findCredential === undefined || this.#headers["authorization"] !== undefined) {
          return isToRepeat = false;
        }
        credential = this.credential = await findCredential();
        CREDENTIALS.set(target, credential);
      }
      return isToRepeat = await credential.refused(header, challenge);
    } finally {
      if (isToRepeat) await body?.cancel();
    }
  }

  /**
   * Tells the server that the session in `headers` is over.
   * @throws {RpcError} as {@link HttpClient.send}
   */
  async endSession(headers: Readonly<Record<string, string>>): Promise<void> {
    const signal = AbortSignal.timeout(DELETE_TIMEOUT);
    const what = "the end of the session";
    const response = await this.send({ method: "DELETE", headers, signal, what });
    await response.body?.cancel();
  }

  #fetch(
    url: URL,
    request: HttpRequest,
    mayRepeat: boolean,
    authorization: string | undefined,
  ): Promise<Response> {
    const { method, body, signal } = request;
    const headers = { ...this.#headers, ...request.headers };
    if (authorization !== undefined) headers["authorization"] = authorization;
    const { trail } = this.options;
    if (trail !== undefined) headers[TRAIL_HEADER] = trail();
    // Event streams stay open, and calls may take their time: neither is to keep others waiting.
    const { request: apart, once = blobOf } = this.#runtime;
    if (apart !== undefined && (method === "GET" || Sendings.inProcess > MOST_FETCHED)) {
      return apart(url, { method, headers, signal, ...(body === undefined ? {} : { body }) });
    }
    const sent = body === undefined || mayRepeat ? body : once(body);
    // Bun ends a request that is silent for 5 minutes; ours have their own limits.
    const init = { method, headers, signal, redirect: "manual", timeout: false } as const;
    return fetch(url, sent === undefined ? init : Object.assign(init, { body: sent }));
  }

  /**
   * The body as text.
   * @throws {RpcError} UpstreamProtocol beyond {@link BODY_LIMIT}, UpstreamUnavailable when it
   * breaks off
   */
  async text(response: Response, what: string): Promise<string> {
    const { headers } = response;
    // Beside either of the others the length says nothing.
    const isSo = !headers.has("content-encoding") && !headers.has("transfer-encoding");
    // Where it can be read into what is there already, that costs less.
    if (!this.#readsInto && isSo && Number(headers.get("content-length") ?? Infinity) <= PIECE) {
      return await response.text().catch((error) => Promise.reject(this.#cutOff(error, what)));
    }
    const decoder = new TextDecoder();
    let text = "";
    await this.#read(response, what, (chunk) => {
      text += decoder.decode(chunk, { stream: true });
    });
    return text + decoder.decode();
  }

  /**
   * The body of a refusal, where it may say why: a version is refused with 400, in words too.
   * @throws {RpcError} as {@link HttpClient.text}
   */
  async said(response: Response, what: string): Promise<string | undefined> {
    if (mediaType(response) === "application/json" || [400, 401, 403].includes(response.status)) {
      return await this.text(response, what);
    }
    await response.body?.cancel();
    return undefined;
  }

  /**
   * Reads an event stream to its end; before more is read there is to be `room`.
   * @throws {RpcError} as {@link HttpClient.text}
   */
  events(response: Response, what: string, told: EventHandlers, room?: Sendings): Promise<void> {
    let parser: EventSourceParser | undefined;
    let decoder: TextDecoder | undefined;
    // An event may be cut in the middle of its end.
    let last = "";
    const onChunk = (chunk: Uint8Array) => {
      const data = parser === undefined ? wholeMessage(chunk) : undefined;
      if (data !== undefined) {
        told.onEvent({ data });
        return true;
      }
      decoder ??= new TextDecoder();
      parser ??= createParser({
        onEvent: (event) => told.onEvent(event),
        onId: (id) => told.onId?.(id),
        onRetry: (ms) => told.onRetry?.(ms),
      });
      const text = decoder.decode(chunk, { stream: true });
      parser.feed(text);
      const near = last + text;
      last = near.slice(-2);
      return /\n\r?\n|\r\r/.test(near);
    };
    return this.#read(response, what, onChunk, PIECE, room, told.limit);
  }

  async #read(
    response: Response,
    what: string,
    /** True where what came before this chunk is kept no more, and of this one at most its end. */
    onChunk: (chunk: Uint8Array) => unknown,
    piece = Infinity,
    room?: Sendings,
    limit = BODY_LIMIT,
  ): Promise<void> {
    let [busy, chunks, size] = [0, 0, 0];
    if (response.body === null) return;
    const reader = this.#readerOf(response.body);
    const readsInto = this.#readsInto;
    let into = new Uint8Array(readsInto ? ROOM : 0);
    try {
      for (;;) {
        const { done, value } = await reader.read(into);
        if (done) return;
        for (let at = 0; at < value.length; at += piece) {
          const began = performance.now();
          const bytes = value.subarray(at, at + piece);
          size += bytes.length;
          this.#answers.size += bytes.length;
          if (size > limit) {
            const most = limit / 1024 / 1024;
            throw protocolFault(this.#server, `answered ${what} with more than ${most} MiB`);
          }
          if (onChunk(bytes) === true) size = this.#answers.free(size, reader);
          busy += performance.now() - began;
          const full = room?.room;
          if (full !== undefined) await full;
          while (size > PIECE && this.#answers.isFull(size, reader)) {
            // What has come to its end, or is given up meanwhile, waits for nothing.
            const over = reader.closed.then(() => true);
            if (await Promise.race([this.#answers.room.promise, over])) break;
          }
          if (busy < TURN && ++chunks < MOST_CHUNKS) continue;
          // What is there already is read without a turn for others in between.
          await nextTurn();
          busy = chunks = 0;
        }
        // What is read into becomes that of the chunk.
        if (into.length > 0 || !readsInto) continue;
        const { length, buffer } = value;
        const isFull = length === buffer.byteLength;
        into = new Uint8Array(isFull ? new ArrayBuffer(Math.min(length * 4, PIECE)) : buffer);
      }
    } catch (error) {
      // Not waited for: what is kept of it counts until the end of this.
      reader.cancel().catch(() => {});
      if (error instanceof RpcError) throw error;
      throw this.#cutOff(error, what);
    } finally {
      this.#answers.free(size, reader);
    }
  }

  /** On Deno each read takes 64 KiB anew otherwise, which costs more than all the rest of a call. */
  #readerOf(body: ReadableStream<Uint8Array>): ReadableStreamBYOBReader {
    try {
      if (this.#readsInto) return body.getReader({ mode: "byob" });
    } catch {
      this.#readsInto = false;
    }
    return body.getReader() as unknown as ReadableStreamBYOBReader;
  }

  #cutOff(error: unknown, what: string): NetworkError {
    const { fault, words } = networkFault(error);
    const why = `broke off its answer to ${what}: ${words}`;
    return new NetworkError(this.#server, "read", fault, why, { cause: error });
  }
}

/** ` through the proxy …` where the environment sends requests for an address to one. */
export function viaProxy(
  { protocol, hostname }: URL,
  env: Readonly<Record<string, string | undefined>>,
): string {
  const said = (name: string) => env[name.toUpperCase()] || env[name] || "";
  const proxy = said(`${protocol.slice(0, -1)}_proxy`) || said("all_proxy");
  const direct = said("no_proxy");
  const isDirect = direct.split(",").map((one) => one.trim().replace(/^\*?\./, "")).some((one) =>
    one === "*" || one === hostname || (one !== "" && hostname.endsWith(`.${one}`))
  );
  return proxy === "" || isDirect
    ? ""
    : ` through the proxy ${proxy.replace(/^([a-z\d+.-]+:\/\/)?.*@/i, "$1")}`;
}

/** A URL's credentials as a header: `fetch()` refuses them in the URL; they mean Basic authentication. */
export function withoutCredentials(
  text: string,
): { readonly url: URL; readonly headers: Record<string, string> } {
  const url = new URL(text);
  if (url.username === "" && url.password === "") return { url, headers: {} };
  const user = decodeURIComponent(url.username);
  const bytes = new TextEncoder().encode(`${user}:${decodeURIComponent(url.password)}`);
  url.username = url.password = "";
  return { url, headers: { authorization: `Basic ${bytes.toBase64()}` } };
}

const WHOLE = new TextDecoder("utf-8", { ignoreBOM: true });

/** The data of a chunk that is one message and no more, as nearly all answers are. */
function wholeMessage(chunk: Uint8Array): string | undefined {
  if (chunk.at(-1) !== 10 || chunk.at(-2) !== 10) return undefined;
  return /^(?:event: message\n)?data: ([^\r\n]+)\n\n$/.exec(WHOLE.decode(chunk))?.[1];
}

/** The media type of a response, lower case, without parameters; empty where there is none. */
export function mediaType(response: Response): string {
  return (response.headers.get("content-type") ?? "").split(";")[0]!.trim().toLowerCase();
}

/** The message an event brings; one without data only brings an id (2025-11-25 priming event). */
export function messageIn({ event, data }: EventSourceMessage): string | undefined {
  return data === "" || (event !== undefined && event !== "message") ? undefined : data;
}

/**
 * Adds to `headers` what a modern request repeats there of its body (2026-07-28 transports);
 * `toolHeaders` tells it of the arguments of a tool.
 */
export function repeatInHeaders(
  headers: Record<string, string>,
  method: string,
  params: JsonObject | undefined,
  toolHeaders: (tool: string) => readonly ParamHeader[] = () => [],
): void {
  headers[Header.Method] = encodeHeaderValue(method);
  const name = nameOf(method, params);
  if (name === undefined) return;
  headers[Header.Name] = encodeHeaderValue(name);
  if (method !== "tools/call") return;
  const args = isObject(params?.arguments) ? params.arguments : undefined;
  for (const [key, value] of headersOf(toolHeaders(name), args)) headers[key] = value;
}

/**
 * The JSON-RPC error in the body of a refusal, under the id of its request (as JSON): many servers
 * leave that id null. Undefined for a body without one.
 */
export function errorBody(text: string, idText: string): string | undefined {
  const body = parsedObject(text);
  if (body?.jsonrpc !== "2.0" || !isObject(body.error)) return undefined;
  return rawAt(text, ["id"]) === idText ? text : editJson(text, [{ path: ["id"], value: idText }]);
}
