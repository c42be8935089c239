import { collectSecrets } from "../config/secrets.ts";
import { type Config, keepUnchanged, mayEnter, type ServerConfig } from "../config/types.ts";
import type { Endpoint } from "../gating/endpoint.ts";
import { Gating } from "../gating/gating.ts";
import { CancelSource } from "../lib/cancel.ts";
import { createRedactor, type Redactor } from "../lib/secrets.ts";
import { within } from "../lib/time.ts";
import { getLogger } from "../log/mod.ts";
import { ErrorCode, RpcError, toRpcError } from "../protocol/errors.ts";
import type { CallTrace, Client, Principal } from "../protocol/exchange.ts";
import { errorResponse, idTextOf } from "../protocol/message.ts";
import type { Inventory } from "../protocol/lists.ts";
import type { Reply } from "../registry/answers.ts";
import type { NamedKind } from "../registry/types.ts";
import type { GrantPlace } from "../upstream/oauth/grants.ts";
import type { Grant } from "../upstream/oauth/grants.ts";
import type { Logins } from "../upstream/oauth/logins.ts";
import { type AttemptBudget, createAttemptBudget } from "../upstream/supervisor.ts";
import type { Control } from "./access/control.ts";
import { type CallParts, route } from "./call.ts";
import type { ActiveExchange } from "./clients/exchange.ts";
import { type Answering, Session, type SessionParts } from "./clients/session.ts";
import { MAX_SESSIONS, SessionStore } from "./clients/sessions.ts";
import { LogLevels, Subscriptions } from "./clients/subscriptions.ts";
import { type UpcallParts, Upcalls } from "./clients/upcalls.ts";
import { CallRecord, Facts, logFacts, type SessionKind } from "./events.ts";
import type { ListCache } from "./members/list-cache.ts";
import { Member, type MemberOptions } from "./members/member.ts";
import { ConfigState, Members } from "./members/members.ts";
import { Chains } from "./middleware/chains.ts";
import type { Parking } from "./parking.ts";
import type { PinGuard } from "./pins/pin-guard.ts";
import { Snapshots } from "./snapshots.ts";
import { Owners } from "./tasks.ts";

const log = getLogger("mcproxy", "gateway");

/** Whether anything is asked before a call. */
function isOverseen({ settings: { auth, limits, audit, profiles }, servers }: Config): boolean {
  return (auth ?? limits ?? audit) !== undefined ||
    profiles.some((profile) => profile.limits !== undefined) ||
    servers.values().some(({ rate }) => rate !== undefined);
}

/** What the gateway stands on. */
export interface GatewayOptions {
  readonly config: Config;
  readonly runtime: MemberOptions["runtime"];
  /** Where logins to servers are kept; without, nobody can be logged in. */
  readonly logins?: GrantPlace | undefined;
  /** Keeps the lists of one run for the next; nothing is kept without. */
  readonly cache?: ListCache | undefined;
  /** Where the search keeps what it has learned, see `cacheDirectory()`; nothing is kept without. */
  readonly directory?: string | undefined;
  /** Where it is kept what was approved, and the key of the audit; see `stateDirectory()`. */
  readonly stateDirectory?: string | undefined;
  /** How long after the start first lists wait for servers, where `startupGrace` is less. */
  readonly patience?: number | undefined;
}

/**
 * Makes the parts and starts, reloads and closes them. Fronts hand it the requests of clients; what
 * is decided about them is decided in `call.ts`.
 */
export class Gateway implements CallParts, SessionParts, UpcallParts {
  /** By the monotonic clock, in ms. */
  readonly startedAt: number = performance.now();
  readonly events = new Facts();
  /** What is in force, and what became of the file since. */
  readonly configState: ConfigState;
  readonly sessions = new SessionStore(() => this.config.settings.sessionIdleTimeout);
  /** Every enabled server. */
  readonly members: Members;
  readonly chains: Chains;
  readonly gating: Gating;
  /** What is offered. */
  readonly snapshots: Snapshots;
  readonly levels: LogLevels;
  readonly subscriptions: Subscriptions;
  readonly elicitations = new Owners();
  readonly tasks = new Owners();
  readonly states = new Owners();
  /** What was approved of what servers offer; undefined while there was nothing to compare. */
  pins: PinGuard | undefined;
  /** What is asked before a call, where the configuration says so. */
  control: Control | undefined;
  /** Pending until that does what the configuration says; no request is handled before. */
  #controlling: Promise<unknown> | undefined;
  /** Begins the trace of a call, where that is written; never throws. */
  traceOf: ((exchange: ActiveExchange) => CallTrace | undefined) | undefined;
  /** What must not leave the gateway. */
  #secrets: readonly string[];
  redactor: Redactor;
  readonly #cache: ListCache | undefined;
  readonly #from: Pick<GatewayOptions, "stateDirectory" | "logins">;
  #openingPins: Promise<PinGuard> | undefined;
  readonly #attempts: AttemptBudget = createAttemptBudget();
  readonly #upcalls = new Upcalls(this);
  #parking: Parking | undefined;
  #logins: Promise<Logins> | undefined;
  readonly #active = new Set<ActiveExchange>();
  /** Called when nothing is in flight any more, by whoever waits for that. */
  #onIdle: (() => void) | undefined;
  /** Tripped when the gateway begins to stop, by itself alone: open-ended streams end then. */
  readonly stopping = new CancelSource();

