/** `GET /metrics` of a running gateway: who is answered, in which format, and what is never told. */

import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { metricsAnswer } from "../../src/front/metrics.ts";
import { Observatory } from "../../src/observe/observatory.ts";
import { configFile } from "../cli/support.ts";
import { Scope } from "../behaviour/scope.ts";
import { cacheEnv } from "../support/cache.ts";
import { fakeCommand } from "../support/fakes/stdio.ts";
import { startServer } from "../support/server.ts";
import { keysOf } from "./access/house.ts";

const CANARY = "canary-4b1d0c9e7f";
const OPEN = "application/openmetrics-text; version=1.0.0";

async function running(scope: Scope, config: object) {
  const file = scope.use(await configFile({ mcpServers: {}, ...config }));
  const env = { ...process.env, ...cacheEnv() };
  const { server, url } = scope.use(await startServer({ config: file.path, port: 0, env }));
  await server.gateway.settled();
  const get = async (headers: Record<string, string> = {}, method = "GET") => {
    const response = await fetch(new URL("/metrics", url), { method, headers });
    return { status: response.status, headers: response.headers, text: await response.text() };
  };
  return { gateway: server.gateway, url, get };
}

function call(url: string, name: string, values: object): Promise<Response> {
  const _meta = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": { name: CANARY, version: "1" },
  };
  const params = { name, arguments: values, _meta };
  return fetch(url, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": "tools/call",
      "mcp-name": name,
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params }),
  });
}

test("calls are counted, and nothing a client says is told", async () => {
  await using scope = new Scope();
  const fake = fakeCommand({ tools: ["echo"] });
  const mcpServers = { a: { ...fake, env: { API_KEY: CANARY } } };
  const { get, url, gateway } = await running(scope, { mcpServers });
  for (const name of ["a_echo", CANARY]) {
    await (await call(url, name, { text: CANARY })).body?.cancel();
  }
  const { status, headers, text } = await get();
  assert.equal(status, 200);
  assert.equal(headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  assert.equal(headers.get("cache-control"), "no-store");
  assert.equal(headers.get("x-content-type-options"), "nosniff");
  assert.equal(headers.get("cross-origin-resource-policy"), "same-origin");
  const counts = text.match(/^mcp_server_operation_duration_seconds_count.*$/gm);
  const of = (labels: string) =>
    `mcp_server_operation_duration_seconds_count{mcp_method_name="tools/call",${labels}} 1`;
  assert.deepEqual(counts, [
    of('gen_ai_tool_name="a_echo",mcproxy_server_name="a"'),
    of('gen_ai_tool_name="_unknown",error_type="refused"'),
  ]);
  assert.ok(!text.includes(CANARY));
  const open = await get({ accept: OPEN });
  assert.match(open.headers.get("content-type")!, /^application\/openmetrics-text; version=1.0.0/);
  assert.ok(open.text.endsWith("# EOF\n"));
  const observatory = new Observatory(gateway);
  scope.defer(() => observatory.close());
  const answer = metricsAnswer(observatory);
  const [some, more] = await Promise.all([1, 2].map(() => answer(new Request(url))));
  const isSame = await some!.text() === await more!.text();
  assert.ok(isSame, "who asks at the same time is told the same");
});

test("it is read only, by no page, and not there where it is switched off", async () => {
  await using scope = new Scope();
  const { get, gateway } = await running(scope, {});
  assert.equal((await get({}, "HEAD")).text, "");
  assert.equal((await get({}, "POST")).status, 405);
  const page = await get({ origin: "http://localhost:3000" });
  assert.equal(page.headers.get("access-control-allow-origin"), null);
  assert.equal((await get({ origin: "https://evil.example" })).status, 403);
  assert.equal((await get({ host: "evil.example", "sec-fetch-site": "cross-site" })).status, 403);
  const { config } = gateway;
  gateway.reload({ ...config, settings: { ...config.settings, metrics: false } });
  const off = await get();
  assert.equal(off.status, 404);
  assert.equal(JSON.parse(off.text).error, "not_found");
  gateway.reload(config);
  const { text } = await get();
  assert.match(text, /^mcproxy_config_reloads_total\{result="accepted"\} 2$/m);
});

test("with auth it is for those it is given to", async () => {
  await using scope = new Scope();
  const { get } = await running(scope, {
    auth: { keys: keysOf("prometheus", "other") },
    access: { "key:prometheus": "/metrics" },
  });
  const as = (name: string) => get({ authorization: `Bearer mcproxy_${name}` });
  assert.equal((await as("prometheus")).status, 200);
  assert.equal((await as("other")).status, 403);
  assert.equal((await get()).status, 401);
});
