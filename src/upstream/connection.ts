import type { JsonEdit } from "../lib/json-edit.ts";
import type { Exchange } from "../protocol/exchange.ts";
import type { ResponseMessage } from "../protocol/message.ts";
import type { Channel, ChannelEvents, RequestOptions } from "./channel.ts";
import { establish, type EstablishOptions, type Verdict } from "./establish.ts";
import type { Handshake } from "./handshake.ts";
import { keepListening, listChangedFilter } from "./listen.ts";
import type { CloseReason, TransportKind } from "./transport.ts";

/** What {@link Connection.open} needs; `events.onClose` is called only for an opened connection. */
export type ConnectionOptions = EstablishOptions;

/** One live connection after its handshake. When it is lost it is lost: a new one is opened. */
export class Connection {
  readonly handshake: Handshake;
  /** To be handed to the next {@link Connection.open} of this server. */
  readonly verdict: Verdict;
  readonly #channel: Channel;
  readonly #listening = new AbortController();

  private constructor(channel: Channel, handshake: Handshake, verdict: Verdict) {
    this.#channel = channel;
    this.handshake = handshake;
    this.verdict = verdict;
  }

  /**
   * Connects and shakes hands, within `signal`.
   * @throws {RpcError} naming the server and what went wrong; nothing is left open
   */
  static async open(options: ConnectionOptions): Promise<Connection> {
    let opened: Connection | undefined = undefined as Connection | undefined;
    const { events } = options;
    const guarded: ChannelEvents = {
      ...events,
      // A subscription is the gateway's own; its acknowledgement concerns no client.
      onNotification: (message, exchange) => {
        if (message.method !== "notifications/subscriptions/acknowledged") {
          events.onNotification(message, exchange);
        }
      },
      // Before the handshake is done the attempt itself fails, which says more.
      onClose: (reason) => {
        if (opened === undefined) return;
        opened.#listening.abort();
        events.onClose(reason);
      },
    };
    const { channel, handshake, verdict } = await establish({ ...options, events: guarded });
    opened = new Connection(channel, handshake, verdict);
    if (channel.closed !== undefined) {
      const { closed } = channel;
      queueMicrotask(() => events.onClose(closed));
    } else if (handshake.era === "modern") opened.#listen(options);
    return opened;
  }

  get transport(): TransportKind {
    return this.#channel.transport.kind;
  }

  /** Process id of a stdio server. */
  get pid(): number | undefined {
    return this.#channel.transport.pid;
  }

  /** Why it is lost, undefined while it lives; a call on a lost one fails at once. */
  get closed(): CloseReason | undefined {
    return this.#channel.closed;
  }

  /** Calls that wait for an answer. */
  get inFlight(): number {
    return this.#channel.inFlight;
  }

  /** {@link Channel.forward} */
  forward(exchange: Exchange, edits: readonly JsonEdit[]): Promise<ResponseMessage> {
    return this.#channel.forward(exchange, edits);
  }

  /** {@link Channel.request} */
  request(
    method: string,
    paramsText: string | undefined,
    options: RequestOptions,
  ): Promise<ResponseMessage> {
    return this.#channel.request(method, paramsText, options);
  }

  /** {@link Channel.notify} */
  notify(method: string, paramsText?: string): Promise<void> {
    return this.#channel.notify(method, paramsText);
  }

  /** Ends it within 3 s; calls in flight fail. Never rejects. */
  async close(): Promise<void> {
    this.#listening.abort();
    await this.#channel.close();
  }

  #listen({ log, clock, events }: ConnectionOptions): void {
    const filter = listChangedFilter(this.handshake.capabilities);
    if (filter === undefined) return;
    void keepListening(this.#channel, {
      filter,
      log,
      clock,
      signal: this.#listening.signal,
      onGap: () => events.onGap(),
    });
  }
}
