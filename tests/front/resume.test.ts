import assert from "node:assert/strict";
import { test } from "node:test";
import { EVENT_LOG_LIMITS, EventLog, SessionStreams } from "../../src/front/streams.ts";
import { AGGREGATE } from "../../src/gating/endpoint.ts";
import { Facts } from "../../src/gateway/events.ts";
import { Owners } from "../../src/gateway/tasks.ts";
import { Session, type SessionParts } from "../../src/gateway/clients/session.ts";
import { parseMessage } from "../../src/protocol/message.ts";
import { buildRegistry } from "../../src/registry/build.ts";

async function streamsFor(version: string): Promise<SessionStreams> {
  const parts: SessionParts = {
    handle: () => Promise.resolve(undefined),
    snapshots: {
      view: () => buildRegistry({ version: 1, servers: [] }).aggregate,
      whenListable: () => undefined,
    },
    members: { behind: () => [] },
    levels: { changed: () => Promise.resolve() },
    subscriptions: {
      find: () => undefined,
      add: () => Promise.resolve(),
      remove: () => Promise.resolve(),
    },
    elicitations: new Owners(),
    events: new Facts(),
  };
  const session = new Session("http", AGGREGATE, parts, () => {});
  const params = { protocolVersion: version, capabilities: {}, clientInfo: { name: "t" } };
  const message = { jsonrpc: "2.0", id: 1, method: "initialize", params };
  await session.receive(parseMessage(JSON.stringify(message)), { send: () => {} });
  return new SessionStreams(session);
}

function event(id: string, data: string): string {
  return `id: ${id}\nevent: message\ndata: ${data}\n\n`;
}

test("EventLog gives what followed an event on its own stream only", () => {
  const log = new EventLog();
  const first = log.append(1, "a");
  log.append(2, "other");
  const second = log.append(1, "b");
  assert.deepEqual(log.after(first), { stream: 1, events: [{ id: second, raw: "b" }] });
  assert.deepEqual(log.after(second), { stream: 1, events: [] });
  assert.deepEqual(log.after(log.mark(1)), { stream: 1, events: [] });
});

test("EventLog refuses ids that are not its own", () => {
  const log = new EventLog();
  log.append(1, "a");
  for (const id of ["", "1", "1-99", "-1-1", "1-1x", "1-1\n", "٣-1", "x".repeat(1000)]) {
    assert.equal(log.after(id), undefined, id);
  }
});

test("EventLog keeps a bounded number of events and characters, and always the last", () => {
  const log = new EventLog();
  const start = log.mark(1);
  for (let i = 0; i < 1000; i++) log.append(1, "x");
  assert.equal(log.after(start)?.events.length, EVENT_LOG_LIMITS.events);
  const huge = "y".repeat(EVENT_LOG_LIMITS.characters + 1);
  log.append(1, huge);
  assert.deepEqual(log.after(start)?.events.map(({ raw }) => raw.length), [huge.length]);
});

test("a stream that breaks goes on where the client lost it", async () => {
  const streams = await streamsFor("2025-06-18");
  const stream = streams.open();
  const first = stream.connect();
  stream.send('"one"');
  const reader = first.body.getReader();
  const text = new TextDecoder().decode((await reader.read()).value);
  assert.equal(text, event("1-1", '"one"'));
  await reader.cancel();
  stream.send('"two"');
  const resumed = streams.resume("1-1")!;
  stream.send('"three"');
  stream.close();
  assert.equal(
    await new Response(resumed.events.body).text(),
    event("1-2", '"two"') + event("1-3", '"three"'),
  );
});

test("a stream that has ended is repeated and ends; an unknown id resumes nothing", async () => {
  const streams = await streamsFor("2025-06-18");
  const stream = streams.open();
  await stream.connect().body.cancel();
  stream.send('"answer"');
  stream.close();
  const resumed = streams.resume("1-0")!;
  assert.equal(await new Response(resumed.events.body).text(), event("1-1", '"answer"'));
  assert.equal(streams.resume("7-7"), undefined);
});

test("clients of 2025-11-25 are primed with an id and a retry, older ones are not", async () => {
  for (const [version, primed] of [["2025-11-25", true], ["2025-06-18", false]] as const) {
    const streams = await streamsFor(version);
    const stream = streams.open();
    const events = stream.connect();
    stream.close();
    assert.equal(
      await new Response(events.body).text(),
      primed ? "id: 1-0\nretry: 1000\ndata: \n\n" : "",
    );
  }
});

test("the standalone stream keeps its id over connections, a second one takes its place", async () => {
  const streams = await streamsFor("2025-06-18");
  const first = streams.standalone().connect();
  const second = streams.standalone().connect();
  streams.standalone().send('"n"');
  assert.equal(await new Response(first.body).text(), "");
  streams.standalone().close();
  assert.equal(await new Response(second.body).text(), event("0-1", '"n"'));
  assert.equal(streams.resume("0-0")?.standalone, true);
});
