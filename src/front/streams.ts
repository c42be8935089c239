import type { Outlet } from "../gateway/clients/exchange.ts";
import type { Session } from "../gateway/clients/session.ts";
import type { Endpoint } from "../gating/endpoint.ts";
import { withoutLineBreaks } from "../lib/json-edit.ts";
import { attempt } from "../lib/json.ts";
import { ErrorCode, RpcError } from "../protocol/errors.ts";
import { errorResponse, type RequestMessage } from "../protocol/message.ts";
import { OPEN_ENDED } from "../runtime/listen.ts";

/** First version whose clients understand an event without data (2025-11-25, transports). */
const PRIMING_SINCE = "2025-11-25";
/** Milliseconds a client is asked to wait before it comes back for a stream. */
const RETRY = 1_000;
/** The stream for what no request asked for. */
const STANDALONE = 0;

/**
 * One logical stream of a session: it goes on when its connection breaks, and a later connection
 * can take it up where the client lost it.
 */
export class ResumableStream implements Outlet {
  #events: EventStream | undefined;

  constructor(
    private readonly id: number,
    private readonly log: EventLog,
    private readonly primed: boolean,
    private readonly onClosed: () => void,
    /** What stands behind its event ids. */
    private readonly suffix = "",
  ) {}

  send(raw: string): void {
    const id = this.log.append(this.id, raw) + this.suffix;
    this.#events?.send(raw, id);
  }

  comment(): void {
    this.#events?.comment();
  }

  /** Ends the logical stream and with it the connection. */
  close(): void {
    this.#events?.close();
    this.#events = undefined;
    this.onClosed();
  }

  /** Gives the stream a connection; one that it still has is closed. */
  connect(): EventStream {
    this.#events?.close();
    const events = this.#events = new EventStream();
    events.whenGone(() => {
      if (this.#events === events) this.#events = undefined;
    });
    if (this.primed) events.prime(this.log.mark(this.id) + this.suffix, RETRY);
    return events;
  }
}

/** All resumable streams of one session, with the log they share. */
export class SessionStreams {
  readonly #log: EventLog;
  readonly #live = new Map<number, ResumableStream>();
  readonly #primed: boolean;
  #count = STANDALONE;
  /** The last there was. */
  visit: Endpoint;

  constructor(private readonly session: Session) {
    this.visit = session.endpoint;
    // Ids count from the start again, and those from before must not be taken for ours.
    this.#log = new EventLog(session.isResumed ? `${crypto.randomUUID().slice(0, 8)}.` : "");
    this.#primed = (session.client?.protocolVersion ?? "") >= PRIMING_SINCE;
  }

  /**
   * The stream for one POST; closing it is the caller's. The id of its request, as JSON text, goes
   * with its event ids: see {@link lostStream}.
   */
  open(requestId?: string): ResumableStream {
    return this.#stream(++this.#count, requestId);
  }

  /** A batch is not taken apart. */
  onEnded(request: RequestMessage | undefined): void {
    if (request === undefined) this.session.close("its credential has ended");
    else this.session.cancel(request.id, "its credential has ended");
  }

  /** The stream for what comes unasked; the same one however often its connection breaks. */
  standalone(): ResumableStream {
    return this.#live.get(STANDALONE) ?? this.#stream(STANDALONE);
  }

  /**
   * Takes up the stream of `lastEventId`: a connection that first repeats what was missed. With
   * the stream still going it carries on, else it ends there. Undefined for an unknown id.
   */
  resume(
    lastEventId: string,
  ): { readonly events: EventStream; readonly standalone: boolean } | undefined {
    const missed = this.#log.after(lastEventId);
    if (missed === undefined) return undefined;
    const standalone = missed.stream === STANDALONE;
    const live = standalone ? this.standalone() : this.#live.get(missed.stream);
    const events = live?.connect() ?? new EventStream();
    for (const { id, raw } of missed.events) events.send(raw, id);
    if (live === undefined) events.close();
    return { events, standalone };
  }

