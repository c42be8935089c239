import { runtime } from "#runtime";
import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { test } from "node:test";
import type { Config } from "../../../src/config/types.ts";
import { parseConfig } from "../../../src/config/load.ts";
import { AGGREGATE, withGating } from "../../../src/gating/endpoint.ts";
import { Gateway } from "../../../src/gateway/gateway.ts";
import { replyText } from "../../../src/registry/answers.ts";
import { parseMessage } from "../../../src/protocol/message.ts";
import { type HttpFake, startHttpFake } from "../../support/fakes/http-server.ts";
import { eventually } from "../../support/inbox.ts";
import { type Endpoint, withEndpoint } from "./support.ts";

/** Runs a gateway with one server, an endpoint of embeddings, and a directory. */
async function running(
  run: (parts: {
    readonly gateway: Gateway;
    readonly endpoint: Endpoint;
    readonly directory: string;
    configWith(settings: object): Config;
  }) => Promise<void>,
): Promise<void> {
  await withEndpoint(async (endpoint, directory) => {
    const fake: HttpFake = await startHttpFake({ name: "a", tools: ["echo", "pid"] });
    const configWith = (settings: object) => {
      const gating = { mode: "on", usageRanking: true };
      const text = JSON.stringify({ mcpServers: { a: { url: fake.url } }, gating, ...settings });
      const parsed = parseConfig(text, { file: "search.json", env: {} });
      assert.ok(parsed.ok, JSON.stringify(parsed));
      return parsed.config;
    };
    const config = configWith({ embeddings: { url: endpoint.url, model: "m" } });
    const gateway = new Gateway({ config, runtime, directory });
    try {
      gateway.start();
      await gateway.settled();
      await run({ gateway, endpoint, directory, configWith });
    } finally {
      await gateway.close();
      await fake.close();
    }
  });
}

/** A session of the gated endpoint that calls tools. */
async function caller(gateway: Gateway) {
  const session = gateway.openSession("http", withGating(AGGREGATE, true));
  const say = (method: string, params: object, id?: number) =>
    session.receive(parseMessage(JSON.stringify({ jsonrpc: "2.0", id, method, params })), {
      send: () => {},
    });
  const introduction = { capabilities: {}, clientInfo: { name: "t", version: "1" } };
  await say("initialize", { protocolVersion: "2025-11-25", ...introduction }, 1);
  await say("notifications/initialized", {});
  return async (name: string, args: object) => {
    const reply = await say("tools/call", { name, arguments: args }, 2);
    return JSON.parse(replyText(reply!)).result;
  };
}

test("a gateway learns what its tools mean and which are used, and keeps both", async () => {
  await running(async ({ gateway, endpoint, directory }) => {
    await endpoint.whenAsked(1);
    assert.deepEqual(endpoint.texts.map((text) => text.split(".")[0]).toSorted(), ["echo", "pid"]);
    const call = await caller(gateway);
    const result = await call("execute_tool", { tool_id: "a_echo", arguments: { n: 1 } });
    assert.equal(result.isError ?? false, false, JSON.stringify(result));
    const { structuredContent } = await call("discover_tools", { query: "please echo it" });
    const [first] = structuredContent.tools;
    assert.deepEqual([first.id, first.reason], ["a_echo", "used once lately"]);
    assert.deepEqual(endpoint.asked.at(-1)!.input, ["please echo it"]);
    await gateway.close();
    assert.deepEqual((await readdir(directory)).toSorted(), ["tools.use", "vectors"]);
  });
});

test("a reload that changes the model asks the new one, and without one nothing is asked", async () => {
  await running(async ({ gateway, endpoint, configWith }) => {
    await endpoint.whenAsked(1);
    gateway.reload(configWith({ embeddings: { url: endpoint.url, model: "n" } }));
    await endpoint.whenAsked(2);
    assert.deepEqual(endpoint.asked.map(({ model }) => model), ["m", "n"]);
    gateway.reload(configWith({}));
    const call = await caller(gateway);
    const { structuredContent } = await eventually(
      () => call("discover_tools", { query: "please echo it" }),
      ({ structuredContent }) => structuredContent.tools.length > 0,
      "a hit",
    );
    assert.equal(structuredContent.tools[0].id, "a_echo");
    assert.equal(endpoint.asked.length, 2);
  });
});
