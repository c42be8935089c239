import type { Outlet } from "../gateway/clients/exchange.ts";
import type { Session } from "../gateway/clients/session.ts";
import { EventLog } from "./event-log.ts";
import { EventStream } from "./event-stream.ts";

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
  ) {}

  send(raw: string): void {
    const id = this.log.append(this.id, raw);
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
    if (this.primed) events.prime(this.log.mark(this.id), RETRY);
    return events;
  }
}

/** All resumable streams of one session, with the log they share. */
export class SessionStreams {
  readonly #log = new EventLog();
  readonly #live = new Map<number, ResumableStream>();
  readonly #primed: boolean;
  #count = STANDALONE;

  constructor(session: Session) {
    this.#primed = (session.client?.protocolVersion ?? "") >= PRIMING_SINCE;
  }

  /** The stream for one POST; closing it is the caller's. */
  open(): ResumableStream {
    return this.#stream(++this.#count);
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

  #stream(id: number): ResumableStream {
    const stream = new ResumableStream(
      id,
      this.#log,
      this.#primed,
      () => this.#live.delete(id),
    );
    this.#live.set(id, stream);
    return stream;
  }
}
