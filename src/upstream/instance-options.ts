import type { ServerConfig } from "../config/config.ts";
import type { Clock } from "../lib/clock.ts";
import type { Exchange } from "../protocol/exchange.ts";
import type { Inventory } from "../protocol/lists.ts";
import type { NotificationMessage, RequestMessage } from "../protocol/message.ts";
import type { Runtime } from "../runtime/types.ts";
import type { AttemptBudget } from "./attempt-budget.ts";
import type { LineLimits } from "./lines.ts";
import type { UpstreamLog } from "./transport/log.ts";

/** What an instance tells its upstream. None of these may throw. */
export interface InstanceEvents {
  /**
   * Its phase changed, or it proved to be interactive; read it from `state` and
   * `interactive`.
   */
  onStateChange?(): void;
  /** What it offers changed; `inventory` is a new object. */
  onInventory?(inventory: Inventory): void;
  /**
   * Any other notification but progress. `exchange` is the client request it can be attributed to
   * without a guess (DESIGN §5), where there is one; `session` the client session whose own
   * connection brought it.
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
  onRequest?(
    message: RequestMessage,
    session: string | undefined,
  ): Promise<string> | undefined;
}

/** What an `Instance` is made of. */
export interface InstanceOptions {
  /** {@link ServerConfig.target} is where this very instance is. */
  readonly config: ServerConfig;
  readonly runtime: Pick<Runtime, "spawn">;
  readonly log: UpstreamLog;
  readonly events?: InstanceEvents;
  /** @default the real time */
  readonly clock?: Clock;
  /** In [0, 1), for the jitter. @default Math.random */
  readonly random?: () => number;
  /** @default LINE_LIMITS */
  readonly limits?: LineLimits;
  /** Bounds how often all servers together are tried again. @default no bound */
  readonly attempts?: AttemptBudget;
}
