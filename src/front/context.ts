import type { Session } from "../gateway/clients/session.ts";
import type { Gateway } from "../gateway/gateway.ts";
import type { KeepAlive } from "./keep-alive.ts";
import type { SessionStreams } from "./session-streams.ts";

/** What every HTTP front works with. */
export interface FrontContext {
  readonly gateway: Gateway;
  /** Ticks open streams. */
  readonly keepAlive: KeepAlive;
  /** Ticks answers that are waited for. */
  readonly pending: KeepAlive;
  /** The resumable streams of each Streamable HTTP session; they go when the session goes. */
  readonly streams: WeakMap<Session, SessionStreams>;
  /** Largest request body, bytes. */
  readonly bodyLimit: number;
}
