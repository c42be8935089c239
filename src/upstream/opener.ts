import { isPersonal, type ServerConfig } from "../config/types.ts";
import type { JsonObject } from "../lib/json.ts";
import type { Clock } from "../lib/time.ts";
import type { Exchange } from "../protocol/exchange.ts";
import { type Inventory, LIST_RULES } from "../protocol/lists.ts";
import type { NotificationMessage, RequestMessage } from "../protocol/message.ts";
import { declaredHeaders } from "../protocol/param-headers.ts";
import { type InventoryResult, readInventory } from "./connection/inventory.ts";
import type { Catalogue } from "./catalogue.ts";
import type { ChannelEvents } from "./connection/channel.ts";
import { Connection, type ConnectionOptions } from "./connection/connection.ts";
import type { EraAnswer, EstablishOptions } from "./connection/establish.ts";
import { HandshakeError } from "./connection/handshake.ts";
import { SHARED_IDENTITY } from "./connection/line.ts";
import type { LineLimits } from "./lines.ts";
import type { OpenOtherOptions } from "./own-connections.ts";
import type { AttemptBudget } from "./supervisor.ts";
import { ConnectionLostError, HttpStatusError } from "./transport/failures.ts";
import type { UpstreamLog } from "./transport/transport.ts";

/** What an {@link Opener} is made of. */
interface OpenerOptions
  extends
    Pick<UpstreamOptions, "runtime" | "logins" | "log">,
    Required<Pick<ChannelEvents, "onAmbiguous" | "onQuestion">> {
  readonly clock: Clock;
  /** As it is now. */
  readonly config: () => ServerConfig;
  /** What is offered; told of what may have changed. */
  readonly catalogue: Catalogue;
  readonly events: UpstreamEvents;
  /** A line was given back. */
  readonly onRelease: () => void;
  /** A connection was given up; what it leaves behind ends with this. */
  readonly onGivenUp: (end: Promise<void>) => void;
}

/** Opens the connections of one instance, and remembers what was found out about its server. */
export class Opener {
  #verdict: EraAnswer | undefined;

  constructor(private readonly options: OpenerOptions) {}