  #stream(id: number, requestId = ""): ResumableStream {
    const onClosed = () => this.#live.delete(id);
    const isLong = requestId === "" || requestId.length > MAX_REQUEST_ID;
    const suffix = isLong ? "" : `~${encodeURIComponent(requestId)}`;
    const stream = new ResumableStream(id, this.#log, this.#primed, onClosed, suffix);
    this.#live.set(id, stream);
    return stream;
  }
}

/** Longer ids of requests are not repeated in every event. */
const MAX_REQUEST_ID = 100;

/**
 * Answers for the stream of a request that was in flight when the session was last in memory: what
 * became of it nobody knows, and its client is not to wait for ever. `undefined` for an event id
 * that names no request.
 */
export function lostStream(lastEventId: string): EventStream | undefined {
  const [, encoded] = /^[\w.-]{1,50}~(.+)$/.exec(lastEventId) ?? [];
  if (encoded === undefined || encoded.length > 3 * MAX_REQUEST_ID) return undefined;
  const id = attempt((): unknown => JSON.parse(decodeURIComponent(encoded)));
  if (typeof id !== "string" && typeof id !== "number") return undefined;
  const events = new EventStream();
  const why = "The gateway was restarted during this request; it may have been carried out";
  const error = new RpcError(ErrorCode.UpstreamUnavailable, why, { outcome: "unknown" });
  events.send(errorResponse(JSON.stringify(id), error));
  events.close();
  return events;
}

/** What one session keeps for clients that lose a stream: this many events, this much text. */
export const EVENT_LOG_LIMITS = { events: 256, characters: 1024 * 1024 } as const;

interface Entry {
  readonly stream: number;
  readonly sequence: number;
  readonly raw: string;
}

/**
 * The last events of a session's streams, oldest dropped first, so that a client can ask for what
 * it missed with `Last-Event-ID` (Streamable HTTP, resumability). An id names its stream, because
 * a client resumes one stream and must not see another's messages there.
 */
export class EventLog {
  readonly #entries: Entry[] = [];
  #characters = 0;
  #sequence = 0;

  /** @param life what its ids begin with: two logs of one session need different ones */
  constructor(private readonly life = "") {}

