import type { Outlet } from "../gateway/clients/exchange.ts";
import type { LastingSessions } from "../gateway/clients/lasting.ts";
import type { Session } from "../gateway/clients/session.ts";
import type { Endpoint } from "../gating/endpoint.ts";
import type { Gateway } from "../gateway/gateway.ts";
import { joinBytes } from "../lib/json.ts";
import { ErrorCode, RpcError } from "../protocol/errors.ts";
import type { Visitor } from "../protocol/exchange.ts";
import { errorResponse, idTextOf, type RequestMessage } from "../protocol/message.ts";
import { type Reply, replyText } from "../registry/answers.ts";
import {
  EventStream,
  type KeepAlive,
  type PlainHeaders,
  type Respond,
  type ResumableStream,
  type SessionStreams,
  type Silent,
} from "./streams.ts";

/** A call that takes longer gets its event stream early, so that nobody gives it up. Milliseconds. */
const PATIENCE = 10_000;
/** Sooner where the stream has an id to come back with: a lost connection loses no answer then. */
const RESUMABLE_PATIENCE = 2_000;
/** Milliseconds between two comments on a silent stream. */
const COMMENT_EVERY = 15_000;

/** An endpoint as somebody has come to it. */
export interface Visit extends Endpoint, Visitor {}

/** What every HTTP front works with. */
export interface FrontContext {
  readonly gateway: Gateway;
  /** What comes before the paths that clients are told, empty or `/gateway`. */
  readonly base: string;
  readonly lasting: LastingSessions;
  /** Ticks open streams. */
  readonly keepAlive: KeepAlive;
  /** Ticks answers that are waited for; it has to be faster than the shortest patience. */
  readonly pending: KeepAlive;
  /** The resumable streams of each Streamable HTTP session; they go when the session goes. */
  readonly streams: WeakMap<Session, SessionStreams>;
  /** The stream of each open HTTP+SSE session, by id: answers go there, not into the POST. */
  readonly sse: Map<string, EventStream>;
  /** Largest request body, bytes. */
  readonly bodyLimit: number;
  /** Whether a visit may go on: what takes its time asks at its ticks. */
  holds(visit: Visit): boolean;
  /** Whether somebody still has a path that is no endpoint. */
  gives(visitor: Visitor, path: string): boolean;
  /** The answer to a request that something was thrown for. */
  failed(error: unknown, request: Request): Response;
}

/** What a {@link PostReply} needs to know of whom it answers; {@link SessionStreams} are it, too. */
export interface PostReplyOptions {
  readonly visit: Visit;
  /** Headers for either form of the response, the session id for one. */
  readonly headers?: PlainHeaders;
  /** The client has closed the response stream before it was complete. */
  readonly onGone?: () => void;
  /** The visit is over; where it was about a request, its client has been told. */
  readonly onEnded?: (request: RequestMessage | undefined) => void;
  /**
   * Makes the logical stream for a request (its id, as JSON), which outlives its connection; without
   * it, none does.
   */
  open?(requestId: string | undefined): ResumableStream;
}

/**
 * The response to one POST: plain JSON if the answer is the first thing to say, an event stream
 * as soon as a notification comes before it (2025-03-26 and later, Streamable HTTP).
 */
export class PostReply implements Outlet, Silent {
  #stream: EventStream | ResumableStream | undefined;
  /** Undefined until the first tick: to ask for the time shows in a profile. */
  #lastSaid: number | undefined;
  #finished = false;

  /**
   * @param request the one that is answered, where it is one and may outlive its connection
   * @param headers what came with it
   */
  constructor(
    private readonly context: Pick<FrontContext, "pending" | "keepAlive" | "holds">,
    private readonly respond: Respond,
    private readonly options: PostReplyOptions,
    private readonly request?: RequestMessage,
    readonly headers?: Headers,
  ) {
    context.pending.add(this);
  }

