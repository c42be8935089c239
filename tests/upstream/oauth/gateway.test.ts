/** A whole gateway before a server that wants a login: what clients, status and log are told. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { GrantFile } from "../../../src/upstream/oauth/grants.ts";
import { configFile } from "../../cli/support.ts";
import { startServer } from "../../support/server.ts";
import { serveHttp } from "../fakes/http-server.ts";
import { directory, grantFor, Time } from "./support.ts";

const TOKEN = "s3cret-t0ken-of-a-grant";

test("a running gateway notices a login, and a server's 401 is never one of its own", async () => {
  await using state = await directory();
  const web = await serveHttp(({ headers: { authorization }, method, body }, response) => {
    if (authorization !== `Bearer ${TOKEN}`) {
      const challenge = `Bearer error="invalid_token", error_description="no ${TOKEN}"`;
      return void response.writeHead(401, { "www-authenticate": challenge }).end(TOKEN);
    }
    if (method !== "POST") return void response.writeHead(405).end();
    if (body.id === undefined) return void response.writeHead(202).end();
    const results: Record<string, unknown> = {
      initialize: {
        protocolVersion: body.params?.protocolVersion,
        capabilities: { tools: {} },
        serverInfo: { name: "fake", version: "1" },
      },
      "tools/list": { tools: [{ name: "echo", inputSchema: { type: "object" } }] },
      "tools/call": { content: [{ type: "text", text: "done" }] },
    };
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ jsonrpc: "2.0", id: body.id, result: results[body.method] }));
  });
  const url = `${web.url}/mcp`;
  const file = await configFile({ mcpServers: { it: { url, protocol: "legacy" } } });
  const lines: string[] = [];
  const env = { STATE_DIRECTORY: state.path };
  const gateway = await startServer({
    config: file.path,
    port: 0,
    env,
    log: (line) => lines.push(line),
  });
  try {
    const ask = async (method: string, params: unknown, session?: string) => {
      const response = await fetch(gateway.url, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          accept: "application/json, text/event-stream",
          ...(session === undefined ? {} : { "mcp-session-id": session }),
        },
        body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
      });
      return { response, text: await response.text() };
    };
    const status = async () => await (await fetch(new URL("/api/status", gateway.url))).text();
    const { events } = gateway.server.gateway;
    const ready = new Promise<void>((resolve) => {
      events.on("server", ({ phase }) => {
        if (phase === "ready") resolve();
      });
    });
    await gateway.server.gateway.settled();
    assert.match(await status(), /"reason":"login"/);
    assert.match(await status(), /needs a login: run \\"mcproxy login it\\"/);
    const client = { name: "test", version: "1" };
    const { response } = await ask("initialize", {
      protocolVersion: "2025-11-25",
      capabilities: {},
      clientInfo: client,
    });
    assert.equal(response.status, 200);
    const session = response.headers.get("mcp-session-id") ?? "";
    const call = () => ask("tools/call", { name: "it_echo", arguments: {} }, session);
    assert.equal((await call()).response.status, 200);
    // As "mcproxy login" writes it.
    const time = new Time();
    time.ms = Date.now();
    await new GrantFile(state.path).put(grantFor(time, { url, accessToken: TOKEN }));
    await ready;
    gateway.server.gateway.snapshots.flush();
    const called = await call();
    assert.equal(called.response.status, 200);
    assert.match(called.text, /done/);
    const told = [await status(), ...lines].join("\n");
    assert.ok(!told.includes(TOKEN), told);
  } finally {
    await gateway.close();
    await Promise.all([web.close(), file.close()]);
  }
});
