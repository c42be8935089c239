import { isPersonal, type ServerConfig } from "../../config/types.ts";
import type { JsonEdit } from "../../lib/json-edit.ts";
import { isObject } from "../../lib/json.ts";
import { messageOf } from "../../lib/text.ts";
import type { Era } from "../../protocol/eras.ts";
import type { Exchange } from "../../protocol/exchange.ts";
import type { ResponseMessage } from "../../protocol/message.ts";
import type { CloseReason, TransportKind } from "../transport/transport.ts";
import type { Channel, ChannelEvents } from "./channel.ts";
import { type EraAnswer, establish, type EstablishOptions } from "./establish.ts";
import type { Handshake } from "./handshake.ts";
import { HealthMonitor, type HealthReport } from "./health.ts";
import type { Line } from "./line.ts";
import { listChangedFilter, Listener, ResourceSubscriptions } from "./listen.ts";

/** What {@link Connection.open} needs; `events.onClose` is called only for an opened connection. */
export interface ConnectionOptions extends EstablishOptions {
  /** Somebody has given it back. */
  readonly onRelease?: () => void;
}

/**
 * One live connection after its handshake. When it is lost it is lost: a new one is opened. As a
 * {@link Line} it is one that many use at the same time.
 */
export class Connection implements Line {
  readonly #listener: Listener | undefined;
  readonly #subscriptions: ResourceSubscriptions | undefined;
  #config: ServerConfig;
  #monitor: HealthMonitor | undefined;
  #level: string | undefined;
  #lines = 0;

  private constructor(
    /** What it goes over. */
    readonly channel: Channel,
    readonly handshake: Handshake,
    private readonly options: ConnectionOptions,
  ) {
    this.#config = options.config;
    const { events, config } = options;
    const { capabilities, era } = handshake;
    if (era === "modern") {
      const lists = listChangedFilter(capabilities);
      this.#listener = new Listener(channel, lists, () => events.onGap());
    } else if (isObject(capabilities.resources) && capabilities.resources.subscribe === true) {
      this.#subscriptions = new ResourceSubscriptions(channel, config.startupTimeout);
    }
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
      onNotification: (message, exchange, carriedBy) => {
        const listener = opened === undefined ? undefined : opened.#listener;
        if (listener?.admits(message, carriedBy) === false) return;
        events.onNotification(message, exchange, carriedBy);
      },
      // Before the handshake is done the attempt itself fails, which says more.
      onClose: (reason) => {
        if (opened === undefined) return;
        opened.#end();
        events.onClose(reason);
      },
    };
    const { channel, handshake } = await establish({ ...options, events: guarded });
    opened = new Connection(channel, handshake, options);
    if (channel.closed !== undefined) {
      const { closed } = channel;
      queueMicrotask(() => events.onClose(closed));
    } else opened.#begin();
    return opened;
  }

  get era(): Era {
    return this.handshake.era;
  }

  /** Whether each user of its server has a login of his own. */
  get isPersonal(): boolean {
    return isPersonal(this.#config.instances[0]);
  }

  get transport(): TransportKind {
    return this.channel.transport.kind;
  }

  /** To be handed to the next {@link Connection.open} of this server. */
  get verdict(): EraAnswer {
    return { era: this.era, transport: this.transport };
  }

  /** Why it is lost, undefined while it lives; a call on a lost one fails at once. */
  get closed(): CloseReason | undefined {
    return this.channel.closed;
  }

  /** How many have acquired it and not released it. */
  get lines(): number {
    return this.#lines;
  }

  /** Whether it works, as far as that is known. */
  get health(): HealthReport {
    return this.#monitor?.report ?? { health: "unknown", detail: undefined };
  }

  /** It is used from now on, until it is released as often. */
  acquire(): this {
    this.#lines++;
    return this;
  }

  /** Takes on limits that have changed. */
  reconfigure(config: ServerConfig): void {
    this.#config = config;
    this.channel.timeout = config.timeout;
    this.#monitor?.arm();
  }

  /** {@link Channel.forward} */
  forward(exchange: Exchange, edits: readonly JsonEdit[]): Promise<ResponseMessage> {
    return this.channel.forward(exchange, edits);
  }

  /** The counterpart of {@link Connection.acquire}. */
  release(): void {
    this.#lines--;
    this.options.onRelease?.();
  }

  /**
   * Asks for log lines from this level on, where the server is legacy and has a log (a modern one
   * reads it from each request). Resolves when it has been told; never rejects.
   */
  async setLogLevel(level: string): Promise<void> {
    if (this.era === "modern" || this.#level === level) return;
    if (!isObject(this.handshake.capabilities.logging)) return;
    this.#level = level;
    const { startupTimeout: timeout } = this.#config;
    try {
      await this.channel.request("logging/setLevel", JSON.stringify({ level }), { timeout });
    } catch (error) {
      this.channel.log.debug("Cannot set the log level", { error: messageOf(error) });
    }
  }

  /** Sets which resources it announces changes of; resolves when it has been told. */
  async setSubscriptions(uris: ReadonlySet<string>): Promise<void> {
    await this.#subscriptions?.set(uris);
    await this.#listener?.listen(uris);
  }

  /** Ends it within 3 s; calls in flight fail. Never rejects. */
  async close(): Promise<void> {
    this.#end();
    await this.channel.close();
  }

  #begin(): void {
    void this.#listener?.listen();
    this.#monitor = new HealthMonitor(this.channel, () => this.#config);
  }

  #end(): void {
    this.#monitor?.stop();
    this.#listener?.close();
  }
}
