/**
 * Which connection serves which exchange: the shared one, one of the client's own era, one of its
 * own session, or one lent to it.
 */

import { isPersonal, type ServerConfig } from "../config/types.ts";
import type { JsonObject } from "../lib/json.ts";
import { messageOf } from "../lib/text.ts";
import type { Clock } from "../lib/time.ts";
import type { Era } from "../protocol/eras.ts";
import { ErrorCode, RpcError } from "../protocol/errors.ts";
import type { Client, Exchange } from "../protocol/exchange.ts";
import { lackingCapability } from "../protocol/inputs.ts";
import type { Connection } from "./connection/connection.ts";
import { HandshakeError } from "./connection/handshake.ts";
import { identityOf, type Line, loginOf, SHARED_IDENTITY } from "./connection/line.ts";
import {
  ExtraConnection,
  type Keeping,
  KeptConnections,
  Leases,
  type OpenExtra,
  type OpenOtherOptions,
} from "./own-connections.ts";
import { HttpStatusError, serverLabel, unavailable, wantsLogin } from "./transport/failures.ts";
import type { UpstreamLog } from "./transport/transport.ts";

/** Bounds of the connections beside the shared ones. */
export interface LineLimits {
  /** Connections of client sessions. */
  readonly sessions: number;
  /** Connections lent to single calls. */
  readonly leases: number;
  /** Connections of users that have each a login of their own; never processes. */
  readonly users: number;
}

/** Each may be a process of a hundred megabytes. */
export const LINE_LIMITS: LineLimits = { sessions: 16, leases: 4, users: 64 };

/** What {@link Lines} are made of. */
interface LinesOptions {
  /** As it is now. */
  readonly config: () => ServerConfig;
  readonly limits: LineLimits;
  readonly log: UpstreamLog;
  readonly clock: Clock;
  /** Opens a connection of the legacy era; a user's own, where there is no other, of any. */
  readonly open: (options: OpenOtherOptions) => Promise<Connection>;
}

/** How long it may take to find out whether a modern server speaks legacy, too, in ms. */
const TRIAL = 10_000;
/** A failure that says nothing about the era is not believed for longer than this, in ms. */
const DOUBT = 60_000;

