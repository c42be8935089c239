import assert from "node:assert/strict";
import { test } from "node:test";
import { realClients } from "../behaviour/real-clients.ts";
import { Scope } from "../behaviour/scope.ts";
import { startHttpFake } from "../support/fakes/http-server.ts";
import { startGateway } from "../support/gateway.ts";

/** A fake whose results to these methods are something else. */
async function oddFake(results: Readonly<Record<string, unknown>>) {
  const fake = await startHttpFake({ tools: ["echo"] }, { sessions: false });
  fake.fault = (method, { body }) => {
    if (method === undefined || !Object.hasOwn(results, method)) return undefined;
    const { id } = JSON.parse(body);
    const answer = JSON.stringify({ jsonrpc: "2.0", id, result: results[method] });
    return { status: 200, contentType: "application/json", body: answer };
  };
  return fake;
}

function initialized(capabilities: unknown, more: object = {}) {
  const serverInfo = { name: "odd", version: "1" };
  return { initialize: { protocolVersion: "2025-11-25", capabilities, serverInfo, ...more } };
}

const all = { tools: {}, prompts: {}, resources: {} };

const ODD = {
  ...initialized({ ...all, logging: "yes", experimental: [], completions: null }, {
    instructions: 5,
  }),
  "tools/list": {
    tools: [
      { name: "bare" },
      { name: "nulls", title: null, outputSchema: null, inputSchema: { type: "object" } },
      { name: "php", inputSchema: { type: "object", properties: [] }, annotations: [], _meta: [] },
      { name: "no_tool", inputSchema: "none" },
    ],
  },
  "prompts/list": { prompts: [{ name: "ask", arguments: null, icons: {} }] },
  "resources/list": { resources: [{ uri: "odd://r", name: "r", mimeType: null }] },
  "resources/templates/list": {
    resourceTemplates: [{ uriTemplate: "odd://{x}", name: "t", annotations: { priority: "high" } }],
  },
};

test("SDK clients list everything though one of the servers defines things oddly", async () => {
  await using scope = new Scope();
  const good = scope.use(await startHttpFake({ tools: ["echo"], prompts: ["greet"] }));
  const odd = scope.use(await oddFake(ODD));
  const gateway = await startGateway({
    mode: "memory",
    config: {
      mcpServers: { odd: { url: odd.url }, good: { url: good.url } },
      profiles: { p: { servers: ["*"] } },
    } as never,
  });
  scope.defer(() => gateway.stop());
  await gateway.ready();
  for (const path of ["", "/profiles/p"]) {
    const target = { url: `${gateway.base}${path}/mcp`, sseUrl: "", commands: {} };
    for (const name of ["SDK v1, Streamable HTTP", "SDK v2 legacy", "SDK v2 modern"]) {
      const client = await realClients(target).get(name)!();
      assert.deepEqual(await client.names(), {
        tools: ["odd_bare", "odd_nulls", "odd_php", "good_echo"],
        prompts: ["odd_ask", "good_greet"],
        resources: ["odd://r"],
        templates: ["odd://{x}"],
      }, name);
      await client.close();
    }
  }
  // Nothing stands beside it there.
  const response = await fetch(gateway.serverUrl("odd"), {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json, text/event-stream" },
    body: JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "initialize",
      params: {
        protocolVersion: "2025-11-25",
        capabilities: {},
        clientInfo: { name: "c", version: "1" },
      },
    }),
  });
  assert.match(await response.text(), /"logging":"yes"/);
  const { problems } = await gateway.waitForServer("odd", () => true) as unknown as {
    readonly problems: readonly string[];
  };
  for (
    const problem of [
      'Mended capabilities: "logging" is not valid',
      'Mended tools: "inputSchema" is missing ("bare")',
      'Mended tools: "title" is null ("nulls")',
      'Left out tools: "inputSchema" is not valid ("no_tool")',
      'Mended prompts: "arguments" is null ("ask")',
      'Mended resources: "mimeType" is null ("odd://r")',
    ]
  ) assert.ok(problems.includes(problem), `${problem} in ${problems.join("\n")}`);
});

test("A server that declares none of its lists, or declares one oddly, is asked for them", async () => {
  await using scope = new Scope();
  const declared = {
    nothing: {},
    other: { logging: {} },
    list: { tools: [] },
    flag: { tools: true },
  };
  const servers: [string, { url: string }][] = [];
  for (const [name, capabilities] of Object.entries(declared)) {
    servers.push([name, { url: scope.use(await oddFake(initialized(capabilities))).url }]);
  }
  const mute = scope.use(await oddFake(initialized({ prompts: {} })));
  const gateway = await startGateway({
    mode: "memory",
    config: { mcpServers: { ...Object.fromEntries(servers), mute: { url: mute.url } } },
  });
  scope.defer(() => gateway.stop());
  await gateway.ready();
  for (const name of Object.keys(declared)) {
    await gateway.waitForServer(name, ({ counts }) => counts.tools === 1);
  }
  // Who says which lists there are is believed.
  assert.equal(mute.core.counts.get("tools/list"), undefined);
  assert.equal((await gateway.waitForServer("mute", () => true)).counts.tools, 0);
});
