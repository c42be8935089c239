import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { tmpdir } from "node:os";
import process from "node:process";
import { HttpClient } from "../../support/clients/http.ts";
import { resultOf } from "../../support/clients/message.ts";
import { startHttpFake } from "../../support/fakes/http-server.ts";
import type { FakeSpec } from "../../support/fakes/spec.ts";
import type { Gateway } from "../../support/gateway.ts";
import { eventually } from "../../support/inbox.ts";
import { processTable } from "../../support/process-table.ts";
import { callText, listedAfter, listKeys } from "../helpers.ts";
import type { Suite, Tools } from "../suite.ts";
import { stdioUpstream } from "../world.ts";

/** The four ways not to start, beside one server that does. */
async function withFailures({ start, scope }: Tools) {
  const closed = await startHttpFake({});
  await closed.close();
  const broken = scope.use(await startHttpFake({}));
  broken.fault = () => ({ status: 500, body: "<html>oops</html>", contentType: "text/html" });
  return await start({
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
  });
}

/** From the start to the moment everything that can be there is. */
export function startup({ verifies }: Suite): void {
  verifies("start.others", async (tools) => {
    const gateway = await withFailures(tools);
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
    const gateway = await withFailures(tools);
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

  verifies("start.parallel", async ({ start }) => {
    const mark = `parallel-${process.pid}-${performance.now()}`;
    const names = Array.from({ length: 10 }, (_, i) => `one${i}`);
    const startTen = (faults: FakeSpec["faults"] = {}) =>
      start({
        mcpServers: Object.fromEntries(
          names.map((name) => [name, stdioUpstream({ name: mark, faults })]),
        ),
      });
    const hung = await startTen({ hangOnStart: true });
    // None gets ready, so whoever starts one after the other never comes to the second.
    const running = () =>
      processTable().filter(({ command, isZombie }) => !isZombie && command.includes(mark)).length;
    await eventually(running, (count) => count === names.length, "ten processes at a time");
    const states = async ({ status }: Gateway) =>
      (await status()).servers.map(({ state }) => state);
    assert.deepEqual(await states(hung), names.map(() => "connecting"));
    await hung.kill();
    const good = await startTen();
    await good.ready();
    assert.deepEqual(await states(good), names.map(() => "ready"));
  });

  verifies("start.late", async ({ start, scope }) => {
    const { promise: after, resolve } = Promise.withResolvers<void>();
    const late = scope.use(await startHttpFake({ tools: ["echo"] }));
    late.fault = () => ({ after });
    const gateway = await start({
      mcpServers: { quick: stdioUpstream({ tools: ["echo"] }), late: { url: late.url } },
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

  verifies("start.unset", async ({ start }) => {
    const gateway = await start({
      mcpServers: {
        needy: stdioUpstream({ tools: ["echo"] }, {
          env: { KEY: "${MCPROXY_TEST_UNSET_VARIABLE}" },
        }),
        content: stdioUpstream({ tools: ["env"] }, {
          env: { KEY: "${NO_SUCH_ONE:-default value}" },
        }),
      },
    });
    await gateway.ready();
    const needy = await gateway.waitForServer("needy", ({ lastError }) => Boolean(lastError));
    assert.match(JSON.stringify(needy.lastError), /MCPROXY_TEST_UNSET_VARIABLE/);
    const client = await HttpClient.connect(gateway.url);
    assert.deepEqual(await listKeys(client, "tools"), ["content_env"]);
    assert.equal(JSON.parse(await callText(client, "content_env")).KEY, "default value");
  });

  verifies("start.probe", async ({ start, scope }) => {
    const directory = await mkdtemp(join(tmpdir(), "mcproxy-starts-"));
    scope.defer(() => rm(directory, { recursive: true }));
    const startsFile = join(directory, "starts");
    const gateway = await start({
      mcpServers: {
        touchy: stdioUpstream({ tools: ["echo"], startsFile, faults: { crashOnProbe: true } }),
      },
    });
    await gateway.ready();
    const client = await HttpClient.connect(gateway.url);
    assert.equal(await callText(client, "touchy_echo", { a: 1 }), '{"a":1}');
    const starts = (await readFile(startsFile, "utf8")).trim().split("\n");
    assert.ok(starts.length <= 2, `started ${starts.length} times`);
  });

  verifies("start.sse", async ({ start, scope }) => {
    const old = scope.use(await startHttpFake({ tools: ["echo"] }, { transport: "sse" }));
    const gateway = await start({
      mcpServers: { guessed: { url: old.url }, pinned: { url: old.url, transport: "sse" } },
    });
    await gateway.ready();
    const client = await HttpClient.connect(gateway.url);
    for (const name of ["guessed", "pinned"]) {
      assert.equal(await callText(client, `${name}_echo`, { name }), JSON.stringify({ name }));
    }
    const { servers } = await gateway.status();
    assert.deepEqual(servers.map(({ transport }) => transport), ["sse", "sse"]);
  });

  verifies("start.empty", async ({ start }) => {
    const gateway = await start({ mcpServers: {} });
    await gateway.ready();
    const client = await HttpClient.connect(gateway.url);
    assert.deepEqual(resultOf(await client.request("tools/list")).json.tools, []);
    assert.deepEqual(resultOf(await client.request("resources/list")).json.resources, []);
  });

  verifies("start.disabled", async ({ start, scope }) => {
    const directory = await mkdtemp(join(tmpdir(), "mcproxy-starts-"));
    scope.defer(() => rm(directory, { recursive: true }));
    const startsFile = join(directory, "starts");
    const gateway = await start({
      mcpServers: {
        off: stdioUpstream({ startsFile }, { disabled: true }),
        on: stdioUpstream({ tools: ["echo"] }),
      },
    });
    await gateway.ready();
    const client = await HttpClient.connect(gateway.url);
    assert.deepEqual(await listKeys(client, "tools"), ["on_echo"]);
    await assert.rejects(readFile(startsFile));
  });
}
