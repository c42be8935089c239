import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import process from "node:process";
import { HttpClient } from "../../support/clients/http.ts";
import { resultOf } from "../../support/clients/message.ts";
import { startHttpFake } from "../../support/fakes/http-server.ts";
import type { Gateway } from "../../support/gateway.ts";
import { eventually } from "../../support/inbox.ts";
import { processTable } from "../../support/process-table.ts";
import { callText, listedAfter, listKeys } from "../helpers.ts";
import { startOddWorld } from "../odd-world.ts";
import type { ConfiguredBy } from "../configured.ts";
import type { Suite, Tools } from "../suite.ts";
import { stdioUpstream } from "../world.ts";

/** The ways not to start, beside one server that does. */
async function withFailures({ scope }: Tools): Promise<ConfiguredBy> {
  const closed = await startHttpFake({});
  await closed.close();
  const broken = scope.use(await startHttpFake({}));
  broken.fault = () => ({ status: 500, body: "<html>oops</html>", contentType: "text/html" });
  return {
    mcpServers: {
      hung: stdioUpstream({ faults: { hangOnStart: true } }, { startupTimeout: "2s" }),
      crashing: stdioUpstream({ faults: { crashOnStart: 3 } }),
      missing: { command: "no-such-command-anywhere", args: [] },
      refusing: { url: closed.url },
      broken: { url: broken.url, transport: "http" },
      denying: stdioUpstream({
        faults: { refuseInitialize: '{"code":-32000,"message":"licence expired"}' },
      }),
      good: stdioUpstream({ tools: ["echo"] }),
    },
  };
}

/** From the start to the moment everything that can be there is. */
export function startup({ verifies }: Suite): void {
  verifies("start.others", async (tools) => {
    const gateway = await tools.start(await withFailures(tools));
    const client = await HttpClient.connect(gateway.url);
    const stream = await client.listen();
    await listedAfter(client, "tools", "good_echo", stream.messages);
    assert.deepEqual(await listKeys(client, "tools"), ["good_echo"]);
    assert.equal(await callText(client, "good_echo", { a: 1 }), '{"a":1}');
    const hung = (await gateway.status()).servers.find(({ name }) => name === "hung");
    assert.equal(hung?.state, "connecting");
    stream.close();
  });

  verifies("start.errors", async (tools) => {
    const gateway = await tools.configured(await withFailures(tools));
    await gateway.ready();
    const expected: [string, RegExp][] = [
      ["hung", /2 ?s|2000|time|startupTimeout/i],
      ["crashing", /code 3|exit.*3|cannot start/],
      ["missing", /no-such-command-anywhere/],
      ["refusing", /refused|connect/i],
      ["broken", /500/],
      ["denying", /licence expired/],
    ];
    for (const [name, pattern] of expected) {
      const { state, lastError } = await gateway.waitForServer(
        name,
        (server) => server.lastError !== null && server.lastError !== undefined,
      );
      assert.notEqual(state, "ready", name);
      assert.match(JSON.stringify(lastError), pattern, name);
      await gateway.waitForLog(new RegExp(`${name}.*(${pattern.source})`, "i"));
    }
  });

  verifies("start.parallel", async ({ start, configured, scope }) => {
    const mark = `parallel-${process.pid}-${performance.now()}`;
    const names = Array.from({ length: 10 }, (_, i) => `one${i}`);
    const ten = (server: object) => ({
      mcpServers: Object.fromEntries(names.map((name) => [name, server])),
    });
    const hung = await start(ten(stdioUpstream({ name: mark, faults: { hangOnStart: true } })));
    // None gets ready, so whoever starts one after the other never comes to the second.
    const running = () =>
      processTable().filter(({ command, isZombie }) => !isZombie && command.includes(mark)).length;
    await eventually(running, (count) => count === names.length, "ten processes at a time");
    const states = async ({ status }: Gateway) =>
      (await status()).servers.map(({ state }) => state);
    assert.deepEqual(await states(hung), names.map(() => "connecting"));
    await hung.kill();
    const good = await configured(ten({ url: scope.use(await startHttpFake({})).url }));
    await good.ready();
    assert.deepEqual(await states(good), names.map(() => "ready"));
  });

  verifies("start.late", async ({ configured, scope }) => {
    const { promise: after, resolve } = Promise.withResolvers<void>();
    const late = scope.use(await startHttpFake({ tools: ["echo"] }));
    late.fault = () => ({ after });
    const quick = scope.use(await startHttpFake({ tools: ["echo"] }));
    const gateway = await configured({
      mcpServers: { quick: { url: quick.url }, late: { url: late.url } },
    });
    await gateway.waitForServer("quick", ({ state }) => state === "ready");
    const client = await HttpClient.connect(gateway.url);
    const stream = await client.listen();
    assert.deepEqual(await listKeys(client, "tools"), ["quick_echo"]);
    resolve();
    await listedAfter(client, "tools", "late_echo", stream.messages);
    assert.deepEqual((await listKeys(client, "tools")).toSorted(), ["late_echo", "quick_echo"]);
    stream.close();
  });

  verifies("start.unset", async ({ shared }) => {
    const { gateway } = await shared(startOddWorld);
    const needy = await gateway.waitForServer("needy", ({ lastError }) => Boolean(lastError));
    assert.match(JSON.stringify(needy.lastError), /MCPROXY_TEST_UNSET_VARIABLE/);
    const client = await HttpClient.connect(gateway.url);
    const names = await listKeys(client, "tools");
    assert.deepEqual(names.filter((name) => /^(needy|content)_/.test(name)), ["content_env"]);
    assert.equal(JSON.parse(await callText(client, "content_env")).KEY, "default value");
  });

  verifies("start.probe", async ({ shared }) => {
    const { gateway, touchyStarts } = await shared(startOddWorld);
    const client = await HttpClient.connect(gateway.url);
    assert.equal(await callText(client, "touchy_echo", { a: 1 }), '{"a":1}');
    const starts = (await readFile(touchyStarts, "utf8")).trim().split("\n");
    assert.ok(starts.length <= 2, `started ${starts.length} times`);
  });
  verifies("start.sse", async ({ shared }) => {
    const { gateway } = await shared(startOddWorld);
    const client = await HttpClient.connect(gateway.url);
    for (const name of ["guessed", "pinned"]) {
      assert.equal(await callText(client, `${name}_echo`, { name }), JSON.stringify({ name }));
      assert.equal((await gateway.waitForServer(name, () => true)).transport, "sse");
    }
  });

  verifies("start.empty", async ({ configured }) => {
    const gateway = await configured({ mcpServers: {} });
    await gateway.ready();
    const client = await HttpClient.connect(gateway.url);
    assert.deepEqual(resultOf(await client.request("tools/list")).json.tools, []);
    assert.deepEqual(resultOf(await client.request("resources/list")).json.resources, []);
  });

  verifies("start.disabled", async ({ shared }) => {
    const { gateway, offStarts } = await shared(startOddWorld);
    const client = await HttpClient.connect(gateway.url);
    const names = await listKeys(client, "tools");
    assert.deepEqual(names.filter((name) => /^(off|good)_/.test(name)), ["good_echo"]);
    await assert.rejects(readFile(offStarts));
  });
}
