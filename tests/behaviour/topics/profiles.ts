import assert from "node:assert/strict";
import { rename, writeFile } from "node:fs/promises";
import process from "node:process";
import { cacheEnv } from "../../support/cache.ts";
import { HttpClient } from "../../support/clients/http.ts";
import { isNotification, resultOf } from "../../support/clients/message.ts";
import { ModernClient } from "../../support/clients/modern.ts";
import { SseClient } from "../../support/clients/old-sse.ts";
import { StdioClient } from "../../support/clients/stdio.ts";
import { heard, startHttpFake } from "../../support/fakes/http-server.ts";
import type { FakeSpec } from "../../support/fakes/spec.ts";
import type { Gateway } from "../../support/gateway.ts";
import { eventually } from "../../support/inbox.ts";
import { type ProcessMode, programCommand, runProgram } from "../../support/program.ts";
import { callText, listedAfter, listKeys } from "../helpers.ts";
import type { Suite, Tools } from "../suite.ts";

const TOOLS_CHANGED = "notifications/tools/list_changed";

/** A configuration of four servers, of which two are only for what changes. */
async function shaped({ scope }: Tools) {
  const fake = async (spec: FakeSpec) => scope.use(await startHttpFake(spec));
  const alpha = await fake({ name: "alpha", tools: ["echo", "pid", "change", "large", "counts"] });
  const beta = await fake({ name: "beta", tools: ["echo", "pid", "change"], prompts: ["greet"] });
  const near = await fake({ name: "near", tools: ["change"] });
  const far = await fake({ name: "far", tools: ["change"] });
  const mcpServers = {
    alpha: {
      url: alpha.url,
      tools: {
        exclude: ["pid"],
        rename: { large: "big" },
        override: {
          echo: { description: "Says it again", hideParameters: ["secret"], fixed: { fixed: 7 } },
        },
      },
      maxResultBytes: { large: 300 },
      cache: { counts: { ttl: "10m" } },
    },
    beta: { url: beta.url, tags: ["small"] },
    near: { url: near.url },
    far: { url: far.url },
  };
  const profiles = {
    dev: { servers: ["b*"], instructions: "Only what is small" },
    echoes: { tools: { include: ["*_echo"] }, prompts: { exclude: ["*"] } },
    tagged: { tags: ["small"], separator: "__" },
    near: { servers: ["near"] },
  };
  return { config: { mcpServers, profiles }, near, far };
}

/** A gateway with that. */
async function startShaped(tools: Tools) {
  const { config, near, far } = await shaped(tools);
  const gateway = await tools.configured(config);
  await gateway.ready();
  for (const each of [near, far]) await heard(each);
  return { gateway };
}

interface ResultCached {
  readonly resultCache: { readonly hits: number };
}

const urlOf = (gateway: Gateway, profile: string) => `${gateway.base}/profiles/${profile}/mcp`;

