/**
 * Streamable HTTP for both eras on one path: POST decides by the body which era a message belongs
 * to; GET and DELETE exist for legacy sessions only.
 */

import type { Outlet } from "../gateway/clients/exchange.ts";
import type { Session } from "../gateway/clients/session.ts";
import { BATCH_VERSION, eraOf, Header, isModern } from "../protocol/eras.ts";
import { errorResponse, InvalidMessage, type Message, parseMessages } from "../protocol/message.ts";
import { replyText } from "../registry/answers.ts";
import { postModern } from "./modern-http.ts";
import {
  type BodyTaker,
  type FrontContext,
  JSON_TYPE,
  LAPSED,
  methodNotAllowed,
  PostReply,
  readBody,
  Refusal,
  type Visit,
} from "./reply.ts";
import { type EventStream, lostStream, type Respond, SessionStreams } from "./streams.ts";

type Messages = ReturnType<typeof parseMessages>;

/** More than any real client sends, and few enough that one body cannot start a flood. */
const MAX_BATCH = 100;

/**
 * Answers `POST`; never rejects. Every call comes this way: one promise for the response, and no
 * async function from the body down to the server.
 */
export function post(
  request: Request,
  visit: Visit,
  context: FrontContext,
): Promise<Response> {
  return new Promise((respond) => new Post(request, visit, context, respond));
}

/** One POST, from its body to who answers it: an object of its own, as {@link BodyTaker} says. */
class Post implements BodyTaker {
  constructor(
    private readonly request: Request,
    private readonly visit: Visit,
    private readonly context: FrontContext,
    private readonly respond: Respond,
  ) {
    try {
      requireBothTypes(request.headers.get("accept"));
      readBody(request, context, this);
    } catch (error) {
      this.fail(error);
    }
  }

  fail(error: unknown): void {
    this.respond(this.context.failed(error, this.request));
  }

  isOver(): boolean {
    return !this.context.holds(this.visit);
  }

  take(body: string): void {
    this.#receive(readMessages(body))?.catch(this.fail.bind(this));
  }

  /** What is returned has failed where it rejects, and nothing has been answered. */
  #receive(read: Messages): Promise<void> | undefined {
    const { request, visit, context } = this;
    const first = read.messages[0]!;
    const version = request.headers.get(Header.ProtocolVersion);
    if (!read.batch && !(first instanceof InvalidMessage)) {
      if (isModern(first, version)) {
        return void postModern(first, request, visit, context, this.respond);
      }
      if (first.kind === "request" && first.method === "initialize") return this.#initialize(first);
    }
    const found = sessionOf(request, visit, context);
    // Bound, as a closure costs every call the room for what it would close over.
    return found instanceof Promise
      ? found.then(this.#dispatch.bind(this, read, version))
      : this.#dispatch(read, version, found);
  }

  async #initialize(message: Message): Promise<void> {
    const { request, visit, context, respond } = this;
    const principal = visit.admission?.principal;
    // A client that starts anew without dropping the old id means a new session all the same.
    const old = request.headers.get(Header.SessionId);
    if (old !== null) {
      const before = context.gateway.sessions.get(old);
      if (before?.principal?.id === principal?.id) before?.close("started anew");
      await context.lasting.end(old, visit, principal);
    }
    await context.lasting.ready();
    const { address } = visit;
    const session = context.gateway.openSession("http", visit, undefined, principal, address);
    const headers: Record<string, string> = {};
    const reply = new PostReply(context, respond, { visit, headers });
    const answer = session.receive(message, reply);
    // Who the client is stands in the id, so it is known by now; where it was refused there is none.
    if (session.client !== undefined) {
      context.lasting.name(session);
      headers[Header.SessionId] = session.id;
    }
    reply.finish(await answer);
    if (session.client === undefined) session.close("initialize failed");
  }

  #dispatch(read: Messages, version: string | null, session: Session): Promise<void> | undefined {
    const { context, respond, visit, request: { headers } } = this;
    const { batch, messages } = read;
    checkVersion(version);
    if (batch) checkBatch(session);
    const first = messages[0]!;
    const isOne = !batch && !(first instanceof InvalidMessage) && first.kind === "request";
    const streams = streamsOf(session, context, visit);
    const reply = new PostReply(context, respond, streams, isOne ? first : undefined, headers);
    if (!isOne) return this.#dispatchAll(messages, session, reply);
    const answer = session.receive(first, reply);
    if (answer instanceof Promise) answer.then(reply.finish.bind(reply));
    else reply.finish(answer);
    return undefined;
  }

  /** Hands on what is no single request. */
  async #dispatchAll(
    messages: readonly (Message | InvalidMessage)[],
    session: Session,
    reply: PostReply,
  ): Promise<void> {
    const answered = messages.some((one) => !("kind" in one) || one.kind === "request");
    if (!answered) reply.abandon();
    const all = await Promise.all(
      messages.map((one) =>
        one instanceof InvalidMessage ? errorResponse(one.idText, one) : session.receive(one, reply)
      ),
    );
    if (!answered) return this.respond(new Response(null, { status: 202 }));
    const texts = all.filter((told) => told !== undefined).map(replyText);
    reply.finish(texts.length === 0 ? undefined : `[${texts.join(",")}]`);
  }
}

