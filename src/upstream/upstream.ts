import type { ServerConfig } from "../config/types.ts";
import type { JsonEdit } from "../lib/json-edit.ts";
import { systemClock } from "../lib/time.ts";
import type { Exchange } from "../protocol/exchange.ts";
import type { Inventory } from "../protocol/lists.ts";
import type { NotificationMessage, RequestMessage, ResponseMessage } from "../protocol/message.ts";
import { Calls } from "./calls.ts";
import type { Line } from "./connection/line.ts";
import type { Slot } from "./instance.ts";
import type { InstanceOptions } from "./opener.ts";
import { Pool } from "./pool.ts";
import type { UpstreamState } from "./state.ts";
import {
  type InstanceStatus,
  type MemberStatus,
  type UpstreamStatus,
  worstHealth,
} from "./status.ts";

/**
 * One configured server, as the gateway sees it, over its instances. Owned by the gateway;
 * {@link Upstream.close} ends it for good.
 */
export class Upstream {
  readonly name: string;
  /** An instance is ready, or the first attempt of each has finished. Never rejects. */
  readonly settled: Promise<void>;
  readonly #pool: Pool;
  readonly #calls: Calls;
  #config: ServerConfig;

  constructor({ events = {}, ...options }: UpstreamOptions) {
    const { config, clock = systemClock } = options;
    this.name = config.name;
    this.#config = config;
    this.#pool = new Pool({
      ...options,
      events: {
        onStateChange: () => events.onStateChange?.(this),
        onInventory: (inventory) => events.onInventory?.(this, inventory),
        onNotification: (message, exchange, session) =>
          events.onNotification?.(this, message, exchange, session),
        onRequest: (message, session) => events.onRequest?.(this, message, session),
      },
    });
    this.#calls = new Calls(config, this.#pool, clock);
    this.settled = this.#pool.settled;
  }

  get config(): ServerConfig {
    return this.#config;
  }

  /** Where it is in its life. */
  get state(): UpstreamState {
    return this.#pool.state;
  }

  /** What it offered last; kept while it is away. */
  get inventory(): Inventory {
    return this.#pool.inventory;
  }

  /** It asks clients things that cannot be attributed on a connection they share. */
  get interactive(): boolean {
    return this.#pool.interactive;
  }

  /**
   * Begins to connect; does nothing when it has begun, or cannot. `known` is what it offered in an
   * earlier run: it counts until the server has answered, and a lazy one is not started for it.
   */
  start(known?: Inventory): void {
    this.#pool.start(known);
  }

  /**
   * Takes on what has changed in the configuration while {@link ServerConfig.key} has not: limits
   * and names. Connections stay as they are; higher limits let in calls that wait.
   */
  reconfigure(config: ServerConfig): void {
    this.#config = config;
    this.#pool.reconfigure(config);
    this.#calls.reconfigure(config);
  }

  /**
   * Passes a client's request on. Waits for a connection that is being made; a server in back-off
   * is tried at once.
   * @throws {RpcError} UpstreamUnavailable naming the server and its last error, or what
   * {@link Line.forward} throws
   */
  forward(exchange: Exchange, edits: readonly JsonEdit[]): Promise<ResponseMessage> {
    const over = (line: Line) => line.forward(exchange, edits).finally(() => line.release());
    const line = this.lineFor(exchange);
    return line instanceof Promise ? line.then(over) : over(line);
  }

  /**
   * The connection that serves this exchange: the one place that chooses. To be released when the
   * exchange has ended.
   * @throws {RpcError} as {@link Upstream.forward}, and when no more connections may be opened
   */
  lineFor(exchange: Exchange): Line | Promise<Line> {
    return this.#calls.lineFor(exchange);
  }

  /** Resolves when no call is in flight any more, a parked or waiting one included. */
  whenIdle(): Promise<void> {
    return this.#calls.usage.whenIdle();
  }

  /** {@link Pool.setLogLevel} */
  async setLogLevel(level: string): Promise<void> {
    await this.#pool.setLogLevel(level);
  }

  /** {@link Pool.setSessionLogLevel} */
  async setSessionLogLevel(session: string, level: string): Promise<void> {
    await this.#pool.setSessionLogLevel(session, level);
  }

  /** {@link Pool.setSubscriptions} */
  async setSubscriptions(uris: ReadonlySet<string>): Promise<void> {
    await this.#pool.setSubscriptions(uris);
  }

  /** A client's roots have changed: tells the legacy connections it speaks to. */
  notifyClientRoots(session: string): void {
    this.#pool.notifyClientRoots(session);
  }

  /** A client session has ended, and its own connection with it. */
  releaseSession(session: string): void {
    this.#pool.releaseSession(session);
  }

  /** A snapshot for status pages; plain data, no secrets. */
  status(): UpstreamStatus {
    return poolStatus(this.#pool, this.#calls);
  }

  /** Stops for good, within about 3 s; calls in flight fail. Never rejects. */
  async close(): Promise<void> {
    this.#calls.close();
    await this.#pool.close();
  }
}

