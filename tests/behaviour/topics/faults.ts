import assert from "node:assert/strict";
import { type Client, HttpClient } from "../../support/clients/http.ts";
import { errorOf, isNotification, isResponseTo, textOf } from "../../support/clients/message.ts";
import { type HttpFault, startHttpFake } from "../../support/fakes/http-server.ts";
import { eventually } from "../../support/inbox.ts";
import { call, callText, listKeys } from "../helpers.ts";
import type { Suite, Tools } from "../suite.ts";
import { stdioUpstream } from "../world.ts";

const UNAVAILABLE = -32010;
const TIMEOUT = -32011;

/** The timeout, in ms, of the server that outlasts it by its progress. */
const LIVELY = 1_000;

/** One gateway, where each test that breaks something has the server it breaks to itself. */
async function startFaulty({ start, scope }: Tools) {
  const legacy = scope.use(await startHttpFake({ era: "legacy" }));
  const modern = scope.use(await startHttpFake({ era: "modern" }));
  const session = scope.use(await startHttpFake({ tools: ["echo"] }));
  const faults = { failMethods: ["prompts/list"] };
  const failing = scope.use(await startHttpFake({ prompts: 2, resources: 2, faults }));
  const gateway = await start({
    gating: "off",
    mcpServers: {
      good: stdioUpstream({}),
      crash: stdioUpstream({}),
      half: stdioUpstream({}),
      lost: stdioUpstream({}),
      stale: stdioUpstream({}),
      slow: stdioUpstream({}, { timeout: "1s" }),
      lively: stdioUpstream({}, { timeout: LIVELY }),
      wrong: stdioUpstream({}, { timeout: "5s" }),
      garbage: stdioUpstream({ faults: { junk: 2 } }),
      failing: { url: failing.url },
      legacy: { url: legacy.url, timeout: "5s" },
      modern: { url: modern.url, timeout: "5s" },
      session: { url: session.url },
    },
  });
  await gateway.ready();
  return { gateway, legacy, modern, session };
}

/** That, and a client of the test's own. */
async function faulty({ shared }: Tools) {
  const all = await shared(startFaulty);
  return { ...all, client: await HttpClient.connect(all.gateway.url) };
}

async function serves(client: Client, server: string): Promise<void> {
  assert.equal(await callText(client, `${server}_echo`, { server }), JSON.stringify({ server }));
}

