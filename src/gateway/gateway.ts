import { keepUnchanged } from "../config/diff.ts";
import { collectSecrets } from "../config/secrets.ts";
import type { Config, ServerConfig } from "../config/types.ts";
import {
  announceChanges,
  type Endpoint,
  isBehind,
  type ListListener,
  viewOf,
} from "../gating/endpoint.ts";
import { buildSnapshot, type Snapshot, type SnapshotInput } from "../gating/gate.ts";
import { Gating } from "../gating/gating.ts";
import { createRedactor } from "../lib/secrets.ts";
import { within } from "../lib/time.ts";
import { getLogger } from "../log/mod.ts";
import { ErrorCode, RpcError, toRpcError } from "../protocol/errors.ts";
import type { Client } from "../protocol/exchange.ts";
import { errorResponse, idTextOf } from "../protocol/message.ts";
import { mostVerbose } from "../protocol/methods.ts";
import { declaredHeaders, type ParamHeader } from "../protocol/param-headers.ts";
import { initializeResult, type Reply } from "../registry/answers.ts";
import type { ResourceRoute, View } from "../registry/types.ts";
import type { Runtime } from "../runtime/types.ts";
import { type AttemptBudget, createAttemptBudget } from "../upstream/supervisor.ts";
import type { Upstream } from "../upstream/upstream.ts";
import { route, type RouterHost } from "./call.ts";
import type { ActiveExchange } from "./clients/exchange.ts";
import { Session, type SessionHost, type SessionKind } from "./clients/session.ts";
import { MAX_SESSIONS, SessionStore } from "./clients/sessions.ts";
import { type ResourceSubscriber, Subscriptions } from "./clients/subscriptions.ts";
import { Upcalls } from "./clients/upcalls.ts";
import { logFindings } from "./events.ts";
import { ConfigState } from "./members/config-state.ts";
import type { ListCache } from "./members/list-cache.ts";
import { Member } from "./members/member.ts";
import { Members } from "./members/members.ts";
import { Chains } from "./middleware/chains.ts";
import { Parking } from "./parking.ts";
import { Owners } from "./tasks.ts";

/** What the gateway stands on. */
export interface GatewayOptions {
  readonly config: Config;
  readonly runtime: Pick<Runtime, "spawn">;
  /** Keeps the lists of one run for the next; nothing is kept without. */
  readonly cache?: ListCache | undefined;
  /** Where the search keeps what it has learned, see `cacheDirectory()`; nothing is kept without. */
  readonly directory?: string | undefined;
}

/** Changes that come in a burst (ten servers getting ready) make one snapshot. Milliseconds. */
const REBUILD_DELAY = 10;

/** How long a client waits for a server to take note of its level or subscription. Milliseconds. */
const TELL_PATIENCE = 5_000;

/** How long a call by a name nobody has yet waits for servers that still start. Milliseconds. */
const NAME_PATIENCE = 10_000;

const log = getLogger("mcproxy", "gateway");

/**
 * Knows everybody: the upstreams, the current registry snapshot, the sessions. Fronts hand it
 * requests; everything that is decided is decided in pure functions beside it.
 */
export class Gateway implements SessionHost, RouterHost {
  readonly sessions: SessionStore;
  readonly startedAt: number = Date.now();
  /** What is in force, and what became of the file since. */
  readonly configState: ConfigState;
  /** What must not leave the gateway. */
  #secrets: readonly string[];
  #redact: (text: string) => string;
  readonly #members: Members;
  readonly #cache: ListCache | undefined;
  readonly #attempts: AttemptBudget = createAttemptBudget();
  readonly #listeners = new Set<ListListener>();
  readonly #active = new Set<ActiveExchange>();
  readonly #idle: (() => void)[] = [];
  readonly #subscriptions = new Subscriptions();
  readonly #upcalls: Upcalls;
  readonly elicitations = new Owners();
  readonly tasks = new Owners();
  readonly parking = new Parking();
  readonly chains: Chains;
  readonly gating: Gating;
  #registry: Snapshot;
  #rebuild: ReturnType<typeof setTimeout> | undefined;
  #isListable = false;
  readonly #stopping = new AbortController();

