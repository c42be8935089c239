/** Why an upstream is where it is, in one word for programs; `lastError` tells it to people. */

import { ErrorCode, RpcError } from "../protocol/errors.ts";
import { SpawnError } from "../runtime/types.ts";
import { ConnectionLostError, HttpStatusError, NetworkError } from "./transport/failures.ts";
import type { CloseReason } from "./transport/transport.ts";

/** Every reason there is (pinned by a test), each with what it says. */
export const STATE_REASONS = {
  starting: "it is being connected, and nothing has failed since it was last wanted",
  lazy: "it waits for its first use; its lists are known",
  unused: "it was stopped because nobody used it",
  configuration: "its entry in the configuration cannot be used",
  disabled: "its entry in the configuration is switched off",
  stopped: "the gateway has stopped it",
  spawn: "its process could not be started",
  exited: "its process has ended",
  refused: "nothing listens where it should be",
  dns: "the name of its host is unknown",
  tls: "no encrypted connection could be made: certificate or handshake",
  network: "the network failed in another way",
  closed: "its connection or its event stream was closed",
  unauthorized: "it answered HTTP 401 or 403",
  "http-status": "it answered with another HTTP status that is no answer",
  protocol: "what it said is no MCP, or no version of it that is known here",
  timeout: "it was not ready in time",
  unresponsive: "it was connected, and did not answer health probes",
  "session-expired": "it has forgotten the session",
  failed: "something else, which the error tells",
} as const;

/** One word for why an upstream is not ready. */
export type StateReason = keyof typeof STATE_REASONS;

/** The reason behind what an attempt to connect was ended by. */
export function reasonOf(error: unknown): StateReason {
  if (error instanceof ConnectionLostError) return reasonOfClose(error.reason);
  if (error instanceof NetworkError) return error.fault;
  if (error instanceof HttpStatusError) {
    return error.status === 401 || error.status === 403 ? "unauthorized" : "http-status";
  }
  if (!(error instanceof RpcError)) return "failed";
  if (error.cause instanceof SpawnError) return "spawn";
  // What speaks neither of two transports is told by how it answered the first.
  if (error.cause instanceof HttpStatusError) return reasonOf(error.cause);
  if (error.code === ErrorCode.UpstreamTimeout) return "timeout";
  return error.code === ErrorCode.UpstreamProtocol ? "protocol" : "failed";
}

/** The reason behind the end of a connection. */
export function reasonOfClose({ code, fault }: CloseReason): StateReason {
  switch (code) {
    case "exited":
    case "unresponsive":
    case "session-expired":
      return code;
    case "disconnected":
      return fault ?? "closed";
    case "closed":
      return "stopped";
    default: {
      const never: never = code;
      return never;
    }
  }
}
