/** Secrets of the configuration, and what calls say, are in no answer. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { getLogger } from "../../../src/log/mod.ts";
import { Scope } from "../../behaviour/scope.ts";
import { inDirectory } from "../../config/temp.ts";
import { House } from "../access/house.ts";

const FROM = { from: "127.0.0.1" };
const CANARY = "canary-5f2b-never-told";
const ARGUMENT = "canary-of-an-argument";

test("no answer of the API has a secret in it, whoever says it", () =>
  inDirectory(async (stateDirectory) => {
    await using scope = new Scope();
    const settings = {
      mcpServers: {
        a: { command: "fake", env: { API_TOKEN: CANARY }, args: ["--token", `${CANARY}-arg`] },
        b: { url: `http://me:${CANARY}-url@127.0.0.1:1/mcp`, headers: { "x-api-key": CANARY } },
      },
      profiles: {},
      otel: { endpoint: "http://127.0.0.1:1", headers: { authorization: `Bearer ${CANARY}-otel` } },
      alerts: { to: [`https://h.example/${CANARY}-hook`] },
    };
    const house = await House.open(scope, settings, undefined, { stateDirectory });
    const call = async (name: string, args: object) =>
      await (await house.modern("/mcp", "tools/call", { name, arguments: args })).text();
    await call("a_echo", { text: ARGUMENT, secret: CANARY });
    await call(`a_${CANARY}`, {});
    getLogger("mcproxy", "upstream", "a").info(`stderr: ${CANARY}`);
    for (
      const path of [
        ...["overview", "servers/a", "servers/b", "tools/a_echo", "calls", "usage", "advice"],
        ...["usage?by=server", "usage?by=client", "problems", "alerts", "log", "config", "status"],
        "tools",
      ]
    ) {
      const response = await house.ask(`/api/${path}`, FROM);
      assert.equal(response.status, 200, path);
      const text = await response.text();
      assert.ok(!text.includes(CANARY), `${path}: ${text}`);
      assert.ok(!text.includes(ARGUMENT), `${path}: ${text}`);
    }
    const { items } = await (await house.ask("/api/calls", FROM)).json();
    for (const { id } of items) {
      const text = await (await house.ask(`/api/calls/${id}`, FROM)).text();
      assert.ok(!text.includes(CANARY), text);
    }
    const response = await house.ask("/api/events?topics=calls", FROM);
    const reader = response.body!.getReader();
    await reader.read();
    await call(`a_${CANARY}`, {});
    const { value } = await reader.read();
    const event = new TextDecoder().decode(value);
    assert.ok(event.includes("event: calls") && !event.includes(CANARY), event);
    await reader.cancel();
  }));
