import type { CancelSignal } from "../lib/cancel.ts";
import type { JsonEdit } from "../lib/json-edit.ts";
import { canonicalJson } from "../lib/json.ts";
import { type Clock, pause } from "../lib/time.ts";
import { ErrorCode, RpcError } from "../protocol/errors.ts";
import type { Client, Exchange } from "../protocol/exchange.ts";
import { answerable } from "../protocol/inputs.ts";
import type { ResponseMessage } from "../protocol/message.ts";
import type { Connection } from "./connection/connection.ts";
import { CLIENT_INFO, type Identity, identityOf, type Line } from "./connection/line.ts";
import { serverLabel, unavailable } from "./transport/failures.ts";

/** Opens one more connection that serves a single client at a time. */
export type OpenOwn = (options: {
  readonly identity: Identity;
  /** Whose it is, undefined for one that is leased. */
  readonly session: string | undefined;
  readonly signal: AbortSignal;
  /** It is lost, or was closed. */
  readonly onClose: () => void;
}) => Promise<Connection>;

/** What {@link SessionConnections} are made of. */
export interface SessionConnectionsOptions {
  readonly server: string;
  readonly open: OpenOwn;
  /** How many there may be at one time. */
  readonly max: number;
}

interface Entry {
  connection: Connection | undefined;
  opening: Promise<Connection>;
  readonly abort: AbortController;
  /** Lines in use. */
  lines: number;
  level: string | undefined;
}

/**
 * Connections of an upstream that belong to one client session each. Opened at first need, closed
 * with the session; one that is lost is opened again at the next need.
 */
export class SessionConnections {
  readonly #options: SessionConnectionsOptions;
  /** By session, the longest unused first. */
  readonly #entries = new Map<string, Entry>();
  readonly #closing = new Set<Promise<void>>();

  constructor(options: SessionConnectionsOptions) {
    this.#options = options;
  }

