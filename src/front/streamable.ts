/**
 * Streamable HTTP for both eras on one path: POST decides by the body which era a message belongs
 * to; GET and DELETE exist for legacy sessions only.
 */

import type { Outlet } from "../gateway/clients/exchange.ts";
import type { Session } from "../gateway/clients/session.ts";
import type { Endpoint } from "../gating/endpoint.ts";
import { ASSUMED_HTTP_VERSION, BATCH_VERSION, eraOf, Header, isModern } from "../protocol/eras.ts";
import {
  errorResponse,
  idTextOf,
  InvalidMessage,
  type Message,
  parseMessages,
  type RequestMessage,
} from "../protocol/message.ts";
import { type Reply, replyText } from "../registry/answers.ts";
import { postModern } from "./modern-http.ts";
import { type FrontContext, methodNotAllowed, PostReply, readBody, Refusal } from "./reply.ts";
import { type EventStream, lostStream, SessionStreams } from "./streams.ts";

/** More than any real client sends, and few enough that one body cannot start a flood. */
const MAX_BATCH = 100;

/**
 * Answers `POST`.
 * @throws {Refusal}
 */
export async function post(
  request: Request,
  endpoint: Endpoint,
  context: FrontContext,
): Promise<Response> {
  requireBothTypes(request.headers.get("accept"));
  const body = await readBody(request, context);
  const { batch, messages } = readMessages(body);
  const first = messages[0]!;
  if (!batch && !(first instanceof InvalidMessage)) {
    const header = (name: string) => request.headers.get(name) ?? undefined;
    if (isModern(first, header)) {
      return await postModern(first, header, request.signal, endpoint, context);
    }
    if (first.kind === "request" && first.method === "initialize") {
      return await initialize(request, first, endpoint, context);
    }
  }
  const found = sessionOf(request, endpoint, context);
  const session = found instanceof Promise ? await found : found;
  checkVersion(request);
  if (batch) checkBatch(session);
  return await dispatch(messages, batch, session, context);
}

/**
 * Answers `GET`: the stream for what no request asked for. A second stream takes the first one's
 * place, because the first is most often a dead connection nobody has noticed yet.
 * @throws {Refusal}
 */
export async function get(
  request: Request,
  endpoint: Endpoint,
  context: FrontContext,
): Promise<Response> {
  requireEventStream(request.headers.get("accept"));
  // Clients that try for a stream before they have a session take this, and nothing else, in silence.
  if (!request.headers.get(Header.SessionId)) return methodNotAllowed("POST");
  const session = await sessionOf(request, endpoint, context);
  checkVersion(request);
  const streams = streamsOf(session, context);
  const lastEventId = request.headers.get(Header.LastEventId);
  const resumed = lastEventId === null ? undefined : streams.resume(lastEventId);
  if (resumed === undefined && lastEventId !== null) {
    const lost = lostStream(lastEventId);
    if (lost !== undefined) return lost.response();
  }
  const standalone = streams.standalone();
  const events = resumed?.events ?? standalone.connect();
  if (resumed?.standalone !== false) holdSessionStream(session, standalone, events, context);
  return events.response();
}

/**
 * Answers `DELETE`: the client ends its session.
 * @throws {Refusal}
 */
export async function del(
  request: Request,
  endpoint: Endpoint,
  context: FrontContext,
): Promise<Response> {
  const id = idOf(request);
  const before = context.gateway.sessions.get(id);
  if (before !== undefined) requireOwn(before, endpoint);
  // Written down before it is answered; a session that has gone by itself is ended as well.
  const isOurs = await context.lasting.end(id, endpoint);
  // Another request may have taken it up meanwhile.
  const session = context.gateway.sessions.get(id) ?? before;
  if (session === undefined && !isOurs) throw lost();
  session?.close("ended by the client");
  return new Response(null, { status: 204 });
}

/**
 * Lets `outlet` carry what a session says unasked, over the connection `events`, until the client
 * leaves, another connection takes its place, or the session ends.
 */
export function holdSessionStream(
  session: Session,
  outlet: Outlet,
  events: EventStream,
  context: FrontContext,
): void {
  const silent = { tick: () => events.comment() };
  const leave = () => {
    context.keepAlive.delete(silent);
    session.closed.removeEventListener("abort", end);
    session.detach(outlet);
  };
  const end = () => {
    leave();
    events.close();
  };
  // Both runtimes hold the headers back until the first byte.
  events.comment();
  events.whenGone(leave);
  context.keepAlive.add(silent);
  session.closed.addEventListener("abort", end);
  session.attach(outlet, leave);
}

function streamsOf(session: Session, context: FrontContext): SessionStreams {
  return context.streams.getOrInsertComputed(session, () => new SessionStreams(session));
}

/**
 * The messages of a body.
 * @throws {Refusal}
 */
export function readMessages(body: string): ReturnType<typeof parseMessages> {
  let read: ReturnType<typeof parseMessages>;
  try {
    read = parseMessages(body);
  } catch (error) {
    if (!(error instanceof InvalidMessage)) throw error;
    throw new Refusal(400, error.message, error.code, error.idText);
  }
  if (read.messages.length <= MAX_BATCH) return read;
  throw new Refusal(400, `Invalid request: a batch may hold ${MAX_BATCH} messages`);
}

