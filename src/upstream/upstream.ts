import type { CancelSignal } from "../lib/cancel.ts";
import { formatIssue } from "../config/issue.ts";
import type { ServerConfig } from "../config/config.ts";
import type { JsonEdit } from "../lib/json-edit.ts";
import { ErrorCode, RpcError } from "../protocol/errors.ts";
import type { Exchange } from "../protocol/exchange.ts";
import { EMPTY_INVENTORY, type Inventory, LIST_RULES } from "../protocol/lists.ts";
import type { ListKind } from "../protocol/lists.ts";
import type { ResponseMessage } from "../protocol/message.ts";
import { nextDelay, STABLE_AFTER } from "./backoff.ts";
import type { ChannelEvents } from "./channel.ts";
import { type Clock, pause, systemClock } from "./clock.ts";
import { Connection, type ConnectionOptions } from "./connection.ts";
import type { Verdict } from "./establish.ts";
import {
  HttpStatusError,
  messageOf,
  serverLabel,
  SessionExpiredError,
  unavailable,
} from "./failures.ts";
import { HandshakeError } from "./handshake.ts";
import { readInventory } from "./inventory.ts";
import { type Line, SHARED_IDENTITY } from "./line.ts";
import { LINE_LIMITS, Lines, type OpenLegacyOptions } from "./lines.ts";
import { openLegacy } from "./open-legacy.ts";
import { Refresher } from "./refresher.ts";
import { isRepeatable } from "./repeatable.ts";
import { INITIAL_STATE, transition, type UpstreamEvent, type UpstreamState } from "./state.ts";
import { describeStatus, type UpstreamStatus } from "./status.ts";
import { declaredHeaders } from "./tool-headers.ts";
import type { UpstreamEvents, UpstreamOptions } from "./upstream-options.ts";

export type { UpstreamEvents, UpstreamOptions } from "./upstream-options.ts";

/** How long a call to a server in back-off waits for the attempt it started, in ms. */
const RETRY_WAIT = 10_000;
/** A call starts an attempt ahead of time only this long after the last one failed, in ms. */
const RETRY_SPACING = 1_000;
const REFRESH_DELAY = 50;
/** Back-off of a server that refuses our credentials begins with the longest pause. */
const REFUSED_FAILURES = 9;

/**
 * One configured server: keeps a connection to it alive for as long as it is wanted, and knows what
 * it offers. Owned by the gateway; {@link Upstream.close} ends it for good.
 */
export class Upstream {
  readonly name: string;
  readonly config: ServerConfig;
  /** The first attempt has finished, up or down. Never rejects. */
  readonly settled: Promise<void>;
  readonly #options: UpstreamOptions;
  readonly #clock: Clock;
  readonly #events: UpstreamEvents;
  readonly #settle: () => void;
  #state: UpstreamState = INITIAL_STATE;
  #since = Date.now();
  #connection: Connection | undefined;
  #verdict: Verdict | undefined;
  #inventory: Inventory = EMPTY_INVENTORY;
  #problems: readonly string[] = [];
  #lastError: RpcError | undefined;
  #startedIn: number | undefined;
  #readyAt = 0;
  #failedAt = -Infinity;
  #abort: AbortController | undefined;
  #attempt: Promise<void> = Promise.resolve();
  #cancelRetry: (() => void) | undefined;
  #refresher: Refresher | undefined;
  readonly #lines: Lines;
  #level: string | undefined;
  #subscribed: ReadonlySet<string> = new Set();
  /** A request is repeated once. */
  readonly #repeated = new WeakSet<Exchange>();

