import { runtime } from "#runtime";
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { parseConfig } from "../../src/config/load.ts";
import { loadOptions } from "../../src/config/schema.ts";
import type { Config } from "../../src/config/types.ts";
import { AGGREGATE } from "../../src/gating/endpoint.ts";
import { ActiveExchange } from "../../src/gateway/clients/exchange.ts";
import { Gateway } from "../../src/gateway/gateway.ts";
import { TokenTally } from "../../src/gateway/offers.ts";
import { adviceFor } from "../../src/observe/history/figures.ts";
import { Observatory } from "../../src/observe/observatory.ts";
import { parseMessage, type RequestMessage } from "../../src/protocol/message.ts";
import { clientOf } from "../gateway/middleware/middleware-support.ts";
import { questions } from "./history/history-support.ts";
import { poolTarget } from "../upstream/pool-support.ts";

await loadOptions("history");
const { kind: _, ...server } = poolTarget();

function configOf(settings: object): Config {
  const text = JSON.stringify({ prefix: "never", mcpServers: { s: server }, ...settings });
  const parsed = parseConfig(text, { file: "observatory.json", env: {} });
  assert.ok(parsed.ok);
  return parsed.config;
}

async function running(
  settings: object,
  run: (parts: {
    gateway: Gateway;
    observatory: Observatory;
    file: string;
    call: (name: string, args?: object) => Promise<void>;
  }) => Promise<void>,
): Promise<void> {
  const stateDirectory = mkdtempSync(join(tmpdir(), "mcproxy-observatory-"));
  const gateway = new Gateway({ config: configOf(settings), runtime });
  const observatory = new Observatory(gateway, { stateDirectory });
  const call = async (name: string, args = {}) => {
    const params = { name, arguments: args };
    const raw = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params });
    const request = parseMessage(raw) as RequestMessage;
    const exchange = new ActiveExchange(clientOf("a"), request, { send: () => {} });
    await gateway.handle(exchange, AGGREGATE);
  };
  try {
    gateway.start();
    await gateway.settled();
    await run({ gateway, observatory, file: join(stateDirectory, "history.db"), call });
  } finally {
    await gateway.close();
    await observatory.close();
    rmSync(stateDirectory, { recursive: true, force: true });
  }
}

test("every call is kept, from the first one on", async () => {
  await running({}, async ({ observatory, file, call }) => {
    assert.equal(existsSync(file), false);
    await call("read");
    await call("none");
    const history = await observatory.history();
    const kept = async () =>
      (await questions(history!).calls({})).items.map(({ id, name }) => [id, name]);
    const recent = () => observatory.recorder.recent().map(({ id, name }) => [id, name]);
    assert.deepEqual(await kept(), recent());
    await call("read");
    assert.deepEqual((await kept()).sort(), recent().sort());
    assert.equal(recent().length, 3);
    await observatory.close();
    assert.equal(existsSync(file), true);
    assert.deepEqual((await questions(history!).calls({})).items, []);
  });
});

test("equal arguments count as repeats, whatever else the requests have", async () => {
  await running({}, async ({ observatory, call }) => {
    const history = (await observatory.history())!;
    for (const path of ["a", "b", "a", "a"]) await call("read", { path });
    await call("write", { path: "a" });
    const { items } = await questions(history).usage({ by: "tool", range: "24h" });
    assert.equal(items.find(({ key }) => key === "read")?.repeats, 2);
    assert.equal(items.find(({ key }) => key !== "read")?.repeats, 0);
  });
});

test("advice is made from what is offered and what was used", async () => {
  await running({}, async ({ gateway, observatory, call }) => {
    const history = (await observatory.history())!;
    const DAY = 86_400_000;
    for (let i = 0; i < 60; i++) await call("read");
    const [first] = observatory.recorder.recent({ limit: 1 });
    history.add({ ...first!, id: "old", at: first!.at - 29.9 * DAY });
    const advice = await adviceFor(gateway, history, new TokenTally(), Date.now());
    assert.deepEqual(advice.map(({ kind, subject }) => [kind, subject]), [
      ["lazy", "s"],
      ["cache", "read"],
    ]);
    const later = await adviceFor(gateway, history, new TokenTally(), Date.now() + DAY / 5);
    assert.equal(later.find(({ kind }) => kind === "unused")?.subject, "s");
  });
});

test("no history is kept where it is off, and a reload begins and ends one", async () => {
  await running({ history: "off" }, async ({ gateway, observatory, file, call }) => {
    await call("read");
    assert.equal(await observatory.history(), undefined);
    await gateway.reload(configOf({ history: { days: 3 } }));
    // One of it opens it, and no older one is in it.
    await call("write");
    const history = await observatory.history();
    assert.equal(history?.retention.days, 3);
    assert.deepEqual((await questions(history!).calls({})).items.map(({ name }) => name), [
      "write",
    ]);
    await gateway.reload(configOf({ history: { days: 5 } }));
    await observatory.history();
    assert.equal(history?.retention.days, 5);
    await gateway.reload(configOf({ history: "off" }));
    assert.equal(await observatory.history(), undefined);
    await history!.close();
    assert.equal(existsSync(file), true);
    await gateway.reload(configOf({ history: {} }));
    await call("read");
    const again = (await observatory.history())!;
    const { items: [one] } = await questions(again).usage({ by: "server", range: "24h" });
    assert.equal(one?.calls, 2);
  });
});

test("calls go on where the history cannot be kept", async () => {
  await running({}, async ({ observatory, file, call }) => {
    mkdirSync(file); // Even root cannot write into a directory.
    await call("read");
    const history = (await observatory.history())!;
    await history.flush();
    assert.match(history.trouble ?? "", /found no regular file/);
    await call("read");
    await call("none");
    const outcomes = observatory.recorder.recent().map(({ outcome }) => outcome);
    assert.deepEqual(outcomes, ["refused", "ok", "ok"]);
    assert.deepEqual((await questions(history).calls({})).items, []);
  });
});

test("without a directory there is no history", async () => {
  const gateway = new Gateway({ config: configOf({}), runtime });
  const observatory = new Observatory(gateway);
  assert.equal(await observatory.history(), undefined);
  await gateway.close();
  await observatory.close();
});
