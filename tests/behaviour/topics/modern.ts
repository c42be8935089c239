import assert from "node:assert/strict";
import { errorOf, requestText, resultOf, textOf } from "../../support/clients/message.ts";
import { envelope, MODERN_VERSION, ModernClient } from "../../support/clients/modern.ts";
import { startHttpFake } from "../../support/fakes/http-server.ts";
import { callText, listKeys } from "../helpers.ts";
import type { Suite } from "../suite.ts";

const META = "io.modelcontextprotocol/";

/** The stateless era, 2026-07-28. */
export function modern({ verifies }: Suite): void {
  verifies("modern.discover", async ({ world }) => {
    const { gateway } = await world();
    const result = resultOf(await new ModernClient(gateway.url).request("server/discover")).json;
    assert.ok(result.supportedVersions.includes(MODERN_VERSION));
    for (const kind of ["tools", "prompts", "resources"]) {
      assert.equal(typeof result.capabilities[kind], "object", kind);
    }
    assert.equal(result.resultType, "complete");
    assert.equal(typeof result.ttlMs, "number");
    assert.match(result.cacheScope, /^(public|private)$/);
    assert.equal(result._meta[`${META}serverInfo`].name, "mcproxy");
    assert.match(result.instructions, /Ask alpha first/);
  });

  verifies("modern.list", async ({ world }) => {
    const { gateway } = await world();
    const client = new ModernClient(gateway.url);
    for (
      const method of ["tools/list", "prompts/list", "resources/list", "resources/templates/list"]
    ) {
      const { resultType, ttlMs, cacheScope, _meta } = resultOf(await client.request(method)).json;
      assert.equal(resultType, "complete", method);
      assert.ok(Number.isInteger(ttlMs) && ttlMs >= 0, method);
      assert.match(cacheScope, /^(public|private)$/, method);
      assert.equal(_meta[`${META}serverInfo`].name, "mcproxy", method);
    }
  });

  verifies("modern.scope", async ({ configured, scope }) => {
    const spec = { era: "modern", tools: ["echo"] } as const;
    const open = scope.use(await startHttpFake(spec));
    const closed = scope.use(await startHttpFake({ ...spec, cacheScope: "private" }));
    const gateway = await configured({
      mcpServers: { open: { url: open.url }, closed: { url: closed.url } },
    });
    await gateway.ready();
    const scopeOf = async (url: string) =>
      resultOf(await new ModernClient(url).request("tools/list")).json.cacheScope;
    assert.equal(await scopeOf(gateway.url), "private");
    assert.equal(await scopeOf(gateway.serverUrl("closed")), "private");
    assert.equal(await scopeOf(gateway.serverUrl("open")), "public");
  });

  verifies("modern.legacy-result", async ({ world }) => {
    const { gateway } = await world();
    const client = new ModernClient(gateway.url);
    const call = await client.request("tools/call", { name: "alpha_echo", arguments: {} });
    assert.equal(resultOf(call).json.resultType, "complete");
    const read = await client.request("resources/read", { uri: "fake://alpha-itself/one" });
    const { resultType, ttlMs, cacheScope } = resultOf(read).json;
    assert.deepEqual([resultType, ttlMs, cacheScope], ["complete", 0, "private"]);
  });

  verifies("modern.envelope", async ({ world }) => {
    const { gateway } = await world();
    const client = new ModernClient(gateway.url);
    const { [`${META}clientCapabilities`]: _left, ...incomplete } = envelope();
    const bodies = [
      requestText(1, "tools/list"),
      requestText(1, "tools/list", {}),
      requestText(1, "tools/list", { _meta: incomplete }),
    ];
    for (const body of bodies) {
      const answer = await client.post(body, client.headers("tools/list", undefined));
      assert.equal(answer.status, 400, body);
      assert.equal(errorOf(answer.messages.items[0]!).code, -32602, body);
    }
  });

  verifies("modern.headers", async ({ world }) => {
    const { gateway } = await world();
    const client = new ModernClient(gateway.url);
    const params = { name: "alpha_echo", arguments: {} };
    const wrong: Record<string, string | null>[] = [
      { "mcp-method": "tools/list" },
      { "mcp-method": null },
      { "mcp-name": "alpha_pid" },
      { "mcp-name": null },
      { "mcp-protocol-version": "2025-11-25" },
    ];
    for (const headers of wrong) {
      const answer = await client.start("tools/call", params, { headers });
      assert.equal(answer.status, 400, JSON.stringify(headers));
      assert.equal(errorOf(answer.messages.items[0]!).code, -32020, JSON.stringify(headers));
    }
    const encoded = `=?base64?${btoa("alpha_echo")}?=`;
    const fine = await client.start("tools/call", params, { headers: { "mcp-name": encoded } });
    assert.equal(fine.status, 200);
  });

  verifies("modern.version", async ({ world }) => {
    const { gateway } = await world();
    const client = new ModernClient(gateway.url);
    const version = "2099-01-01";
    const answer = await client.start("tools/list", {}, {
      meta: { [`${META}protocolVersion`]: version },
      headers: { "mcp-protocol-version": version },
    });
    assert.equal(answer.status, 400);
    const { code, data } = errorOf(answer.messages.items[0]!);
    assert.equal(code, -32022);
    const { supported, requested } = data as { supported: string[]; requested: string };
    assert.ok(supported.includes(MODERN_VERSION));
    assert.equal(requested, version);
  });

  verifies("modern.unknown-method", async ({ world }) => {
    const { gateway } = await world();
    const answer = await new ModernClient(gateway.url).start("no/such/method", {}, { id: "x" });
    assert.equal(answer.status, 404);
    assert.equal(errorOf(answer.messages.items[0]!).code, -32601);
    assert.equal(answer.messages.items[0]!.json.id, "x");
  });

  verifies("modern.inherited-method", async ({ world }) => {
    const { gateway } = await world();
    for (const method of ["toString", "constructor", "__proto__", "hasOwnProperty"]) {
      const answer = await new ModernClient(gateway.url).start(method);
      assert.equal(answer.status, 404, method);
      assert.equal(errorOf(answer.messages.items[0]!).code, -32601, method);
    }
  });

  verifies("modern.removed", async ({ world }) => {
    const { gateway } = await world();
    for (const method of ["ping", "logging/setLevel", "resources/subscribe"]) {
      const answer = await new ModernClient(gateway.url).start(method);
      assert.equal(answer.status, 404, method);
      assert.equal(errorOf(answer.messages.items[0]!).code, -32601, method);
    }
  });

  verifies("modern.session", async ({ world }) => {
    const { gateway } = await world();
    const client = new ModernClient(gateway.url);
    const answer = await client.start("tools/list", {}, {
      headers: { "mcp-session-id": "made-up" },
    });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get("mcp-session-id"), null);
  });

  verifies("modern.named-upstream", async ({ world }) => {
    const { gateway, modern } = await world();
    const client = new ModernClient(gateway.url);
    const from = modern.requests.items.length;
    await callText(client, "modern_echo");
    const call = await modern.requests.waitFor(({ method }) => method === "tools/call", { from });
    assert.equal(call.headers["mcp-method"], "tools/call");
    assert.equal(call.headers["mcp-name"], "echo");
    assert.equal(call.headers["mcp-protocol-version"], MODERN_VERSION);
    assert.ok((await listKeys(client, "tools")).includes("modern_echo"));
  });

  verifies("modern.client", async ({ world }) => {
    const { gateway } = await world();
    const client = new ModernClient(gateway.url);
    const meta = {
      [`${META}clientInfo`]: { name: "the real client", version: "9" },
      [`${META}clientCapabilities`]: { elicitation: {}, "x-vendor": { n: 1 } },
    };
    const params = { name: "modern_raw", arguments: {}, _meta: meta };
    const arrived = JSON.parse(textOf(await client.request("tools/call", params)));
    for (const [key, value] of Object.entries(meta)) {
      assert.deepEqual(arrived.params._meta[key], value);
    }
  });
}
