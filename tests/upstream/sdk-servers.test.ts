import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { createMcpHandler, McpServer } from "@modelcontextprotocol/server";
import { runtime } from "#runtime";
import type { ServerTarget } from "../../src/config/types.ts";
import {
  callText,
  exchangeFor,
  httpTarget,
  LEGACY_CLIENT,
  MODERN_CLIENT,
  serverConfig,
  textOf,
  Watch,
  withUpstream,
} from "./support.ts";

/** What a modern client sends: the envelope and all. */
function modernCall(name: string) {
  const message = JSON.parse(callText(name));
  message.params._meta = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
  };
  return exchangeFor(JSON.stringify(message), MODERN_CLIENT);
}

test("Upstream speaks modern and legacy to the SDK's stdio server", async () => {
  const script = fileURLToPath(new URL("./fakes/sdk-server.mjs", import.meta.url));
  const target: ServerTarget = { kind: "stdio", command: "node", args: [script], env: {} };
  for (const [protocol, era] of [["auto", "modern"], ["legacy", "legacy"]] as const) {
    await withUpstream(serverConfig(target, { protocol }), async (upstream) => {
      assert.equal(upstream.status().lastError, undefined);
      assert.deepEqual([upstream.status().era, upstream.status().counts.tools], [era, 1]);
      assert.equal(upstream.status().serverInfo.name, "sdk");
      const nameless = { ...LEGACY_CLIENT, info: {} };
      for (
        const exchange of [
          modernCall("hello"),
          exchangeFor(callText("hello"), LEGACY_CLIENT),
          exchangeFor(callText("hello"), nameless),
        ]
      ) {
        const { raw } = await upstream.forward(exchange, []);
        assert.equal(textOf(raw), "hello");
        const { resultType } = JSON.parse(raw).result;
        assert.equal(resultType, exchange.client.era === "modern" ? "complete" : undefined);
      }
    });
  }
});

test("Upstream speaks modern to the SDK's HTTP handler and hears its list changes", async () => {
  const names = ["hello"];
  const watch = new Watch();
  const handler = createMcpHandler(() => {
    const server = new McpServer({ name: "sdk", version: "1" });
    for (const name of names) {
      server.registerTool(name, {}, () => ({ content: [{ type: "text", text: name }] }));
    }
    return server;
  });
  const listening = Promise.withResolvers<void>();
  const http = await runtime.serve({
    hostname: "127.0.0.1",
    port: 0,
    handler: async (request) => {
      const response = await handler.fetch(request);
      if (request.headers.get("mcp-method") === "subscriptions/listen") listening.resolve();
      return response;
    },
    onError: (error) => assert.fail(String(error)),
  });
  try {
    const config = serverConfig(httpTarget(`http://127.0.0.1:${http.port}/mcp`));
    await withUpstream(config, async (upstream) => {
      assert.equal(upstream.status().lastError, undefined);
      assert.equal(upstream.status().era, "modern");
      assert.equal(textOf((await upstream.forward(modernCall("hello"), [])).raw), "hello");
      await listening.promise;
      names.push("more");
      handler.notify.toolsChanged();
      await watch.until(() => upstream.inventory.lists.tools.items.length === 2);
    }, watch);
  } finally {
    await handler.close();
    http.abort();
  }
});
