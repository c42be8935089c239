import assert from "node:assert/strict";
import { HttpClient } from "../../support/clients/http.ts";
import { errorOf, isNotification, requestText } from "../../support/clients/message.ts";
import { startHttpFake } from "../../support/fakes/http-server.ts";
import { waitUntilGone } from "../../support/process.ts";
import { call, callText, listKeys, replaceConfig } from "../helpers.ts";
import type { Suite, Tools } from "../suite.ts";
import { stdioUpstream } from "../world.ts";

const TOOLS_CHANGED = "notifications/tools/list_changed";
const TIMEOUT = -32011;

const one = stdioUpstream({ name: "one", tools: ["echo", "pid", "never"] });
const two = stdioUpstream({ name: "two", tools: ["echo", "pid"] });

/** The entry of a server within this process: only its name and its tools matter. */
async function http({ scope }: Tools, name: string) {
  const { url } = scope.use(await startHttpFake({ name, tools: ["echo", "pid"] }));
  return { url };
}

async function running({ configured }: Tools, mcpServers: Record<string, unknown>) {
  const gateway = await configured({ mcpServers });
  await gateway.ready();
  const client = await HttpClient.connect(gateway.url);
  const stream = await client.listen();
  /** Waits until the list has changed for the `count`th time. */
  const changed = (count: number) => {
    const all = () => stream.messages.items.filter(isNotification(TOOLS_CHANGED)).length;
    return stream.messages.waitFor(() => all() >= count);
  };
  return { gateway, client, changed };
}

/** The configuration changes while a server is in one state or another. */
export function reloadStates({ verifies }: Suite): void {
  verifies("reload.disabled", async (tools) => {
    const one = await http(tools, "one");
    const { gateway, client, changed } = await running(tools, { one, two });
    const pid = Number(await callText(client, "two_pid"));
    await replaceConfig(gateway, { mcpServers: { one, two: { ...two, disabled: true } } });
    await changed(1);
    assert.deepEqual(await listKeys(client, "tools"), ["one_echo", "one_pid"]);
    await waitUntilGone(pid);
    const disabled = (await gateway.status()).servers.find(({ name }) => name === "two");
    assert.equal(disabled?.state as string, "disabled");
    await replaceConfig(gateway, { mcpServers: { one, two } });
    await changed(2);
    assert.notEqual(Number(await callText(client, "two_pid")), pid);
  });

  verifies("reload.gone", async (tools) => {
    const [kept, gone] = [await http(tools, "kept"), await http(tools, "gone")];
    const { gateway, changed } = await running(tools, { kept, gone });
    const direct = await HttpClient.connect(gateway.serverUrl("gone"));
    assert.match(await callText(direct, "pid"), /^\d+$/);
    await replaceConfig(gateway, { mcpServers: { kept } });
    await changed(1);
    const next = requestText("i", "initialize", {
      protocolVersion: "2025-11-25",
      capabilities: {},
      clientInfo: { name: "late", version: "1" },
    });
    for (const client of [direct, new HttpClient(gateway.serverUrl("gone"))]) {
      const answer = await client.post(next);
      assert.equal(answer.status, 404);
      assert.match(JSON.parse(answer.text).message, /servers\/gone/);
    }
  });

  verifies("reload.backoff", async (tools) => {
    const good = await http(tools, "good");
    const more = await http(tools, "more");
    const bad = stdioUpstream({ name: "bad", tools: ["echo"], faults: { crashOnStart: 4 } });
    const { gateway, client, changed } = await running(tools, { good, bad });
    // A pause that outlasts both reloads.
    const before = await gateway.waitForServer("bad", ({ state, retryAt }) => {
      return state === "backoff" && Date.parse(retryAt!) - Date.now() > 1_400;
    });
    await replaceConfig(gateway, { mcpServers: { good, bad, more } });
    await changed(1);
    const after = await gateway.waitForServer("bad", () => true);
    assert.deepEqual([after.state, after.since], [before.state, before.since]);
    assert.equal(after.successor, undefined);
    const mended = await http(tools, "bad");
    await replaceConfig(gateway, { mcpServers: { good, bad: mended, more } });
    await changed(2);
    assert.equal(await callText(client, "bad_echo", { a: 1 }), '{"a":1}');
  });

  verifies("reload.limits", async (tools) => {
    const { gateway, client } = await running(tools, { one });
    const pid = await callText(client, "one_pid");
    const from = gateway.logs.items.length;
    await replaceConfig(gateway, { mcpServers: { one: { ...one, timeout: "200ms" } } });
    await gateway.waitForLog(/Configuration reloaded: changed one/, from);
    const { code, message } = errorOf(await call(client, "one_never"));
    assert.deepEqual([code, /within 200ms/.test(message)], [TIMEOUT, true], message);
    assert.equal(await callText(client, "one_pid"), pid);
  });
}
