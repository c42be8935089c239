import assert from "node:assert/strict";
import { HttpClient } from "../../support/clients/http.ts";
import { isNotification } from "../../support/clients/message.ts";
import { ModernClient } from "../../support/clients/modern.ts";
import { SseClient } from "../../support/clients/old-sse.ts";
import { eventually } from "../../support/inbox.ts";
import { heard, type HttpFakeOptions, startHttpFake } from "../../support/fakes/http-server.ts";
import type { FakeSpec } from "../../support/fakes/spec.ts";
import { callText, listKeys } from "../helpers.ts";
import type { Suite, Tools } from "../suite.ts";
import { stdioUpstream } from "../world.ts";

const TOOLS_CHANGED = "notifications/tools/list_changed";
const LISTED = ["change", "cry_wolf", "counts"];

/** One gateway, where each test has the server it changes to itself, and hears all it causes. */
async function startChanging({ configured, scope }: Tools) {
  const fake = async (spec: FakeSpec, options: HttpFakeOptions = {}) =>
    scope.use(await startHttpFake(spec, options));
  const rest = { tools: LISTED, prompts: 1, resources: 1, templates: 1 };
  const legacy = {
    remove: await fake({ name: "remove", ...rest }),
    near: await fake({ name: "near", ...rest }),
    far: await fake({ name: "far", tools: LISTED }),
    wolf: await fake({ name: "wolf", ...rest }),
    listen: await fake({ name: "listen", ...rest }),
  };
  const other = {
    web: await fake({ tools: ["change"] }),
    modern: await fake({ tools: ["change"], era: "modern" }),
    old: await fake({ tools: ["change"] }, { transport: "sse" }),
  };
  const urls = Object.entries({ ...legacy, ...other }).map(([name, { url }]) => [name, { url }]);
  const gateway = await configured({
    gating: "off",
    mcpServers: { add: stdioUpstream({ name: "add", ...rest }), ...Object.fromEntries(urls) },
  });
  await gateway.ready();
  await Promise.all(Object.values(legacy).map((fake) => heard(fake)));
  return { gateway, other };
}

