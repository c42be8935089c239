import assert from "node:assert/strict";
import { type Client, HttpClient } from "../../support/clients/http.ts";
import { errorOf, isNotification, isResponseTo, textOf } from "../../support/clients/message.ts";
import { type HttpFault, startHttpFake } from "../../support/fakes/http-server.ts";
import type { FakeSpec } from "../../support/fakes/spec.ts";
import { eventually } from "../../support/inbox.ts";
import { call, callText, listKeys } from "../helpers.ts";
import type { Suite, Tools } from "../suite.ts";
import { stdioUpstream } from "../world.ts";

const UNAVAILABLE = -32010;
const TIMEOUT = -32011;

/** A gateway with the upstreams `bad` and `good`, and a client of it. */
async function badAndGood({ start }: Tools, spec: FakeSpec = {}, extra: object = {}) {
  const gateway = await start({
    gating: "off",
    mcpServers: { bad: stdioUpstream(spec, extra), good: stdioUpstream({}) },
  });
  await gateway.ready();
  return { gateway, client: await HttpClient.connect(gateway.url) };
}

async function serves(client: Client, server: string): Promise<void> {
  assert.equal(await callText(client, `${server}_echo`, { server }), JSON.stringify({ server }));
}

/** Upstreams that misbehave in the middle of it. */
export function faults({ verifies }: Suite): void {
  verifies("fault.crash", async (tools) => {
    const { gateway, client } = await badAndGood(tools);
    const before = await callText(client, "bad_pid");
    const { code, message } = errorOf(await call(client, "bad_crash"));
    assert.equal(code, UNAVAILABLE);
    assert.match(message, /bad/);
    const server = await gateway.waitForServer(
      "bad",
      ({ state, restarts }) => state === "ready" && restarts > 0,
    );
    assert.equal(server.restarts, 1);
    assert.match(JSON.stringify(server.lastError), /7/);
    assert.notEqual(await callText(client, "bad_pid"), before);
  });

  verifies("fault.half", async (tools) => {
    const { client } = await badAndGood(tools);
    const answer = await call(client, "bad_crash_mid");
    assert.match(errorOf(answer).message, /bad/);
    assert.ok(!answer.text.includes("never whole"));
    await serves(client, "good");
  });

  verifies("fault.others", async (tools) => {
    const { client } = await badAndGood(tools);
    const params = { name: "good_wait", arguments: { key: "k" }, _meta: { progressToken: 1 } };
    const waiting = await client.start("tools/call", params, 70);
    await waiting.messages.waitFor(isNotification("notifications/progress"));
    const alsoLost = call(client, "bad_never");
    await call(client, "bad_crash");
    assert.match(errorOf(await alsoLost).message, /bad/);
    await callText(client, "good_release", { key: "k" });
    assert.equal(textOf(await waiting.messages.waitFor(isResponseTo(70))), "released k");
  });

  verifies("fault.stale", async (tools) => {
    const { client } = await badAndGood(tools);
    const before = await listKeys(client, "tools");
    const stream = await client.listen();
    await call(client, "bad_crash");
    assert.deepEqual(await listKeys(client, "tools"), before);
    await eventually(
      () => call(client, "bad_pid"),
      ({ json }) => json.result !== undefined,
      "a call after the crash",
    );
    assert.deepEqual(await listKeys(client, "tools"), before);
    assert.deepEqual(stream.messages.items, []);
    stream.close();
  });

  verifies("fault.timeout", async (tools) => {
    const { client } = await badAndGood(tools, {}, { timeout: "1s" });
    const { code, message } = errorOf(await call(client, "bad_never", { key: "timed out" }));
    assert.equal(code, TIMEOUT);
    assert.match(message, /bad/);
    await callText(client, "bad_cancellations", { key: "timed out" });
    await serves(client, "bad");
  });

  verifies("fault.progress", async (tools) => {
    const timeout = 1_000;
    const { client } = await badAndGood(tools, {}, { timeout });
    const params = {
      name: "bad_wait",
      arguments: { key: "p", every: 200 },
      _meta: { progressToken: 1 },
    };
    const begin = performance.now();
    const waiting = await client.start("tools/call", params, 900);
    const twice = ({ json }: { readonly json: { params?: { progress?: number } } }) =>
      json.params?.progress === 12;
    await waiting.messages.waitFor(twice);
    assert.ok(performance.now() - begin > 2 * timeout);
    await callText(client, "bad_release", { key: "p" });
    assert.equal(textOf(await waiting.messages.waitFor(isResponseTo(900))), "released p");
  });

  verifies("fault.late", async (tools) => {
    const { client } = await badAndGood(tools, {}, { timeout: "1s" });
    const answer = await client.start("tools/call", { name: "bad_late", arguments: {} }, 4);
    assert.equal(errorOf(await answer.messages.waitFor(isResponseTo(4))).code, TIMEOUT);
    await serves(client, "bad");
    assert.equal(answer.messages.items.length, 1);
  });

  verifies("fault.twice", async (tools) => {
    const { client } = await badAndGood(tools);
    const answer = await client.start("tools/call", { name: "bad_twice", arguments: {} }, 4);
    assert.equal(textOf(await answer.messages.waitFor(isResponseTo(4))), "first");
    await answer.messages.waitForEnd();
    assert.equal(answer.messages.items.length, 1);
    await serves(client, "bad");
  });

  verifies("fault.ids", async (tools) => {
    const { client } = await badAndGood(tools);
    await serves(client, "bad");
    for (const name of ["bad_old_id", "bad_unknown_id"]) {
      assert.equal(await callText(client, name), "mine", name);
    }
    await serves(client, "bad");
    assert.equal(await callText(client, "bad_progress_stray"), "strayed");
  });

  verifies("fault.garbage", async (tools) => {
    const { gateway, client } = await badAndGood(tools, { faults: { junk: 2 } });
    assert.equal(await callText(client, "bad_garbage"), "after garbage");
    await serves(client, "bad");
    await gateway.waitForLog(/bad.*npm warn junk|npm warn junk.*bad/);
    assert.equal((await gateway.status()).servers[0]?.restarts, 0);
  });

  verifies("fault.shape", async (tools) => {
    const { client } = await badAndGood(tools, {}, { timeout: "5s" });
    assert.match(errorOf(await call(client, "bad_bad_result")).message, /bad/);
    await serves(client, "bad");
  });

  verifies("fault.deaf", async (tools) => {
    const spec = { tools: ["echo"], faults: { stopReading: true } };
    const { start } = tools;
    const gateway = await start({
      mcpServers: {
        deaf: stdioUpstream(spec, { timeout: "500ms", startupTimeout: "2s" }),
        good: stdioUpstream({}),
      },
    });
    await gateway.waitForServer("good", ({ state }) => state === "ready");
    const client = await HttpClient.connect(gateway.url);
    const big = "x".repeat(3_000_000);
    const lost = call(client, "deaf_echo", { big });
    await serves(client, "good");
    assert.equal(typeof errorOf(await lost).message, "string");
    await serves(client, "good");
    const begin = performance.now();
    await gateway.kill();
    assert.ok(performance.now() - begin < 10_000);
  });

  verifies("fault.http", async ({ start, scope }) => {
    for (const era of ["legacy", "modern"] as const) {
      const web = scope.use(await startHttpFake({ era }));
      const gateway = await start({ mcpServers: { web: { url: web.url, timeout: "5s" } } });
      await gateway.ready();
      const client = await HttpClient.connect(gateway.url);
      const failures: HttpFault[] = [
        { status: 500, body: "no" },
        { status: 503, body: "<html></html>", contentType: "text/html" },
        { status: 200, body: "<html></html>", contentType: "text/html" },
        { status: 200, body: "{", contentType: "application/json" },
        { cut: "before" },
      ];
      for (const fault of failures) {
        web.fault = (method) => method === "tools/call" ? fault : undefined;
        const { message } = errorOf(await call(client, "web_echo"));
        assert.match(message, /web/, `${era} ${JSON.stringify(fault)}`);
        web.fault = undefined;
        await eventually(
          () => call(client, "web_echo"),
          ({ json }) => json.result !== undefined,
          `${era}: a call after ${JSON.stringify(fault)}`,
        );
      }
    }
  });

  verifies("fault.session", async ({ start, scope }) => {
    const web = scope.use(await startHttpFake({ tools: ["echo"] }));
    const gateway = await start({ mcpServers: { web: { url: web.url } } });
    await gateway.ready();
    const client = await HttpClient.connect(gateway.url);
    await serves(client, "web");
    web.expireSessions();
    await eventually(
      () => call(client, "web_echo", { again: 1 }),
      ({ json }) => json.result?.content[0].text === '{"again":1}',
      "a call after the session was lost",
    );
    assert.equal(web.sessions.size, 1);
  });

  verifies("fault.stderr", async (tools) => {
    const { gateway, client } = await badAndGood(tools, { faults: { stderrLines: 3 } });
    await gateway.waitForLog(/bad.*noise 0|noise 0.*bad/);
    const lines = 5_000;
    await callText(client, "bad_stderr", { lines, text: "chatter" });
    await serves(client, "good");
    await gateway.waitForLog(/bad.*chatter 0|chatter 0.*bad/);
    await serves(client, "bad");
    const logged = gateway.logs.items.filter((line) => line.includes("chatter")).length;
    assert.ok(logged < lines, `${logged} of ${lines} lines were logged`);
  });

  verifies("fault.failing-list", async (tools) => {
    const spec = { prompts: 2, resources: 2, faults: { failMethods: ["prompts/list"] } };
    const { gateway, client } = await badAndGood(tools, spec);
    assert.ok((await listKeys(client, "tools")).includes("bad_echo"));
    assert.equal((await listKeys(client, "resources")).length, 2);
    assert.deepEqual(await listKeys(client, "prompts"), []);
    await gateway.waitForLog(/bad.*list.*prompts|prompts\/list.*bad/);
  });
}