/** Upstreams that misbehave in the middle of it. */
export function faults({ verifies }: Suite): void {
  verifies("fault.crash", async (tools) => {
    const { gateway, client } = await faulty(tools);
    const before = await callText(client, "crash_pid");
    const { code, message } = errorOf(await call(client, "crash_crash"));
    assert.equal(code, UNAVAILABLE);
    assert.match(message, /"crash"/);
    const server = await gateway.waitForServer(
      "crash",
      ({ state, restarts }) => state === "ready" && restarts > 0,
    );
    assert.equal(server.restarts, 1);
    assert.match(JSON.stringify(server.lastError), /7/);
    assert.notEqual(await callText(client, "crash_pid"), before);
  });

  verifies("fault.half", async (tools) => {
    const { client } = await faulty(tools);
    const answer = await call(client, "half_crash_mid");
    assert.match(errorOf(answer).message, /"half"/);
    assert.ok(!answer.text.includes("never whole"));
    await serves(client, "good");
  });

  verifies("fault.others", async (tools) => {
    const { client } = await faulty(tools);
    const params = { name: "good_wait", arguments: { key: "others" }, _meta: { progressToken: 1 } };
    const waiting = await client.start("tools/call", params, 70);
    await waiting.messages.waitFor(isNotification("notifications/progress"));
    const alsoLost = call(client, "lost_never");
    await call(client, "lost_crash");
    assert.match(errorOf(await alsoLost).message, /"lost"/);
    await callText(client, "good_release", { key: "others" });
    assert.equal(textOf(await waiting.messages.waitFor(isResponseTo(70))), "released others");
  });

  verifies("fault.stale", async (tools) => {
    const { client } = await faulty(tools);
    const before = await listKeys(client, "tools");
    const stream = await client.listen();
    await call(client, "stale_crash");
    assert.deepEqual(await listKeys(client, "tools"), before);
    await eventually(
      () => call(client, "stale_pid"),
      ({ json }) => json.result !== undefined,
      "a call after the crash",
    );
    assert.deepEqual(await listKeys(client, "tools"), before);
    assert.deepEqual(stream.messages.items, []);
    stream.close();
  });

  verifies("fault.timeout", async (tools) => {
    const { client } = await faulty(tools);
    const { code, message } = errorOf(await call(client, "slow_never", { key: "timed out" }));
    assert.equal(code, TIMEOUT);
    assert.match(message, /"slow"/);
    await callText(client, "slow_cancellations", { key: "timed out" });
    await serves(client, "slow");
  });

  verifies("fault.progress", async (tools) => {
    const { client } = await faulty(tools);
    const params = {
      name: "lively_wait",
      arguments: { key: "p", every: LIVELY / 5 },
      _meta: { progressToken: 1 },
    };
    const begin = performance.now();
    const waiting = await client.start("tools/call", params, 900);
    const twice = ({ json }: { readonly json: { params?: { progress?: number } } }) =>
      json.params?.progress === 12;
    await waiting.messages.waitFor(twice);
    assert.ok(performance.now() - begin > 2 * LIVELY);
    await callText(client, "lively_release", { key: "p" });
    assert.equal(textOf(await waiting.messages.waitFor(isResponseTo(900))), "released p");
  });

  verifies("fault.late", async (tools) => {
    const { client } = await faulty(tools);
    const answer = await client.start("tools/call", { name: "slow_late", arguments: {} }, 4);
    assert.equal(errorOf(await answer.messages.waitFor(isResponseTo(4))).code, TIMEOUT);
    await serves(client, "slow");
    assert.equal(answer.messages.items.length, 1);
  });

  verifies("fault.twice", async (tools) => {
    const { client } = await faulty(tools);
    const answer = await client.start("tools/call", { name: "wrong_twice", arguments: {} }, 4);
    assert.equal(textOf(await answer.messages.waitFor(isResponseTo(4))), "first");
    await answer.messages.waitForEnd();
    assert.equal(answer.messages.items.length, 1);
    await serves(client, "wrong");
  });

  verifies("fault.ids", async (tools) => {
    const { client } = await faulty(tools);
    await serves(client, "wrong");
    for (const name of ["wrong_old_id", "wrong_unknown_id"]) {
      assert.equal(await callText(client, name), "mine", name);
    }
    await serves(client, "wrong");
    assert.equal(await callText(client, "wrong_progress_stray"), "strayed");
  });

  verifies("fault.garbage", async (tools) => {
    const { gateway, client } = await faulty(tools);
    assert.equal(await callText(client, "garbage_garbage"), "after garbage");
    await serves(client, "garbage");
    await gateway.waitForLog(/garbage.*npm warn junk|npm warn junk.*garbage/);
    assert.equal((await gateway.waitForServer("garbage", () => true)).restarts, 0);
  });

  verifies("fault.shape", async (tools) => {
    const { client } = await faulty(tools);
    assert.match(errorOf(await call(client, "wrong_bad_result")).message, /"wrong"/);
    await serves(client, "wrong");
  });

  verifies("fault.deaf", async (tools) => {
    const spec = { tools: ["echo"], faults: { stopReading: true } };
    const { start, scope } = tools;
    const good = scope.use(await startHttpFake({ tools: ["echo"] }));
    const gateway = await start({
      mcpServers: {
        deaf: stdioUpstream(spec, { timeout: "500ms", startupTimeout: "2s" }),
        good: { url: good.url },
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

  verifies("fault.http", async (tools) => {
    const { client, legacy, modern } = await faulty(tools);
    for (const [era, web] of Object.entries({ legacy, modern })) {
      const failures: HttpFault[] = [
        { status: 500, body: "no" },
        { status: 503, body: "<html></html>", contentType: "text/html" },
        { status: 200, body: "<html></html>", contentType: "text/html" },
        { status: 200, body: "{", contentType: "application/json" },
        { cut: "before" },
      ];
      for (const fault of failures) {
        web.fault = (method) => method === "tools/call" ? fault : undefined;
        const { message } = errorOf(await call(client, `${era}_echo`));
        assert.match(message, new RegExp(`"${era}"`), `${era} ${JSON.stringify(fault)}`);
        web.fault = undefined;
        await eventually(
          () => call(client, `${era}_echo`),
          ({ json }) => json.result !== undefined,
          `${era}: a call after ${JSON.stringify(fault)}`,
        );
      }
    }
  });

  verifies("fault.session", async (tools) => {
    const { client, session } = await faulty(tools);
    await serves(client, "session");
    session.expireSessions();
    await eventually(
      () => call(client, "session_echo", { again: 1 }),
      ({ json }) => json.result?.content[0].text === '{"again":1}',
      "a call after the session was lost",
    );
    assert.equal(session.sessions.size, 1);
  });

  verifies("fault.stderr", async (tools) => {
    const { configured, scope } = tools;
    const good = scope.use(await startHttpFake({ tools: ["echo"] }));
    const gateway = await configured({
      mcpServers: {
        bad: stdioUpstream({ tools: ["echo", "stderr"], faults: { stderrLines: 3 } }),
        good: { url: good.url },
      },
    });
    await gateway.ready();
    const client = await HttpClient.connect(gateway.url);
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
    const { gateway, client } = await faulty(tools);
    assert.ok((await listKeys(client, "tools")).includes("failing_echo"));
    assert.equal((await listKeys(client, "resources")).length, 2);
    assert.deepEqual(await listKeys(client, "prompts"), []);
    await gateway.waitForLog(/failing.*list.*prompts|prompts\/list.*failing/);
  });
}
