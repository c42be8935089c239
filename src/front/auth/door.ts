/** The door: a request becomes somebody, or is refused. Loaded only where `auth` is configured. */

import type { Settings } from "../../config/types.ts";
import type { Admission } from "../../protocol/exchange.ts";
import type { PeerSource } from "../../runtime/types.ts";
import { Refusal } from "../reply.ts";

/** Who stands before everything but the public paths. */
export interface Door {
  /**
   * Whoever asks; at once for a credential that was seen before. `peer` is what knows the address of
   * the socket (`peerOf()`, which is not to be asked for nothing), `path` that of the endpoint, below
   * `publicUrl`.
   * @throws {Refusal} 401, 429, 503 with their headers; rejects with it as well
   */
  admit(
    request: Request,
    peer: PeerSource | undefined,
    path: string,
  ): Admission | Promise<Admission>;
  /**
   * What is to be read below `/.well-known/oauth-protected-resource` for this path (RFC 9728);
   * undefined where no issuer is told, which stays 404.
   */
  metadata(path: string): Response | undefined;
  /** 403 for somebody to whom one more of these scopes would open `path`. */
  lacksScope(scopes: readonly string[], path: string): Refusal;
  /** Another configuration: what is gone from it stops holding at once, and the rest goes on. */
  reload(settings: Settings): void;
}

/** What a {@link Door} is made from. */
export interface DoorOptions {
  readonly settings: Settings;
  /** The key of this listener, which the gateway's own commands have. */
  readonly localKey?: string | undefined;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** A door that lets nobody in yet. */
export function createDoor(_options: DoorOptions): Door {
  const refuse = () => new Refusal(401, "Unauthorized");
  return {
    admit: () => {
      throw refuse();
    },
    metadata: () => undefined,
    lacksScope: () => new Refusal(403, "Forbidden"),
    reload: () => {},
  };
}
