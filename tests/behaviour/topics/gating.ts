import assert from "node:assert/strict";
import { type Client, HttpClient } from "../../support/clients/http.ts";
import { isNotification, resultOf } from "../../support/clients/message.ts";
import { ModernClient } from "../../support/clients/modern.ts";
import { heard, startHttpFake } from "../../support/fakes/http-server.ts";
import type { Gateway } from "../../support/gateway.ts";
import { eventually } from "../../support/inbox.ts";
import { call, callText, listKeys, listTexts, replaceConfig } from "../helpers.ts";
import type { Suite, Tools } from "../suite.ts";

const TOOLS_CHANGED = "notifications/tools/list_changed";

const META = [
  "discover_tools",
  "provision_tools",
  "list_provisioned_tools",
  "execute_tool",
  "list_mcp_servers",
];

/** A gateway with two servers of the test's own. */
async function running({ configured, scope }: Tools, rest: object = {}) {
  const alpha = await startHttpFake({ name: "alpha", tools: ["echo", "pid", "change", "large"] });
  const beta = await startHttpFake({
    name: "beta",
    tools: ["echo", "change"],
    instructions: "Repeats. Often.",
  });
  for (const each of [alpha, beta]) scope.use(each);
  const servers = { alpha: { url: alpha.url }, beta: { url: beta.url } };
  const gateway = await configured({ mcpServers: servers, ...rest });
  await gateway.ready();
  await Promise.all([alpha, beta].map((fake) => heard(fake)));
  return { gateway, servers };
}

const PROFILES = { profiles: { small: { servers: ["beta"] } } };

const gatedUrl = ({ base }: Gateway) => `${base}/gated/mcp`;

async function clients(url: string): Promise<readonly Client[]> {
  return [await HttpClient.connect(url), new ModernClient(url)];
}

/** What a meta tool answers, as data. */
// deno-lint-ignore no-explicit-any
async function data(client: Client, name: string, args: Record<string, unknown>): Promise<any> {
  return resultOf(await call(client, name, args)).json.structuredContent;
}

const idsOf = (tools: readonly { readonly id: string }[]) => tools.map(({ id }) => id);