  constructor(options: GatewayOptions) {
    const { config, runtime, cache, directory, patience } = options;
    logFacts(this.events);
    this.#from = options;
    this.#cache = cache;
    this.configState = new ConfigState(config, this.events);
    this.#secrets = collectSecrets(config);
    this.redactor = createRedactor(this.#secrets, this.isName);
    const current = () => this.config;
    const settings = () => this.config.settings;
    const members = this.members = new Members({
      create: (server) => this.#member(server, runtime),
      onSwap: (names) => this.#swapped(names),
      settings,
    });
    const chains = this.chains = new Chains({
      cacheSize: config.settings.cacheSize,
      config: (server) => members.get(server)?.config,
      inventory: (server) => members.upstream(server)?.inventory,
    });
    const gating = this.gating = new Gating({
      maxSessions: MAX_SESSIONS,
      createFinder: async () => {
        const { Finder } = await import("../gating/finder.ts");
        return new Finder({ settings, directory });
      },
      config: current,
      phase: (server) => members.upstream(server)?.state.phase,
      session: (label) => this.sessions.labelled(label),
      heldBack: (tool, endpoint) => this.heldBack("tool", tool, endpoint),
    });
    members.create(config.servers);
    this.snapshots = new Snapshots(members, gating, chains, this.events, current, patience);
    this.levels = new LogLevels(this.sessions, members);
    this.subscriptions = new Subscriptions(members, this.snapshots);
    this.#countUse();
    this.#oversee();
  }

  /** The configuration in force; replaced as a whole by {@link Gateway.reload}. */
  get config(): Config {
    return this.configState.current;
  }

  /** See {@link GatewayOptions}. */
  get stateDirectory(): string | undefined {
    return this.#from.stateDirectory;
  }

  /** Masks the configuration's secrets in text that leaves the gateway: servers quote them. */
  get redact(): (text: string) => string {
    return this.redactor.text;
  }

  /** Whether a word names a server or a tool; those are never masked. */
  readonly isName = (word: string): boolean => {
    if (this.members.get(word) !== undefined) return true;
    const { aggregate } = this.snapshots.registry;
    return aggregate.tool(word) !== undefined || aggregate.ambiguous("tool", word).length > 0;
  };

  readonly parking = async (): Promise<Parking> => {
    const { Parking } = await import("./parking.ts");
    return this.#parking ??= new Parking(undefined, () => this.control);
  };

  /** The logins to servers, loaded for the first that wants one. */
  readonly logins = (): Promise<Logins> =>
    this.#logins ??= import("../upstream/oauth/logins.ts").then((module) => {
      const place = this.#from.logins;
      return module.openLogins(place && { ...place, counts: this.#mayEnter }, {
        onGrant: (what, key) => this.events.emit({ kind: "grant", ...key, what }),
      });
    });

  /** Whoever is let in no more has no login either, nor has the next of his name. */
  readonly #mayEnter = ({ principal, keyMark }: Grant) =>
    mayEnter(this.config.settings.auth, principal, keyMark);

  /** How many client requests are in flight. */
  get inFlight(): number {
    return this.#active.size;
  }

  /** Starts every upstream at once and returns; none of them is waited for. */
  start(): void {
    void this.members.start();
    void this.settled().then(() => {
      // Whoever started it may end it the moment it has what it wanted.
      void this.#cache?.flush();
      void this.#cache?.prune(this.config.servers.values());
      if (this.#from.stateDirectory === undefined) return;
      this.#comparePins();
      this.events.on("lists", () => this.#comparePins());
    });
  }

  /** Resolves when every configured server has settled its first attempt, up or down. */
  async settled(): Promise<void> {
    await Promise.all(this.members.all.map((member) => member.settled));
    this.snapshots.flush();
  }

  /**
   * Puts another configuration in force and returns at once: what is the same in both is not
   * touched, what is new is started, what is gone or changed finishes its calls.
   */
  reload(next: Config): void {
    if (this.stopping.aborted) return;
    const config = keepUnchanged(this.config, next);
    // What is let go may still quote the old secrets, and what is not gone yet older ones.
    const before = this.members.isSteady ? collectSecrets(this.config) : this.#secrets;
    this.#secrets = [...new Set([...collectSecrets(config), ...before])];
    this.redactor = createRedactor(this.#secrets, this.isName);
    this.configState.accept(config);
    void this.#logins?.then((logins) => logins.look(true), () => {});
    this.chains.cache.limit = config.settings.cacheSize;
    this.members.reconcile(config.servers);
    this.#oversee();
  }

  /**
   * Opens a session for a legacy client; the front closes it with `session.close`. `label` is for
   * one that goes on.
   */
  openSession(
    transport: SessionKind,
    endpoint: Endpoint,
    label?: string,
    principal?: Principal,
    address?: string,
  ): Session {
    const session = new Session(
      transport,
      endpoint,
      this,
      (closed, reason) => {
        stop();
        this.#sessionClosed(closed, reason);
      },
      label,
      principal,
      address,
    );
    const stop = this.snapshots.listen(session);
    this.sessions.add(session);
    this.control?.opened(session);
    return session;
  }

  handle(exchange: ActiveExchange, endpoint: Endpoint): Answering {
    if (this.#controlling !== undefined) return this.#handleLater(exchange, endpoint);
    this.#active.add(exchange);
    if (this.events.hasListeners("call")) {
      exchange.record = new CallRecord(exchange, endpoint.key);
      exchange.record.trace = this.traceOf?.(exchange);
    }
    try {
      this.stopping.throwIfAborted();
      this.control?.enter(exchange, endpoint);
      const reply = route(exchange, endpoint, this);
      // Not async, as all on the way of a call: each layer of promises shows in a profile.
      if (!(reply instanceof Promise)) return this.#ended(exchange, reply);
      return reply.then(
        (told) => this.#ended(exchange, told),
        (why) => this.#failed(exchange, endpoint, why),
      );
    } catch (error) {
      return this.#failed(exchange, endpoint, error);
    }
  }

  /** Holds a subscription open, where there may be one more. `open` is told of how many resources. */
  async subscribe(
    exchange: ActiveExchange,
    endpoint: Endpoint,
    uris: number,
    open: (uris: number) => Promise<Reply | undefined>,
  ): Promise<Reply | undefined> {
    let place;
    try {
      await this.#controlling;
      place = this.control?.listen(exchange, endpoint, uris);
    } catch (error) {
      return this.#failed(exchange, endpoint, error);
    }
    return await open(place?.uris ?? uris).finally(place?.end);
  }

  /** Gives up what waits for clients that will not be let in any more. */
  endParked(isOver: (client: Client) => boolean, why: string): void {
    this.#parking?.cancelWhere(isOver, why);
  }

  async #handleLater(exchange: ActiveExchange, endpoint: Endpoint): Promise<Reply | undefined> {
    try {
      await this.#controlling;
    } catch (error) {
      return this.#failed(exchange, endpoint, error);
    }
    return await this.handle(exchange, endpoint);
  }

  /**
   * Refuses new calls and waits for those in flight, at most `limit` milliseconds; then cancels
   * the rest.
   */
  async drain(limit: number): Promise<void> {
    this.#stop();
    if (this.#active.size > 0) {
      await within(limit, new Promise<void>((resolve) => this.#onIdle = resolve));
    }
    this.#parking?.close();
    for (const exchange of this.#active) exchange.cancel("the gateway is stopping");
  }

  /** Ends every session and stops every upstream; bounded by the upstreams' own stop. */
  async close(): Promise<void> {
    this.#stop();
    this.sessions.close("the gateway is stopping");
    await this.members.close();
    (await this.#logins)?.close();
    await this.gating.close();
    await this.#cache?.flush();
    await (await this.#openingPins)?.close();
    await this.#controlling?.catch(() => {});
    // Last: it tells of all this.
    await this.control?.close();
  }

  /** Brings limits and audit to what the configuration says. What cannot be limited is refused. */
  #oversee(): void {
    if (this.control === undefined && !isOverseen(this.config)) return;
    const controlling = this.#controlling = this.#control();
    controlling.then(() => {
      if (this.#controlling === controlling) this.#controlling = undefined;
    }, (error) => log.fatal("Cannot load limits and audit: {error}", { error }));
  }

  async #control(): Promise<void> {
    this.control ??= new (await import("./access/control.ts")).Control(this);
    await this.control.reload();
  }

  heldBack(kind: NamedKind, name: string, endpoint: Endpoint): string | undefined {
    const route = this.pins && this.snapshots.whole(endpoint)?.[kind](name);
    return route && this.pins?.heldBack(kind, route.server, route.name);
  }

  #vet(server: ServerConfig, inventory: Inventory): Promise<Inventory> {
    this.#openingPins ??= import("./pins/pin-guard.ts").then(({ PinGuard }) =>
      this.pins = new PinGuard(
        this.#from.stateDirectory,
        this.events,
        (name) => this.members.get(name)?.offerAgain(),
      )
    );
    return this.#openingPins.then((pins) => pins.vet(server, inventory));
  }

  /** What is shown whatever comes of it can wait until all servers have been heard of. */
  #comparePins(): void {
    if (this.stopping.aborted) return;
    for (const { config, offered, known } of this.members.all) {
      if (config.pin === "warn" && known) void this.#vet(config, offered);
    }
  }

  #stop(): void {
    this.stopping.cancel(new RpcError(ErrorCode.ShuttingDown, "The gateway is stopping"));
    // First of all: who has asked for the end may have little patience.
    void this.#cache?.flush();
    this.snapshots.close();
  }

  #ended(exchange: ActiveExchange, reply: Reply | undefined): Reply | undefined {
    const { signal, record } = exchange;
    const told = signal.aborted ? undefined : reply;
    exchange.end();
    this.#active.delete(exchange);
    this.control?.leave(exchange);
    if (this.#active.size === 0) this.#onIdle?.();
    if (record !== undefined) {
      record.ended(told);
      this.events.emit(record);
    }
    return told;
  }

  #failed(exchange: ActiveExchange, endpoint: Endpoint, error: unknown): Reply | undefined {
    const { request, client, record, signal } = exchange;
    if (signal.aborted) return this.#ended(exchange, undefined);
    const later = this.control?.answer(exchange, endpoint, error);
    if (later !== undefined) return this.#ended(exchange, later);
    const { code, message, data } = toRpcError(error);
    const told = new RpcError(code, this.redact(message), data);
    const cause = error instanceof RpcError ? undefined : error;
    const { rid, request: { method } } = exchange;
    const { label, principal } = client;
    const fact = { rid, client: label, principal, method, told, cause, record };
    this.events.emit({ kind: "failure", ...fact });
    if (record !== undefined) {
      record.failed(told);
      record.isLogged = cause !== undefined;
    }
    return this.#ended(exchange, errorResponse(idTextOf(request), told));
  }

  #member(config: ServerConfig, runtime: MemberOptions["runtime"]): Member {
    return new Member({
      config,
      runtime,
      logins: this.logins,
      staleGrace: () => this.config.settings.staleGrace,
      onChange: () => this.snapshots.changed(),
      upcalls: this.#upcalls.of(config.name),
      // Neither a successor that is not in force yet nor who still drains is the server of that name.
      onState: (member) => {
        if (this.members.get(config.name) === member) this.#tellState(config.name);
      },
      cache: this.#cache,
      vet: (server, inventory) => server.pin === "block" ? this.#vet(server, inventory) : undefined,
      heldBack: (kind, name) => this.pins?.heldBack(kind, config.name, name),
      attempts: this.#attempts,
    });
  }

  /** Other members answer for these servers: what clients want of them, they have to hear. */
  #swapped(names: readonly string[]): void {
    this.snapshots.rebuild();
    for (const name of names) {
      this.#tellState(name);
      this.chains.cache.forget(name);
      if ((this.members.get(name)?.config.pin ?? "off") === "off") this.pins?.forget(name);
      const upstream = this.members.upstream(name);
      if (upstream === undefined) continue;
      void this.levels.tell(upstream);
      if (this.subscriptions.uris(name).size > 0) void this.subscriptions.tell(name);
    }
  }

  #tellState(server: string): void {
    if (!this.events.hasListeners("server")) return;
    const phase = this.members.upstream(server)?.state.phase ?? "closed";
    this.events.emit({ kind: "server", server, phase });
  }

  #sessionClosed(session: Session, reason: string): void {
    const { label, endpoint, client } = session;
    this.sessions.remove(session);
    this.gating.sessionClosed(label);
    this.subscriptions.drop(session);
    // A reload may have taken from its endpoint what it has a connection to.
    for (const { upstream } of [...this.members.all, ...this.members.leaving]) {
      upstream.releaseSession(label);
    }
    if (client?.logLevel !== undefined) {
      for (const { upstream } of this.members.behind(endpoint)) void this.levels.tell(upstream);
    }
    session.tell(reason);
  }

  /** Tells the ranking of calls where there is one: who listens costs every call a record. */
  #countUse(): void {
    let stop: (() => void) | undefined;
    this.events.on("lists", () => {
      stop?.();
      stop = this.gating.countsUse
        ? this.events.on("call", ({ tool, outcome, isUnfinished }) => {
          if (tool !== undefined && outcome === "ok" && !isUnfinished) this.gating.called(tool);
        })
        : undefined;
    });
  }
}
