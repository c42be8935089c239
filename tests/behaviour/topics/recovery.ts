import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { HttpClient } from "../../support/clients/http.ts";
import { errorOf, isNotification, isResponseTo, textOf } from "../../support/clients/message.ts";
import { startHttpFake } from "../../support/fakes/http-server.ts";
import type { Gateway } from "../../support/gateway.ts";
import { eventually } from "../../support/inbox.ts";
import { waitUntilGone } from "../../support/process.ts";
import { call, callText, listKeys } from "../helpers.ts";
import type { StartOptions, Suite, Tools } from "../suite.ts";
import { stdioUpstream } from "../world.ts";

const UNAVAILABLE = -32010;

/** One gateway for the tests that kill a server, each of which has its own. */
async function startMortal({ configured, scope }: Tools) {
  const folder = await mkdtemp(join(tmpdir(), "mcproxy-recovery-"));
  scope.defer(() => rm(folder, { recursive: true, force: true }));
  const specFile = join(folder, "spec.json");
  const gateway = await configured({
    gating: "off",
    mcpServers: {
      paused: stdioUpstream({ specFile }),
      named: stdioUpstream({}),
      repeat: stdioUpstream({ readOnly: ["wait"] }),
    },
  });
  await gateway.ready();
  return { gateway, specFile };
}

/** A client of a gateway, and the process of a stdio server of that. */
async function enter(gateway: Gateway, name: string) {
  const client = await HttpClient.connect(gateway.url);
  return { gateway, client, pid: Number(await callText(client, `${name}_pid`)) };
}

/** A gateway with one stdio upstream, `it`, and a client of it. */
async function withOne({ configured }: Tools, extra: object) {
  const gateway = await configured({ mcpServers: { it: stdioUpstream({}, extra) } });
  await gateway.ready();
  return await enter(gateway, "it");
}

/** A call that has begun and goes on until it is released. */
async function waiting(client: HttpClient, key: string, server = "it") {
  const params = { name: `${server}_wait`, arguments: { key }, _meta: { progressToken: 1 } };
  const answer = await client.start("tools/call", params, key);
  await answer.messages.waitFor(isNotification("notifications/progress"));
  return answer;
}