/** Many tools behind a few that find them. */
export function gating({ verifies }: Suite): void {
  verifies("gating.way", async (tools) => {
    const { gateway } = await running(tools, PROFILES);
    for (const client of await clients(gatedUrl(gateway))) {
      assert.deepEqual(await listKeys(client, "tools"), META);
      const found = await data(client, "discover_tools", { query: "echo", server: "alpha" });
      assert.equal(found.tools[0].id, "alpha_echo");
      assert.ok(found.tools.every(({ server }: { server: string }) => server === "alpha"));
      const { tools: [echo] } = await data(client, "provision_tools", { tool_ids: ["alpha_echo"] });
      assert.equal(echo.inputSchema.type, "object");
      const said = await callText(client, "execute_tool", {
        tool_id: "alpha_echo",
        arguments: { a: 1 },
      });
      assert.equal(said, '{"a":1}');
      const { servers } = await data(client, "list_mcp_servers", {});
      assert.deepEqual(
        servers.map(({ name, state }: { name: string; state: string }) => [name, state]),
        [["alpha", "ready"], ["beta", "ready"]],
      );
    }
  });

  verifies("gating.constant", async (tools) => {
    const { gateway, servers: all } = await running(tools);
    const legacy = await HttpClient.connect(gatedUrl(gateway));
    const stream = await legacy.listen();
    const both = [legacy, new ModernClient(gatedUrl(gateway))];
    const texts = () => Promise.all(both.map((client) => listTexts(client, "tools")));
    const before = await texts();
    assert.deepEqual(before[0], before[1]);
    const instructions = resultOf(legacy.initialized!).json.instructions;
    await replaceConfig(gateway, { mcpServers: { beta: all.beta } });
    const servers = async () => (await data(legacy, "list_mcp_servers", {})).servers.length;
    await eventually(servers, (count) => count === 1, "alpha gone");
    assert.deepEqual(await texts(), before);
    await callText(legacy, "beta_change", { kind: "tools", add: "fresh" });
    const fresh = async () => await data(legacy, "provision_tools", { tool_ids: ["beta_fresh"] });
    await eventually(fresh, ({ tools }) => tools.length === 1, "the new tool");
    await replaceConfig(gateway, { mcpServers: all });
    await eventually(servers, (count) => count === 2, "alpha back");
    assert.deepEqual(await texts(), before);
    assert.deepEqual(stream.messages.items.filter(isNotification(TOOLS_CHANGED)), []);
    const later = await HttpClient.connect(gatedUrl(gateway));
    assert.equal(resultOf(later.initialized!).json.instructions, instructions);
    stream.close();
  });

  verifies("gating.profiles", async (tools) => {
    const { gateway } = await running(tools, PROFILES);
    for (const client of await clients(`${gateway.base}/profiles/small/gated/mcp`)) {
      assert.deepEqual(await listKeys(client, "tools"), META);
      const { tools: found } = await data(client, "discover_tools", { query: "echo pid large" });
      assert.ok(idsOf(found).includes("beta_echo"));
      assert.ok(idsOf(found).every((id) => id.startsWith("beta_")), String(idsOf(found)));
      const { unknown } = await data(client, "provision_tools", { tool_ids: ["alpha_echo"] });
      assert.equal(unknown[0].nearest[0], "beta_echo");
      const refused = resultOf(await call(client, "execute_tool", { tool_id: "alpha_pid" })).json;
      assert.equal(refused.isError, true);
      const { servers } = await data(client, "list_mcp_servers", {});
      assert.deepEqual(servers.map(({ name }: { name: string }) => name), ["beta"]);
    }
  });

  verifies("gating.direct", async (tools) => {
    const { gateway } = await running(tools, { gating: { mode: "on", alwaysVisible: ["*_pid"] } });
    for (const url of [gateway.url, gatedUrl(gateway)]) {
      for (const client of await clients(url)) {
        assert.deepEqual(await listKeys(client, "tools"), [...META, "alpha_pid"]);
        assert.equal(await callText(client, "alpha_echo", { a: 1 }), '{"a":1}');
      }
    }
    const all = await listKeys(await HttpClient.connect(`${gateway.base}/ungated/mcp`), "tools");
    assert.equal(all.length, 6);
  });

  verifies("gating.auto", async (tools) => {
    const { gateway } = await running(tools, { gating: { maxTools: 6 } });
    const client = await HttpClient.connect(gateway.url);
    const modern = new ModernClient(gateway.url);
    const stream = await client.listen();
    const direct = await listKeys(client, "tools");
    assert.equal(direct.length, 6);
    await callText(client, "alpha_change", { kind: "tools", add: "seventh" });
    await stream.messages.waitFor(isNotification(TOOLS_CHANGED));
    for (const each of [client, modern]) assert.deepEqual(await listKeys(each, "tools"), META);
    // Who has not listed again still knows the real tools, and afterwards the others.
    assert.equal(await callText(modern, "beta_echo", { a: 1 }), '{"a":1}');
    const from = stream.messages.items.length;
    await callText(client, "alpha_change", { kind: "tools", remove: "seventh" });
    await stream.messages.waitFor(isNotification(TOOLS_CHANGED), { from });
    assert.deepEqual(await listKeys(client, "tools"), direct);
    const { tools: found } = await data(modern, "discover_tools", { query: "echo" });
    assert.deepEqual(idsOf(found).slice(0, 2).sort(), ["alpha_echo", "beta_echo"]);
  });

  verifies("gating.expose", async (tools) => {
    const { gateway, servers } = await running(tools, {
      gating: { mode: "on", exposeProvisioned: true },
      pageSize: 4,
    });
    const client = await HttpClient.connect(gateway.url);
    const other = await HttpClient.connect(gateway.url);
    const streams = [await client.listen(), await other.listen()] as const;
    await data(client, "provision_tools", { tool_ids: ["beta_echo", "alpha_pid"] });
    await streams[0].messages.waitFor(isNotification(TOOLS_CHANGED));
    assert.deepEqual(await listKeys(client, "tools"), [...META, "beta_echo", "alpha_pid"]);
    assert.deepEqual(await listKeys(other, "tools"), META);
    // Had the other heard of that, or of the tool that goes, there would be two of its own.
    const from = streams[0].messages.items.length;
    await replaceConfig(gateway, {
      mcpServers: { alpha: servers.alpha },
      gating: { mode: "on", exposeProvisioned: true },
      pageSize: 4,
    });
    await streams[0].messages.waitFor(isNotification(TOOLS_CHANGED), { from });
    assert.deepEqual(await listKeys(client, "tools"), [...META, "alpha_pid"]);
    await data(other, "provision_tools", { tool_ids: ["alpha_echo"] });
    await streams[1].messages.waitFor(isNotification(TOOLS_CHANGED));
    assert.equal(streams[1].messages.items.filter(isNotification(TOOLS_CHANGED)).length, 1);
    for (const stream of streams) stream.close();
  });

  verifies("gating.clash", async ({ configured, scope }) => {
    const { url } = scope.use(await startHttpFake({ tools: ["echo"] }));
    const gateway = await configured({
      mcpServers: {
        alpha: { url, prefix: "never", tools: { rename: { echo: "execute_tool" } } },
      },
      gating: { mode: "on" },
    });
    await gateway.ready();
    await gateway.waitForLog(/execute_tool.*hidden by a gating tool/);
    for (const client of await clients(gateway.url)) {
      assert.deepEqual(await listKeys(client, "tools"), META);
      const said = await callText(client, "execute_tool", {
        tool_id: "execute_tool",
        arguments: { a: 1 },
      });
      assert.equal(said, '{"a":1}');
    }
  });

  verifies("gating.handle", async (tools) => {
    const { gateway } = await running(tools, { gating: { requireProvisioning: true } });
    const [session, other] = [
      await HttpClient.connect(gatedUrl(gateway)),
      await HttpClient.connect(gatedUrl(gateway)),
    ];
    const modern = new ModernClient(gatedUrl(gateway));
    const execute = async (client: Client, rest: object = {}) => {
      const { json } = resultOf(
        await call(client, "execute_tool", { tool_id: "beta_echo", arguments: {}, ...rest }),
      );
      return json.isError !== true;
    };
    const { handle } = await data(modern, "provision_tools", { tool_ids: ["beta_echo"] });
    assert.equal(await execute(modern, { handle }), true);
    assert.equal(await execute(modern), false);
    assert.equal(await execute(modern, { handle: crypto.randomUUID() }), false);
    const { tools: listed } = await data(modern, "list_provisioned_tools", { handle });
    assert.deepEqual(idsOf(listed), ["beta_echo"]);
    assert.equal(await execute(session), false);
    await data(session, "provision_tools", { tool_ids: ["beta_echo"] });
    assert.equal(await execute(session), true);
    assert.equal(await execute(other), false);
  });
}
