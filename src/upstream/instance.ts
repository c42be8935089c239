import { formatIssue } from "../config/issue.ts";
import { isPersonal, type ServerConfig } from "../config/types.ts";
import type { JsonObject } from "../lib/json.ts";
import { type Clock, formatDuration, systemClock } from "../lib/time.ts";
import type { Exchange } from "../protocol/exchange.ts";
import type { Inventory } from "../protocol/lists.ts";
import { Catalogue } from "./catalogue.ts";
import type { Connection } from "./connection/connection.ts";
import type { HealthReport } from "./connection/health.ts";
import type { InventoryResult } from "./connection/inventory.ts";
import type { Line } from "./connection/line.ts";
import { LINE_LIMITS, Lines } from "./lines.ts";
import { Opener, type UpstreamEvents, type UpstreamOptions } from "./opener.ts";
import { reasonOfClose, type UpstreamState } from "./state.ts";
import { countsOf, type InstanceStatus, isoTime, worstHealth } from "./status.ts";
import { idleTimeoutOf, IdleTimer, Supervisor } from "./supervisor.ts";
import { ConnectionLostError, isUnreached, unavailable } from "./transport/failures.ts";

/**
 * One instance of a configured server: keeps a connection to it alive for as long as it is wanted,
 * and knows what it offers. Owned by its upstream; {@link Instance.close} ends it for good.
 */
export class Instance {
  readonly name: string;
  /** The first attempt has finished, up or down, or was put off. Never rejects. */
  readonly settled: Promise<void>;
  /** Its connections beside the first. */
  readonly lines: Lines;
  readonly #clock: Clock;
  readonly #events: UpstreamEvents;
  readonly #supervisor: Supervisor;
  readonly #catalogue: Catalogue;
  readonly #idle: IdleTimer;
  readonly #opener: Opener;
  #config: ServerConfig;
  #connection: Connection | undefined;
  #startedIn: number | undefined;
  /** The end of a connection that was given up: it may hold a port or a lock the next one needs. */
  #leaving: Promise<unknown> | undefined;
  #level: string | undefined;
  #subscribed: ReadonlySet<string> = new Set();