  constructor({ config, runtime, cache, directory }: GatewayOptions) {
    this.#cache = cache;
    this.configState = new ConfigState(config);
    this.chains = new Chains({
      cacheSize: config.settings.cacheSize,
      config: (server) => this.#members.get(server)?.config,
      inventory: (server) => this.upstream(server)?.inventory,
    });
    this.sessions = new SessionStore({
      idleTimeout: () => this.config.settings.sessionIdleTimeout,
      onReaped: (session) => log.info("Session {client} closed: silent", { client: session.label }),
    });
    this.#secrets = collectSecrets(config);
    this.#redact = createRedactor(this.#secrets).text;
    this.#upcalls = new Upcalls({
      session: (label) => this.sessions.labelled(label),
      roots: (server) => this.#members.get(server)?.config.roots ?? [],
      subscriptions: this.#subscriptions,
      elicitations: this.elicitations,
      tasks: this.tasks,
      onResourceUpdated: (server) => this.chains.cache.forget(server),
    });
    this.#members = new Members({
      create: (server) => this.#member(server, runtime),
      onSwap: (names) => this.#swapped(names),
    });
    this.gating = new Gating({
      maxSessions: MAX_SESSIONS,
      createFinder: async () => {
        const { Finder } = await import("../gating/finder.ts");
        return new Finder({ settings: () => this.config.settings, directory });
      },
      config: () => this.config,
      phase: (server) => this.upstream(server)?.state.phase,
      session: (label) => this.sessions.labelled(label),
    });
    this.#members.create(config.servers);
    this.#registry = buildSnapshot(this.#parts(0));
  }

  /** The configuration in force; replaced as a whole by {@link Gateway.reload}. */
  get config(): Config {
    return this.configState.current;
  }

  /** Masks the configuration's secrets in text that leaves the gateway: servers quote them. */
  get redact(): (text: string) => string {
    return this.#redact;
  }

  /** Starts every upstream at once and returns; none of them is waited for. */
  start(): void {
    void this.#members.start();
    void this.settled().then(() => this.#cache?.prune(this.config.servers.values()));
  }

  /**
   * Puts another configuration in force and returns at once: what is the same in both is not
   * touched, what is new is started, what is gone or changed finishes its calls.
   */
  reload(next: Config): void {
    if (this.stopping.aborted) return;
    const config = keepUnchanged(this.config, next);
    // What is let go may still quote the old secrets, and what is not gone yet older ones.
    const before = this.isSteady ? collectSecrets(this.config) : this.#secrets;
    this.#secrets = [...new Set([...collectSecrets(config), ...before])];
    this.#redact = createRedactor(this.#secrets).text;
    this.configState.accept(config);
    this.chains.cache.limit = config.settings.cacheSize;
    this.#members.reconcile(config.servers);
  }

  get pageSize(): number {
    return this.config.settings.pageSize;
  }

  /** The current snapshot; read it once per request and keep it. */
  get registry(): Snapshot {
    return this.#registry;
  }

  /** Every enabled server with its upstream, in config order. */
  get members(): readonly Member[] {
    return this.#members.all;
  }

  /** What a reload has started to take a member's place. */
  successor(name: string): Member | undefined {
    return this.#members.successor(name);
  }

  /** Members that a reload has let go and that still finish calls. */
  get leaving(): readonly Member[] {
    return this.#members.leaving;
  }

  /** Nothing of an earlier configuration is left: no reload is under way any more. */
  get isSteady(): boolean {
    return this.#members.isSteady;
  }

  /** How many client requests are in flight. */
  get inFlight(): number {
    return this.#active.size;
  }

  /** Aborted when the gateway begins to stop: open-ended streams end then. */
  get stopping(): AbortSignal {
    return this.#stopping.signal;
  }

  /** An enabled server by its name. */
  member(name: string): Member | undefined {
    return this.#members.get(name);
  }

  upstream(name: string): Upstream | undefined {
    return this.#members.get(name)?.upstream;
  }

  /** Resolves when every configured server has settled its first attempt, up or down. */
  async settled(): Promise<void> {
    await Promise.all(this.members.map((member) => member.upstream.settled));
    this.flush();
  }

  whenListable(endpoint: Endpoint): Promise<void> | undefined {
    this.flush();
    // Once there is something to list, nothing is waited for again.
    const isAggregate = endpoint.server === undefined && endpoint.profile === undefined;
    if (isAggregate && this.#isListable) return undefined;
    const concerned = this.#concerned(endpoint);
    const listable = concerned.some((member) => member.known) ||
      concerned.every((member) => member.isSettled);
    if (isAggregate) this.#isListable = listable;
    return listable ? undefined : this.#waitListable(concerned);
  }

  /** Which arguments of a tool a modern HTTP request must repeat in headers. */
  toolHeaders(endpoint: Endpoint, name: string): readonly ParamHeader[] {
    const found = viewOf(this.#registry, endpoint)?.tool(name);
    const upstream = found === undefined ? undefined : this.upstream(found.server);
    return upstream === undefined ? [] : declaredHeaders(upstream.inventory, found!.name);
  }

  async whenNamed(endpoint: Endpoint, known: (view: View) => boolean): Promise<void> {
    const overdue = performance.now() + NAME_PATIENCE;
    for (;;) {
      this.flush();
      const view = viewOf(this.#registry, endpoint);
      const starting = this.#members.expected.filter((member) =>
        !member.isSettled && this.#isBehind(member, endpoint)
      );
      const left = overdue - performance.now();
      if (view === undefined || known(view) || starting.length === 0 || left <= 0) return;
      await within(left, Promise.race(starting.map((member) => member.upstream.settled)));
    }
  }

  /** Brings the snapshot up to date with everything that is known by now. */
  flush(): void {
    if (this.#rebuild !== undefined) this.#rebuildNow();
  }

  async initializeResult(endpoint: Endpoint, version: string): Promise<string> {
    // Behind a 1:1 URL the answer is the server's own, so it is worth a moment's wait.
    if (endpoint.server !== undefined) await this.whenListable(endpoint);
    const view = viewOf(this.#registry, endpoint) ?? this.#registry.aggregate;
    return initializeResult(view, version);
  }

  async handle(exchange: ActiveExchange, endpoint: Endpoint): Promise<Reply | undefined> {
    const { request, rid, client } = exchange;
    this.#active.add(exchange);
    try {
      if (this.stopping.aborted) {
        throw new RpcError(ErrorCode.ShuttingDown, "The gateway is stopping");
      }
      const reply = await route(exchange, endpoint, this);
      return exchange.signal.aborted ? undefined : reply;
    } catch (error) {
      if (exchange.signal.aborted) return undefined;
      const { code, message, data } = toRpcError(error);
      const told = new RpcError(code, this.redact(message), data);
      const facts = { rid, client: client.label, method: request.method, error: told.message };
      if (error instanceof RpcError) log.info("{method} failed: {error}", { ...facts, code });
      else log.error("{method} failed inside the gateway: {cause}", { ...facts, cause: error });
      return errorResponse(idTextOf(request), told);
    } finally {
      exchange.end();
      this.#active.delete(exchange);
      if (this.#active.size === 0) { for (const resolve of this.#idle.splice(0)) resolve(); }
    }
  }

  /** Opens a session for a legacy client; the front closes it with `session.close`. */
  openSession(kind: SessionKind, endpoint: Endpoint): Session {
    const session = new Session(kind, endpoint, this, (closed) => this.#sessionClosed(closed));
    this.sessions.add(session);
    this.#listeners.add(session);
    return session;
  }

  async levelChanged(session: Session): Promise<void> {
    const level = session.client?.logLevel;
    await Promise.all(
      this.#concerned(session.endpoint).flatMap(({ upstream }) => [
        level === undefined ? undefined : upstream.setSessionLogLevel(session.label, level),
        this.#tellLevel(upstream),
      ]),
    );
  }

  rootsChanged(session: Session): void {
    for (const { upstream } of this.#concerned(session.endpoint)) {
      upstream.notifyClientRoots(session.label);
    }
  }

  exposedUri(endpoint: Endpoint, server: string, uri: string): string {
    return viewOf(this.#registry, endpoint)?.exposedUri(server, uri) ?? uri;
  }

  async subscribe(session: Session, uri: string): Promise<void> {
    const found = this.subscribable(session.endpoint, uri);
    if (found === undefined) {
      throw new RpcError(
        ErrorCode.LegacyResourceNotFound,
        `Resource not found, or its server has no subscriptions: "${uri}"`,
        { uri },
      );
    }
    await this.addSubscription(found, session);
  }

  async unsubscribe(session: Session, uri: string): Promise<void> {
    const found = this.subscribable(session.endpoint, uri);
    if (found === undefined || !this.#subscriptions.remove(found.server, found.uri, session)) {
      return;
    }
    await this.#tellSubscriptions(found.server);
  }

  /** Where a resource can be subscribed to, or `undefined`. */
  subscribable(endpoint: Endpoint, uri: string): ResourceRoute | undefined {
    const view = viewOf(this.#registry, endpoint);
    const found = view?.resource(uri);
    return found !== undefined && view!.capabilities().subscribe.includes(found.server)
      ? found
      : undefined;
  }

  /**
   * Adds a subscriber to a resource found by {@link Gateway.subscribable}; resolves when the server
   * knows, for somebody else's sake too: the URI may be on its way already.
   */
  async addSubscription(
    { server, uri }: ResourceRoute,
    subscriber: ResourceSubscriber,
  ): Promise<void> {
    this.#subscriptions.add(server, uri, subscriber);
    await this.#tellSubscriptions(server);
  }

  /** Takes away everything a subscriber has. */
  dropSubscriptions(subscriber: ResourceSubscriber): void {
    for (const server of this.#subscriptions.removeAll(subscriber)) {
      void this.#tellSubscriptions(server);
    }
  }

  /** Tells `listener` of changed lists until the returned function is called. */
  listen(listener: ListListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Refuses new calls and waits for those in flight, at most `limit` milliseconds; then cancels
   * the rest.
   */
  async drain(limit: number): Promise<void> {
    this.#stopping.abort();
    if (this.#active.size > 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#idle.push(resolve);
      await within(limit, promise);
    }
    this.parking.close();
    for (const exchange of this.#active) exchange.cancel("the gateway is stopping");
  }

  /** Ends every session and stops every upstream; bounded by the upstreams' own stop. */
  async close(): Promise<void> {
    this.#stopping.abort();
    clearTimeout(this.#rebuild);
    this.#rebuild = undefined;
    this.sessions.close("the gateway is stopping");
    await this.#members.close();
    await this.gating.close();
    await this.#cache?.flush();
  }

  #sessionClosed(session: Session): void {
    this.sessions.remove(session);
    this.#listeners.delete(session);
    this.gating.sessionClosed(session.label);
    this.dropSubscriptions(session);
    // A reload may have taken from its endpoint what it has a connection to.
    for (const { upstream } of [...this.members, ...this.leaving]) {
      upstream.releaseSession(session.label);
    }
    if (session.client?.logLevel === undefined) return;
    for (const { upstream } of this.#concerned(session.endpoint)) void this.#tellLevel(upstream);
  }

  wantLevel(server: string, { era, logLevel }: Client): Promise<void> | undefined {
    if (era === "legacy" || logLevel === undefined) return undefined;
    const member = this.#members.get(server);
    const level = mostVerbose([member?.modernLevel, logLevel]);
    if (member === undefined || level === undefined || level === member.modernLevel) {
      return undefined;
    }
    member.modernLevel = level;
    return this.#tellLevel(member.upstream);
  }

  /** A shared connection is set to the most verbose level anybody behind it asked for. */
  async #tellLevel(upstream: Upstream): Promise<void> {
    const levels = [...this.sessions]
      .filter(({ endpoint }) => isBehind(upstream.config, endpoint, this.config.settings))
      .map((session) => session.client?.logLevel);
    const level = mostVerbose([...levels, this.#members.get(upstream.name)?.modernLevel]);
    if (level !== undefined) await within(TELL_PATIENCE, upstream.setLogLevel(level));
  }

  /** A server that does not answer is not waited for longer than {@link TELL_PATIENCE}. */
  async #tellSubscriptions(server: string): Promise<void> {
    const told = this.upstream(server)?.setSubscriptions(this.#subscriptions.uris(server));
    if (told !== undefined) await within(TELL_PATIENCE, told);
  }

  #member(config: ServerConfig, runtime: Pick<Runtime, "spawn">): Member {
    return new Member({
      config,
      runtime,
      staleGrace: () => this.config.settings.staleGrace,
      onChange: () => this.#scheduleRebuild(),
      upcalls: this.#upcalls,
      cache: this.#cache,
      attempts: this.#attempts,
    });
  }

  #concerned(endpoint: Endpoint): readonly Member[] {
    return this.members.filter((member) => this.#isBehind(member, endpoint));
  }

  #isBehind({ config }: Member, endpoint: Endpoint): boolean {
    return isBehind(config, endpoint, this.config.settings);
  }

  /** Other members answer for these servers: what clients want of them, they have to hear. */
  #swapped(names: readonly string[]): void {
    this.#rebuildNow();
    for (const name of names) {
      this.chains.cache.forget(name);
      const upstream = this.upstream(name);
      if (upstream === undefined) continue;
      void this.#tellLevel(upstream);
      if (this.#subscriptions.uris(name).size > 0) void this.#tellSubscriptions(name);
    }
  }

  async #waitListable(concerned: readonly Member[]): Promise<void> {
    const everyone = Promise.all(concerned.map((member) => member.upstream.settled));
    const someone = Promise.race(concerned.map((member) => member.firstInventory));
    await within(this.config.settings.startupGrace, Promise.race([everyone, someone]));
    this.flush();
  }

  #scheduleRebuild(): void {
    if (this.stopping.aborted || this.#rebuild !== undefined) return;
    this.#rebuild = setTimeout(() => this.#rebuildNow(), REBUILD_DELAY);
  }

  #rebuildNow(): void {
    clearTimeout(this.#rebuild);
    this.#rebuild = undefined;
    const before = this.#registry;
    this.#registry = buildSnapshot(this.#parts(before.version + 1), before);
    this.chains.registryChanged(before, this.#registry);
    logFindings(before, this.#registry);
    this.gating.registryChanged(this.#registry);
    announceChanges(
      this.#listeners,
      before,
      this.#registry,
      (listener, kinds) =>
        this.gating.provisioned.changedFor(listener, before, this.#registry, kinds),
    );
  }

  #parts(version: number): SnapshotInput {
    const { profiles, tags, gating } = this.config.settings;
    return { version, servers: this.#members.entries, profiles, tags, gating };
  }
}
