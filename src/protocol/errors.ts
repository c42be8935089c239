import type { Json } from "../lib/json.ts";

/** JSON-RPC and MCP error codes the gateway itself gives (pinned by a test). */
export const ErrorCode = {
  ParseError: -32700,
  InvalidRequest: -32600,
  MethodNotFound: -32601,
  InvalidParams: -32602,
  InternalError: -32603,
  /** The call reached no upstream, or its upstream went away. Implementation-defined range. */
  UpstreamUnavailable: -32010,
  /** The upstream did not answer within the server's `timeout`. */
  UpstreamTimeout: -32011,
  /** The upstream answered something that is no answer to what it was asked. */
  UpstreamProtocol: -32012,
  /** The gateway is stopping. */
  ShuttingDown: -32013,
  /** The upstream has as many calls as it may get, and as many wait (`maxConcurrency`, `maxQueue`). */
  UpstreamBusy: -32014,
  /** As many calls as `limits` or `rate` allow. HTTP 429, but for tools. */
  LimitReached: -32015,
  /** 2024-11-05 … 2025-11-25: unknown resource. */
  LegacyResourceNotFound: -32002,
  /** 2026-07-28: a header contradicts the body. HTTP 400. */
  HeaderMismatch: -32020,
  /** 2026-07-28: the client did not declare a capability the request needs. HTTP 400. */
  MissingClientCapability: -32021,
  /** 2026-07-28: `data` is `{supported, requested}`. HTTP 400. */
  UnsupportedProtocolVersion: -32022,
} as const;

/**
 * An error that crosses the wire as a JSON-RPC error object. What is thrown as anything else is a
 * bug of ours and reaches the client as -32603 without details.
 */
export class RpcError extends Error {
  override readonly name = "RpcError";
  constructor(
    /** JSON-RPC error code. */
    readonly code: number,
    message: string,
    /** `error.data`, omitted when undefined. */
    readonly data?: Json,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** For a request whose parameters cannot be meant; `why` names the one that is wrong. */
export function invalidParams(why: string): RpcError {
  return new RpcError(ErrorCode.InvalidParams, `Invalid params: ${why}`);
}

/** For a message that cannot be taken as a request, or not now. */
export function invalidRequest(why: string): RpcError {
  return new RpcError(ErrorCode.InvalidRequest, `Invalid request: ${why}`);
}

/** For a method that nobody here has, or not for this client. */
export function methodNotFound(method: string): RpcError {
  return new RpcError(ErrorCode.MethodNotFound, `Method not found: "${method}"`);
}

/** The JSON text of a JSON-RPC `error` object. */
export function errorText(error: RpcError): string {
  return JSON.stringify({
    code: error.code,
    message: error.message,
    ...(error.data === undefined ? {} : { data: error.data }),
  });
}

/** What the client is told about any thrown value: its own words for {@link RpcError}, none else. */
export function toRpcError(error: unknown): RpcError {
  return error instanceof RpcError
    ? error
    : new RpcError(ErrorCode.InternalError, "Internal error in the gateway; see its log");
}
