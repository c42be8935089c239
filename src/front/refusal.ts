import { ErrorCode, errorText, RpcError } from "../protocol/errors.ts";
import { jsonResponse } from "./post-reply.ts";

/**
 * A request that is turned away before it reaches a session: an HTTP status and the JSON-RPC error
 * to go with it. Clients of every age parse the body of a failure, so it is always JSON.
 */
export class Refusal extends Error {
  override readonly name = "Refusal";
  constructor(
    readonly status: number,
    message: string,
    readonly code: number = ErrorCode.InvalidRequest,
    readonly idText = "null",
    readonly headers?: Readonly<Record<string, string>>,
  ) {
    super(message);
  }

  toResponse(): Response {
    const error = errorText(new RpcError(this.code, this.message));
    return jsonResponse(
      `{"jsonrpc":"2.0","id":${this.idText},"error":${error}}`,
      this.status,
      this.headers,
    );
  }
}
