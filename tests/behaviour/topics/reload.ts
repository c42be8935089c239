import assert from "node:assert/strict";
import { mkdir, readFile, rename, symlink, unlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { HttpClient } from "../../support/clients/http.ts";
import { isNotification, isResponseTo, textOf } from "../../support/clients/message.ts";
import { ModernClient } from "../../support/clients/modern.ts";
import { startHttpFake } from "../../support/fakes/http-server.ts";
import { eventually } from "../../support/inbox.ts";
import { waitUntilGone } from "../../support/process.ts";
import type { ConfiguredBy } from "../configured.ts";
import { callText, listedAfter, listKeys, replaceConfig } from "../helpers.ts";
import type { Suite, Tools } from "../suite.ts";
import { stdioUpstream } from "../world.ts";

const TOOLS_CHANGED = "notifications/tools/list_changed";
const LISTED = ["echo", "pid"];

/** Pinned: clients keep them in their caches. */
const META_TOOLS = [
  "discover_tools",
  "provision_tools",
  "list_provisioned_tools",
  "execute_tool",
  "list_mcp_servers",
];

const one = stdioUpstream({ name: "one", tools: LISTED });
const two = stdioUpstream({ name: "two", tools: LISTED });

async function running({ configured }: Tools, config: ConfiguredBy) {
  const gateway = await configured(config);
  await gateway.ready();
  const client = await HttpClient.connect(gateway.url);
  return { gateway, client };
}

/** The entry of a server within this process, for where no process of it is looked at. */
async function http({ scope }: Tools, name: string, prompts: readonly string[] = []) {
  const { url } = scope.use(await startHttpFake({ name, tools: LISTED, prompts }));
  return { url };
}

const sorted = async (client: HttpClient) => (await listKeys(client, "tools")).sort();

/** The configuration changes while clients are connected. */
export function reload({ verifies, verifiesProcess }: Suite): void {
  verifies("reload.add", async (tools) => {
    const two = await http(tools, "two");
    const { gateway, client } = await running(tools, { mcpServers: { one } });
    const stream = await client.listen();
    const pid = await callText(client, "one_pid");
    await replaceConfig(gateway, { mcpServers: { one, two } });
    await stream.messages.waitFor(isNotification(TOOLS_CHANGED));
    assert.deepEqual(await sorted(client), ["one_echo", "one_pid", "two_echo", "two_pid"]);
    assert.equal(await callText(client, "two_echo", { text: "hi" }), `{"text":"hi"}`);
    // The same process, over the same session.
    assert.equal(await callText(client, "one_pid"), pid);
    stream.close();
  });

  verifies("reload.remove", async (tools) => {
    const one = await http(tools, "one");
    const { gateway, client } = await running(tools, { mcpServers: { one, two } });
    const stream = await client.listen();
    const pid = Number(await callText(client, "two_pid"));
    await replaceConfig(gateway, { mcpServers: { one } });
    await stream.messages.waitFor(isNotification(TOOLS_CHANGED));
    assert.deepEqual(await sorted(client), ["one_echo", "one_pid"]);
    await waitUntilGone(pid);
    const gone = await client.request("tools/call", { name: "two_echo", arguments: {} });
    assert.match(gone.json.error.message, /Unknown tool "two_echo"/);
    stream.close();
  });

  verifies("reload.replace", async (tools) => {
    const one = await http(tools, "one");
    const web = tools.scope.use(await startHttpFake({ tools: ["wait", "echo"] }));
    const { gateway, client } = await running(tools, {
      mcpServers: { web: { url: web.url }, one },
    });
    const stream = await client.listen();
    const params = { name: "web_wait", arguments: { key: "old" }, _meta: { progressToken: 1 } };
    const call = await client.start("tools/call", params, 77);
    await call.messages.waitFor(isNotification("notifications/progress"));
    const next = tools.scope.use(await startHttpFake({ tools: ["echo", "pid"] }));
    await replaceConfig(gateway, { mcpServers: { web: { url: next.url }, one } });
    await stream.messages.waitFor(isNotification(TOOLS_CHANGED));
    assert.deepEqual(await sorted(client), ["one_echo", "one_pid", "web_echo", "web_pid"]);
    // The call in flight ends where it began.
    await web.core.release("old");
    assert.equal(textOf(await call.messages.waitFor(isResponseTo(77))), "released old");
    stream.close();
  });

  verifies("reload.slow", async (tools) => {
    const one = await http(tools, "one");
    const { gateway, client } = await running(tools, { mcpServers: { one } });
    const hung = stdioUpstream({ name: "one", tools: LISTED, faults: { hangOnStart: true } });
    const from = gateway.logs.items.length;
    await replaceConfig(gateway, {
      startupTimeout: "1s",
      mcpServers: { one: hung, two: hung },
    });
    await gateway.waitForLog(/Configuration reloaded: added two; changed one/, from);
    // Until the new one has settled the old one serves.
    assert.equal(await callText(client, "one_echo", { text: "still" }), `{"text":"still"}`);
    await gateway.waitForServer("one", ({ state }) => state === "backoff");
    const refused = await client.request("tools/call", { name: "one_echo", arguments: {} });
    assert.ok(refused.json.error !== undefined);
  });

  verifies("reload.same", async (tools) => {
    const three = await http(tools, "three");
    const { gateway, client } = await running(tools, { mcpServers: { one, two } });
    const stream = await client.listen();
    const pids = [await callText(client, "one_pid"), await callText(client, "two_pid")];
    const from = gateway.logs.items.length;
    const reordered = Object.fromEntries(Object.entries(two).reverse());
    await replaceConfig(
      gateway,
      `// moved\n${JSON.stringify({ mcpServers: { one, two: reordered } }, null, 4)}`,
    );
    await replaceConfig(gateway, { mcpServers: { one, two: reordered, three } });
    await gateway.waitForLog(/Configuration reloaded: added three +file=/, from);
    await stream.messages.waitFor(isNotification(TOOLS_CHANGED));
    assert.deepEqual([await callText(client, "one_pid"), await callText(client, "two_pid")], pids);
    assert.equal(stream.messages.items.filter(isNotification(TOOLS_CHANGED)).length, 1);
    stream.close();
  });

  verifies("reload.names", async (tools) => {
    const { gateway, client } = await running(tools, { mcpServers: { one } });
    const stream = await client.listen();
    const pid = await callText(client, "one_pid");
    await replaceConfig(gateway, {
      mcpServers: { one: { ...one, separator: "__", timeout: "1m" } },
    });
    await stream.messages.waitFor(isNotification(TOOLS_CHANGED));
    assert.deepEqual(await sorted(client), ["one__echo", "one__pid"]);
    assert.equal(await callText(client, "one__pid"), pid);
    stream.close();
  });

  verifies("reload.gating", async (tools) => {
    const { gateway, client } = await running(tools, { mcpServers: { one } });
    const stream = await client.listen();
    const pid = await callText(client, "one_pid");
    const steps: readonly [unknown, readonly string[]][] = [
      ["on", META_TOOLS],
      [{ mode: "auto", maxTools: 1, alwaysVisible: ["*_echo"] }, [...META_TOOLS, "one_echo"]],
      ["off", ["one_echo", "one_pid"]],
    ];
    for (const [gating, listed] of steps) {
      const from = gateway.logs.items.length;
      const heard = stream.messages.items.length;
      await replaceConfig(gateway, { gating, mcpServers: { one } });
      await gateway.waitForLog(/Configuration reloaded: settings gating +file=/, from);
      await stream.messages.waitFor(isNotification(TOOLS_CHANGED), { from: heard });
      assert.deepEqual(await listKeys(client, "tools"), listed);
      // By its name, listed or not, and in the same process.
      assert.equal(await callText(client, "one_pid"), pid);
    }
    assert.deepEqual((await gateway.status()).config.restartNeeded, []);
    stream.close();
  });

  verifies("reload.concerned", async (tools) => {
    const two = await http(tools, "two");
    const { gateway, client } = await running(tools, { mcpServers: { one, two } });
    const all = await client.listen();
    const other = await (await HttpClient.connect(gateway.serverUrl("one"))).listen();
    const modern = await new ModernClient(gateway.url).start("subscriptions/listen", {
      notifications: { toolsListChanged: true, promptsListChanged: true },
    }, { id: "l" });
    await modern.messages.waitFor(({ json }) => /acknowledged$/.test(json.method));
    const three = await http(tools, "three", ["greet"]);
    await replaceConfig(gateway, { mcpServers: { one, two, three } });
    for (const { messages } of [all, modern]) {
      await messages.waitFor(isNotification(TOOLS_CHANGED));
      await messages.waitFor(isNotification("notifications/prompts/list_changed"));
    }
    const before = await callText(client, "one_pid");
    const args = [...one.args as string[], "another"];
    await replaceConfig(gateway, { mcpServers: { one: { ...one, args }, two, three } });
    const pid = () => callText(client, "one_pid");
    await eventually(pid, (now) => now !== before, "the new process");
    // A server of its own that offers the same: nobody is told anything.
    assert.deepEqual(other.messages.items.map(({ json }) => json.method), []);
    const count = (messages: typeof all.messages) =>
      messages.items.filter(({ json }) => /list_changed$/.test(json.method)).length;
    assert.deepEqual([count(all.messages), count(modern.messages)], [2, 2]);
    for (const stream of [all, other, modern]) stream.close();
  });

  verifies("reload.invalid", async (tools) => {
    const one = await http(tools, "one");
    const two = await http(tools, "two");
    const { gateway, client } = await running(tools, { mcpServers: { one } });
    const before = await gateway.status();
    assert.equal(before.config.error, null);
    const from = gateway.logs.items.length;
    await replaceConfig(gateway, '{\n  "mcpServers": {\n    "one": { "comand": "x" }\n  }\n}');
    const line = await gateway.waitForLog(/not reloaded.*did you mean "command"/, from);
    assert.match(line, /mcp-servers\.json:3:\d+/);
    const { config } = await gateway.status();
    assert.match(config.error ?? "", /mcp-servers\.json:3:\d+ .*did you mean "command"/);
    assert.equal(config.loadedAt, before.config.loadedAt);
    assert.equal(await callText(client, "one_echo", { text: "on" }), `{"text":"on"}`);
    await replaceConfig(gateway, { mcpServers: { one, two } });
    await eventually(gateway.status, (now) => now.config.error === null, "the mended file");
    await eventually(() => sorted(client), (names) => names.length === 4, "both servers");
  });

  verifies("reload.variable", async (tools) => {
    const one = await http(tools, "one");
    const { gateway, client } = await running(tools, { mcpServers: { one } });
    const env = { env: { TOKEN: "${NOT_SET_ANYWHERE}" } };
    await replaceConfig(gateway, { mcpServers: { one, two: { ...two, ...env } } });
    const { lastError } = await gateway.waitForServer("two", ({ state }) => state === "closed");
    assert.match(String(lastError), /NOT_SET_ANYWHERE/);
    assert.equal((await gateway.status()).config.error, null);
    assert.equal(await callText(client, "one_echo", { text: "on" }), `{"text":"on"}`);
  });

  verifies("reload.restart", async (tools) => {
    const one = await http(tools, "one");
    const two = await http(tools, "two");
    const { gateway, client } = await running(tools, { mcpServers: { one } });
    const from = gateway.logs.items.length;
    await replaceConfig(gateway, {
      host: "127.0.0.2",
      logFormat: "json",
      mcpServers: { one, two },
    });
    await gateway.waitForLog(/Restart the gateway to apply.*host.*logFormat/, from);
    const { config } = await gateway.status();
    assert.deepEqual(config.restartNeeded, ["host", "logFormat"]);
    await eventually(() => sorted(client), (names) => names.length === 4, "the rest in force");
  });

  verifies("reload.pieces", async (tools) => {
    const one = await http(tools, "one");
    const two = await http(tools, "two");
    const { gateway, client } = await running(tools, { mcpServers: { one } });
    const from = gateway.logs.items.length;
    const text = JSON.stringify({ mcpServers: { one, two } }, null, 2);
    // Truncate, half, whole: what editors do that write in place.
    await writeFile(gateway.configPath, "");
    await writeFile(gateway.configPath, text.slice(0, text.length / 2));
    await writeFile(gateway.configPath, text);
    await unlink(gateway.configPath);
    await writeFile(gateway.configPath, text);
    await eventually(() => sorted(client), (names) => names.length === 4, "both servers");
    const wrong = gateway.logs.items.slice(from).filter((line) => /not reloaded/.test(line));
    assert.deepEqual(wrong, []);
  });

  verifies("reload.link", async (tools) => {
    const one = await http(tools, "one");
    const two = await http(tools, "two");
    const { gateway, client } = await running(tools, { mcpServers: { one } });
    // A mounted ConfigMap: the file is a link through `..data`, which is swapped.
    const base = dirname(gateway.configPath);
    for (const [version, mcpServers] of [["v1", { one }], ["v2", { one, two }]] as const) {
      await mkdir(join(base, version));
      await writeFile(join(base, version, "mcp-servers.json"), JSON.stringify({ mcpServers }));
    }
    const swap = async (version: string) => {
      await symlink(version, join(base, "..data_tmp"));
      await rename(join(base, "..data_tmp"), join(base, "..data"));
    };
    await swap("v1");
    await symlink(join("..data", "mcp-servers.json"), `${gateway.configPath}.link`);
    await rename(`${gateway.configPath}.link`, gateway.configPath);
    assert.match(await readFile(gateway.configPath, "utf8"), /"one"/);
    assert.deepEqual(await sorted(client), ["one_echo", "one_pid"]);
    const stream = await client.listen();
    await swap("v2");
    await listedAfter(client, "tools", "two_echo", stream.messages);
    stream.close();
  });

  verifies("reload.burst", async (tools) => {
    const one = await http(tools, "one");
    const two = await http(tools, "two");
    const { gateway, client } = await running(tools, { mcpServers: { one } });
    const stream = await client.listen();
    for (let at = 0; at < 50; at++) {
      await replaceConfig(gateway, { mcpServers: { one, [`s${at}`]: two } });
    }
    await listedAfter(client, "tools", "s49_echo", stream.messages);
    const status = async () => (await gateway.status()).servers.map(({ name }) => name);
    assert.deepEqual(await status(), ["one", "s49"]);
    assert.deepEqual(await sorted(client), ["one_echo", "one_pid", "s49_echo", "s49_pid"]);
    stream.close();
  });

  verifiesProcess("reload.sighup", async (tools) => {
    const one = await http(tools, "one");
    const { gateway } = await running(tools, { mcpServers: { one } });
    const from = gateway.logs.items.length;
    gateway.process!.signal("SIGHUP");
    await gateway.waitForLog(/read again: nothing has changed/, from);
  });
}