  send(raw: string): void {
    if (this.#finished) return;
    this.#lastSaid = performance.now();
    this.#open().send(raw);
  }

  tick(now: number): void {
    const { context, options, request } = this;
    if (!context.holds(options.visit)) {
      this.finish(request && errorResponse(idTextOf(request), ENDED));
      return options.onEnded?.(request);
    }
    const silence = now - (this.#lastSaid ??= now);
    const patience = options.open === undefined ? PATIENCE : RESUMABLE_PATIENCE;
    if (silence < (this.#stream === undefined ? patience : COMMENT_EVERY)) return;
    this.#lastSaid = now;
    this.#open().comment();
  }

  /**
   * Sends the answer and ends the response; without one (cancelled) just ends it. Once. `status`
   * holds where no stream has been opened meanwhile.
   */
  finish(reply: Reply | undefined, status = 200): void {
    if (this.#finished) return;
    this.abandon();
    if (this.#stream === undefined && reply !== undefined) {
      this.respond(jsonResponse(reply, status, this.options.headers));
      return;
    }
    const stream = this.#open();
    if (reply !== undefined) stream.send(replyText(reply));
    stream.close();
  }

  /** Nothing will be answered through this reply after all. */
  abandon(): void {
    this.#finished = true;
    this.context.pending.delete(this);
    this.context.keepAlive.delete(this);
  }

  #open(): EventStream | ResumableStream {
    if (this.#stream !== undefined) return this.#stream;
    const resumable = this.options.open?.(this.request && idTextOf(this.request));
    const events = resumable?.connect() ?? new EventStream();
    events.whenGone(() => this.options.onGone?.());
    this.respond(events.response(this.options.headers));
    this.context.pending.delete(this);
    if (!this.#finished) this.context.keepAlive.add(this);
    return this.#stream = resumable ?? events;
  }
}

/** Where it stands as whom clients of this gateway ask issuers. */
export const CLIENT_DOCUMENT = "/.well-known/mcproxy-client.json";

/** Why what was open has come to its end. */
export const LAPSED = "The credential has ended, or does not open this any more";
const ENDED = new RpcError(ErrorCode.InvalidRequest, LAPSED);

/** A JSON response with a text that is JSON already. */
export function jsonResponse(body: Reply, status = 200, headers?: PlainHeaders): Response {
  const content = typeof body === "string" ? body : body.body();
  if (typeof body === "object" && "seconds" in body) {
    const later = { ...JSON_INIT.headers, ...headers, "retry-after": String(body.seconds) };
    return new Response(content, { status: body.status, headers: later });
  }
  if (status === 200 && headers === undefined) return new Response(content, JSON_INIT);
  return new Response(content, { status, headers: { ...JSON_INIT.headers, ...headers } });
}

/** What bodies are of, both ways. */
export const JSON_TYPE = "application/json";
const JSON_INIT = { headers: { "content-type": JSON_TYPE } };

/** For the state of this moment. */
export const NO_STORE: PlainHeaders = { "cache-control": "no-store" };

/** A JSON response; `headers` usually are {@link NO_STORE}. */
export function json(value: unknown, status = 200, headers?: PlainHeaders): Response {
  return jsonResponse(JSON.stringify(value), status, headers);
}

/** Whether a request is to change something, by its method. */
export function changes({ method }: Pick<Request, "method">): boolean {
  return !/^(GET|HEAD|OPTIONS)$/.test(method);
}

/** 404. HTML or text here breaks real clients, which look for OAuth where there is none. */
export function notFound(path: string, paths: readonly string[]): Response {
  return json({ error: "not_found", message: `No such path: ${path}`, paths }, 404);
}

/** Whether a person looks there with a browser, and not a program. */
export function wantsPage({ headers }: Pick<Request, "headers">): boolean {
  return headers.get("accept")?.includes("text/html") === true;
}

/** 405, with the methods there are. */
export function methodNotAllowed(allow: string): Response {
  return json({ error: "method_not_allowed", message: `Allowed: ${allow}` }, 405, { allow });
}

/**
 * How long a body may take, in ms, and be silent; a large one gets more for what comes, so that slow
 * lines have theirs.
 */
const BODY_PATIENCE = 30_000;
/** The slowest line, in bytes a millisecond. */
const SLOWEST = 16;
/** Small bodies are mostly there with the head, and always find room. Bytes. */
const SMALL_BODY = 64 * 1024;
/** Most bytes of others that may be on their way when a large one is to be taken. */
const MOST_ON_THE_WAY = 128 * 1024 * 1024;
/** Of all bodies that are no small ones. */
let bytesOnTheWay = 0;

/** Who takes a body. An object: a promise or closures for each call show in a profile. */
export interface BodyTaker {
  /** Whether it may not be taken any more. */
  isOver?(): boolean;
  /** What it throws goes to {@link fail} as well. */
  take(text: string): void;
  fail(error: unknown): void;
}

/** A body on its way. By hand: a race of promises, or a timer for each, shows in a profile. */
class Arrival implements Silent {
  /** Set by the first tick, which most bodies never see. */
  #due: number | undefined;
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;

  constructor(
    private readonly pending: KeepAlive,
    private readonly taker: BodyTaker,
  ) {
    pending.add(this);
  }

  /** Waits for `text`. Cut off, or framed wrongly, it is nothing the gateway could have done. */
  settle(text: Promise<string>): void {
    const why = "Bad request: the body cannot be read to its end";
    text.then(
      (whole) => this.#end(whole),
      (error) => this.#end(error instanceof Refusal ? error : new Refusal(400, why)),
    );
  }

  /** Reads what is not small, or does not say what it is. */
  async read(body: ReadableStream<Uint8Array>, limit: number): Promise<string> {
    const reader = this.#reader = body.getReader();
    this.#due = performance.now() + BODY_PATIENCE;
    const chunks: Uint8Array[] = [];
    let size = 0;
    try {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return new TextDecoder().decode(joinBytes(chunks, size));
        chunks.push(value);
        // What comes fast earns no rest: it would be kept as long as it keeps others out.
        this.#due = Math.min(this.#due + value.length / SLOWEST, performance.now() + BODY_PATIENCE);
        size += value.length;
        bytesOnTheWay += value.length;
        if (size > limit) throw tooLarge(limit);
        if (size > SMALL_BODY && bytesOnTheWay - size > MOST_ON_THE_WAY) {
          throw new Refusal(503, "Too many large requests are on their way; try again");
        }
      }
    } finally {
      bytesOnTheWay -= size;
    }
  }

  tick(now: number): void {
    this.#due ??= now + BODY_PATIENCE;
    if (this.taker.isOver?.()) this.#end(new Refusal(403, LAPSED));
    if (now > this.#due) this.#end(new Refusal(408, "The body of the request does not come"));
  }

  #end(outcome: string | Refusal): void {
    // It may have been given up before it came after all.
    if (!this.pending.delete(this)) return;
    // What has come of it is let go, though its connection may stay.
    this.#reader?.cancel().catch(() => {});
    if (outcome instanceof Refusal) return this.taker.fail(outcome);
    try {
      this.taker.take(outcome);
    } catch (error) {
      this.taker.fail(error);
    }
  }
}

/**
 * Reads a JSON request body as text, for `taker`, whose `fail` is told a {@link Refusal}: 400 for a
 * part of a body, 413 beyond `bodyLimit`, 408 for one that does not come, 503 where too many do.
 * @throws {Refusal} 415 for another content type, 413
 */
export function readBody(
  request: Request,
  { bodyLimit, pending }: Pick<FrontContext, "bodyLimit" | "pending">,
  taker: BodyTaker,
): void {
  const type = request.headers.get("content-type");
  if (type !== JSON_TYPE && (type === null || !/^application\/json\s*(;|$)/i.test(type))) {
    throw new Refusal(415, "Unsupported media type: expected application/json");
  }
  // The server holds the client to what it declares, so there is nothing to count.
  const declared = Number(request.headers.get("content-length") ?? Infinity);
  if (declared > bodyLimit && declared < Infinity) throw tooLarge(bodyLimit);
  const arrival = new Arrival(pending, taker);
  const isSmall = declared <= SMALL_BODY || request.body === null;
  arrival.settle(isSmall ? request.text() : arrival.read(request.body, bodyLimit));
}

function tooLarge(limit: number): Refusal {
  return new Refusal(413, `Request body is larger than ${limit} bytes; see "bodyLimit"`);
}

/**
 * A request that is turned away before it reaches a session: an HTTP status and the JSON-RPC error
 * to go with it. Clients of every age parse the body of a failure, so it is always JSON.
 */
export class Refusal extends Error {
  override readonly name = "Refusal";
  constructor(
    readonly status: number,
    message: string,
    readonly code: number = ErrorCode.InvalidRequest,
    readonly idText = "null",
    /** What belongs to its status, such as `www-authenticate`. */
    readonly headers?: PlainHeaders,
  ) {
    super(message);
  }

  toResponse(): Response {
    const text = errorResponse(this.idText, new RpcError(this.code, this.message));
    const isForNow = this.status === 408 || this.status === 503;
    return jsonResponse(text, this.status, this.headers ?? (isForNow ? LATER : undefined));
  }
}

/** What goes with refusals that are about this moment. */
const LATER = { connection: "close", "retry-after": "1" };
