import assert from "node:assert/strict";
import process from "node:process";
import { HttpClient } from "../../support/clients/http.ts";
import { errorOf, isNotification, isResponseTo, textOf } from "../../support/clients/message.ts";
import { startHttpFake } from "../../support/fakes/http-server.ts";
import { call, callText } from "../helpers.ts";
import type { Scope } from "../scope.ts";
import type { Suite, Tools } from "../suite.ts";
import { stdioUpstream } from "../world.ts";

const BUSY = -32014;

/** One gateway, where each test has its own server. */
async function startAll({ configured, scope }: Tools) {
  const dead = await startHttpFake({});
  await dead.close();
  const live = scope.use(await startHttpFake({ tools: ["echo"] }));
  const [order, busy, cancel] = [await crowd(scope), await crowd(scope), await crowd(scope)];
  const one = { maxConcurrency: 1, maxQueue: 10 };
  const gateway = await configured({
    gating: "off",
    mcpServers: {
      pool: stdioUpstream({ readOnly: ["pid"] }, { instances: 2 }),
      urls: { urls: [dead.url, live.url] },
      order: { url: order.url, ...one },
      busy: { url: busy.url, ...one, maxQueue: 1 },
      cancel: { url: cancel.url, ...one },
    },
  });
  await gateway.ready();
  return { gateway, order, busy, cancel };
}

const crowd = async (scope: Scope) => scope.use(await startHttpFake({}, { answer: "sse" }));

/** A server that takes one call at a time, and has one that lasts until it is released. */
async function crowded({ shared }: Tools, name: "order" | "busy" | "cancel") {
  const { gateway, [name]: web } = await shared(startAll);
  const client = await HttpClient.connect(gateway.url);
  const params = { name: `${name}_wait`, arguments: { key: "k" }, _meta: { progressToken: 1 } };
  const first = await client.start("tools/call", params, "first");
  await first.messages.waitFor(isNotification("notifications/progress"));
  const queued = (count: number) => gateway.waitForServer(name, (now) => now.queued === count);
  let waiting = 0;
  /** A call that waits by now; `answer` is still to come. */
  const queue = async (n: number) => {
    const id = `queued ${n}`;
    const begun = client.start("tools/call", { name: `${name}_echo`, arguments: { n } }, id);
    await queued(++waiting);
    return { id, answer: async () => await (await begun).messages.waitFor(isResponseTo(id)) };
  };
  /** The `n` of all calls that have reached the server, in their order. */
  const reached = () =>
    web.core.received.flatMap((raw) => JSON.parse(raw).params?.arguments?.n ?? []);
  const release = async () => {
    await web.core.release("k");
    assert.equal(textOf(await first.messages.waitFor(isResponseTo("first"))), "released k");
  };
  return { gateway, client, queue, queued, reached, release };
}

/** Several instances of one server, and a server that has more to do than it can. */
export function instances({ verifies }: Suite): void {
  verifies("instances.spread", async ({ shared }) => {
    const { gateway } = await shared(startAll);
    const both = (gone?: number) =>
      gateway.waitForServer("pool", ({ instances = [] }) =>
        instances.length === 2 &&
        instances.every(({ state, pid }) => state === "ready" && pid !== gone));
    const pids = (await both()).instances!.map(({ pid }) => String(pid));
    const client = await HttpClient.connect(gateway.url);
    const seen = new Set<string>();
    for (let n = 0; n < 4; n++) seen.add(await callText(client, "pool_pid"));
    assert.deepEqual([...seen].sort(), pids.toSorted());

    // One that is at work is spared.
    const params = { name: "pool_wait", arguments: { key: "k" }, _meta: { progressToken: 1 } };
    const long = await client.start("tools/call", params, "long");
    await long.messages.waitFor(isNotification("notifications/progress"));
    const { instances: all = [] } = await gateway.waitForServer("pool", () => true);
    const free = String(all.find(({ inFlight }) => inFlight === 0)!.pid);
    for (let n = 0; n < 4; n++) assert.equal(await callText(client, "pool_pid"), free);
    await client.notify("notifications/cancelled", { requestId: "long" });

    const doomed = Number(free);
    let answered = 0;
    const worker = async () => {
      for (let n = 0; n < 50; n++) {
        assert.match(await callText(client, "pool_pid"), /^\d+$/);
        if (++answered === 50) process.kill(doomed, "SIGKILL");
      }
    };
    await Promise.all(Array.from({ length: 8 }, worker));
    assert.equal(answered, 400);
    await both(doomed);
  });

  verifies("instances.urls", async ({ shared }) => {
    const { gateway } = await shared(startAll);
    const client = await HttpClient.connect(gateway.url);
    for (let n = 0; n < 10; n++) {
      assert.equal(await callText(client, "urls_echo", { n }), `{"n":${n}}`);
    }
    const { state, instances = [] } = await gateway.waitForServer("urls", () => true);
    assert.equal(state, "ready");
    assert.deepEqual(instances.map(({ state }) => state === "ready"), [false, true]);
  });

  verifies("queue.order", async (tools) => {
    const { queue, reached, release } = await crowded(tools, "order");
    const waiting = [await queue(1), await queue(2), await queue(3)];
    assert.deepEqual(reached(), []);
    await release();
    for (const [at, { answer }] of waiting.entries()) {
      assert.equal(textOf(await answer()), `{"n":${at + 1}}`);
    }
    assert.deepEqual(reached(), [1, 2, 3]);
  });

  verifies("queue.busy", async (tools) => {
    const { client, queue, reached, release } = await crowded(tools, "busy");
    const { answer } = await queue(1);
    const { code, message } = errorOf(await call(client, "busy_echo", { n: 2 }));
    assert.equal(code, BUSY);
    assert.equal(
      message,
      'Server "busy" is busy: 1 call in progress and 1 waiting; try again later, or raise ' +
        '"maxConcurrency" or "maxQueue"',
    );
    await release();
    assert.equal(textOf(await answer()), '{"n":1}');
    assert.equal(textOf(await call(client, "busy_echo", { n: 3 })), '{"n":3}');
    assert.deepEqual(reached(), [1, 3]);
  });

  verifies("queue.cancel", async (tools) => {
    const { client, queue, queued, reached, release } = await crowded(tools, "cancel");
    const given = await queue(1);
    const kept = await queue(2);
    await client.notify("notifications/cancelled", { requestId: given.id });
    await queued(1);
    await release();
    assert.equal(textOf(await kept.answer()), '{"n":2}');
    assert.deepEqual(reached(), [2]);
    // A cancelled request has no answer; its stream ends.
    await assert.rejects(given.answer(), /ended/);
  });
}
