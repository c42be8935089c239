/** `POST` in the modern era (2026-07-28): one request, one response stream, nothing kept. */

import { ActiveExchange } from "../gateway/clients/exchange.ts";
import { checkMethod, modernClient, serveModern } from "../gateway/clients/modern.ts";
import type { Gateway } from "../gateway/gateway.ts";
import { type Endpoint, viewOf } from "../gating/endpoint.ts";
import { isObject } from "../lib/json.ts";
import { checkModernHeaders, type HeaderReader, readEnvelope } from "../protocol/eras.ts";
import { ErrorCode, RpcError } from "../protocol/errors.ts";
import {
  errorResponse,
  idTextOf,
  type Message,
  parseMessage,
  type RequestMessage,
} from "../protocol/message.ts";
import { checkParamHeaders, declaredHeaders } from "../protocol/param-headers.ts";
import type { Reply } from "../registry/answers.ts";
import { type FrontContext, jsonResponse, PostReply } from "./reply.ts";

/** Answers one modern message. `signal` is the request's own: the client has gone. */
export async function postModern(
  message: Message,
  header: HeaderReader,
  signal: AbortSignal,
  endpoint: Endpoint,
  context: FrontContext,
): Promise<Response> {
  // The era's only client notification is a cancellation, which on HTTP is the closed stream.
  if (message.kind !== "request") return new Response(null, { status: 202 });
  let exchange: ActiveExchange;
  const reply = new PostReply(context, {
    onGone: () => exchange.cancel("the client closed the stream"),
  });
  try {
    const envelope = readEnvelope(message, header);
    checkModernHeaders(message, envelope, header);
    checkMethod(message, endpoint, context.gateway);
    checkArguments(message, header, endpoint, context.gateway);
    exchange = new ActiveExchange(modernClient(envelope), message, reply);
  } catch (error) {
    reply.abandon();
    if (!(error instanceof RpcError)) throw error;
    const text = errorResponse(idTextOf(message), error);
    return jsonResponse(text, ERROR_STATUS.get(error.code) ?? 400);
  }
  const gone = () => exchange.cancel("the client closed the connection");
  signal.addEventListener("abort", gone, { once: true });
  serveModern(exchange, endpoint, context.gateway).then((text) => {
    signal.removeEventListener("abort", gone);
    reply.finish(text, statusOf(text));
  });
  return await reply.response;
}

/** Some arguments of a tool have to be repeated in headers. @throws {RpcError} where they are not */
function checkArguments(
  { method, params }: RequestMessage,
  header: HeaderReader,
  endpoint: Endpoint,
  { members, snapshots }: Gateway,
): void {
  if (method !== "tools/call" || typeof params?.name !== "string") return;
  const found = viewOf(snapshots.registry, endpoint)?.tool(params.name);
  const upstream = found && members.upstream(found.server);
  const declared = upstream ? declaredHeaders(upstream.inventory, found!.name) : [];
  const args = isObject(params.arguments) ? params.arguments : undefined;
  if (declared.length > 0) checkParamHeaders(declared, args, header);
}

/** Errors that have an HTTP status of their own, whoever gives them (2026-07-28, transports). */
const ERROR_STATUS: ReadonlyMap<number, number> = new Map([
  [ErrorCode.MethodNotFound, 404],
  [ErrorCode.HeaderMismatch, 400],
  [ErrorCode.MissingClientCapability, 400],
  [ErrorCode.UnsupportedProtocolVersion, 400],
]);

/** An error response is small; nothing larger is looked into. */
const MAX_ERROR_TEXT = 16 * 1024;

function statusOf(reply: Reply | undefined): number {
  if (typeof reply !== "string" || reply.length > MAX_ERROR_TEXT) return 200;
  if (!reply.includes('"error"')) return 200;
  const message = parseMessage(reply);
  const code = message.kind === "response" ? message.error?.code : undefined;
  return typeof code === "number" ? ERROR_STATUS.get(code) ?? 200 : 200;
}
