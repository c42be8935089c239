/** What calls said: whose is kept, for how long, how much of it, and that no secret is in it. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { runtime } from "#runtime";
import { parseConfig } from "../../src/config/load.ts";
import { loadOptions } from "../../src/config/schema.ts";
import type { Config } from "../../src/config/types.ts";
import { AGGREGATE } from "../../src/gating/endpoint.ts";
import { ActiveExchange } from "../../src/gateway/clients/exchange.ts";
import { type CallRecord, Facts } from "../../src/gateway/events.ts";
import { Gateway } from "../../src/gateway/gateway.ts";
import { createRedactor } from "../../src/lib/secrets.ts";
import { Bodies, type BodyMode } from "../../src/observe/bodies.ts";
import { Observatory } from "../../src/observe/observatory.ts";
import { parseMessage, type RequestMessage } from "../../src/protocol/message.ts";
import { clientOf } from "../gateway/middleware/middleware-support.ts";
import { poolTarget } from "../upstream/pool-support.ts";
import { passTime } from "../support/time.ts";

await loadOptions("history");

const SECRET = "hunter2-canary";

/** Bodies of a gateway that nothing is known of but its configuration. */
function opened(mode: BodyMode = "off") {
  const events = new Facts();
  const settings = { history: { days: 1, maxSize: 1, bodies: mode } };
  const config = { settings } as unknown as Config;
  const { text: redact } = createRedactor([SECRET]);
  const kept: string[] = [];
  const gateway = { config, events, redact };
  const bodies = new Bodies(gateway, (id) => kept.push(id));
  const talk = (rid: string, params: unknown, result: unknown, more: Partial<CallRecord> = {}) => {
    const raw = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params });
    const reply = JSON.stringify({ jsonrpc: "2.0", id: 1, result });
    const about = { rid, server: "a", outcome: "ok", name: "a_x", ...more };
    events.emit({ kind: "call", request: { raw }, reply, ...about } as CallRecord);
  };
  const configure = (next: BodyMode) => {
    settings.history.bodies = next;
    events.emit({ kind: "config", file: "x", refused: undefined });
  };
  return { bodies, events, talk, configure, kept };
}

test("nothing is kept, nor listened to, unless somebody wants it", async () => {
  const { bodies, events, talk, configure, kept } = opened();
  assert.equal(events.hasListeners("call"), false);
  configure("errors");
  talk("r1", {}, {});
  talk("r2", { name: "a_x" }, { isError: true }, { outcome: "tool_error" });
  talk("r3", {}, {}, { outcome: "input_required" });
  assert.deepEqual(await bodies.find("r2"), {
    request: '{"name":"a_x"}',
    result: '{"isError":true}',
    cut: false,
    redacted: false,
  });
  configure("all");
  talk("r4", {}, {});
  await bodies.find("r4");
  assert.deepEqual(kept, ["r2", "r4"]);
  configure("off");
  assert.equal(events.hasListeners("call"), false);
  assert.equal((await bodies.find("r4"))?.request, "{}");
  configure("all");
  bodies.close();
  assert.equal(events.hasListeners("call"), false);
});

test("a recording is of one server or all, and ends by itself or by another one", async () => {
  const { bodies, events, talk, kept } = opened();
  const until = bodies.record({ ms: 60_000, server: "b", mode: "errors" });
  assert.ok(Math.abs(until - Date.now() - 60_000) < 10_000, String(until));
  talk("r1", {}, {}, { outcome: "error" });
  talk("r2", {}, {}, { server: "b" });
  talk("r3", {}, {}, { server: "b", outcome: "error" });
  bodies.record({ ms: 60_000, mode: "all" });
  talk("r4", {}, {});
  await bodies.find("r4");
  assert.deepEqual(kept, ["r3", "r4"]);
  passTime(60_000);
  talk("r5", {}, {});
  assert.equal(events.hasListeners("call"), false);
  bodies.record({ ms: 60_000, mode: "all" });
  bodies.record({ ms: 0, mode: "all" });
  assert.equal(events.hasListeners("call"), false);
  assert.equal(await bodies.find("r5"), undefined);
  bodies.close();
});

test("no secret is kept, by value or by key, and it is said", async () => {
  const { bodies, talk } = opened("all");
  const params = { name: "x", arguments: { note: `it is ${SECRET}`, password: "p4ss", max: 3 } };
  const inner = JSON.stringify({ apiKey: "k3y", rows: [{ ok: true, token: "t0ken" }] });
  talk("r1", params, { content: [{ type: "text", text: inner }], _meta: { progressToken: 7 } });
  const body = await bodies.find("r1");
  assert.equal(
    body?.request,
    '{"name":"x","arguments":{"note":"it is [redacted]","password":"[redacted]","max":3}}',
  );
  const { content, _meta } = JSON.parse(body!.result);
  assert.deepEqual(JSON.parse(content[0].text), {
    apiKey: "[redacted]",
    rows: [{ ok: true, token: "[redacted]" }],
  });
  assert.deepEqual(_meta, { progressToken: 7 });
  assert.deepEqual([body?.cut, body?.redacted], [false, true]);
  bodies.close();
});

