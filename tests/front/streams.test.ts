import assert from "node:assert/strict";
import { test } from "node:test";
import { AGGREGATE } from "../../src/gating/endpoint.ts";
import { requireBothTypes, requireEventStream } from "../../src/front/streamable.ts";
import { PostReply, type PostReplyOptions, readBody, Refusal } from "../../src/front/reply.ts";
import { ListReply } from "../../src/registry/answers.ts";
import {
  EventLog,
  EventStream,
  KeepAlive,
  MAX_UNREAD_BYTES,
  ResumableStream,
} from "../../src/front/streams.ts";

function status(run: () => unknown): number {
  try {
    run();
    return 200;
  } catch (error) {
    assert.ok(error instanceof Refusal);
    return error.status;
  }
}

test("requireBothTypes() accepts both types and wildcards only", () => {
  const check = (accept: string | null) => status(() => requireBothTypes(accept));
  assert.equal(check(null), 200);
  assert.equal(check("application/json, text/event-stream"), 200);
  assert.equal(check("text/event-stream;q=0.5,application/json;q=0.9"), 200);
  assert.equal(check("*/*"), 200);
  assert.equal(check("application/*, text/*"), 200);
  assert.equal(check("application/json"), 406);
  assert.equal(check("text/html"), 406);
  assert.equal(status(() => requireEventStream(null)), 406);
  assert.equal(status(() => requireEventStream("text/event-stream")), 200);
});

async function bodyStatus(init: RequestInit, limit: number): Promise<number> {
  try {
    const pending = new KeepAlive(60_000);
    using _ = { [Symbol.dispose]: () => pending.close() };
    const context = { bodyLimit: limit, pending, holds: () => true };
    const request = new Request("http://localhost/", { method: "POST", ...init });
    await new Promise<string>((take, fail) => readBody(request, context, { take, fail }));
    return 200;
  } catch (error) {
    assert.ok(error instanceof Refusal, String(error));
    return error.status;
  }
}

test("readBody() holds to content type and limit, declared or not", async () => {
  const json = { "content-type": "application/json; charset=utf-8" };
  assert.equal(await bodyStatus({ headers: json, body: "12345" }, 5), 200);
  assert.equal(await bodyStatus({ headers: json, body: "123456" }, 5), 413);
  assert.equal(
    await bodyStatus({ headers: { ...json, "content-length": "9" }, body: "123456789" }, 5),
    413,
  );
  assert.equal(await bodyStatus({ headers: { "content-type": "text/plain" }, body: "{}" }, 5), 415);
  assert.equal(
    await bodyStatus({ headers: { "content-type": "application/jsonx" }, body: "{}" }, 5),
    415,
  );
});

/** A reply, and the response it gives. */
function replying(keepAlive: KeepAlive, given: Omit<PostReplyOptions, "visit"> = {}) {
  const { promise, resolve } = Promise.withResolvers<Response>();
  const context = { pending: keepAlive, keepAlive, holds: () => true };
  const reply = new PostReply(context, resolve, { visit: AGGREGATE, ...given });
  return { reply, response: promise };
}

test("EventStream frames a message as one event, line breaks or not", async () => {
  const stream = new EventStream();
  stream.whenGone(() => assert.fail("nobody has left"));
  stream.send('{\n"a":1\r\n}');
  stream.event("endpoint", "/x");
  stream.comment();
  stream.close();
  stream.send("late");
  assert.equal(
    await new Response(stream.body).text(),
    'event: message\ndata: { "a":1 }\n\nevent: endpoint\ndata: /x\n\n: keep-alive\n\n',
  );
});

test("EventStream cuts off a client that does not read, after one message of any size", async () => {
  let gone = 0;
  const stream = new EventStream();
  stream.whenGone(() => gone++);
  stream.send(`"${"x".repeat(MAX_UNREAD_BYTES + 1)}"`);
  assert.equal(gone, 0);
  stream.send('"one more"');
  assert.equal(gone, 1);
  stream.send('"dropped"');
  assert.equal(gone, 1);
  const text = await new Response(stream.body).text();
  assert.match(text, /^event: message\ndata: "x+"\n\n$/);
});

test("PostReply answers with JSON when the answer comes first", async () => {
  const keepAlive = new KeepAlive(5_000);
  const { reply, response: responded } = replying(keepAlive, {
    headers: { "mcp-session-id": "s" },
  });
  reply.finish('{"a":1}');
  reply.send('{"late":true}');
  const response = await responded;
  assert.equal(response.headers.get("content-type"), "application/json");
  assert.equal(response.headers.get("mcp-session-id"), "s");
  assert.equal(await response.text(), '{"a":1}');
  keepAlive.close();
});

test("PostReply streams as soon as a notification comes first, the answer last", async () => {
  const keepAlive = new KeepAlive(5_000);
  const { reply, response: responded } = replying(keepAlive);
  reply.send('{"n":1}');
  const response = await responded;
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  const list = { text: '"tools":[]', isNarrow: false, nextCursor: undefined };
  reply.finish(new ListReply("1", { ...list, ttlMs: undefined, cacheScope: undefined }, "}}"));
  const answer = '{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}';
  assert.equal(
    await response.text(),
    `event: message\ndata: {"n":1}\n\nevent: message\ndata: ${answer}\n\n`,
  );
  keepAlive.close();
});

test("PostReply opens its stream when the answer takes long, and keeps it alive", async () => {
  const keepAlive = new KeepAlive(5_000);
  const { reply, response: responded } = replying(keepAlive);
  const now = performance.now();
  keepAlive.tick(now);
  keepAlive.tick(now + 9_000);
  keepAlive.tick(now + 11_000);
  const response = await responded;
  keepAlive.tick(now + 20_000);
  keepAlive.tick(now + 27_000);
  reply.finish('{"r":1}');
  assert.equal(
    await response.text(),
    ': keep-alive\n\n: keep-alive\n\nevent: message\ndata: {"r":1}\n\n',
  );
  keepAlive.tick(now + 60_000);
});

test("PostReply opens a stream sooner where the client can come back for it", async () => {
  const keepAlive = new KeepAlive(5_000);
  const session = new ResumableStream(1, new EventLog(), true, () => {});
  const { reply, response: responded } = replying(keepAlive, { open: () => session });
  const now = performance.now();
  keepAlive.tick(now);
  keepAlive.tick(now + 1_500);
  keepAlive.tick(now + 2_500);
  const response = await responded;
  reply.finish('{"r":1}');
  assert.equal(
    await response.text(),
    "id: 1-0\nretry: 1000\ndata: \n\n: keep-alive\n\n" +
      'id: 1-1\nevent: message\ndata: {"r":1}\n\n',
  );
  keepAlive.close();
});

test("PostReply ends an empty stream when the call was cancelled", async () => {
  const keepAlive = new KeepAlive(5_000);
  const { reply, response: responded } = replying(keepAlive);
  reply.finish(undefined);
  const response = await responded;
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  assert.equal(await response.text(), "");
  keepAlive.close();
});

test("PostReply reports a client that leaves the stream, once", async () => {
  const keepAlive = new KeepAlive(5_000);
  let gone = 0;
  const { reply, response: responded } = replying(keepAlive, { onGone: () => gone++ });
  reply.send("{}");
  await (await responded).body!.cancel();
  assert.equal(gone, 1);
  reply.finish("{}");
  assert.equal(gone, 1);
  keepAlive.close();
});