/** What each client sees of the servers. */
export function profiles({ verifies, verifiesProcess }: Suite): void {
  verifies("profiles.lists", async (tools) => {
    const { gateway } = await tools.shared(startShaped);
    const dev = await HttpClient.connect(urlOf(gateway, "dev"));
    assert.match(resultOf(dev.initialized!).json.instructions, /^Only what is small/);
    assert.deepEqual(await listKeys(dev, "tools"), ["beta_echo", "beta_pid", "beta_change"]);
    assert.equal(await callText(dev, "beta_echo", { a: 1 }), '{"a":1}');
    const modern = new ModernClient(urlOf(gateway, "echoes"));
    assert.deepEqual(await listKeys(modern, "tools"), ["alpha_echo", "beta_echo"]);
    assert.deepEqual(await listKeys(modern, "prompts"), []);
    const sse = tools.scope.use(await SseClient.connect(`${gateway.base}/profiles/tagged/sse`));
    assert.deepEqual(await listKeys(sse, "tools"), ["beta__echo", "beta__pid", "beta__change"]);
    assert.equal(await callText(sse, "beta__echo", { a: 2 }), '{"a":2}');
  });

  verifies("profiles.unknown", async (tools) => {
    const { gateway } = await tools.shared(startShaped);
    for (const path of ["/profiles/nobody/mcp", "/profiles/nobody/sse", "/profiles/dev"]) {
      const answer = await fetch(`${gateway.base}${path}`);
      assert.equal(answer.status, 404);
      assert.equal((await answer.json()).error, "not_found");
    }
  });

  verifies("profiles.policy", async (tools) => {
    const { gateway } = await tools.shared(startShaped);
    const refused = async (url: string, name: string) => {
      const client = await HttpClient.connect(url);
      const { json } = await client.request("tools/call", { name, arguments: {} });
      assert.match(json.error.message, /Unknown tool/, `${url} ${name}`);
    };
    await refused(gateway.url, "alpha_pid");
    await refused(gateway.serverUrl("alpha"), "pid");
    await refused(urlOf(gateway, "dev"), "alpha_echo");
    await refused(urlOf(gateway, "echoes"), "beta_pid");
    const direct = await HttpClient.connect(gateway.serverUrl("alpha"));
    assert.deepEqual(await listKeys(direct, "tools"), ["echo", "change", "large", "counts"]);
  });

  verifies("profiles.concerned", async (tools) => {
    const { gateway } = await tools.shared(startShaped);
    const all = await HttpClient.connect(gateway.url);
    const near = await (await HttpClient.connect(urlOf(gateway, "near"))).listen();
    const whole = await all.listen();
    await callText(all, "far_change", { kind: "tools", add: "first" });
    await whole.messages.waitFor(isNotification(TOOLS_CHANGED));
    // Had it heard of that, there would be two.
    await callText(all, "near_change", { kind: "tools", add: "second" });
    await near.messages.waitFor(isNotification(TOOLS_CHANGED));
    assert.equal(near.messages.items.filter(isNotification(TOOLS_CHANGED)).length, 1);
    for (const stream of [near, whole]) stream.close();
  });

  verifies("shape.override", async (tools) => {
    const { gateway } = await tools.shared(startShaped);
    const client = await HttpClient.connect(gateway.url);
    const { json } = resultOf(await client.request("tools/list"));
    const echo = json.tools.find(({ name }: { name: string }) => name === "alpha_echo");
    assert.equal(echo.description, "Says it again");
    // What is hidden does not arrive, what is fixed does.
    const said = await callText(client, "alpha_echo", { a: 1, secret: "x", fixed: 1 });
    assert.deepEqual(JSON.parse(said), { a: 1, fixed: 7 });
    assert.equal((await callText(client, "alpha_big", { bytes: 3 })).length, 3);
  });

  verifies("results.size", async (tools) => {
    const { gateway } = await tools.shared(startShaped);
    const client = await HttpClient.connect(gateway.url);
    const answer = await client.request("tools/call", {
      name: "alpha_big",
      arguments: { bytes: 5_000 },
    });
    const { content } = resultOf(answer).json;
    assert.equal(content[0].text, "x".repeat(300));
    const { uri } = content.find(({ type }: { type: string }) => type === "resource_link");
    const whole = resultOf(await client.request("resources/read", { uri })).json.contents[0];
    assert.match(JSON.stringify(whole), /x{5000}/);
    const other = await HttpClient.connect(gateway.url);
    const refused = await other.request("resources/read", { uri });
    assert.ok(refused.json.error !== undefined);
  });

  verifies("results.cache", async (tools) => {
    const { gateway } = await tools.shared(startShaped);
    const client = await HttpClient.connect(gateway.url);
    const hits = async () => {
      const { resultCache } = await gateway.status() as unknown as ResultCached;
      return resultCache.hits;
    };
    const before = await hits();
    const first = await callText(client, "alpha_counts");
    assert.equal(await callText(client, "alpha_counts"), first);
    // Another session is another principal.
    const other = await HttpClient.connect(gateway.url);
    assert.notEqual(await callText(other, "alpha_counts"), first);
    assert.equal(await hits() - before, 1);
  });

  verifiesProcess("profiles.stdio", async (tools) => {
    const { gateway } = await tools.shared(startShaped);
    const mode = tools.mode as ProcessMode;
    const args = ["--stdio", "--config", gateway.configPath, "--profile"];
    const { command, args: all } = programCommand(mode, [...args, "dev"]);
    const client = await StdioClient.spawn(command, all, { ...process.env, ...cacheEnv() });
    tools.scope.defer(() => client.process.kill());
    await client.initialize();
    await listedAfter(client, "tools", "beta_echo", client.messages);
    assert.deepEqual(await listKeys(client, "tools"), ["beta_echo", "beta_pid", "beta_change"]);
    await client.close();
    const { code, stderr } = await runProgram(mode, [...args, "nobody"]);
    assert.equal(code, 2);
    assert.match(stderr, /expected one of dev, echoes, tagged/);
  });

  verifies("profiles.reload", async (tools) => {
    const { config } = await shaped(tools);
    const gateway = await tools.configured(config);
    await gateway.ready();
    const client = await HttpClient.connect(urlOf(gateway, "dev"));
    const stream = await client.listen();
    const replace = async (change: object) => {
      await writeFile(`${gateway.configPath}.next`, JSON.stringify({ ...config, ...change }));
      await rename(`${gateway.configPath}.next`, gateway.configPath);
    };
    await replace({ profiles: { dev: { servers: ["alpha"] } } });
    await stream.messages.waitFor(isNotification(TOOLS_CHANGED));
    assert.deepEqual(
      await listKeys(client, "tools"),
      ["alpha_echo", "alpha_change", "alpha_big", "alpha_counts"],
    );
    await replace({ profiles: {} });
    const status = async () => (await fetch(urlOf(gateway, "dev"))).status;
    await eventually(status, (now) => now === 404, "the profile gone");
    stream.close();
  });
}
