import type { JsonEdit } from "../lib/json-edit.ts";
import { ErrorCode, RpcError } from "../protocol/errors.ts";
import type { Client, Exchange } from "../protocol/exchange.ts";
import type { ResponseMessage } from "../protocol/message.ts";
import type { Connection } from "./connection/connection.ts";
import { type Identity, identityOf, type Line } from "./connection/line.ts";
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
