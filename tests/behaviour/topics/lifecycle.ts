import assert from "node:assert/strict";
import { HttpClient } from "../../support/clients/http.ts";
import { isNotification, isResponseTo, textOf } from "../../support/clients/message.ts";
import { startHttpFake } from "../../support/fakes/http-server.ts";
import { within } from "../../support/inbox.ts";
import { isAlive, waitUntilGone } from "../../support/process.ts";
import { callText } from "../helpers.ts";
import type { Suite, Tools } from "../suite.ts";
import { stdioUpstream } from "../world.ts";

const STOPPING = /stop|drain|SIGTERM|SIGINT/i;

/** A gateway with a call in flight at an upstream in this process, which only the test can end. */
async function busy({ start, scope }: Tools, settings: object = {}) {
  const web = scope.use(await startHttpFake({}, { answer: "sse" }));
  const gateway = await start({
    ...settings,
    mcpServers: { web: { url: web.url }, local: stdioUpstream({}) },
  });
  await gateway.ready();
  const client = await HttpClient.connect(gateway.url);
  const pid = Number(await callText(client, "local_pid"));
  const stream = await client.listen();
  const params = { name: "web_wait", arguments: { key: "busy" }, _meta: { progressToken: 1 } };
  const call = await client.start("tools/call", params, 1);
  await call.messages.waitFor(isNotification("notifications/progress"));
  return { web, gateway, pid, stream, call };
}

/** How it ends. */
export function lifecycle({ verifiesProcess }: Suite): void {
  verifiesProcess("stop.drain", async (tools) => {
    const { web, gateway, pid, stream, call } = await busy(tools);
    const from = gateway.logs.items.length;
    const stopped = gateway.stop();
    await gateway.waitForLog(STOPPING, from);
    await web.core.release("busy");
    assert.equal(textOf(await call.messages.waitFor(isResponseTo(1))), "released busy");
    await stream.messages.waitForEnd();
    await stopped;
    await waitUntilGone(pid);
  });

  verifiesProcess("stop.int", async (tools) => {
    const { web, gateway, pid } = await busy(tools);
    const from = gateway.logs.items.length;
    gateway.process!.signal("SIGINT");
    await gateway.waitForLog(STOPPING, from);
    await web.core.release("busy");
    const exit = await within(gateway.process!.exited, "the stop after SIGINT");
    assert.deepEqual(exit, { code: 0, signal: null });
    await waitUntilGone(pid);
  });

  verifiesProcess("stop.second", async (tools) => {
    const { gateway, pid } = await busy(tools, { shutdownTimeout: "10m" });
    const from = gateway.logs.items.length;
    gateway.process!.signal("SIGTERM");
    await gateway.waitForLog(STOPPING, from);
    assert.ok(await isAlive(gateway.pid));
    gateway.process!.signal("SIGTERM");
    const { code } = await within(gateway.process!.exited, "the second signal");
    assert.notEqual(code, 0);
    await waitUntilGone(pid);
  });

  verifiesProcess("stop.stubborn", async ({ start }) => {
    const faults = { ignoreEof: true, ignoreSigterm: true };
    const gateway = await start({ mcpServers: { stubborn: stdioUpstream({ faults }) } });
    await gateway.ready();
    const client = await HttpClient.connect(gateway.url);
    const pid = Number(await callText(client, "stubborn_pid"));
    await gateway.stop();
    await waitUntilGone(pid);
  });

  verifiesProcess("stop.group", async ({ start }) => {
    const gateway = await start({ mcpServers: { parent: stdioUpstream({}) } });
    await gateway.ready();
    const client = await HttpClient.connect(gateway.url);
    const pid = Number(await callText(client, "parent_grandchild"));
    assert.ok(await isAlive(pid));
    await gateway.stop();
    await waitUntilGone(pid);
  });
}
