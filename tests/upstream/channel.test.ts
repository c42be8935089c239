import assert from "node:assert/strict";
import { test } from "node:test";
import { runtime } from "#runtime";
import type { StdioTarget } from "../../src/config/types.ts";
import { ErrorCode, RpcError } from "../../src/protocol/errors.ts";
import { Channel } from "../../src/upstream/connection/channel.ts";
import { systemClock } from "../../src/lib/time.ts";
import { SHARED_IDENTITY } from "../../src/upstream/connection/line.ts";
import { StdioTransport } from "../../src/upstream/transport/stdio.ts";
import type { Transport } from "../../src/upstream/transport/transport.ts";
import { FakeClock } from "./fakes/clock.ts";
import { FakeTransport } from "./fakes/transport.ts";
import { call, fakeTarget, RecordedLog } from "./support.ts";

async function fakeChannel(kind: Transport["kind"] = "stdio") {
  const transport = new FakeTransport(kind);
  const clock = new FakeClock();
  const closed: string[] = [];
  const seen: (string | undefined)[] = [];
  const channel = new Channel({
    server: "x",
    transport,
    log: new RecordedLog(),
    clock,
    timeout: 1_000,
    identity: SHARED_IDENTITY,
    events: {
      onNotification: (_message, exchange) => seen.push(exchange?.rid),
      onGap: () => {},
      onClose: (reason) => closed.push(reason.message),
    },
  });
  await channel.start(new AbortController().signal);
  return { channel, transport, clock, closed, seen };
}

test("Channel attributes a notification to the only call in flight, never to one of several", async () => {
  const { channel, transport, seen } = await fakeChannel();
  const log = '{"jsonrpc":"2.0","method":"notifications/message","params":{}}';
  const a = call("a"), b = call("b");
  transport.say(log);
  const first = channel.forward(a, []);
  transport.say(log);
  const second = channel.forward(b, []);
  transport.say(log);
  transport.say(log, transport.sent[1]!.options.requestId);
  assert.deepEqual(seen, [undefined, a.rid, undefined, b.rid]);
  for (const { options } of transport.sent) {
    transport.say(`{"jsonrpc":"2.0","id":${options.requestId},"result":{}}`);
  }
  await Promise.all([first, second]);
});

test("Channel cancels by notification in the legacy era, by closing the stream in modern HTTP", async () => {
  for (
    const [kind, era, notified] of [
      ["stdio", "legacy", true],
      ["stdio", "modern", true],
      ["http", "legacy", true],
      ["sse", "legacy", true],
      ["http", "modern", false],
    ] as const
  ) {
    const { channel, transport } = await fakeChannel(kind);
    channel.era = era;
    const exchange = call("a", {}, { id: "theirs" });
    const answer = channel.forward(exchange, []);
    exchange.abort("pressed stop");
    await assert.rejects(answer, RpcError);
    const cancels = transport.sent.slice(1).map(({ raw }) => JSON.parse(raw));
    const expected = {
      jsonrpc: "2.0",
      method: "notifications/cancelled",
      params: { requestId: 1, reason: "pressed stop" },
    };
    assert.deepEqual(cancels, notified ? [expected] : [], `${kind} ${era}`);
    assert.deepEqual(transport.abandoned, [1]);
  }
});

test("Channel never cancels a handshake that takes too long", async () => {
  const { channel, transport, clock } = await fakeChannel();
  const answer = channel.request("initialize", "{}", { timeout: 100, cancel: false });
  clock.tick(100);
  await assert.rejects(answer, /did not answer "initialize" within 100ms/);
  assert.equal(transport.sent.length, 1);
});

test("Channel fails all that wait at once when its transport is gone, and all that come", async () => {
  const { channel, transport, closed } = await fakeChannel();
  const waiting = [channel.forward(call("a"), []), channel.forward(call("b"), [])];
  transport.handlers.onClose({ code: "disconnected", message: "went away" });
  transport.handlers.onClose({ code: "disconnected", message: "again" });
  for (const each of [...waiting, channel.forward(call("c"), [])]) {
    await assert.rejects(each, {
      code: ErrorCode.UpstreamUnavailable,
      message: 'Server "x" went away',
    });
  }
  assert.deepEqual(closed, ["went away"]);
  assert.equal(channel.inFlight, 0);
});

test("Channel sends nothing for a call cancelled before it began", async () => {
  const { channel, transport } = await fakeChannel();
  const exchange = call("a");
  exchange.abort();
  await assert.rejects(channel.forward(exchange, []), RpcError);
  assert.deepEqual(transport.sent, []);
});

async function limitedChannel(timeout: number) {
  const log = new RecordedLog();
  const transport = new StdioTransport({
    server: "x",
    target: fakeTarget() as StdioTarget,
    runtime,
    log,
    clock: systemClock,
    lineLimit: 10_000,
  });
  const events = { onNotification: () => {}, onGap: () => {}, onClose: () => {} };
  const channel = new Channel({
    server: "x",
    transport,
    log,
    clock: systemClock,
    timeout,
    identity: SHARED_IDENTITY,
    events,
  });
  await channel.start(new AbortController().signal);
  return channel;
}

test("Channel fails the only call in flight when its answer is too long, and goes on", async () => {
  const channel = await limitedChannel(10_000);
  try {
    await assert.rejects(
      channel.forward(call("huge", { size: 200_000 }), []),
      { code: ErrorCode.UpstreamProtocol },
    );
    await channel.forward(call("echo"), []);
  } finally {
    await channel.close();
  }
});

test("Channel does not guess whose answer was too long: that call times out, others go on", async () => {
  const channel = await limitedChannel(1_500);
  try {
    const held = channel.forward(call("hold"), []);
    const huge = channel.forward(call("huge", { size: 200_000 }), []);
    const late = assert.rejects(huge, { code: ErrorCode.UpstreamTimeout });
    await channel.forward(call("release"), []);
    await held;
    await late;
  } finally {
    await channel.close();
  }
});