/** Upstreams that are lost, and what their clients notice of it. */
export function recovery({ verifies }: Suite): void {
  verifies("recovery.call", async (tools) => {
    const { gateway, specFile } = await tools.shared(startMortal);
    const client = await HttpClient.connect(gateway.url);
    await writeFile(specFile, JSON.stringify({ faults: { crashOnStart: 4 } }));
    await call(client, "paused_crash");
    // A pause that is long beside what an attempt takes.
    const { retryAt } = await gateway.waitForServer("paused", ({ state, retryAt }) => {
      return state === "backoff" && Date.parse(retryAt!) - Date.now() > 2_900;
    });
    await rm(specFile);
    await eventually(
      () => call(client, "paused_echo"),
      ({ json }) => json.result !== undefined,
      "a call that is answered",
    );
    assert.ok(Date.now() < Date.parse(retryAt!), `answered at ${Date.now()}, due at ${retryAt}`);
  });

  verifies("recovery.named", async (tools) => {
    const { client, pid } = await enter((await tools.shared(startMortal)).gateway, "named");
    const answer = await waiting(client, "k", "named");
    process.kill(pid, "SIGKILL");
    const { code, message } = errorOf(await answer.messages.waitFor(isResponseTo("k")));
    assert.equal(code, UNAVAILABLE);
    assert.match(message, /^Server "named" /);
    assert.match(message, /was not repeated, because it may have been carried out/);
  });

  verifies("recovery.repeat", async (tools) => {
    const { gateway } = await tools.shared(startMortal);
    const { client, pid } = await enter(gateway, "repeat");
    const answer = await waiting(client, "k", "repeat");
    process.kill(pid, "SIGKILL");
    await gateway.waitForServer("repeat", (now) => now.state === "ready" && now.pid !== pid);
    // The new process has the call, too: it is what is released.
    await callText(client, "repeat_release", { key: "k" });
    assert.equal(textOf(await answer.messages.waitFor(isResponseTo("k"))), "released k");
    await answer.messages.waitForEnd();
    assert.equal(answer.messages.items.filter(isResponseTo("k")).length, 1);
    const counts = JSON.parse(await callText(client, "repeat_counts"));
    // The repeated one, `release`, and `counts` itself.
    assert.equal(counts["tools/call"], 3);
  });

  verifies("recovery.unauthorized", async ({ start, scope }) => {
    const web = scope.use(await startHttpFake({ tools: ["echo"] }));
    const cache = await mkdtemp(join(tmpdir(), "mcproxy-recovery-"));
    scope.defer(() => rm(cache, { recursive: true, force: true }));
    const config = { mcpServers: { web: { url: web.url, protocol: "legacy" } } };
    const run = (options: StartOptions = {}) =>
      start(config, { env: { CACHE_DIRECTORY: cache }, ...options });
    const before = await run({ inside: true });
    await before.ready();
    await before.stop();

    web.fault = () => ({ status: 401 });
    const from = web.requests.items.length;
    const gateway = await run();
    const { retryAt } = await gateway.waitForServer("web", ({ reason, state }) => {
      return state === "backoff" && reason === "unauthorized";
    });
    assert.ok(Date.parse(retryAt!) - Date.now() > 30_000, `due at ${retryAt}`);
    const first = web.requests.items.length - from;
    const client = await HttpClient.connect(gateway.url);
    assert.deepEqual(await listKeys(client, "tools"), ["web_echo"]);
    for (let n = 0; n < 30; n++) {
      assert.match(errorOf(await call(client, "web_echo")).message, /^Server "web" .*HTTP 401/);
    }
    const { length } = web.requests.items;
    assert.equal(length - from, first, `${length - from} requests`);
    assert.ok(first <= 2, `${first} requests for one attempt`);
  });

  verifies("health.silent", async (tools) => {
    const limits = { healthInterval: "200ms", healthThreshold: 2 };
    const { gateway, client, pid } = await withOne(tools, limits);
    // Alive and silent.
    process.kill(pid, "SIGSTOP");
    const server = await gateway.waitForServer(
      "it",
      (now) => now.state === "ready" && now.pid !== pid,
    );
    await waitUntilGone(pid);
    assert.match(String(server.lastError), /did not answer 2 health probes/);
    assert.equal(server.restarts, 1);
    assert.equal(await callText(client, "it_pid"), String(server.pid));
  });

  verifies("health.busy", async (tools) => {
    const limits = { healthInterval: "100ms", healthThreshold: 2 };
    const { gateway, client, pid } = await withOne(tools, limits);
    const answer = await waiting(client, "k");
    process.kill(pid, "SIGSTOP");
    tools.scope.defer(() => isGone(() => process.kill(pid, "SIGCONT")));
    const server = await gateway.waitForServer("it", ({ healthDetail = "" }) => {
      return /not answered ([5-9]|\d\d+) health probes/.test(healthDetail);
    });
    assert.deepEqual([server.state, server.health], ["ready", "degraded"]);
    process.kill(pid, "SIGCONT");
    await callText(client, "it_release", { key: "k" });
    assert.equal(textOf(await answer.messages.waitFor(isResponseTo("k"))), "released k");
    const after = await gateway.waitForServer("it", ({ health }) => health === "ok");
    assert.deepEqual([after.pid, after.restarts], [pid, 0]);
  });

  verifies("health.degraded", async (tools) => {
    const limits = { timeout: "500ms", healthInterval: "200ms", healthThreshold: 2 };
    const { gateway, client, pid } = await withOne(tools, limits);
    assert.equal((await gateway.waitForServer("it", () => true)).health, "ok");
    for (let n = 0; n < 3; n++) await call(client, "it_never");
    const bad = await gateway.waitForServer("it", ({ health }) => health === "degraded");
    assert.match(bad.healthDetail!, /let its last 3 calls run out of time/);
    assert.deepEqual([bad.state, bad.pid], ["ready", pid]);
    await callText(client, "it_echo");
    const good = await gateway.waitForServer("it", ({ health }) => health === "ok");
    assert.deepEqual([good.pid, good.restarts], [pid, 0]);
  });

  verifies("health.quiet", async ({ configured, scope }) => {
    const healthInterval = 400;
    const web = scope.use(await startHttpFake({ tools: ["echo"] }));
    const gateway = await configured({ mcpServers: { web: { url: web.url, healthInterval } } });
    await gateway.ready();
    const client = await HttpClient.connect(gateway.url);
    const pings = () => web.core.counts.get("ping") ?? 0;
    let began = performance.now();
    let before = 0;
    let last = 0;
    // Long enough for three probes, of calls without a pause in which one would be right; one that
    // was sent in a pause may arrive after the call that ended it.
    const call = async () => {
      await callText(client, "web_echo");
      const now = performance.now();
      if (now - last > healthInterval / 2) began = now;
      if (now - began < healthInterval) before = pings();
      last = now;
      return now - began;
    };
    const long = 4 * healthInterval;
    await eventually(call, (lasted) => lasted >= long, "calls without a pause", 60_000);
    assert.equal(pings(), before);
    await web.requests.waitFor(({ method }) => method === "ping", {
      from: web.requests.items.length,
    });
  });
}

/** Does something to a process that may be gone. */
function isGone(act: () => void): void {
  try {
    act();
  } catch {
    // It is.
  }
}