/** What changes at an upstream while clients are connected. */
export function changes({ verifies }: Suite): void {
  verifies("changes.add", async (tools) => {
    const { gateway } = await tools.shared(startChanging);
    const client = await HttpClient.connect(gateway.url);
    const stream = await client.listen();
    const sse = tools.scope.use(await SseClient.connect(`${gateway.base}/sse`));
    const added = {
      tools: ["fresh", "add_fresh", TOOLS_CHANGED],
      prompts: ["fresh", "add_fresh", "notifications/prompts/list_changed"],
      resources: ["fake://fresh", "fake://fresh", "notifications/resources/list_changed"],
      templates: ["fake://{x}", "fake://{x}", "notifications/resources/list_changed"],
    } as const;
    for (const kind of ["tools", "prompts", "resources", "templates"] as const) {
      const [add, exposed, notification] = added[kind];
      const from = [stream.messages.items.length, sse.messages.items.length] as const;
      await callText(client, "add_change", { kind, add });
      await stream.messages.waitFor(isNotification(notification), { from: from[0] });
      await sse.messages.waitFor(isNotification(notification), { from: from[1] });
      for (const each of [client, sse]) {
        assert.ok((await listKeys(each, kind)).includes(exposed), kind);
      }
    }
    stream.close();
  });

  verifies("changes.remove", async (tools) => {
    const { gateway } = await tools.shared(startChanging);
    const client = await HttpClient.connect(gateway.url);
    const stream = await client.listen();
    assert.ok((await listKeys(client, "tools")).includes("remove_counts"));
    const from = stream.messages.items.length;
    await callText(client, "remove_change", { kind: "tools", remove: "counts" });
    await stream.messages.waitFor(isNotification(TOOLS_CHANGED), { from });
    assert.ok(!(await listKeys(client, "tools")).includes("remove_counts"));
    stream.close();
  });

  verifies("changes.concerned", async (tools) => {
    const { gateway } = await tools.shared(startChanging);
    const all = await HttpClient.connect(gateway.url);
    const stream = await all.listen();
    const concerned = await (await HttpClient.connect(gateway.serverUrl("near"))).listen();
    const other = await (await HttpClient.connect(gateway.serverUrl("far"))).listen();
    await callText(all, "near_change", { kind: "tools", add: "first" });
    await stream.messages.waitFor(isNotification(TOOLS_CHANGED));
    await concerned.messages.waitFor(isNotification(TOOLS_CHANGED));
    const from = stream.messages.items.length;
    // The other hears of its own change; had it heard of the first, there would be two.
    await callText(all, "far_change", { kind: "tools", add: "second" });
    await other.messages.waitFor(isNotification(TOOLS_CHANGED));
    await stream.messages.waitFor(isNotification(TOOLS_CHANGED), { from });
    assert.deepEqual(other.messages.items.map(({ json }) => json.method), [TOOLS_CHANGED]);
    assert.deepEqual(concerned.messages.items.map(({ json }) => json.method), [TOOLS_CHANGED]);
    for (const each of [stream, concerned, other]) each.close();
  });

  verifies("changes.wolf", async (tools) => {
    const { gateway } = await tools.shared(startChanging);
    const client = await HttpClient.connect(gateway.url);
    const stream = await client.listen();
    const refreshes = async () => {
      return JSON.parse(await callText(client, "wolf_counts"))["tools/list"] as number;
    };
    const before = await refreshes();
    await callText(client, "wolf_cry_wolf");
    await eventually(refreshes, (count) => count > before, "a refresh after the notification");
    await callText(client, "wolf_change", { kind: "prompts", add: "real" });
    await stream.messages.waitFor(isNotification("notifications/prompts/list_changed"));
    assert.deepEqual(stream.messages.items.filter(isNotification(TOOLS_CHANGED)), []);
    stream.close();
  });

  verifies("changes.modern", async (tools) => {
    const { gateway } = await tools.shared(startChanging);
    const client = new ModernClient(gateway.url);
    const listen = await client.start("subscriptions/listen", {
      notifications: { toolsListChanged: true },
    }, { id: "my-listen" });
    assert.equal(listen.status, 200);
    const ack = await listen.messages.waitFor(() => true);
    assert.equal(ack.json.method, "notifications/subscriptions/acknowledged");
    assert.deepEqual(ack.json.params.notifications, { toolsListChanged: true });
    const all = await (await HttpClient.connect(gateway.url)).listen();
    await callText(client, "listen_change", { kind: "prompts", add: "not asked for" });
    await all.messages.waitFor(isNotification("notifications/prompts/list_changed"));
    await callText(client, "listen_change", { kind: "tools", add: "fresh" });
    const note = await listen.messages.waitFor(isNotification(TOOLS_CHANGED));
    const id = "io.modelcontextprotocol/subscriptionId";
    assert.equal(note.json.params._meta[id], "my-listen");
    assert.equal(ack.json.params._meta[id], "my-listen");
    assert.equal(listen.messages.items.length, 2);
    for (const stream of [listen, all]) stream.close();
  });

  verifies("changes.http", async ({ shared }) => {
    const { gateway, other } = await shared(startChanging);
    const client = await HttpClient.connect(gateway.url);
    const stream = await client.listen();
    for (const [name, fake] of Object.entries(other)) {
      const from = stream.messages.items.length;
      // The stream the upstream announces on is opened after the handshake.
      const watched = (method: string | undefined, httpMethod: string) =>
        name === "modern" ? method === "subscriptions/listen" : httpMethod === "GET";
      await fake.requests.waitFor(({ method, httpMethod }) => watched(method, httpMethod));
      await callText(client, `${name}_change`, { kind: "tools", add: "fresh" });
      await stream.messages.waitFor(isNotification(TOOLS_CHANGED), { from });
      assert.ok((await listKeys(client, "tools")).includes(`${name}_fresh`), name);
    }
    stream.close();
  });
}