/** What an upstream tells the gateway. None of these may throw. */
export interface UpstreamEvents {
  /**
   * Its phase changed, or it proved to be interactive; read it from `state` and
   * `interactive`.
   */
  onStateChange?(upstream: Upstream): void;
  /** What it offers changed; `inventory` is a new object. */
  onInventory?(upstream: Upstream, inventory: Inventory): void;
  /**
   * Any other notification but progress. `exchange` is the client request it can be attributed to
   * without a guess, where there is one; `session` the client session whose own
   * connection brought it.
   */
  onNotification?(
    upstream: Upstream,
    message: NotificationMessage,
    exchange: Exchange | undefined,
    session: string | undefined,
  ): void;
  /**
   * A request for a client that belongs to no call: `roots/list`, or whatever comes on the own
   * connection of `session` outside its calls. See the event of the channel.
   */
  onRequest?(
    upstream: Upstream,
    message: RequestMessage,
    session: string | undefined,
  ): Promise<string> | undefined;
}

/** What an {@link Upstream} is made of. */
export interface UpstreamOptions extends Omit<InstanceOptions, "events"> {
  readonly events?: UpstreamEvents;
}

/** The status of a server by that of its instances: of one it is the status itself. */
export function poolStatus(pool: Pool, { usage, waiting }: Calls): UpstreamStatus {
  const { only } = pool;
  const used = { calls: usage.calls, failedCalls: usage.failed, queued: waiting };
  if (only !== undefined) return { ...only.instance.status(), ...used, instances: undefined };
  const all = pool.slots.map((slot) => ({ slot, status: slot.instance.status() }));
  const { phase, restarts } = pool.state;
  const best = all.find(({ status }) => status.state === phase)!.status;
  const { health, detail } = worstHealth(
    all.map(({ status }) => ({ health: status.health, detail: status.healthDetail })),
  );
  const { lists } = pool.inventory;
  return {
    ...best,
    ...used,
    health,
    healthDetail: detail,
    restarts,
    inFlight: sum(all, ({ status }) => status.inFlight),
    connections: sum(all, ({ status }) => status.connections),
    interactive: pool.interactive,
    ...lastError(all.map(({ status }) => status)),
    problems: [...new Set(all.flatMap(({ status }) => status.problems)), ...pool.differences],
    counts: {
      tools: lists.tools.items.length,
      prompts: lists.prompts.items.length,
      resources: lists.resources.items.length,
      templates: lists.templates.items.length,
    },
    instances: all.map(({ slot, status }) => memberStatus(slot, status)),
  };
}

/** The latest of all. */
function lastError(all: readonly InstanceStatus[]) {
  const latest = all.filter(({ lastErrorAt }) => lastErrorAt !== undefined)
    .toSorted((a, b) => b.lastErrorAt!.localeCompare(a.lastErrorAt!))[0];
  return { lastError: latest?.lastError, lastErrorAt: latest?.lastErrorAt };
}

function memberStatus({ label, calls, failed }: Slot, status: InstanceStatus): MemberStatus {
  return {
    name: label,
    state: status.state,
    reason: status.reason,
    retryAt: status.retryAt,
    health: status.health,
    healthDetail: status.healthDetail,
    pid: status.pid,
    since: status.since,
    restarts: status.restarts,
    calls,
    failedCalls: failed,
    inFlight: status.inFlight,
    connections: status.connections,
    lastError: status.lastError,
    lastErrorAt: status.lastErrorAt,
  };
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}
