/** `POST` in the modern era (2026-07-28): one request, one response stream, nothing kept. */

import { ActiveExchange } from "../gateway/clients/exchange.ts";
import { checkMethod, modernClient, serveModern } from "../gateway/clients/modern.ts";
import type { Gateway } from "../gateway/gateway.ts";
import { type Endpoint, viewOf } from "../gating/endpoint.ts";
import { isObject } from "../lib/json.ts";
import { checkModernHeaders, type HeaderReader, readEnvelope } from "../protocol/eras.ts";
import { ErrorCode, RpcError } from "../protocol/errors.ts";
import type { Client } from "../protocol/exchange.ts";
import {
  errorResponse,
  idTextOf,
  type Message,
  parseMessage,
  type RequestMessage,
} from "../protocol/message.ts";
import { checkParamHeaders, declaredHeaders } from "../protocol/param-headers.ts";
import type { Reply } from "../registry/answers.ts";
import { type FrontContext, jsonResponse, PostReply, type Visit } from "./reply.ts";
import type { Respond } from "./streams.ts";

/** Answers one modern message. */
export function postModern(
  message: Message,
  request: Request,
  visit: Visit,
  context: FrontContext,
  respond: Respond,
): void {
  // The era's only client notification is a cancellation, which on HTTP is the closed stream.
  if (message.kind !== "request") return respond(new Response(null, { status: 202 }));
  const header = (name: string) => request.headers.get(name) ?? undefined;
  let client: Client;
  try {
    const envelope = readEnvelope(message, header);
    checkModernHeaders(message, envelope, header);
    checkMethod(message, visit, context.gateway);
    checkArguments(message, header, visit, context.gateway);
    client = modernClient(envelope, undefined, visit.admission?.principal, visit);
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    const text = errorResponse(idTextOf(message), error);
    return respond(jsonResponse(text, ERROR_STATUS.get(error.code) ?? 400));
  }
  const onGone = () => exchange.cancel("the client closed the stream");
  const reply = new PostReply(
    context,
    respond,
    { visit, onGone, onEnded: onGone },
    message,
    request.headers,
  );
  const exchange = new ActiveExchange(client, message, reply);
  const answer = serveModern(exchange, visit, context.gateway);
  if (!(answer instanceof Promise)) return reply.finish(answer, statusOf(answer));
  const { signal } = request;
  const gone = () => exchange.cancel("the client closed the connection");
  signal.addEventListener("abort", gone, { once: true });
  answer.then((told) => {
    signal.removeEventListener("abort", gone);
    reply.finish(told, statusOf(told));
  });
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
