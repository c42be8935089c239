/** HTTP+SSE of 2024-11-05: `GET /sse` is the session, `POST /messages` talks into it. */

import type { Visitor } from "../protocol/exchange.ts";
import { errorResponse, InvalidMessage } from "../protocol/message.ts";
import { replyText } from "../registry/answers.ts";
import { type FrontContext, readBody, Refusal, type Visit } from "./reply.ts";
import { holdSessionStream, readMessages, requireEventStream } from "./streamable.ts";
import { EventStream } from "./streams.ts";

/**
 * Answers `GET /sse`. The first event names the URL to post to; the session ends with the stream.
 * @throws {Refusal}
 */
export function openSse(request: Request, visit: Visit, context: FrontContext): Response {
  requireEventStream(request.headers.get("accept"));
  const { admission, address } = visit;
  const principal = admission?.principal;
  const session = context.gateway.openSession("sse", visit, undefined, principal, address);
  const stream = new EventStream();
  stream.whenGone(() => session.close("the client has left"));
  context.sse.set(session.id, stream);
  session.closed.addEventListener("abort", () => context.sse.delete(session.id), { once: true });
  stream.event("endpoint", `${context.base}/messages?sessionId=${session.id}`);
  holdSessionStream(session, stream, stream, context);
  return stream.response();
}

/**
 * Answers `POST /messages`: takes the message and says so; what it brings comes by the stream.
 * @throws {Refusal}
 */
export async function postSse(
  request: Request,
  { admission, address }: Visitor,
  context: FrontContext,
): Promise<Response> {
  const id = new URL(request.url).searchParams.get("sessionId");
  if (id === null || id === "") {
    throw new Refusal(400, "Bad request: the sessionId parameter is missing");
  }
  const body = await new Promise<string>((take, fail) =>
    readBody(request, context, { take, fail })
  );
  // Not before: a session may end while a body is on its way.
  const session = context.gateway.sessions.get(id);
  const stream = context.sse.get(id);
  if (stream === undefined || session?.isOf(admission?.principal, session.endpoint) !== true) {
    throw new Refusal(404, "Session not found; open /sse for a new one");
  }
  session.cameFrom(address);
  for (const message of readMessages(body).messages) {
    if (message instanceof InvalidMessage) stream.send(errorResponse(message.idText, message));
    else {
      const outlet = { headers: request.headers, send: (raw: string) => stream.send(raw) };
      Promise.resolve(session.receive(message, outlet)).then((reply) => {
        if (reply !== undefined) stream.send(replyText(reply));
      });
    }
  }
  return new Response("Accepted", { status: 202 });
}
