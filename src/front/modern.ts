/** `POST` in the modern era (2026-07-28): one request, one response stream, nothing kept. */

import type { Endpoint } from "../gateway/endpoint.ts";
import { ActiveExchange } from "../gateway/exchange.ts";
import { modernClient, serveModern } from "../gateway/modern.ts";
import { checkModernHeaders, type HeaderReader, readEnvelope } from "../protocol/classify.ts";
import { ErrorCode, errorText, RpcError } from "../protocol/errors.ts";
import { idTextOf, type Message, type RequestMessage } from "../protocol/message.ts";
import { methodRule, STATEFUL_METHODS } from "../protocol/methods.ts";
import type { FrontContext } from "./context.ts";
import { jsonResponse, PostReply } from "./post-reply.ts";

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
  const reply = new PostReply({
    keepAlive: context.keepAlive,
    onGone: () => exchange.cancel("the client closed the stream"),
  });
  try {
    const envelope = readEnvelope(message);
    checkModernHeaders(message, envelope, header);
    checkMethod(message, endpoint);
    exchange = new ActiveExchange(modernClient(envelope), message, reply);
  } catch (error) {
    reply.abandon();
    if (!(error instanceof RpcError)) throw error;
    return refuse(message, error);
  }
  const gone = () => exchange.cancel("the client closed the connection");
  signal.addEventListener("abort", gone, { once: true });
  serveModern(exchange, endpoint, context.gateway).then((text) => {
    signal.removeEventListener("abort", gone);
    reply.finish(text);
  });
  return await reply.response;
}

function checkMethod({ method }: RequestMessage, endpoint: Endpoint): void {
  const known = methodRule(method, "modern") !== undefined;
  if (known || (endpoint.server !== undefined && !STATEFUL_METHODS.has(method))) return;
  throw new RpcError(ErrorCode.MethodNotFound, `Method not found: "${method}"`);
}

function refuse(message: RequestMessage, error: RpcError): Response {
  const status = error.code === ErrorCode.MethodNotFound ? 404 : 400;
  const text = `{"jsonrpc":"2.0","id":${idTextOf(message)},"error":${errorText(error)}}`;
  return jsonResponse(text, status);
}