  constructor(private readonly options: UpstreamOptions) {
    const { config, log, attempts, events = {}, clock = systemClock } = options;
    this.#config = config;
    this.name = config.name;
    this.#clock = clock;
    this.#events = events;
    this.#catalogue = new Catalogue({
      log,
      clock,
      timeout: () => this.#config.startupTimeout,
      onChange: (inventory) => events.onInventory?.(inventory),
    });
    this.#supervisor = new Supervisor({
      server: this.name,
      log,
      clock,
      random: options.random ?? Math.random,
      attempts,
      startupTimeout: () => this.#config.startupTimeout,
      open: (signal, limit) => this.#open(signal, limit),
      onChange: () => events.onStateChange?.(),
    });
    this.settled = this.#supervisor.settled;
    this.lines = new Lines({
      config: () => this.#config,
      limits: { ...LINE_LIMITS, ...options.limits },
      log,
      clock,
      open: (own) => this.#opener.openOther(own, this.#connection === undefined),
    });
    this.#opener = new Opener({
      runtime: options.runtime,
      logins: options.logins,
      log,
      clock,
      config: () => this.#config,
      catalogue: this.#catalogue,
      events,
      onAmbiguous: (method) => this.#ambiguous(method),
      onQuestion: (method, params) => this.lines.asks(method, params),
      onRelease: () => this.#idle.touch(),
      onGivenUp: (end) => this.#leave(end),
    });
    this.#idle = new IdleTimer({
      clock,
      timeout: () => idleTimeoutOf(this.#config),
      inUse: () => this.#inUse(),
      onIdle: () => this.#rest(),
    });
    const { problem, disabled } = config;
    if (problem !== undefined) {
      const why = `cannot be started: ${formatIssue(problem)}`;
      this.#supervisor.refuse(unavailable(this.name, why), "configuration");
    } else if (disabled) {
      const why = "is disabled in the configuration";
      this.#supervisor.refuse(unavailable(this.name, why), "disabled");
    }
  }

  /**
   * Takes on what has changed in the configuration while {@link ServerConfig.key} has not, for
   * open connections too. One that is at rest and may not rest any more is started.
   */
  reconfigure(config: ServerConfig): void {
    const before = this.#config;
    this.#config = config;
    for (const connection of this.#live) connection.reconfigure(config);
    if (this.state.phase === "ready") this.#idle.arm();
    if (this.#supervisor.reason !== "lazy" && this.#supervisor.reason !== "unused") return;
    const awake = before.lazy && !config.lazy;
    if (awake || idleTimeoutOf(config) === undefined) this.#supervisor.start();
  }

  /** Where it is in its life. */
  get state(): UpstreamState {
    return this.#supervisor.state;
  }

  /** What it offered last; kept while it is away, and what is known of it before it was there. */
  get inventory(): Inventory {
    return this.#catalogue.inventory;
  }

  /** Whether it works, as far as that is known; the worst of its connections. */
  get health(): HealthReport {
    return worstHealth(this.#live.map(({ health }) => health));
  }

  /**
   * Begins to connect; does nothing when it has begun, or cannot. A lazy one of which the lists
   * are known, be it from an earlier run, waits for a use; a subscription is one.
   */
  start(): void {
    if (this.#resting) return;
    const mayWait = this.#catalogue.known !== undefined && this.#subscribed.size === 0;
    if (this.#config.lazy && mayWait) this.#supervisor.postpone();
    else this.#supervisor.start();
  }

  /** What it offered in an earlier run; it counts until the server has answered. */
  recall(known: Inventory): void {
    this.#catalogue.recall(known);
  }

  /** Begins to connect if it is at rest, whatever for. */
  wake(): void {
    if (this.state.phase === "idle") this.#supervisor.start();
  }

  /**
   * The connection that serves this exchange: the one place that chooses. To be released when the
   * exchange has ended.
   * @throws {RpcError} UpstreamUnavailable naming the server and its last error, and when no more
   * connections may be opened
   */
  lineFor(exchange: Exchange): Line | Promise<Line> {
    const primary = this.#connection;
    if (
      primary !== undefined && primary.era === exchange.client.era &&
      (primary.era === "modern" || !this.lines.exclusiveFor(exchange.client))
    ) return primary.acquire();
    const own = this.lines.own(exchange);
    if (own !== undefined) return own;
    return primary === undefined ? this.#nextLine(exchange) : this.lines.choose(primary, exchange);
  }

  /**
   * The least severe level somebody behind the shared connection wants log lines of, also after a
   * reconnect. Resolves when a connected server has been told; never rejects.
   */
  async setLogLevel(level: string): Promise<void> {
    this.#level = level;
    await Promise.all([this.#connection?.setLogLevel(level), this.lines.setLogLevel(level)]);
  }

  /**
   * The resources somebody wants to know the changes of, also after a reconnect; one at rest is
   * started for them. Resolves when a connected server has been told; never rejects.
   */
  async setSubscriptions(uris: ReadonlySet<string>): Promise<void> {
    this.#subscribed = new Set(uris);
    this.#idle.touch();
    if (uris.size > 0 && this.#resting) this.#supervisor.start();
    await this.#connection?.setSubscriptions(this.#subscribed);
  }

  /** A client's roots have changed: tells the legacy connections it speaks to. */
  notifyClientRoots(session: string): void {
    for (const connection of this.lines.ofSession(session, this.#connection)) {
      void connection.channel.notify("notifications/roots/list_changed");
    }
  }

  /** A client session has ended, and its own connection with it. */
  releaseSession(session: string): void {
    for (const one of [this.#connection, ...this.lines.live]) one?.channel.left(session);
    // Others come and go without a use of this server.
    if (this.lines.releaseSession(session)) this.#idle.touch();
  }

  /** A snapshot for status pages; plain data, no secrets. */
  status(): InstanceStatus {
    const { state, reason, history } = this.#supervisor;
    const { since, lastError, lastErrorAt, retryAt } = history;
    const target = this.#config.instances[0]!;
    const connection = this.#connection;
    const { health, detail } = this.health;
    return {
      name: this.name,
      state: state.phase,
      reason,
      retryAt: isoTime(retryAt),
      health,
      healthDetail: detail,
      transport: connection?.transport ?? (target.kind === "stdio" ? "stdio" : target.transport),
      era: connection?.era,
      protocolVersion: connection?.handshake.protocolVersion,
      pid: connection?.channel.transport.pid,
      since: new Date(since).toISOString(),
      startedInMs: this.#startedIn,
      restarts: state.restarts,
      inFlight: this.#live.reduce((sum, { channel }) => sum + channel.atWork, 0),
      connections: this.#live.length,
      interactive: this.lines.interactive,
      lastError: lastError?.message,
      lastErrorAt: isoTime(lastErrorAt),
      problems: this.#catalogue.problems,
      counts: countsOf(this.inventory),
      serverInfo: JSON.parse(this.inventory.serverInfo) as JsonObject,
    };
  }

  /** Stops for good, within about 3 s; calls in flight fail. Never rejects. */
  async close(): Promise<void> {
    const connection = this.#connection;
    this.#forget();
    const stopped = this.#supervisor.close();
    await Promise.all([connection?.close(), this.lines.close(), this.#leaving, stopped]);
  }

  get #live(): readonly Connection[] {
    return this.#connection === undefined
      ? this.lines.live
      : [this.#connection, ...this.lines.live];
  }

  /** It could be connected, and is not because nobody has asked for it. */
  get #resting(): boolean {
    const { state, reason } = this.#supervisor;
    return state.phase === "idle" && reason !== undefined;
  }

  async #open(signal: AbortSignal, limit: number): Promise<void> {
    if (this.#leaving !== undefined) {
      await this.#leaving;
      signal.throwIfAborted();
    }
    const began = this.#clock.now();
    await this.#opener.openPrimary(
      signal,
      limit,
      (connection, lists) =>
        this.#install(connection, lists, Math.round(this.#clock.now() - began)),
      (connection) => {
        if (this.#connection === connection) this.#lost(connection);
      },
    );
  }

  #install(connection: Connection, result: InventoryResult, took: number): void {
    this.#connection = connection;
    this.lines.primaryChanged(connection.era);
    if (this.#level !== undefined) void connection.setLogLevel(this.#level);
    if (this.#subscribed.size > 0) void connection.setSubscriptions(this.#subscribed);
    this.#startedIn = took;
    const changed = this.#catalogue.follow(connection, result);
    this.#idle.touch();
    this.#idle.arm();
    this.#supervisor.opened();
    if (changed) this.#events.onInventory?.(result.inventory);
    const { tools, resources, prompts } = result.inventory.lists;
    this.options.log.info(`Ready in ${took} ms`, {
      era: connection.era,
      version: connection.handshake.protocolVersion,
      transport: connection.transport,
      tools: tools.items.length,
      resources: resources.items.length,
      prompts: prompts.items.length,
    });
  }

  #ambiguous(method: string): void {
    if (!this.lines.markInteractive()) return;
    const then = this.#config.sharing === "auto"
      ? "From now on each client has a connection of its own"
      : 'Set "sharing" to "auto" or "session" to give each client a connection of its own';
    this.options.log.warn(
      `Refused "${method}": several clients have calls on one connection, or had a moment ago. ${then}`,
    );
    this.#events.onStateChange?.();
  }

  #inUse(): boolean {
    return this.#subscribed.size > 0 || (this.#connection?.lines ?? 0) > 0 || this.lines.inUse;
  }

  /** Nobody has used it for as long as it may be unused. */
  #rest(): void {
    const connection = this.#connection!;
    this.#forget();
    this.#leave(Promise.all([connection.close(), this.lines.rest()]));
    const time = formatDuration(idleTimeoutOf(this.#config)!);
    this.options.log.info(`Stopped after ${time} without use; the next use starts it`);
    this.#supervisor.rest();
  }

  #lost(connection: Connection): void {
    const closed = connection.closed!;
    this.#forget();
    const error = new ConnectionLostError(this.name, closed);
    this.#supervisor.lost(error, reasonOfClose(closed), closed.granted);
  }

  #leave(end: Promise<unknown>): void {
    const leaving = this.#leaving = Promise.all([this.#leaving, end]).finally(() => {
      if (this.#leaving === leaving) this.#leaving = undefined;
    });
  }

  /** Lets go of the connection, so that its end is no loss. */
  #forget(): void {
    this.#connection = undefined;
    this.#catalogue.leave();
    this.#idle.stop();
  }

  async #nextLine(exchange: Exchange): Promise<Line> {
    this.#idle.touch();
    await this.#supervisor.attempt(exchange.signal);
    if (this.#connection !== undefined) return this.lines.choose(this.#connection, exchange);
    const { state: { phase }, history: { lastError } } = this.#supervisor;
    const isGone = phase === "closed" || isUnreached(lastError);
    if (isGone || exchange.signal.aborted || !isPersonal(this.#config.instances[0])) {
      throw this.#supervisor.unavailable();
    }
    // It was tried by others' logins, for the lists.
    return this.lines.ownLine(exchange);
  }
}
