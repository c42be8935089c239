import type { Exchange } from "../protocol/exchange.ts";
import type { Inventory } from "../protocol/lists.ts";
import type { NotificationMessage, RequestMessage } from "../protocol/message.ts";
import type { InstanceOptions } from "./instance-options.ts";
import type { Upstream } from "./upstream.ts";

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
   * without a guess (DESIGN §5), where there is one; `session` the client session whose own
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