/** The connections of one upstream beside its first, and who gets which. `close()` ends them. */
export class Lines {
  readonly #sessions: KeptConnections;
  /** Where each user has a login of his own: nobody else's calls go over his connection. */
  readonly #users: KeptConnections | undefined;
  readonly #leases: Leases;
  /** The shared legacy connection of a server whose first connection is modern. */
  #beside: ExtraConnection | undefined;
  readonly #closing = new Set<Promise<void>>();
  readonly #begin: OpenExtra = (options) =>
    new ExtraConnection(options, (one) => this.#open(one), this.#closing);
  #closed = false;
  #noLegacyUntil = -Infinity;
  /** The legacy era is known to be spoken. */
  #proven = false;
  #interactive = false;
  /** What it asks clients for, one of each kind. */
  readonly #questions: { method: string; params: JsonObject | undefined }[] = [];
  #level: string | undefined;

  constructor(private readonly options: LinesOptions) {
    const { config, clock, limits } = options;
    const kept = (keeping: Keeping) =>
      new KeptConnections(config().name, clock, keeping, this.#begin);
    this.#sessions = kept({
      owners: "client sessions",
      max: limits.sessions,
      wanted: (session, client) => ({
        identity: identityOf(client),
        session,
        principal: loginOf(client),
        level: client.logLevel,
      }),
    });
    this.#users = !isPersonal(config().instances[0]) ? undefined : kept({
      owners: "users",
      max: limits.users,
      idleTimeout: 900_000,
      wanted: (principal) => ({
        identity: SHARED_IDENTITY,
        session: undefined,
        principal,
        level: this.#level,
      }),
    });
    this.#leases = new Leases(config, clock, limits.leases, this.#begin);
  }

  /** It was seen to ask a client something that several clients could have been meant by. */
  get interactive(): boolean {
    return this.#interactive;
  }

  /** Whether each client gets a legacy connection of its own. */
  get exclusive(): boolean {
    const { sharing } = this.options.config();
    return sharing === "session" || (sharing === "auto" && this.#interactive);
  }

  /** Whether this client gets a legacy connection that is not everybody's. */
  exclusiveFor(client: Client): boolean {
    return this.#users !== undefined || this.#isExclusive(client);
  }

  /**
   * Whether it is to be its own: a shared connection declares what some client can answer, and a
   * server that has been seen to ask for what this one cannot would ask in vain.
   */
  #isExclusive({ capabilities }: Client): boolean {
    // By hand: a closure for each call shows in a profile.
    for (const { method, params } of this.#questions) {
      const lacking = lackingCapability(capabilities, method, params);
      if (lacking !== undefined && this.options.config().sharing === "auto") return true;
    }
    return this.exclusive;
  }

  /** The upstream asks clients for this. */
  asks(method: string, params: JsonObject | undefined): void {
    const { mode } = params ?? {};
    const known = this.#questions.some((one) => one.method === method && one.params?.mode === mode);
    if (!known) this.#questions.push({ method, params: params && { mode } });
  }

  /** The live connections. */
  get live(): readonly Connection[] {
    const beside = this.#beside?.connection;
    const own = [...this.#sessions.live, ...this.#users?.live ?? [], ...this.#leases.live];
    return beside === undefined ? own : [beside, ...own];
  }

  /** Whether a session or user has one of them, or a call uses one. */
  get inUse(): boolean {
    const beside = this.#beside;
    return this.#sessions.size > 0 || (this.#users?.size ?? 0) > 0 || this.#leases.inUse ||
      (beside !== undefined && (beside.isOpening || beside.connection!.lines > 0));
  }

  /** The upstream has proven to be interactive; false when that is known. */
  markInteractive(): boolean {
    if (this.#interactive) return false;
    this.#interactive = true;
    return true;
  }

  /** Whether a session has a live connection of its own. */
  hasOwn(session: string): boolean {
    return this.#sessions.get(session)?.connection !== undefined;
  }

  /** The connection of the client's own session, or user, where it lives: it needs no other. */
  own({ client }: Exchange): Line | Promise<Line> | undefined {
    if (!this.exclusiveFor(client)) return undefined;
    const [kept, owner] = this.#ownerOf(client, client.session ?? "");
    return kept.get(owner)?.connection && kept.acquire(owner, client);
  }

  /** The line of an exchange to an upstream whose first connection is `primary`. */
  choose(primary: Connection, exchange: Exchange): Line | Promise<Line> {
    const { client, signal } = exchange;
    if (primary.era === "modern") {
      if (client.era === "modern" || !this.#maySpeakLegacy()) return primary.acquire();
      const line = this.exclusiveFor(client) ? this.ownLine(exchange) : this.#shared();
      if (!(line instanceof Promise)) return line;
      return line.catch((error: unknown) => {
        // It was tried once; the gateway bridges the eras instead.
        if (this.#maySpeakLegacy() || signal.aborted) throw error;
        return primary.acquire();
      });
    }
    return this.exclusiveFor(client) ? this.ownLine(exchange) : primary.acquire();
  }

  /** There is a new first connection: what was found out about the other era may not hold. */
  primaryChanged(era: Era): void {
    this.#noLegacyUntil = -Infinity;
    this.#proven = era === "legacy";
  }

  /** The level of the shared legacy connection. */
  async setLogLevel(level: string): Promise<void> {
    this.#level = level;
    for (const connection of this.#users?.live ?? []) void connection.setLogLevel(level);
    await this.#beside?.setLogLevel(level);
  }

  /** The level of a session's own connection. */
  async setSessionLogLevel(session: string, level: string): Promise<void> {
    await this.#sessions.get(session)?.setLogLevel(level);
  }

  /** The connections a session's client speaks to: its own and, where sharing is in force, that. */
  ofSession(session: string, primary: Connection | undefined): readonly Connection[] {
    const own = this.#sessions.get(session)?.connection;
    const shared = this.exclusive || this.#users !== undefined
      ? undefined
      : primary?.era === "legacy"
      ? primary
      : this.#beside?.connection;
    return [own, shared].filter((one) => one !== undefined);
  }

  /** A client session has ended; true when it had a connection of its own. */
  releaseSession(session: string): boolean {
    return this.#sessions.release(session);
  }

  /** Closes what nobody uses; it is opened again at the next need. Never rejects. */
  async rest(): Promise<void> {
    this.#beside?.end(unavailable(this.options.config().name, "is being stopped"));
    this.#leases.rest();
    await Promise.all(this.#closing);
  }

  /** Closes all of them. Never rejects. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#sessions.close();
    this.#users?.close();
    this.#leases.close();
    await this.rest();
  }

  /** A line of the client's own, or one lent to it. */
  ownLine({ client, signal }: Exchange): Line | Promise<Line> {
    if (client.session === undefined && this.#isExclusive(client)) {
      return this.#leases.acquire(client, signal);
    }
    const [kept, owner] = this.#ownerOf(client, client.session ?? "");
    return kept.acquire(owner, client);
  }

  /** Whose connection serves a client that gets none of everybody's, and where it is kept. */
  #ownerOf(client: Client, session: string): readonly [KeptConnections, string] {
    return this.#users === undefined || this.#isExclusive(client)
      ? [this.#sessions, session]
      : [this.#users, loginOf(client)];
  }

  #maySpeakLegacy(): boolean {
    const { config, clock } = this.options;
    return config().protocol === "auto" && clock.now() >= this.#noLegacyUntil;
  }

  #shared(): Line | Promise<Line> {
    const beside = this.#beside ??= this.#beginBeside();
    return beside.connection?.acquire() ??
      beside.opening.then((connection) => connection.acquire());
  }

  #beginBeside(): ExtraConnection {
    const beside: ExtraConnection = this.#begin({
      identity: SHARED_IDENTITY,
      session: undefined,
      principal: undefined,
      level: this.#level,
      onGone: () => {
        if (this.#beside === beside) this.#beside = undefined;
      },
    });
    return beside;
  }

  async #open(options: OpenOtherOptions): Promise<Connection> {
    const { open, clock, log, config } = this.options;
    const { name, protocol, startupTimeout } = config();
    if (this.#closed) throw unavailable(name, "is being stopped");
    const { abort } = options;
    const limit = this.#proven ? startupTimeout : Math.min(startupTimeout, TRIAL);
    let isLate = false;
    const stopClock = clock.after(limit, () => {
      isLate = true;
      const why = `was not ready within ${limit / 1_000} s for one more connection`;
      abort.abort(new RpcError(ErrorCode.UpstreamTimeout, `${serverLabel(name)} ${why}`));
    });
    try {
      const connection = await open(options);
      this.#proven = true;
      return connection;
    } catch (error) {
      // What is not open to one user says nothing of the era.
      const isOfUser = this.#users !== undefined &&
        (wantsLogin(error) ||
          error instanceof HttpStatusError && [401, 403].includes(error.status));
      if (protocol === "auto" && !isOfUser && (isLate || !abort.signal.aborted)) {
        const refused = error instanceof HandshakeError || error instanceof HttpStatusError;
        this.#noLegacyUntil = refused ? Infinity : clock.now() + DOUBT;
        log.debug("Cannot open another connection", { error: messageOf(error) });
      }
      throw error;
    } finally {
      stopClock();
    }
  }
}
