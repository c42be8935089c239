import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { runUntilStopped, type Server, STOP_MARGIN } from "../../src/app/server.ts";
import { parseConfig } from "../../src/config/load.ts";
import { TestIo } from "../cli/support.ts";
import { startProcess } from "../support/process.ts";
import { within } from "../support/inbox.ts";

/** A gateway that never ends, with one process. */
function endless(shutdownTimeout: number, pid: number): Server {
  const upstream = { status: () => ({ pid }) };
  return {
    stop: () => new Promise<void>(() => {}),
    gateway: { config: { settings: { shutdownTimeout } }, members: { all: [{ upstream }] } },
  } as unknown as Server;
}

/** Signals, in this order, to a gateway that never ends: how it exits, and how its process does. */
async function stopped(shutdownTimeout: number, ...signals: readonly ("SIGINT" | "SIGTERM")[]) {
  const child = await startProcess(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
  const io = new TestIo();
  const server = endless(shutdownTimeout, child.pid);
  const code = runUntilStopped(io, { server, onReload: () => {}, onStopping: () => {} });
  for (const signal of signals) io.signal(signal);
  return { code: await within(code, "the exit"), signal: (await child.exited).signal };
}

test("a stop that does not end is ended, and with it every server", async () => {
  assert.deepEqual(await stopped(10, "SIGTERM"), { code: 0, signal: "SIGKILL" });
});

test("a second signal waits for nothing, and leaves no server behind", async () => {
  assert.deepEqual(await stopped(3_600_000, "SIGINT", "SIGINT"), { code: 130, signal: "SIGKILL" });
});

test("the longest stop is shorter than people wait, and systemd", () => {
  const parsed = parseConfig('{"mcpServers": {}}', { file: "mcp-servers.json", env: {} });
  assert.ok(parsed.ok);
  const longest = parsed.config.settings.shutdownTimeout + STOP_MARGIN;
  assert.ok(longest < 5_000, `${longest} ms`);
  for (const name of ["mcproxy.service", "mcproxy-user.service"]) {
    const path = fileURLToPath(new URL(`../../packaging/${name}`, import.meta.url));
    const [, seconds] = /^TimeoutStopSec=(\d+)$/m.exec(readFileSync(path, "utf8"))!;
    assert.ok(longest < Number(seconds) * 1_000, `${name}: ${seconds} s`);
  }
});
