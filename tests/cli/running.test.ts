// Commands beside a gateway that runs with the same configuration.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import process from "node:process";
import { test } from "node:test";
import { cacheEnv } from "../support/cache.ts";
import { fakeCommand } from "../support/fakes/stdio.ts";
import { type RunningServer, startServer } from "../support/server.ts";
import { configFile, run } from "./support.ts";

/** Where these tests look for a configuration: nowhere but in the folder they are in. */
const ENV = { ...process.env, ...cacheEnv(), XDG_CONFIG_HOME: "/no/such/folder" };

/** A gateway whose file names the port it has got. */
async function beside(
  use: (own: { path: string; cwd: string; port: string; server: RunningServer }) => Promise<void>,
): Promise<void> {
  const mcpServers = { a: fakeCommand({ tools: ["echo", "pid"] }) };
  const file = await configFile({ mcpServers });
  const server = await startServer({ config: file.path, port: 0, env: ENV });
  try {
    await server.server.gateway.settled();
    const port = new URL(server.url).port;
    await writeFile(file.path, JSON.stringify({ port: Number(port), mcpServers }));
    await use({ path: file.path, cwd: file.directory, port, server });
  } finally {
    await server.close();
    await file.close();
  }
}

test("status and connect go to the port that the configuration names", () =>
  beside(async ({ cwd, port }) => {
    const status = await run(["status", "--json"], { cwd, env: ENV });
    assert.equal(status.code, 0, status.stderr);
    assert.equal(JSON.parse(status.stdout).servers[0].name, "a");
    const listed = await run(["connect"], { cwd, env: ENV });
    assert.equal(listed.code, 0, listed.stderr);
    // A variable comes before the file, as at a start.
    const other = await run(["status"], { cwd, env: { ...ENV, MCPROXY_PORT: "1" } });
    assert.equal(other.code, 1);
    assert.match(other.stderr, /127\.0\.0\.1:1\b/);
    assert.doesNotMatch(other.stderr, new RegExp(port));
  }));

test("list and call ask the gateway that runs, and say so", () =>
  beside(async ({ cwd, path, server }) => {
    const [{ pid }] = (await (await fetch(new URL("/api/status", server.url))).json()).servers;
    const listed = await run(["list"], { cwd, env: ENV });
    assert.match(listed.stdout, /a_echo/);
    assert.match(listed.stderr, /^Asking the gateway that runs at http:\/\/127\.0\.0\.1:\d+\n$/);
    const args = ["call", "a_pid", "--config", path, "--json"];
    const called = await run(args, { cwd: "/", env: ENV });
    assert.equal(JSON.parse(called.stdout).content[0].text, String(pid));
    assert.equal(called.stderr, "");
    // Another file is another gateway: its servers are started.
    const file = await configFile({ mcpServers: { a: fakeCommand({ tools: ["pid"] }) } });
    const own = await run(["call", "a_pid", "--config", file.path], { cwd, env: ENV });
    await file.close();
    assert.notEqual(own.stdout.trim(), String(pid));
    assert.doesNotMatch(own.stderr, /Asking/);
  }));

test("a directory named by --config leads to the gateway that runs with it", async () => {
  const file = await configFile({ mcpServers: { a: fakeCommand({ tools: ["pid"] }) } });
  const server = await startServer({ config: file.directory, port: 0, env: ENV });
  try {
    await server.server.gateway.settled();
    const env = { ...ENV, MCPROXY_PORT: new URL(server.url).port };
    const listed = await run(["list", "--config", file.directory], { cwd: "/", env });
    assert.match(listed.stdout, /a_pid/);
    assert.match(listed.stderr, /^Asking the gateway that runs at/);
  } finally {
    await server.close();
    await file.close();
  }
});

test("the time a gateway is up does not depend on the time of day", async () => {
  const file = await configFile({ mcpServers: {} });
  const server = await startServer({ config: file.path, port: 0, env: ENV });
  const { now } = Date;
  try {
    Date.now = () => now() + 1e10;
    const status = await (await fetch(new URL("/api/status", server.url))).json();
    assert.ok(status.uptimeSeconds < 1e6, String(status.uptimeSeconds));
  } finally {
    Date.now = now;
    await server.close();
    await file.close();
  }
});
