/** Connections that are somebody's: those of client sessions and of users, and leased ones. */

import type { ServerConfig } from "../config/types.ts";
import type { CancelSignal } from "../lib/cancel.ts";
import type { JsonEdit } from "../lib/json-edit.ts";
import { canonicalJson } from "../lib/json.ts";
import { type Clock, pause } from "../lib/time.ts";
import type { Era } from "../protocol/eras.ts";
import { ErrorCode, RpcError } from "../protocol/errors.ts";
import type { Client, Exchange } from "../protocol/exchange.ts";
import { answerable } from "../protocol/inputs.ts";
import type { ResponseMessage } from "../protocol/message.ts";
import { CallAdmission } from "./admission.ts";
import type { Connection } from "./connection/connection.ts";
import { CLIENT_INFO, type Identity, type Line, loginOf } from "./connection/line.ts";
import { AFTERWORDS } from "./connection/questions.ts";
import { IdleTimer } from "./supervisor.ts";
import { serverLabel, unavailable } from "./transport/failures.ts";

/** How a connection beside the first one is opened. */
export interface OpenOtherOptions {
  readonly identity: Identity;
  /** The client session whose it is, undefined for one that several use. */
  readonly session: string | undefined;
  /** By whose login it is opened, where each user has his own. */
  readonly principal: string | undefined;
  /** Ends the attempt. */
  readonly abort: AbortController;
  /** It is lost, or was closed. */
  readonly onClose: () => void;
}

/** What an {@link ExtraConnection} is made of. */
interface ExtraOptions extends Pick<OpenOtherOptions, "identity" | "session" | "principal"> {
  /** Log lines are wanted from this level on. */
  readonly level?: string | undefined;
  /** It is lost, was closed, or could not be opened. */
  readonly onGone: () => void;
}

/** Begins to open one more connection. */
export type OpenExtra = (options: ExtraOptions) => ExtraConnection;

/** One connection beside the first, from the beginning of its opening to its end. */
export class ExtraConnection {
  /** Once it is open. */
  connection: Connection | undefined;
  /** Open, and told its log level. */
  readonly opening: Promise<Connection>;
  isOpening = true;
  /** {@link OwnLine}s in use, those included that wait for it to open. */
  lines = 0;
  /** When all is said about the call it was last lent to, by the clock. */
  restsUntil = -Infinity;
  /** Where it ends after some time without use. */
  idle: IdleTimer | undefined;
  readonly #abort = new AbortController();
  #level: string | undefined;

  /** `closing` is where its end can be waited for. */
  constructor(
    { level, onGone, ...whose }: ExtraOptions,
    open: (options: OpenOtherOptions) => Promise<Connection>,
    private readonly closing: Set<Promise<void>>,
  ) {
    this.#level = level;
    const abort = this.#abort;
    this.opening = open({ ...whose, abort, onClose: onGone }).then(async (connection) => {
      this.connection = connection;
      if (connection.closed !== undefined) onGone();
      if (this.#level !== undefined) await connection.setLogLevel(this.#level);
      this.isOpening = false;
      return connection;
    });
    this.opening.catch(onGone);
  }

  /** Log lines are wanted from this level on; resolves when an open one has been told. */
  async setLogLevel(level: string): Promise<void> {
    this.#level = level;
    await this.connection?.setLogLevel(level);
  }

  /** Ends it, or its opening, because of `why`. */
  end(why: RpcError): void {
    this.#abort.abort(why);
    const closing = this.#close().finally(() => this.closing.delete(closing));
    this.closing.add(closing);
  }

  async #close(): Promise<void> {
    const connection = this.connection ?? await this.opening.catch(() => undefined);
    await connection?.close();
  }
}

/** Whose the connections of {@link KeptConnections} are. */
export interface Keeping {
  /** What their owners are, in a message. */
  readonly owners: string;
  /** There are so many at one time. */
  readonly max: number;
  /** What is opened for an owner, of whom this is the first client. */
  readonly wanted: (owner: string, client: Client) => Omit<ExtraOptions, "onGone">;
  /** Milliseconds without use after which one is closed; never when absent. */
  readonly idleTimeout?: number;
}

/**
 * Connections of an upstream that belong to one owner each: a client session, or a user. Opened at
 * first need, closed with the owner; one that is lost is opened again at the next need.
 */
export class KeptConnections {
  /** By owner, the longest unused first. */
  readonly #all = new Map<string, ExtraConnection>();

  constructor(
    private readonly server: string,
    private readonly clock: Clock,
    private readonly keeping: Keeping,
    private readonly open: OpenExtra,
  ) {}