  /** Keeps a message and returns its event id. */
  append(stream: number, raw: string): string {
    const entry = { stream, sequence: ++this.#sequence, raw };
    this.#entries.push(entry);
    this.#characters += raw.length;
    while (
      this.#entries.length > EVENT_LOG_LIMITS.events ||
      (this.#characters > EVENT_LOG_LIMITS.characters && this.#entries.length > 1)
    ) this.#characters -= this.#entries.shift()!.raw.length;
    return this.life + eventId(entry);
  }

  /** An id for "nothing yet": a client that resumes from it gets the stream from here on. */
  mark(stream: number): string {
    return this.life + eventId({ stream, sequence: this.#sequence });
  }

  /**
   * What followed the event with this id on its stream, or `undefined` for an id that is not ours.
   * Events that have been dropped meanwhile are missing without notice, as the protocol has none.
   */
  after(id: string): { stream: number; events: { id: string; raw: string }[] } | undefined {
    const match = /^(\d{1,15})-(\d{1,15})(~.*)?$/.exec(id.slice(this.life.length));
    if (match === null || !id.startsWith(this.life)) return undefined;
    const suffix = match[3] ?? "";
    const stream = Number(match[1]);
    const sequence = Number(match[2]);
    if (sequence > this.#sequence) return undefined;
    const events = this.#entries
      .filter((entry) => entry.stream === stream && entry.sequence > sequence)
      .map((entry) => ({ id: this.life + eventId(entry) + suffix, raw: entry.raw }));
    return { stream, events };
  }
}

function eventId({ stream, sequence }: { stream: number; sequence: number }): string {
  return `${stream}-${sequence}`;
}

/** A client that does not read loses its stream before it costs more than this many bytes. */
export const MAX_UNREAD_BYTES = 16 * 1024 * 1024;

/** Gives the answer to a request; once, what comes after the first is dropped. */
export type Respond = (response: Response) => void;

/** Headers of a response, by name. */
export type PlainHeaders = Readonly<Record<string, string>>;

const encoder = new TextEncoder();

/** Headers of every event stream; proxies must neither cache nor buffer it. */
const EVENT_STREAM_HEADERS = {
  "content-type": "text/event-stream",
  "cache-control": "no-cache, no-transform",
  "x-accel-buffering": "no",
};

/** A server-sent event stream as a response body. Closing is idempotent from either side. */
export class EventStream implements Outlet {
  readonly body: ReadableStream<Uint8Array>;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  readonly #onGone: (() => void)[] = [];

  /** @param mostUnread bytes that may wait for a client that does not read */
  constructor(mostUnread = MAX_UNREAD_BYTES) {
    this.body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      cancel: () => {
        this.#controller = undefined;
        this.#gone();
      },
    }, new ByteLengthQueuingStrategy({ highWaterMark: mostUnread }));
  }

  /** Calls back once when the client has left or was cut off, not after {@link close}. */
  whenGone(callback: () => void): void {
    this.#onGone.push(callback);
  }

  /** The response this stream is the body of. */
  response(headers?: PlainHeaders): Response {
    const given = new Response(this.body, { headers: { ...EVENT_STREAM_HEADERS, ...headers } });
    OPEN_ENDED.add(given);
    return given;
  }

  /** `id` is the event id a client may come back with. */
  send(raw: string, id?: string): void {
    const head = id === undefined ? "" : `id: ${id}\n`;
    this.#write(`${head}event: message\ndata: ${withoutLineBreaks(raw)}\n\n`);
  }

  /** Gives the client an id to come back with before there is any message (2025-11-25). */
  prime(id: string, retry: number): void {
    this.#write(`id: ${id}\nretry: ${retry}\ndata: \n\n`);
  }

  /** Sends an event of another name; `data` must be one line. */
  event(name: string, data: string): void {
    this.#write(`event: ${name}\ndata: ${data}\n\n`);
  }

  /** Sends a comment: it keeps proxies and clients from giving the silent stream up. */
  comment(): void {
    this.#write(": keep-alive\n\n");
  }

  close(): void {
    const controller = this.#controller;
    this.#controller = undefined;
    controller?.close();
  }

  #gone(): void {
    for (const callback of this.#onGone.splice(0)) callback();
  }

  #write(text: string): void {
    const controller = this.#controller;
    if (controller === undefined) return;
    // Looked at before the message goes in: one result larger than the bound must get through.
    if ((controller.desiredSize ?? 1) > 0) {
      controller.enqueue(encoder.encode(text));
      return;
    }
    // Closed, not errored: Bun would print an error of ours, Deno report it as the handler's.
    this.close();
    this.#gone();
  }
}

/** Something that may have to say that it is still there. */
export interface Silent {
  /** Called at the pace of its {@link KeepAlive} with the current time (`performance.now()`). */
  tick(now: number): void;
}

/**
 * One timer for all open streams and pending answers. Arming a timer for each request would cost
 * more than the rest of the front together.
 */
export class KeepAlive {
  readonly #members = new Set<Silent>();
  #timer: ReturnType<typeof setInterval> | undefined;
  readonly #beat = () => this.tick(performance.now());

  /** `every`: how often ticks come, milliseconds. */
  constructor(private readonly every: number) {}

  add(member: Silent): void {
    this.#members.add(member);
    this.#timer ??= setInterval(this.#beat, this.every);
  }

  /** False for who was not there any more. */
  delete(member: Silent): boolean {
    return this.#members.delete(member);
  }

  /** Ticks everyone; stops the timer when nobody is left. */
  tick(now: number): void {
    for (const member of this.#members) member.tick(now);
    if (this.#members.size === 0) this.close();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
