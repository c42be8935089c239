import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import process from "node:process";
import { test } from "node:test";
import { startServer } from "../support/server.ts";
import {
  type GatewayHealth,
  healthStatus,
  type ServerHealth,
  summarizeHealth,
} from "../../src/front/health.ts";
import { loadConfig } from "../../src/config/load.ts";
import { configFile } from "../cli/support.ts";
import { fakeCommand } from "../support/fakes/stdio.ts";
import { eventually } from "../support/inbox.ts";

const CALM: GatewayHealth = { configError: false, stopping: false };

function server(name: string, change: Partial<ServerHealth> = {}): ServerHealth {
  return { name, phase: "ready", settled: true, failed: false, degraded: false, ...change };
}

const READY = server("ready");
const IDLE = server("idle", { phase: "idle" });
const FIRST = server("first", { phase: "connecting", settled: false });
const NOT_BEGUN = server("not begun", { phase: "idle", settled: false });
const WOKEN = server("woken", { phase: "connecting" });
const AGAIN = server("again", { phase: "connecting", failed: true });
const PAUSED = server("paused", { phase: "backoff", failed: true });
const CLOSED = server("closed", { phase: "closed" });
const DEAF = server("deaf", { degraded: true });

const CASES: readonly (readonly [string, readonly ServerHealth[], Partial<GatewayHealth>])[] = [
  ["ok", [], {}],
  ["ok", [READY, IDLE], {}],
  ["starting", [READY, FIRST], {}],
  ["starting", [NOT_BEGUN], {}],
  ["starting", [WOKEN, IDLE], {}],
  ["degraded", [READY, AGAIN], {}],
  ["degraded", [FIRST, PAUSED], {}],
  ["degraded", [IDLE, CLOSED], {}],
  ["degraded", [READY, DEAF], {}],
  ["degraded", [READY], { configError: true }],
  ["degraded", [], { configError: true }],
  ["degraded", [FIRST], { configError: true }],
  ["down", [AGAIN, PAUSED, DEAF], {}],
  ["down", [CLOSED], { configError: true }],
  ["stopping", [READY], { stopping: true }],
  ["stopping", [CLOSED], { configError: true, stopping: true }],
];

for (const [status, servers, change] of CASES) {
  const names = servers.map(({ name }) => name).join(", ") || "no server";
  test(`summarizeHealth() says ${status} for ${names} ${JSON.stringify(change)}`, () => {
    const summary = summarizeHealth(servers, { ...CALM, ...change });
    assert.equal(summary.status, status);
    // Only a gateway that is about to go is not healthy: a restart mends no upstream.
    assert.equal(healthStatus(summary), status === "stopping" ? 503 : 200);
    const { ready, total, idle, starting, failing } = summary.servers;
    assert.equal(ready + idle + starting + failing.length, total);
  });
}

test("summarizeHealth() counts every server once and names those that fail", () => {
  const all = [READY, IDLE, FIRST, NOT_BEGUN, WOKEN, AGAIN, PAUSED, CLOSED, DEAF];
  assert.deepEqual(summarizeHealth(all, { configError: true, stopping: false }), {
    status: "degraded",
    servers: {
      ready: 1,
      total: 9,
      idle: 1,
      starting: 3,
      failing: ["again", "paused", "closed", "deaf"],
    },
    configError: true,
  });
});

test("the operational paths answer GET and HEAD, are never cached, and refuse the rest", async () => {
  const file = await configFile({
    warmStart: false,
    mcpServers: {
      good: fakeCommand({ tools: ["echo"] }),
      bad: { command: "mcproxy-no-such-command" },
      off: { ...fakeCommand({}), disabled: true },
    },
  });
  const server = await startServer({ config: file.path, port: 0 });
  try {
    await server.server.gateway.settled();
    for (const path of ["/livez", "/readyz", "/health", "/api/status", "/api/tools"]) {
      const url = new URL(path, server.url);
      const got = await fetch(url);
      assert.equal(got.status, 200, path);
      assert.equal(got.headers.get("cache-control"), "no-store");
      assert.match(got.headers.get("content-type")!, /^application\/json/);
      assert.equal(typeof await got.json(), "object");
      const head = await fetch(url, { method: "HEAD" });
      assert.equal(head.status, 200, path);
      assert.equal(head.headers.get("cache-control"), "no-store");
      assert.equal(await head.text(), "");
      const posted = await fetch(url, { method: "POST" });
      assert.equal(posted.status, 405, path);
      assert.equal(posted.headers.get("allow"), "GET, HEAD");
      await posted.body?.cancel();
    }
    const health = await (await fetch(new URL("/health", server.url))).json();
    assert.deepEqual(health, {
      status: "degraded",
      servers: { ready: 1, total: 2, idle: 0, starting: 0, failing: ["bad"] },
      configError: false,
    });
  } finally {
    await server.close();
    await file.close();
  }
});

test("/readyz names who is waited for, and /health calls that starting", async () => {
  const hung = { ...fakeCommand({ faults: { hangOnStart: true } }), startupTimeout: "10m" };
  const file = await configFile({ warmStart: false, mcpServers: { good: fakeCommand({}), hung } });
  const server = await startServer({ config: file.path, port: 0 });
  try {
    const ask = async () => {
      const response = await fetch(new URL("/readyz", server.url));
      return { status: response.status, body: await response.text() };
    };
    const { status } = await eventually(
      ask,
      ({ body }) => body === '{"status":"starting","waiting":["hung"]}',
      "the one that hangs alone",
    );
    assert.equal(status, 503);
    const health = await fetch(new URL("/health", server.url));
    assert.equal(health.status, 200);
    const { servers, status: word } = await health.json();
    assert.equal(word, "starting");
    assert.deepEqual(servers, { ready: 1, total: 2, idle: 0, starting: 1, failing: [] });
  } finally {
    await server.close();
    await file.close();
  }
});

test("/readyz stays ready when a reload adds a server that hangs, until the stop", async () => {
  const good = fakeCommand({});
  const hung = { ...fakeCommand({ faults: { hangOnStart: true } }), startupTimeout: "10m" };
  const file = await configFile({ warmStart: false, mcpServers: { good } });
  const server = await startServer({ config: file.path, port: 0 });
  const { gateway } = server.server;
  const ask = async (path: string) => {
    const response = await fetch(new URL(path, server.url));
    return [response.status, (await response.json()).status];
  };
  try {
    await gateway.settled();
    assert.deepEqual(await ask("/readyz"), [200, "ready"]);
    await writeFile(file.path, JSON.stringify({ warmStart: false, mcpServers: { good, hung } }));
    const loaded = await loadConfig(file.path, { env: process.env });
    assert.ok(loaded.ok);
    gateway.reload(loaded.config);
    assert.equal(gateway.members.all.length, 2);
    assert.deepEqual(await ask("/readyz"), [200, "ready"]);
    assert.deepEqual(await ask("/health"), [200, "starting"]);
    await gateway.drain(0);
    assert.deepEqual(await ask("/livez"), [200, "ok"]);
    assert.deepEqual(await ask("/readyz"), [503, "stopping"]);
    assert.deepEqual(await ask("/health"), [503, "stopping"]);
  } finally {
    await server.close();
    await file.close();
  }
});
