import type { CancelSignal } from "../../lib/cancel.ts";
import type { Clock } from "../../lib/clock.ts";
import type { JsonObject } from "../../lib/json.ts";
import type { Exchange } from "../../protocol/exchange.ts";
import type { NotificationMessage, RequestMessage } from "../../protocol/message.ts";
import type { UpstreamLog } from "../transport/log.ts";
import type { CloseReason, Transport } from "../transport/transport.ts";
import type { Identity } from "./line.ts";

/** What a channel tells its owner. */
export interface ChannelEvents {
  /**
   * A notification that is not about one call's progress. `exchange` is the client request it can
   * be attributed to without guessing, where there is one; `carriedBy` the gateway's request on
   * whose stream it came.
   */
  onNotification(
    message: NotificationMessage,
    exchange: Exchange | undefined,
    carriedBy: number | undefined,
  ): void;
  /**
   * A request that belongs to no client request. Returns the text of the response, with any id, or
   * undefined for the default: no roots, and nothing else is supported.
   */
  onRequest?(message: RequestMessage): Promise<string> | undefined;
  /** The upstream asks somebody, and several clients could be meant: it was refused. */
  onAmbiguous?(method: string): void;
  /** It asks clients for this; told of every such request but `roots/list`. */
  onQuestion?(method: string, params: JsonObject | undefined): void;
  /** Server messages may have been missed. */
  onGap(): void;
  /** The transport is gone; every call has been settled. Called once. */
  onClose(reason: CloseReason): void;
}

/** What a `Channel` is made of. */
export interface ChannelOptions {
  readonly server: string;
  readonly transport: Transport;
  readonly log: UpstreamLog;
  readonly clock: Clock;
  /** Milliseconds a forwarded call may take; progress starts them anew. */
  readonly timeout: number;
  readonly identity: Identity;
  readonly events: ChannelEvents;
}

/** Options of the gateway's own requests. */
export interface RequestOptions {
  readonly signal?: CancelSignal | undefined;
  /** Milliseconds; `Infinity` for a stream that stays open. */
  readonly timeout: number;
  /**
   * Whether an aborted or expired request is cancelled upstream. Not before a handshake is done:
   * old servers do not expect it there. @default true
   */
  readonly cancel?: boolean;
  /** Told the id the request has towards the upstream, before it is sent. */
  readonly onId?: (id: number) => void;
}
