import type { Outlet } from "../gateway/clients/exchange.ts";
import { type Reply, replyText } from "../registry/reply.ts";
import { EVENT_STREAM_HEADERS, EventStream } from "./event-stream.ts";
import type { KeepAlive, Silent } from "./keep-alive.ts";
import type { ResumableStream } from "./session-streams.ts";

/** A call that takes longer gets its event stream early, so that nobody gives it up. Milliseconds. */
const PATIENCE = 10_000;
/** Sooner where the stream has an id to come back with: a lost connection loses no answer then. */
const RESUMABLE_PATIENCE = 2_000;
/** Milliseconds between two comments on a silent stream. */
const COMMENT_EVERY = 15_000;

/** Options of {@link PostReply}. */
export interface PostReplyOptions {
  /** Ticks answers that are waited for; it has to be faster than the shortest patience. */
  readonly pending: KeepAlive;
  /** Ticks open streams. */
  readonly keepAlive: KeepAlive;
  /** Headers for either form of the response, the session id for one. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The client has closed the response stream before it was complete. */
  readonly onGone?: () => void;
  /** Makes the logical stream of a session, which outlives its connection; without it, none does. */
  readonly resumable?: () => ResumableStream;
}

/**
 * The response to one POST: plain JSON if the answer is the first thing to say, an event stream
 * as soon as a notification comes before it (2025-03-26 and later, Streamable HTTP).
 */
export class PostReply implements Outlet, Silent {
  readonly response: Promise<Response>;
  readonly #resolve: (response: Response) => void;
  readonly #options: PostReplyOptions;
  #stream: EventStream | ResumableStream | undefined;
  #lastSaid = performance.now();
  #finished = false;

  constructor(options: PostReplyOptions) {
    this.#options = options;
    const { promise, resolve } = Promise.withResolvers<Response>();
    this.response = promise;
    this.#resolve = resolve;
    options.pending.add(this);
  }

  send(raw: string): void {
    if (this.#finished) return;
    this.#lastSaid = performance.now();
    this.#open().send(raw);
  }

  tick(now: number): void {
    const silence = now - this.#lastSaid;
    const patience = this.#options.resumable === undefined ? PATIENCE : RESUMABLE_PATIENCE;
    if (silence < (this.#stream === undefined ? patience : COMMENT_EVERY)) return;
    this.#lastSaid = now;
    this.#open().comment();
  }

  /**
   * Sends the answer and ends the response; without one (cancelled) just ends it. Once. `status`
   * holds where no stream has been opened meanwhile.
   */
  finish(reply: Reply | undefined, status = 200): void {
    this.abandon();
    if (this.#stream === undefined && reply !== undefined) {
      this.#resolve(jsonResponse(reply, status, this.#options.headers));
      return;
    }
    const stream = this.#open();
    if (reply !== undefined) stream.send(replyText(reply));
    stream.close();
  }

  /** Nothing will be answered through this reply after all. */
  abandon(): void {
    this.#finished = true;
    this.#options.pending.delete(this);
    this.#options.keepAlive.delete(this);
  }

  #open(): EventStream | ResumableStream {
    if (this.#stream !== undefined) return this.#stream;
    const resumable = this.#options.resumable?.();
    const events = resumable?.connect() ?? new EventStream();
    events.whenGone(() => this.#options.onGone?.());
    const headers = { ...EVENT_STREAM_HEADERS, ...this.#options.headers };
    this.#resolve(new Response(events.body, { headers }));
    this.#options.pending.delete(this);
    if (!this.#finished) this.#options.keepAlive.add(this);
    return this.#stream = resumable ?? events;
  }
}

/** A JSON response with a text that is JSON already. */
export function jsonResponse(
  body: Reply,
  status = 200,
  headers?: Readonly<Record<string, string>>,
): Response {
  if (status === 200 && headers === undefined) return new Response(body, JSON_INIT);
  return new Response(body, {
    status,
    headers: { "content-type": "application/json", ...headers },
  });
}

const JSON_INIT: ResponseInit = { headers: { "content-type": "application/json" } };