  /** The live connections. */
  get live(): readonly Connection[] {
    return [...this.#entries.values()].flatMap(({ connection }) => connection ?? []);
  }

  /** How many there are, those included that are being opened. */
  get size(): number {
    return this.#entries.size;
  }

  /** The live connection of a session. */
  get(session: string): Connection | undefined {
    return this.#entries.get(session)?.connection;
  }

  /**
   * A line over the connection of the client's session.
   * @throws {RpcError} (rejects) UpstreamUnavailable when all that may be there are busy, or what
   * opening one throws
   */
  acquire(session: string, client: Client): Line | Promise<Line> {
    let entry = this.#entries.get(session);
    if (entry === undefined) {
      const full = this.#makeRoom();
      if (full !== undefined) return Promise.reject(full);
      entry = this.#open(session, client);
    }
    this.#entries.delete(session);
    this.#entries.set(session, entry);
    const line = new OwnLine(entry);
    if (entry.connection !== undefined) return line;
    return entry.opening.then(() => line, (error) => {
      line.release();
      throw error;
    });
  }

  /** The session's client wants log lines from this level on. */
  async setLogLevel(session: string, level: string): Promise<void> {
    const entry = this.#entries.get(session);
    if (entry === undefined) return;
    entry.level = level;
    await entry.connection?.setLogLevel(level);
  }

  /** The session has ended: so does its connection. False where it has none. */
  release(session: string): boolean {
    const entry = this.#entries.get(session);
    if (entry === undefined) return false;
    this.#entries.delete(session);
    this.#close(entry);
    return true;
  }

  /** Closes all of them. Never rejects. */
  async close(): Promise<void> {
    for (const session of [...this.#entries.keys()]) this.release(session);
    await Promise.all(this.#closing);
  }

  #open(session: string, client: Client): Entry {
    const abort = new AbortController();
    const forget = () => {
      if (this.#entries.get(session) === entry) this.#entries.delete(session);
    };
    const opening = this.#options.open({
      identity: identityOf(client),
      session,
      signal: abort.signal,
      onClose: forget,
    }).then(async (connection) => {
      entry.connection = connection;
      if (connection.closed !== undefined) forget();
      if (entry.level !== undefined) await connection.setLogLevel(entry.level);
      return connection;
    });
    const entry: Entry = {
      connection: undefined,
      opening,
      abort,
      lines: 0,
      level: client.logLevel,
    };
    opening.catch(forget);
    return entry;
  }

  /** Why there is none, or `undefined`. */
  #makeRoom(): RpcError | undefined {
    const { max, server } = this.#options;
    if (this.#entries.size < max) return undefined;
    for (const [session, { connection, lines }] of this.#entries) {
      if (connection === undefined || lines > 0 || connection.inFlight > 0) continue;
      this.release(session);
      return undefined;
    }
    return new RpcError(
      ErrorCode.UpstreamUnavailable,
      `${serverLabel(server)} serves ${max} client sessions, which is as many as it may, ` +
        "and all of them have calls in flight; try again later",
    );
  }

  #close(entry: Entry): void {
    entry.abort.abort(unavailable(this.#options.server, "is not needed: the session has ended"));
    const closing = entry.opening.then(
      (connection) => connection.close(),
      () => {},
    ).finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }
}

class OwnLine implements Line {
  readonly era = "legacy";
  readonly #entry: Entry;
  #released = false;

  constructor(entry: Entry) {
    this.#entry = entry;
    entry.lines++;
  }

  forward(exchange: Exchange, edits: readonly JsonEdit[]): Promise<ResponseMessage> {
    return this.#entry.connection!.forward(exchange, edits);
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#entry.lines--;
  }
}

/** What {@link Leases} are made of. */
export interface LeasesOptions {
  readonly server: string;
  readonly clock: Clock;
  readonly open: OpenOwn;
  /** How many connections there may be at one time. */
  readonly max: number;
  /** How long a call waits for one, in ms, as configured now. */
  readonly patience: () => number;
}

/** One connection, lent to one call at a time. */
interface Leased {
  /** The capabilities it declared, as canonical JSON. */
  readonly key: string;
  readonly abort: AbortController;
  connection: Connection | undefined;
  busy: boolean;
}

/**
 * Connections for the calls of clients that have no session (2026-07-28): each is lent to one call
 * alone, until that has ended or its parking expires, and then to another whose client can do the
 * same.
 */
export class Leases {
  readonly #options: LeasesOptions;
  readonly #all = new Set<Leased>();
  readonly #waiting: (() => void)[] = [];
  readonly #closing = new Set<Promise<void>>();
  #closed = false;

  constructor(options: LeasesOptions) {
    this.#options = options;
  }

  /** The live connections. */
  get live(): readonly Connection[] {
    return [...this.#all].flatMap(({ connection }) => connection ?? []);
  }

  /** Whether one of them is lent, or being opened to be. */
  get inUse(): boolean {
    for (const { busy } of this.#all) if (busy) return true;
    return false;
  }

  /**
   * A line over a connection nobody else uses until it is released.
   * @throws {RpcError} UpstreamUnavailable when none becomes free in time or `signal` aborts, or
   * what opening one throws
   */
  async acquire(client: Client, signal: CancelSignal): Promise<Line> {
    const capabilities = answerable(client.capabilities);
    const key = canonicalJson(capabilities);
    const { clock, patience, server } = this.#options;
    const deadline = clock.now() + patience();
    for (;;) {
      if (this.#closed) throw unavailable(server, "is being stopped");
      if (signal.aborted) {
        // The vacancy it was told of is somebody else's.
        this.#waiting.shift()?.();
        throw unavailable(server, "is no longer asked");
      }
      const idle = this.#idle(key);
      if (idle !== undefined) {
        idle.busy = true;
        return await this.#line(idle, client);
      }
      if (this.#hasRoom()) return await this.#line(await this.#open(key, capabilities), client);
      if (clock.now() >= deadline) {
        throw new RpcError(
          ErrorCode.UpstreamUnavailable,
          `${serverLabel(server)} serves ${this.#options.max} calls of clients without session, ` +
            "which is as many as it may at one time; try again later",
        );
      }
      await this.#vacancy(deadline - clock.now(), signal);
    }
  }

  /** Closes those that are not lent; others may be opened again. Never rejects. */
  async rest(): Promise<void> {
    for (const leased of [...this.#all]) if (!leased.busy) this.#drop(leased);
    await Promise.all(this.#closing);
  }

  /** Closes all of them. Never rejects. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const leased of [...this.#all]) this.#drop(leased);
    for (const wake of this.#waiting.splice(0)) wake();
    await Promise.all(this.#closing);
  }

  #idle(key: string): Leased | undefined {
    for (const leased of this.#all) if (!leased.busy && leased.key === key) return leased;
    return undefined;
  }

  /** Where all places are taken, an idle connection that declared something else makes room. */
  #hasRoom(): boolean {
    if (this.#all.size < this.#options.max) return true;
    for (const leased of this.#all) {
      if (leased.busy) continue;
      this.#drop(leased);
      return true;
    }
    return false;
  }

  async #open(key: string, capabilities: ReturnType<typeof answerable>): Promise<Leased> {
    const abort = new AbortController();
    const leased: Leased = { key, abort, connection: undefined, busy: true };
    this.#all.add(leased);
    try {
      leased.connection = await this.#options.open({
        // It serves clients of several names, one after the other.
        identity: { info: CLIENT_INFO, capabilities },
        session: undefined,
        signal: abort.signal,
        onClose: () => this.#drop(leased),
      });
    } catch (error) {
      this.#drop(leased);
      throw error;
    }
    if (leased.connection.closed !== undefined || !this.#all.has(leased)) {
      this.#drop(leased);
      this.#close(leased.connection);
      throw unavailable(this.#options.server, "is gone again");
    }
    return leased;
  }

  async #line(leased: Leased, client: Client): Promise<Line> {
    const connection = leased.connection!;
    if (client.logLevel !== undefined) await connection.setLogLevel(client.logLevel);
    return new LeasedLine(connection, (clean) => {
      // What a call left unfinished may still speak; nobody else must hear it.
      if (!clean || connection.closed !== undefined) this.#drop(leased);
      leased.busy = false;
      this.#waiting.shift()?.();
    });
  }

  #drop(leased: Leased): void {
    if (!this.#all.delete(leased)) return;
    leased.abort.abort(unavailable(this.#options.server, "is being stopped"));
    if (leased.connection !== undefined) this.#close(leased.connection);
    this.#waiting.shift()?.();
  }

  #close(connection: Connection): void {
    const closing = connection.close().finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }

  async #vacancy(ms: number, signal: CancelSignal): Promise<void> {
    const over = new AbortController();
    const stop = () => over.abort();
    this.#waiting.push(stop);
    signal.addEventListener("abort", stop);
    try {
      await pause(ms, this.#options.clock, over.signal);
    } finally {
      signal.removeEventListener("abort", stop);
      const index = this.#waiting.indexOf(stop);
      if (index >= 0) this.#waiting.splice(index, 1);
    }
  }
}

class LeasedLine implements Line {
  readonly era = "legacy";
  readonly #connection: Connection;
  readonly #giveBack: (clean: boolean) => void;
  #open = 0;
  #clean = true;
  #released = false;

  constructor(connection: Connection, giveBack: (clean: boolean) => void) {
    this.#connection = connection.acquire();
    this.#giveBack = giveBack;
  }

  async forward(exchange: Exchange, edits: readonly JsonEdit[]): Promise<ResponseMessage> {
    this.#open++;
    try {
      return await this.#connection.forward(exchange, edits);
    } catch (error) {
      this.#clean = false;
      throw error;
    } finally {
      this.#open--;
    }
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#connection.release();
    this.#giveBack(this.#clean && this.#open === 0);
  }
}
