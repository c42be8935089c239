import { ErrorCode, RpcError } from "../../protocol/errors.ts";
import { serverLabel } from "../transport/failures.ts";
import type { TransportKind } from "../transport/transport.ts";
import { Connection, type ConnectionOptions } from "./connection.ts";

/** What {@link openLegacy} needs. */
export interface LegacyConnectionOptions extends Omit<ConnectionOptions, "verdict"> {
  /** What the server's first connection uses. */
  readonly transport: TransportKind | undefined;
  /** How long it may take, in ms. */
  readonly within: number;
}

/**
 * Opens one more connection, of the legacy era, to a server that is known by its first.
 * @throws {RpcError} naming the server; nothing is left open
 */
export async function openLegacy(options: LegacyConnectionOptions): Promise<Connection> {
  const { config, clock, signal, within, transport } = options;
  const abort = new AbortController();
  const stop = () => abort.abort(signal.reason);
  signal.addEventListener("abort", stop);
  const stopClock = clock.after(within, () => {
    const why = `was not ready within ${within / 1_000} s for one more connection`;
    abort.abort(new RpcError(ErrorCode.UpstreamTimeout, `${serverLabel(config.name)} ${why}`));
  });
  try {
    if (signal.aborted) stop();
    return await Connection.open({
      ...options,
      config: { ...config, protocol: "legacy" },
      verdict: transport === undefined ? undefined : { era: "legacy", transport },
      signal: abort.signal,
    });
  } finally {
    stopClock();
    signal.removeEventListener("abort", stop);
  }
}
