import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HttpClient } from "../../support/clients/http.ts";
import type { Gateway } from "../../support/gateway.ts";
import { waitUntilGone } from "../../support/process.ts";
import { callText, listKeys } from "../helpers.ts";
import type { StartOptions, Suite, Tools } from "../suite.ts";
import { stdioUpstream } from "../world.ts";

const LISTED = ["echo", "pid"];

/** A gateway with one stdio upstream, `it`, that can be started again with what it has kept. */
async function counted({ start, configured, scope }: Tools, settings: object) {
  const folder = await mkdtemp(join(tmpdir(), "mcproxy-rest-"));
  scope.defer(() => rm(folder, { recursive: true, force: true }));
  const startsFile = join(folder, "starts");
  const it = stdioUpstream({ tools: LISTED, startsFile }, settings);
  const config = { mcpServers: { it } };
  const enter = async (gateway: Gateway) => {
    await gateway.ready();
    return { gateway, client: await HttpClient.connect(gateway.url) };
  };
  /** For a test that has no second run. */
  const once = async () => await enter(await configured(config));
  const run = async (options: StartOptions = {}) =>
    await enter(await start(config, { env: { CACHE_DIRECTORY: folder }, ...options }));
  const starts = async () => {
    const text = await readFile(startsFile, "utf8").catch(() => "");
    return text.split("\n").length - 1;
  };
  return { once, run, starts };
}

/** Upstreams that run only while they are used. */
export function rest({ verifies }: Suite): void {
  verifies("lazy.unknown", async (tools) => {
    const { once, starts } = await counted(tools, { lazy: true });
    const { gateway, client } = await once();
    assert.deepEqual(await listKeys(client, "tools"), ["it_echo", "it_pid"]);
    await gateway.waitForServer("it", ({ state }) => state === "ready");
    await callText(client, "it_echo");
    assert.equal(await starts(), 1);
  });

  verifies("lazy.known", async (tools) => {
    const { run, starts } = await counted(tools, { lazy: true });
    const first = await run({ inside: true });
    await first.gateway.waitForServer("it", ({ state }) => state === "ready");
    await first.gateway.stop();

    const { gateway, client } = await run();
    const stream = await client.listen();
    const { state, reason, stale } = await gateway.waitForServer("it", () => true);
    assert.deepEqual([state, reason, stale], ["idle", "lazy", false]);
    assert.deepEqual(await listKeys(client, "tools"), ["it_echo", "it_pid"]);
    assert.equal(await starts(), 1);
    const pids = await Promise.all([callText(client, "it_pid"), callText(client, "it_pid")]);
    assert.equal(pids[0], pids[1]);
    assert.equal(await starts(), 2);
    assert.deepEqual(stream.messages.items, []);
    stream.close();
  });

  verifies("idle.stop", async (tools) => {
    const { once, starts } = await counted(tools, { idleTimeout: "300ms" });
    const { gateway, client } = await once();
    const stream = await client.listen();
    const pid = Number(await callText(client, "it_pid"));
    // Where the client came late it was stopped once before.
    const startsBefore = await starts();
    const { reason } = await gateway.waitForServer("it", ({ state }) => state === "idle");
    assert.equal(reason, "unused");
    await waitUntilGone(pid);
    assert.deepEqual(await listKeys(client, "tools"), ["it_echo", "it_pid"]);
    assert.equal((await gateway.waitForServer("it", () => true)).stale, false);
    const again = Number(await callText(client, "it_pid"));
    assert.notEqual(again, pid);
    assert.equal(await starts(), startsBefore + 1);
    assert.equal((await gateway.waitForServer("it", () => true)).restarts, 0);
    assert.deepEqual(stream.messages.items, []);
    stream.close();
  });
}
