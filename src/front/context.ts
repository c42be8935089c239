import type { Gateway } from "../gateway/gateway.ts";
import type { KeepAlive } from "./keep-alive.ts";

/** What every HTTP front works with. */
export interface FrontContext {
  readonly gateway: Gateway;
  readonly keepAlive: KeepAlive;
  /** Largest request body, bytes. */
  readonly bodyLimit: number;
}