/**
 * Answers `GET`: the stream for what no request asked for. A second stream takes the first one's
 * place, because the first is most often a dead connection nobody has noticed yet.
 * @throws {Refusal}
 */
export async function get(
  request: Request,
  visit: Visit,
  context: FrontContext,
): Promise<Response> {
  requireEventStream(request.headers.get("accept"));
  // Clients that try for a stream before they have a session take this, and nothing else, in silence.
  if (!request.headers.get(Header.SessionId)) return methodNotAllowed("POST");
  const session = await sessionOf(request, visit, context);
  checkVersion(request.headers.get(Header.ProtocolVersion));
  const streams = streamsOf(session, context, visit);
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
  visit: Visit,
  context: FrontContext,
): Promise<Response> {
  const principal = visit.admission?.principal;
  const id = idOf(request);
  const before = context.gateway.sessions.get(id);
  if (before !== undefined) requireOwn(before, visit);
  // Written down before it is answered; a session that has gone by itself is ended as well.
  const isOurs = await context.lasting.end(id, visit, principal);
  // Another request may have taken it up meanwhile.
  const session = context.gateway.sessions.get(id) ?? before;
  if (session === undefined && !isOurs) throw lost();
  if (session !== undefined) requireOwn(session, visit).close("ended by the client");
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
  const tick = () => {
    if (context.holds(context.streams.get(session)?.visit ?? session.endpoint)) events.comment();
    else if (session.kind === "sse") session.close(LAPSED);
    else end();
  };
  const silent = { tick };
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

function streamsOf(session: Session, context: FrontContext, visit: Visit): SessionStreams {
  const streams = context.streams.getOrInsertComputed(session, newStreams);
  streams.visit = visit;
  session.cameFrom(visit.address);
  return streams;
}

const newStreams = (session: Session) => new SessionStreams(session);

/**
 * The messages of a body.
 * @throws {Refusal} for more of them than there may be
 * @throws {InvalidMessage} as {@link parseMessages}
 */
export function readMessages(body: string): Messages {
  const read = parseMessages(body);
  if (read.messages.length <= MAX_BATCH) return read;
  throw new Refusal(400, `Invalid request: a batch may hold ${MAX_BATCH} messages`);
}

/** No promise where the session is in memory: every call comes through here. */
function sessionOf(
  request: Request,
  visit: Visit,
  { gateway, lasting }: FrontContext,
): Session | Promise<Session> {
  const id = idOf(request);
  const session = gateway.sessions.get(id);
  if (session !== undefined) return requireOwn(session, visit);
  // Its client would take a 404 for the end of the session.
  if (gateway.stopping.aborted) throw new Refusal(503, "The gateway is stopping; try again");
  const { admission, address } = visit;
  return lasting.takeUp(id, visit, admission?.principal, address).then((found) => {
    if (found === undefined) throw lost();
    return found;
  });
}

function idOf(request: Request): string {
  const id = request.headers.get(Header.SessionId);
  if (id !== null && id !== "") return id;
  throw new Refusal(400, "Bad request: Mcp-Session-Id header is required after initialize");
}

function requireOwn(session: Session, visit: Visit): Session {
  if (session.kind === "http" && session.isOf(visit.admission?.principal, visit)) return session;
  throw lost();
}

function lost(): Refusal {
  return new Refusal(404, "Session not found; send initialize to start a new one");
}

/** Without a header it is {@link BATCH_VERSION} (2025-06-18, transports). */
function checkVersion(version: string | null): void {
  if (version === null || eraOf(version) !== undefined) return;
  throw new Refusal(400, `Bad request: unsupported MCP-Protocol-Version "${version}"`);
}

function checkBatch(session: Session): void {
  if (session.client?.protocolVersion !== BATCH_VERSION) {
    throw new Refusal(400, `Invalid request: batches exist in protocol ${BATCH_VERSION} only`);
  }
}

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