  constructor(options: UpstreamOptions) {
    this.#options = options;
    this.config = options.config;
    this.name = options.config.name;
    this.#clock = options.clock ?? systemClock;
    this.#events = options.events ?? {};
    const { promise, resolve } = Promise.withResolvers<void>();
    this.settled = promise;
    this.#settle = resolve;
    const { sharing, protocol, timeout, startupTimeout, problem, disabled } = options.config;
    this.#lines = new Lines({
      server: this.name,
      sharing,
      bothEras: protocol === "auto",
      startupTimeout,
      patience: timeout,
      limits: options.limits ?? LINE_LIMITS,
      log: options.log,
      clock: this.#clock,
      open: (own) => this.#openLegacy(own),
    });
    if (problem !== undefined || disabled) {
      const why = problem === undefined
        ? "is disabled in the configuration"
        : `cannot be started: ${formatIssue(problem)}`;
      this.#lastError = unavailable(this.name, why);
      this.#state = transition(this.#state, { type: "close" });
      resolve();
    }
  }

  /** Where it is in its life. */
  get state(): UpstreamState {
    return this.#state;
  }

  /** What it offered last; kept while it is away. */
  get inventory(): Inventory {
    return this.#inventory;
  }

  /** Begins to connect; does nothing when it has begun, or cannot. */
  start(): void {
    if (this.#dispatch({ type: "start" })) this.#connect();
  }

  /** It asks clients things that cannot be attributed on a connection they share. */
  get interactive(): boolean {
    return this.#lines.interactive;
  }

  /**
   * Passes a client's request on. Waits for a connection that is being made; a server in back-off
   * is tried at once.
   * @throws {RpcError} UpstreamUnavailable naming the server and its last error, or what
   * {@link Line.forward} throws
   */
  forward(exchange: Exchange, edits: readonly JsonEdit[]): Promise<ResponseMessage> {
    const line = this.lineFor(exchange);
    return line instanceof Connection
      ? line.forward(exchange, edits)
      : this.#forwardOver(line, exchange, edits);
  }

  /**
   * The connection that serves this exchange: the one place that chooses. To be released when the
   * exchange has ended.
   * @throws {RpcError} as {@link Upstream.forward}, and when no more connections may be opened
   */
  lineFor(exchange: Exchange): Line | Promise<Line> {
    const primary = this.#connection;
    if (
      primary !== undefined && primary.era === exchange.client.era &&
      (primary.era === "modern" || !this.#lines.exclusiveFor(exchange.client))
    ) return primary;
    const own = this.#lines.own(exchange);
    if (own !== undefined) return own;
    return primary === undefined
      ? this.#nextConnection(exchange.signal).then((ready) => this.#lines.choose(ready, exchange))
      : this.#lines.choose(primary, exchange);
  }

  /**
   * The least severe level somebody behind the shared connection wants log lines of, also after a
   * reconnect. Resolves when a connected server has been told; never rejects.
   */
  async setLogLevel(level: string): Promise<void> {
    this.#level = level;
    await Promise.all([this.#connection?.setLogLevel(level), this.#lines.setLogLevel(level)]);
  }

  /** The same for one client session, whose own connection is set to it, if there is one. */
  async setSessionLogLevel(session: string, level: string): Promise<void> {
    await this.#lines.setSessionLogLevel(session, level);
  }

  /**
   * The resources somebody wants to know the changes of, also after a reconnect. Resolves when a
   * connected server has been told; never rejects.
   */
  async setSubscriptions(uris: ReadonlySet<string>): Promise<void> {
    this.#subscribed = new Set(uris);
    await this.#connection?.setSubscriptions(this.#subscribed);
  }

  /** A client's roots have changed: tells the legacy connections it speaks to. */
  notifyClientRoots(session: string): void {
    for (const connection of this.#lines.ofSession(session, this.#connection)) {
      void connection.notify("notifications/roots/list_changed");
    }
  }

  /** A client session has ended, and its own connection with it. */
  releaseSession(session: string): void {
    this.#lines.releaseSession(session);
  }

  /** A snapshot for status pages; plain data, no secrets. */
  status(): UpstreamStatus {
    return describeStatus({
      name: this.name,
      state: this.#state,
      target: this.config.target,
      connection: this.#connection,
      others: this.#lines.live,
      interactive: this.#lines.interactive,
      inventory: this.#inventory,
      problems: this.#problems,
      since: this.#since,
      startedIn: this.#startedIn,
      lastError: this.#lastError?.message,
    });
  }

  /** Stops for good, within about 3 s; calls in flight fail. Never rejects. */
  async close(): Promise<void> {
    const connection = this.#connection;
    this.#connection = undefined;
    this.#dispatch({ type: "close" });
    this.#cancelRetry?.();
    this.#refresher?.stop();
    this.#abort?.abort(unavailable(this.name, "is being stopped"));
    await Promise.all([connection?.close(), this.#lines.close(), this.#attempt]);
    this.#settle();
  }

  #dispatch(event: UpstreamEvent): boolean {
    const next = transition(this.#state, event);
    if (next === this.#state) return false;
    const moved = next.phase !== this.#state.phase;
    this.#state = next;
    if (moved) {
      this.#since = Date.now();
      this.#events.onStateChange?.(this);
    }
    return true;
  }

  #connect(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    const abort = this.#abort = new AbortController();
    const { startupTimeout } = this.config;
    const stopClock = this.#clock.after(startupTimeout, () => {
      const why = `was not ready within ${startupTimeout / 1_000} s`;
      abort.abort(new RpcError(ErrorCode.UpstreamTimeout, `${serverLabel(this.name)} ${why}`));
    });
    this.#attempt = this.#open(abort.signal).catch((error: unknown) => this.#failed(error))
      .finally(() => {
        stopClock();
        this.#settle();
      });
  }

  async #open(signal: AbortSignal): Promise<void> {
    const { log } = this.#options;
    const began = this.#clock.now();
    const marked = new Set<ListKind>();
    const connection = await Connection.open({
      ...this.#base(),
      config: this.config,
      verdict: this.#verdict,
      identity: SHARED_IDENTITY,
      signal,
      events: {
        ...this.#connectionEvents(undefined, marked),
        onClose: () => {
          if (this.#connection !== undefined && this.#connection === connection) this.#lost();
        },
      },
    });
    const { inventory, problems } = await readInventory({
      handshake: connection.handshake,
      usesHeaders: usesHeaders(connection),
      previous: this.#state.wasReady ? this.#inventory : undefined,
      request: (method, params) =>
        connection.request(method, params, { signal, timeout: this.config.startupTimeout }),
    });
    if (signal.aborted || connection.closed !== undefined) {
      await connection.close();
      signal.throwIfAborted();
      throw unavailable(this.name, connection.closed!.message);
    }
    this.#verdict = connection.verdict;
    this.#connection = connection;
    this.#lines.primaryChanged(connection.era);
    if (this.#level !== undefined) void connection.setLogLevel(this.#level);
    if (this.#subscribed.size > 0) void connection.setSubscriptions(this.#subscribed);
    this.#readyAt = this.#clock.now();
    this.#startedIn = Math.round(this.#readyAt - began);
    this.#refresher = this.#createRefresher(connection);
    const changed = inventory !== this.#inventory;
    this.#inventory = inventory;
    this.#report(problems);
    this.#dispatch({ type: "opened" });
    if (changed) this.#events.onInventory?.(this, inventory);
    const { tools, resources, prompts } = inventory.lists;
    log.info(`Ready in ${this.#startedIn} ms`, {
      era: connection.handshake.era,
      version: connection.handshake.protocolVersion,
      transport: connection.transport,
      tools: tools.items.length,
      resources: resources.items.length,
      prompts: prompts.items.length,
    });
    // Changes announced while the lists were being read may be in them or not.
    this.#refresher.mark(marked);
  }

  #base(): Pick<ConnectionOptions, "runtime" | "log" | "clock" | "toolHeaders"> {
    const { runtime, log } = this.#options;
    return {
      runtime,
      log,
      clock: this.#clock,
      toolHeaders: (tool) => declaredHeaders(this.#inventory, tool),
    };
  }

  #openLegacy({ session, onClose, ...options }: OpenLegacyOptions): Promise<Connection> {
    return openLegacy({
      ...this.#base(),
      ...options,
      config: this.config,
      transport: this.#verdict?.transport,
      events: { ...this.#connectionEvents(session), onClose },
    });
  }

  /** What connections have in common; `session` owns it, `early` collects marks before it is ready. */
  #connectionEvents(
    session: string | undefined,
    early?: Set<ListKind>,
  ): Omit<ChannelEvents, "onClose"> {
    const mark = (kinds: readonly ListKind[]) => {
      if (this.#refresher !== undefined) this.#refresher.mark(kinds);
      else for (const kind of kinds) early?.add(kind);
    };
    return {
      onNotification: (message, exchange) => {
        const rules = LIST_RULES.filter(({ changed }) => changed === message.method);
        if (rules.length > 0) mark(rules.map(({ kind }) => kind));
        else this.#events.onNotification?.(this, message, exchange, session);
      },
      onRequest: (message) => this.#events.onRequest?.(this, message, session),
      onAmbiguous: (method) => this.#ambiguous(method),
      onQuestion: (method, params) => this.#lines.asks(method, params),
      onExpired: (exchange, edits, error) => this.#repeat(exchange, edits, error),
      onGap: () => mark(LIST_RULES.map(({ kind }) => kind)),
    };
  }

  #ambiguous(method: string): void {
    if (!this.#lines.markInteractive()) return;
    const then = this.config.sharing === "auto"
      ? "From now on each client has a connection of its own"
      : 'Set "sharing" to "auto" or "session" to give each client a connection of its own';
    this.#options.log.warn(
      `Refused "${method}": several clients have calls on one connection. ${then}`,
    );
    this.#events.onStateChange?.(this);
  }

  /** The session was gone before a request was answered. */
  async #repeat(
    exchange: Exchange,
    edits: readonly JsonEdit[],
    error: SessionExpiredError,
  ): Promise<ResponseMessage> {
    if (this.#repeated.has(exchange)) throw error;
    if (!isRepeatable(exchange, edits, this.#inventory)) {
      throw new SessionExpiredError(
        this.name,
        "; the call was not repeated, because it may have been carried out: send it again",
      );
    }
    this.#repeated.add(exchange);
    return await this.#forwardOver(this.lineFor(exchange), exchange, edits);
  }

  async #forwardOver(
    line: Line | Promise<Line>,
    exchange: Exchange,
    edits: readonly JsonEdit[],
  ): Promise<ResponseMessage> {
    const ready = await line;
    try {
      return await ready.forward(exchange, edits);
    } finally {
      ready.release();
    }
  }

  #createRefresher(connection: Connection): Refresher {
    return new Refresher({
      clock: this.#clock,
      delay: REFRESH_DELAY,
      run: async (kinds) => {
        const { inventory, problems } = await readInventory({
          handshake: connection.handshake,
          usesHeaders: usesHeaders(connection),
          previous: this.#inventory,
          kinds,
          request: (method, params) =>
            connection.request(method, params, { timeout: this.config.startupTimeout }),
        });
        // A connection that went away in between has nothing more to say.
        if (this.#connection !== connection) return;
        this.#report(problems);
        if (inventory === this.#inventory) return;
        this.#inventory = inventory;
        this.#events.onInventory?.(this, inventory);
      },
    });
  }

  #report(problems: readonly string[]): void {
    this.#problems = problems;
    for (const problem of problems) this.#options.log.warn(problem);
  }

  #lost(): void {
    const closed = this.#connection!.closed!;
    this.#connection = undefined;
    this.#refresher?.stop();
    this.#refresher = undefined;
    this.#lastError = unavailable(this.name, closed.message);
    const stable = this.#clock.now() - this.#readyAt >= STABLE_AFTER;
    if (!this.#dispatch({ type: "lost", stable })) return;
    this.#options.log.warn(`Lost: ${this.#lastError.message}`);
    this.#retryAfter(this.#state.failures);
  }

  #failed(error: unknown): void {
    const known = error instanceof RpcError ? error : unavailable(this.name, messageOf(error));
    const repeated = this.#lastError?.message === known.message && this.#state.failures > 2;
    this.#failedAt = this.#clock.now();
    // What was found out no longer holds, or never did: the next attempt asks anew.
    if (known instanceof HandshakeError || known instanceof HttpStatusError) {
      this.#verdict = undefined;
    }
    if (this.#state.phase === "closed") return;
    this.#lastError = known;
    if (!this.#dispatch({ type: "failed" })) return;
    const refused = known instanceof HttpStatusError &&
      (known.status === 401 || known.status === 403);
    const { failures } = this.#state;
    const delay = this.#retryAfter(refused ? Math.max(failures, REFUSED_FAILURES) : failures);
    this.#options.log[repeated ? "debug" : "warn"](`Cannot connect: ${known.message}`, {
      retryInMs: delay,
      failures,
    });
  }

  #retryAfter(failures: number): number {
    const delay = nextDelay(failures, (this.#options.random ?? Math.random)());
    this.#cancelRetry = this.#clock.after(delay, () => this.#retry());
    return delay;
  }

  #retry(): void {
    if (this.#dispatch({ type: "retry" })) this.#connect();
  }

  /** Waits for the attempt under way, or starts one, for a bounded time. */
  async #nextConnection(signal: CancelSignal): Promise<Connection> {
    if (this.#state.phase === "idle") this.start();
    if (
      this.#state.phase === "backoff" &&
      this.#clock.now() - this.#failedAt >= RETRY_SPACING
    ) this.#retry();
    if (this.#state.phase === "connecting") {
      // A first start has its own deadline; later nobody should wait that long for a dead server.
      const bound = this.#state.wasReady || this.#state.failures > 0
        ? Math.min(RETRY_WAIT, this.config.startupTimeout)
        : this.config.startupTimeout;
      const over = new AbortController();
      const stop = () => over.abort();
      signal.addEventListener("abort", stop);
      try {
        if (!signal.aborted) {
          await Promise.race([this.#attempt, pause(bound, this.#clock, over.signal)]);
        }
      } finally {
        signal.removeEventListener("abort", stop);
        over.abort();
      }
    }
    if (this.#connection !== undefined) return this.#connection;
    throw this.#unavailable();
  }

  #unavailable(): RpcError {
    if (this.#lastError === undefined) return unavailable(this.name, `is ${this.#state.phase}`);
    return new RpcError(ErrorCode.UpstreamUnavailable, this.#lastError.message);
  }
}

/** Modern requests over HTTP repeat parts of themselves in headers. */
function usesHeaders({ era, transport }: Connection): boolean {
  return era === "modern" && transport === "http";
}
