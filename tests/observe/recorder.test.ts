import { runtime } from "#runtime";
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfig } from "../../src/config/load.ts";
import { AGGREGATE } from "../../src/gating/endpoint.ts";
import { ActiveExchange } from "../../src/gateway/clients/exchange.ts";
import { Gateway } from "../../src/gateway/gateway.ts";
import { Observatory } from "../../src/observe/observatory.ts";
import type { ObservedCall } from "../../src/observe/call.ts";
import { parseMessage, type RequestMessage } from "../../src/protocol/message.ts";
import { clientOf } from "../gateway/middleware/middleware-support.ts";
import { poolTarget } from "../upstream/pool-support.ts";

function exchangeOf(method: string, params: object): ActiveExchange {
  const raw = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
  return new ActiveExchange(clientOf("a"), parseMessage(raw) as RequestMessage, { send: () => {} });
}

test("calls are kept, found and told, and lists are none", async () => {
  const { kind: _, ...s } = poolTarget();
  const text = JSON.stringify({ prefix: "never", mcpServers: { s } });
  const parsed = parseConfig(text, { file: "recorder.json", env: {} });
  assert.ok(parsed.ok);
  const gateway = new Gateway({ config: parsed.config, runtime });
  const observatory = new Observatory(gateway);
  const { recorder } = observatory;
  const told: ObservedCall[] = [];
  const off = recorder.onCall((call) => void told.push(call));
  try {
    gateway.start();
    await gateway.settled();
    await gateway.handle(exchangeOf("tools/list", {}), AGGREGATE);
    await gateway.handle(exchangeOf("tools/call", { name: "read", arguments: {} }), AGGREGATE);
    off();
    await gateway.handle(exchangeOf("tools/call", { name: "none" }), AGGREGATE);
    const [second, first, ...more] = recorder.recent();
    assert.deepEqual([first!.name, first!.server, first!.outcome], ["read", "s", "ok"]);
    assert.deepEqual([second!.name, second!.server], ["none", ""]);
    assert.deepEqual([more, told], [[], [first]]);
    assert.deepEqual(recorder.find(second!.id), second);
    assert.equal(recorder.find("none"), undefined);
    assert.deepEqual(recorder.recent({ limit: 1 }), [second]);
    assert.deepEqual(recorder.recent({ filter: ({ name }) => name === "read" }), [first]);
  } finally {
    await gateway.close();
    await observatory.close();
  }
});