  /** The live connections. */
  get live(): readonly Connection[] {
    return [...this.#all.values()].flatMap(({ connection }) => connection ?? []);
  }

  /** How many there are, those included that are being opened. */
  get size(): number {
    return this.#all.size;
  }

  /** That of an owner. */
  get(owner: string): ExtraConnection | undefined {
    return this.#all.get(owner);
  }

  /**
   * A line over the connection of the client's owner.
   * @throws {RpcError} (rejects) UpstreamUnavailable when all that may be there are busy, or what
   * opening one throws
   */
  acquire(owner: string, client: Client): Line | Promise<Line> {
    const known = this.#all.get(owner);
    const full = known === undefined ? this.#makeRoom() : undefined;
    if (full !== undefined) return Promise.reject(full);
    const own = known ?? this.#begin(owner, client);
    this.#all.delete(owner);
    this.#all.set(owner, own);
    own.lines++;
    if (own.connection !== undefined) return new OwnLine(own, own.connection);
    return own.opening.then((connection) => new OwnLine(own, connection), (error) => {
      own.lines--;
      throw error;
    });
  }

  /** The owner has ended: so does its connection. False where it has none. */
  release(owner: string): boolean {
    const own = this.#all.get(owner);
    if (own === undefined) return false;
    this.#all.delete(owner);
    own.idle?.stop();
    own.end(unavailable(this.server, "is not needed: the session has ended"));
    return true;
  }

  /** Ends all of them. */
  close(): void {
    for (const owner of [...this.#all.keys()]) this.release(owner);
  }

  #begin(owner: string, client: Client): ExtraConnection {
    const { keeping: { wanted, idleTimeout }, clock } = this;
    const own: ExtraConnection = this.open({
      ...wanted(owner, client),
      onGone: () => {
        own.idle?.stop();
        if (this.#all.get(owner) === own) this.#all.delete(owner);
      },
    });
    if (idleTimeout === undefined) return own;
    own.idle = new IdleTimer({
      clock,
      timeout: () => idleTimeout,
      inUse: () => isBusy(own),
      onIdle: () => this.release(owner),
    });
    own.idle.arm();
    return own;
  }

  /** Why there is none, or `undefined`. */
  #makeRoom(): RpcError | undefined {
    const { max, owners } = this.keeping;
    if (this.#all.size < max) return undefined;
    for (const [owner, own] of this.#all) {
      if (isBusy(own)) continue;
      this.release(owner);
      return undefined;
    }
    return new RpcError(
      ErrorCode.UpstreamUnavailable,
      `${serverLabel(this.server)} serves ${max} ${owners}, which is as many as it ` +
        "may, and all of them have calls in flight; try again later",
    );
  }
}

/** Whether it is used, or being opened to be. */
function isBusy({ connection, lines }: ExtraConnection): boolean {
  return connection === undefined || lines > 0 || connection.channel.inFlight > 0;
}

/**
 * Connections for the calls of clients that have no session (2026-07-28): each is lent to one call
 * alone, until that has ended or its parking expires, and then to another whose client can do the
 * same; of another principal never, for what a server knows of one it may say whenever it likes.
 */
export class Leases {
  /** Each with the capabilities it declared and whose calls it serves, as canonical JSON. */
  readonly #all = new Map<ExtraConnection, string>();
  /** Whoever came last has got one, or will get none: the next is served then, so nobody is passed. */
  #queue: Promise<unknown> = Promise.resolve();
  /** Something has changed for the one that waits. */
  #wake = () => {};
  /** Those who hold some, or wait: nobody holds more than half, so that others find one. */
  readonly #holders = new Map<string, CallAdmission>();

  /** There are `max` at one time, for which a call waits as long as it may take by `config`. */
  constructor(
    private readonly config: () => Pick<ServerConfig, "name" | "timeout">,
    private readonly clock: Clock,
    private readonly max: number,
    private readonly open: OpenExtra,
  ) {}

  /** The live connections. */
  get live(): readonly Connection[] {
    return [...this.#all.keys()].flatMap(({ connection }) => connection ?? []);
  }

  /** Whether one of them is lent, or being opened to be. */
  get inUse(): boolean {
    for (const { lines } of this.#all.keys()) if (lines > 0) return true;
    return false;
  }

  /**
   * A line over a connection nobody else uses until it is released.
   * @throws {RpcError} UpstreamUnavailable when none becomes free in time or `signal` aborts, or
   * what opening one throws
   */
  async acquire(client: Client, signal: CancelSignal): Promise<Line> {
    const deadline = this.clock.now() + this.config().timeout;
    const { principal } = client;
    // Before the queue: who waits for his own calls keeps nobody else waiting.
    const leave = principal && await this.#enter(principal.id, signal);
    const own = this.#queue.then(() => this.#take(client, deadline, signal));
    this.#queue = own.catch(() => {});
    try {
      return await this.#lend(await own, client, leave);
    } catch (error) {
      leave?.();
      throw error;
    }
  }

  /** Ends those that are not lent; others may be opened again. */
  rest(): void {
    for (const own of [...this.#all.keys()]) if (own.lines === 0) this.#drop(own);
  }

  /** Ends all of them. */
  close(): void {
    for (const own of [...this.#all.keys()]) this.#drop(own);
    this.#wake();
  }

  /** Resolves with what ends it when this principal holds less than its share. */
  async #enter(id: string, signal: CancelSignal): Promise<() => void> {
    const { name, timeout } = this.config();
    const maxConcurrency = Math.max(1, Math.floor(this.max / 2));
    const limits = { maxConcurrency, maxQueue: Infinity, timeout };
    const holder = this.#holders.getOrInsertComputed(
      id,
      () => new CallAdmission(name, limits, this.clock),
    );
    const tidy = () => {
      if (holder.isEmpty) this.#holders.delete(id);
    };
    try {
      if (!holder.tryEnter()) await holder.enter(signal);
    } finally {
      tidy();
    }
    return () => {
      holder.leave();
      tidy();
    };
  }

  async #take(client: Client, deadline: number, signal: CancelSignal): Promise<ExtraConnection> {
    const { clock } = this;
    const key = canonicalJson([answerable(client.capabilities), client.principal?.id ?? null]);
    for (;;) {
      const { name } = this.config();
      if (signal.aborted) throw unavailable(name, "is no longer asked");
      const idle = this.#idle((one) => one === key);
      const rest = (idle?.restsUntil ?? Infinity) - clock.now();
      const own = rest > 0 && this.#hasRoom(idle) ? this.#begin(key, client) : idle;
      if (own !== undefined && (own !== idle || rest <= 0)) {
        own.lines++;
        return own;
      }
      // What only rests is had soon, however short the time is.
      if (idle === undefined && clock.now() >= deadline) {
        throw new RpcError(
          ErrorCode.UpstreamUnavailable,
          `${serverLabel(name)} serves ${this.max} calls of clients without session, ` +
            "which is as many as it may at one time; try again later",
        );
      }
      await this.#vacancy(idle === undefined ? deadline - clock.now() : rest, signal);
    }
  }

  /** Of those that nobody uses, the one that does so for the longest time. */
  #idle(matches: (key: string) => boolean): ExtraConnection | undefined {
    let found: ExtraConnection | undefined;
    for (const [own, key] of this.#all) {
      if (own.lines > 0 || !matches(key)) continue;
      if (found === undefined || own.restsUntil < found.restsUntil) found = own;
    }
    return found;
  }

  /**
   * Where all places are taken and none of them by one that only `rests`, an idle connection that
   * declared something else makes room.
   */
  #hasRoom(rests: ExtraConnection | undefined): boolean {
    if (this.#all.size < this.max) return true;
    const idle = rests === undefined ? this.#idle(() => true) : undefined;
    if (idle !== undefined) this.#drop(idle);
    return idle !== undefined;
  }

  #begin(key: string, client: Client): ExtraConnection {
    const own: ExtraConnection = this.open({
      // It serves clients of several names, one after the other.
      identity: { info: CLIENT_INFO, capabilities: answerable(client.capabilities) },
      session: undefined,
      principal: loginOf(client),
      onGone: () => this.#drop(own),
    });
    this.#all.set(own, key);
    return own;
  }

  async #lend(own: ExtraConnection, client: Client, leave?: () => void): Promise<Line> {
    const connection = own.connection ?? await this.#opened(own);
    if (client.logLevel !== undefined) await connection.setLogLevel(client.logLevel);
    return new OwnLine(own, connection, (clean) => {
      own.restsUntil = this.clock.now() + AFTERWORDS;
      // What a call left unfinished may still speak; nobody else must hear it.
      if (!clean || connection.closed !== undefined) this.#drop(own);
      leave?.();
      this.#wake();
    });
  }

  async #opened(own: ExtraConnection): Promise<Connection> {
    const connection = await own.opening;
    if (this.#all.has(own)) return connection;
    throw unavailable(this.config().name, "is gone again");
  }

  #drop(own: ExtraConnection): void {
    if (!this.#all.delete(own)) return;
    own.end(unavailable(this.config().name, "is being stopped"));
    this.#wake();
  }

  async #vacancy(ms: number, signal: CancelSignal): Promise<void> {
    const over = new AbortController();
    this.#wake = () => over.abort();
    signal.addEventListener("abort", this.#wake);
    await pause(ms, this.clock, over.signal);
    signal.removeEventListener("abort", this.#wake);
  }
}

/** A line that counts as use of its connection from before it is open. */
class OwnLine implements Line {
  readonly era: Era;
  readonly #connection: Connection;
  #open = 0;
  #clean = true;
  #released = false;

  /** `giveBack` is told whether every request on it has had its answer. */
  constructor(
    private readonly own: ExtraConnection,
    connection: Connection,
    private readonly giveBack?: (clean: boolean) => void,
  ) {
    this.#connection = connection.acquire();
    this.era = connection.era;
  }

  forward(exchange: Exchange, edits: readonly JsonEdit[]): Promise<ResponseMessage> {
    const response = this.#connection.forward(exchange, edits);
    return this.giveBack === undefined ? response : this.#watched(response);
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.own.lines--;
    this.own.idle?.touch();
    this.#connection.release();
    this.giveBack?.(this.#clean && this.#open === 0);
  }

  async #watched(response: Promise<ResponseMessage>): Promise<ResponseMessage> {
    this.#open++;
    try {
      return await response;
    } catch (error) {
      this.#clean = false;
      throw error;
    } finally {
      this.#open--;
    }
  }
}