test("of a long text the beginning is kept, and no beginning of a secret", async () => {
  const { bodies, talk } = opened("all");
  // The cut comes in the middle of the secret.
  const filler = "x".repeat(64 * 1024 - '{"text":"'.length - 9);
  talk("r1", {}, { text: `${filler}${SECRET}${"y".repeat(1_000_000)}` });
  const body = await bodies.find("r1");
  assert.deepEqual([body?.cut, body?.redacted], [true, true]);
  assert.ok(!body?.result.includes("hunter"), "none of it is there");
  assert.ok(body!.result.length <= 64 * 1024);
  // Wherever it lies about what is kept, and about what is looked at.
  const pieces = Array.from({ length: SECRET.length - 5 }, (_, at) => SECRET.slice(at, at + 6));
  for (const near of [64, 73]) {
    for (let before = 1; before < SECRET.length + 40; before += 3) {
      const text = `${"x".repeat(near * 1024 - before)}${SECRET}${"y".repeat(20_000)}`;
      const id = `near ${near} kB, ${before} before`;
      talk(id, { text }, { text });
      const kept = await bodies.find(id);
      for (const side of [kept!.request, kept!.result]) {
        assert.deepEqual(pieces.filter((piece) => side.includes(piece)), [], id);
        assert.ok(side.length > 63 * 1024, id);
      }
    }
  }
  // Bytes count, not characters, and none is cut in two.
  talk("r2", { text: "ä€😀".repeat(9_000) }, {});
  const wide = await bodies.find("r2");
  assert.equal(wide?.cut, true);
  assert.ok(new TextEncoder().encode(wide?.request).length <= 64 * 1024);
  assert.ok(!wide?.request.includes("\ufffd"));
  bodies.close();
});

test("the latest are kept, and what comes too fast is counted", async () => {
  const { bodies, talk, kept } = opened("all");
  const large = { text: "z".repeat(60_000) };
  for (let round = 0; round < 4; round++) {
    for (let at = 0; at < 32; at++) talk(`r${round}-${at}`, large, {});
    await bodies.find(`r${round}-31`);
  }
  assert.equal(kept.length, 128);
  assert.equal(await bodies.find("r0-0"), undefined);
  assert.ok(await bodies.find("r3-0") !== undefined);
  assert.equal(bodies.left, 0);
  for (let at = 0; at < 100; at++) talk(`s${at}`, {}, {});
  assert.equal(bodies.left, 36);
  assert.equal(await bodies.find("s99"), undefined);
  assert.ok(await bodies.find("s63") !== undefined);
  bodies.close();
});

test("a gateway tells what its calls said to whoever keeps it", async () => {
  const { kind: _, ...s } = poolTarget();
  const history = { bodies: "errors" };
  const text = JSON.stringify({ prefix: "never", mcpServers: { s }, history });
  const parsed = parseConfig(text, { file: "bodies.json", env: {} });
  assert.ok(parsed.ok, JSON.stringify(parsed));
  const gateway = new Gateway({ config: parsed.config, runtime });
  const observatory = new Observatory(gateway);
  const call = async (method: string, params: object) => {
    const raw = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
    const request = parseMessage(raw) as RequestMessage;
    const exchange = new ActiveExchange(clientOf("a"), request, { send: () => {} });
    await gateway.handle(exchange, AGGREGATE);
    return exchange.rid;
  };
  try {
    gateway.start();
    await gateway.settled();
    const bodies = await observatory.bodies();
    const good = { name: "read", arguments: { n: 1 } };
    assert.equal(await bodies.find(await call("tools/call", good)), undefined);
    const failed = await bodies.find(await call("tools/call", { name: "none" }));
    assert.equal(failed?.request, '{"name":"none"}');
    assert.equal(JSON.parse(failed!.result).code, -32602);
    bodies.record({ ms: 60_000, mode: "all" });
    assert.equal(await bodies.find(await call("tools/list", {})), undefined);
    const kept = await bodies.find(await call("tools/call", good));
    assert.equal(kept?.request, JSON.stringify(good));
    assert.ok(Array.isArray(JSON.parse(kept!.result).content), kept?.result);
    assert.deepEqual([kept?.cut, kept?.redacted], [false, false]);
  } finally {
    await gateway.close();
    await observatory.close();
  }
});