async function initialize(
  request: Request,
  message: Message,
  endpoint: Endpoint,
  context: FrontContext,
): Promise<Response> {
  // A client that starts anew without dropping the old id means a new session all the same.
  const old = request.headers.get(Header.SessionId);
  if (old !== null) {
    context.gateway.sessions.get(old)?.close("started anew");
    await context.lasting.end(old, endpoint);
  }
  await context.lasting.ready();
  const session = context.gateway.openSession("http", endpoint);
  const headers: Record<string, string> = {};
  const reply = new PostReply(context, { headers });
  const answer = session.receive(message, reply);
  // Who the client is stands in the id, so it is known by now; where it was refused there is none.
  if (session.client !== undefined) {
    context.lasting.name(session);
    headers[Header.SessionId] = session.id;
  }
  reply.finish(await answer);
  if (session.client === undefined) session.close("initialize failed");
  return await reply.response;
}

/** No promise where the session is in memory: every call comes through here. */
function sessionOf(
  request: Request,
  endpoint: Endpoint,
  { gateway, lasting }: FrontContext,
): Session | Promise<Session> {
  const id = idOf(request);
  const session = gateway.sessions.get(id);
  if (session !== undefined) return requireOwn(session, endpoint);
  // Its client would take a 404 for the end of the session.
  if (gateway.stopping.aborted) throw new Refusal(503, "The gateway is stopping; try again");
  return lasting.takeUp(id, endpoint).then((found) => {
    if (found === undefined) throw lost();
    return found;
  });
}

function idOf(request: Request): string {
  const id = request.headers.get(Header.SessionId);
  if (id !== null && id !== "") return id;
  throw new Refusal(400, "Bad request: Mcp-Session-Id header is required after initialize");
}

function requireOwn(session: Session, endpoint: Endpoint): Session {
  if (session.kind === "http" && session.endpoint.key === endpoint.key) return session;
  throw lost();
}

function lost(): Refusal {
  return new Refusal(404, "Session not found; send initialize to start a new one");
}

function checkVersion(request: Request): void {
  const version = request.headers.get(Header.ProtocolVersion) ?? ASSUMED_HTTP_VERSION;
  if (eraOf(version) !== undefined) return;
  throw new Refusal(400, `Bad request: unsupported MCP-Protocol-Version "${version}"`);
}

function checkBatch(session: Session): void {
  if (session.client?.protocolVersion !== BATCH_VERSION) {
    throw new Refusal(400, `Invalid request: batches exist in protocol ${BATCH_VERSION} only`);
  }
}

async function dispatch(
  messages: readonly (Message | InvalidMessage)[],
  batch: boolean,
  session: Session,
  context: FrontContext,
): Promise<Response> {
  const answered = messages.some((one) => one instanceof InvalidMessage || one.kind === "request");
  const id = () => batch || !answered ? undefined : idTextOf(messages[0] as RequestMessage);
  const reply = new PostReply(context, { resumable: () => streamsOf(session, context).open(id()) });
  if (!batch && answered) {
    session.receive(messages[0] as Message, reply).then((text) => reply.finish(text));
    return await reply.response;
  }
  const replies = messages.map((one): Promise<Reply | undefined> =>
    one instanceof InvalidMessage
      ? Promise.resolve(errorResponse(one.idText, one))
      : session.receive(one, reply)
  );
  if (!answered) {
    reply.abandon();
    await Promise.all(replies);
    return new Response(null, { status: 202 });
  }
  Promise.all(replies).then((all) => {
    const texts = all.filter((text) => text !== undefined).map(replyText);
    reply.finish(texts.length === 0 ? undefined : `[${texts.join(",")}]`);
  });
  return await reply.response;
}

const JSON_TYPE = "application/json";
const STREAM_TYPE = "text/event-stream";
const BOTH_TYPES = `${JSON_TYPE}, ${STREAM_TYPE}`;
let lastAccepted = BOTH_TYPES;

/**
 * A POST may be answered either way, so the client has to accept both (Streamable HTTP). No
 * `Accept` at all means anything (RFC 9110 12.5.1).
 * @throws {Refusal} 406
 */
export function requireBothTypes(accept: string | null): void {
  // What real clients send comes first; reading it again for every request shows in a profile.
  if (accept === null || accept === BOTH_TYPES || accept === lastAccepted) return;
  if (!accepts(accept, JSON_TYPE) || !accepts(accept, STREAM_TYPE)) {
    throw new Refusal(406, `Not acceptable: accept both ${JSON_TYPE} and ${STREAM_TYPE}`);
  }
  lastAccepted = accept;
}

/**
 * A GET opens an event stream, which the client has to ask for.
 * @throws {Refusal} 406
 */
export function requireEventStream(accept: string | null): void {
  if (accept !== null && accepts(accept, STREAM_TYPE)) return;
  throw new Refusal(406, `Not acceptable: accept ${STREAM_TYPE}`);
}

function accepts(accept: string, type: string): boolean {
  return accept.split(",").some((part) => {
    const range = part.split(";")[0]!.trim().toLowerCase();
    return range === type || range === "*/*" || range === `${type.split("/")[0]}/*`;
  });
}