  /**
   * Opens the connection all clients share, and reads the lists over it, with the limit of this
   * attempt. `onReady` is called before
   * anything can happen to it; `onClose` when it has gone away behind that.
   * @throws {RpcError} naming the server; nothing is left open
   */
  async openPrimary(
    signal: AbortSignal,
    startupTimeout: number,
    onReady: (connection: Connection, lists: InventoryResult) => void,
    onClose: (connection: Connection) => void,
  ): Promise<void> {
    const config = { ...this.options.config(), startupTimeout };
    const target = config.instances[0]!;
    let ready: Connection | undefined = undefined as Connection | undefined;
    try {
      const options = { config, verdict: this.#verdict, identity: SHARED_IDENTITY, signal };
      const connection = await this.#connect(options, undefined, () => {
        if (ready !== undefined) onClose(ready);
      });
      const previous = this.options.catalogue.known;
      const lists = await readInventory(connection, { previous, timeout: startupTimeout, signal });
      if (signal.aborted || connection.closed !== undefined) {
        const lost = connection.closed;
        await connection.close();
        signal.throwIfAborted();
        throw new ConnectionLostError(config.name, lost!);
      }
      ready = connection;
      this.#verdict = connection.verdict;
      connection.reconfigure(this.options.config());
      onReady(connection, lists);
    } catch (error) {
      // What was found out no longer holds, or never did: the next attempt asks anew.
      if (error instanceof HandshakeError || error instanceof HttpStatusError) {
        this.#verdict = undefined;
      }
      if (target.kind !== "http" || !isPersonal(target)) throw error;
      const logins = await this.options.logins?.();
      throw await logins?.of(config.name, target).failed?.(error) ?? error;
    }
  }

  /**
   * Opens one more connection: of the legacy era, to a server that is known by its first, or one
   * user's own where there `isFirst` none.
   * @throws {RpcError} naming the server, or the reason of `abort`; nothing is left open
   */
  async openOther(
    { identity, session, principal, abort, onClose }: OpenOtherOptions,
    isFirst: boolean,
  ): Promise<Connection> {
    const config = this.options.config();
    const era = "legacy" as const;
    const verdict = this.#verdict;
    const options = {
      ...isFirst && isPersonal(config.instances[0]) ? { config, verdict } : {
        config: { ...config, protocol: era },
        verdict: verdict && { ...verdict, era },
      },
      identity,
      principal,
      signal: abort.signal,
    };
    const connection = await this.#connect(options, session, onClose);
    connection.reconfigure(this.options.config());
    return connection;
  }

  /** `session` owns it. */
  async #connect(
    options: Pick<ConnectionOptions, "config" | "verdict" | "identity" | "principal" | "signal">,
    session: string | undefined,
    onClose: () => void,
  ): Promise<Connection> {
    const { runtime, logins, log, clock, catalogue, events, onRelease, ...rest } = this.options;
    const { onAmbiguous, onQuestion, onGivenUp } = rest;
    const connection: Connection = await Connection.open({
      ...options,
      runtime,
      logins,
      log,
      clock,
      onRelease,
      toolHeaders: (tool) =>
        catalogue.known === undefined ? [] : declaredHeaders(catalogue.known, tool),
      events: {
        onNotification: (message, exchange) => {
          const rules = LIST_RULES.filter(({ changed }) => changed === message.method);
          if (rules.length > 0) catalogue.mark(rules.map(({ kind }) => kind));
          else events.onNotification?.(message, exchange, session);
        },
        onRequest: (message) => events.onRequest?.(message, session),
        ownerOf: (params) => events.ownerOf?.(params),
        onAmbiguous,
        onQuestion,
        onGap: () => catalogue.mark(LIST_RULES.map(({ kind }) => kind)),
        onClose: ({ code }) => {
          if (code === "unresponsive") onGivenUp(connection.close());
          onClose();
        },
      },
    });
    return connection;
  }
}

/**
 * What an instance tells its upstream, and an upstream the gateway of all its instances. None of
 * these may throw.
 */
export interface UpstreamEvents {
  /** Its phase changed, or it proved to be interactive. */
  onStateChange?(): void;
  /** What it offers changed; `inventory` is a new object. */
  onInventory?(inventory: Inventory): void;
  /**
   * Any other notification but progress. `exchange` is the client request it can be attributed to
   * without a guess, where there is one; `session` the client session whose own connection brought
   * it.
   */
  onNotification?(
    message: NotificationMessage,
    exchange: Exchange | undefined,
    session: string | undefined,
  ): void;
  /**
   * A request for a client that belongs to no call: `roots/list`, or whatever comes on the own
   * connection of `session` outside its calls. See the event of the channel.
   */
  onRequest?(message: RequestMessage, session: string | undefined): Promise<string> | undefined;
  /** The session that the task belongs to which these parameters of a message name, if known. */
  ownerOf?(params: JsonObject | undefined): string | undefined;
  /** A call has its connection: rejects where what it names is held back by now. */
  recheck?(method: string, name: string): Promise<void>;
}

/** What an upstream is made of, and each of its instances. */
export interface UpstreamOptions {
  /** For an instance, {@link ServerConfig.instances} has that very one alone. */
  readonly config: ServerConfig;
  readonly runtime: EstablishOptions["runtime"];
  /** @default nobody is logged in anywhere */
  readonly logins?: EstablishOptions["logins"];
  readonly log: UpstreamLog;
  readonly events?: UpstreamEvents;
  /** @default the real time */
  readonly clock?: Clock;
  /** In [0, 1), for the jitter. @default Math.random */
  readonly random?: () => number;
  /** @default LINE_LIMITS */
  readonly limits?: Partial<LineLimits>;
  /** Bounds how often all servers together are tried again. @default no bound */
  readonly attempts?: AttemptBudget;
}
