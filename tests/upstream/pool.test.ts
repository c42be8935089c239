import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { runtime } from "#runtime";
import type { ServerTarget } from "../../src/config/types.ts";
import { ErrorCode } from "../../src/protocol/errors.ts";
import { exposeTaskId } from "../../src/protocol/tasks.ts";
import type { UpstreamEvents } from "../../src/upstream/opener.ts";
import { Upstream } from "../../src/upstream/upstream.ts";
import { json, legacy, serveHttp } from "./fakes/http-server.ts";
import { ANNA, ask, BERT, pooled, poolTarget, say, states, withPool } from "./pool-support.ts";
import {
  callText,
  exchangeFor,
  httpTarget,
  MODERN_CLIENT,
  RecordedLog,
  textOf,
  Watch,
  withUpstream,
} from "./support.ts";

const TWO = [poolTarget(), poolTarget()];

test("Upstream gives calls to its instances in turn, and to the less busy one", async () => {
  await withPool(pooled(TWO), async (upstream, pids) => {
    assert.equal(new Set(pids).size, 2);
    const order: number[] = [];
    for (let i = 0; i < 6; i++) order.push(await say(upstream, "read"));
    assert.deepEqual(order, [...order.slice(0, 2), ...order.slice(0, 2), ...order.slice(0, 2)]);
    assert.deepEqual(new Set(order), new Set(pids));

    const held = exchangeFor(callText("hold-write", {}, { token: "t" }), ANNA);
    const holding = upstream.forward(held, []);
    const idle = await say(upstream, "read");
    for (let i = 0; i < 3; i++) assert.equal(await say(upstream, "read"), idle);
    assert.equal(upstream.status().inFlight, 1);
    held.abort();
    await assert.rejects(holding);
    assert.equal(upstream.status().calls, 11);
    const calls = upstream.status().instances!.map(({ calls }) => calls);
    assert.deepEqual(calls.toSorted(), [4, 7]);
  });
});

test("Upstream of several instances looks like one: state, lists, status", async () => {
  await withPool(pooled(TWO), async (upstream, pids, log) => {
    const { inventory } = upstream;
    const status = upstream.status();
    assert.deepEqual(
      [status.name, status.state, status.connections, status.counts.tools],
      ["x", "ready", 2, inventory.lists.tools.items.length],
    );
    assert.deepEqual(status.instances!.map(({ name }) => name), ["instance 1", "instance 2"]);
    assert.ok(pids.includes(status.pid!));
    assert.deepEqual(status.problems, []);

    process.kill(status.pid!, "SIGKILL");
    await log.until("Lost:");
    assert.equal(upstream.state.phase, "ready");
    assert.match(upstream.status().lastError!, /^Server "x" was ended by SIGKILL/);
    assert.equal(upstream.inventory, inventory, "the very same object, whoever says it");
    assert.equal(
      log.lines.find(({ message }) => message.startsWith("Lost:"))!.props!.instance,
      `instance ${pids.indexOf(status.pid!) + 1}`,
    );
  });
});

test("Upstream says once where instances differ, and shows what the first one offers", async () => {
  const targets = [poolTarget("legacy", "one"), poolTarget("legacy", "two")];
  await withPool(pooled(targets), async (upstream, _pids, log) => {
    const names = upstream.inventory.lists.tools.items.map(({ key }) => key);
    const shown = names.includes("one") ? ["one", "two"] : ["two", "one"];
    const [problem, ...others] = upstream.status().problems;
    assert.deepEqual(others, []);
    assert.equal(
      problem,
      `Instance ${shown[0] === "one" ? 2 : 1} offers other things than the rest: ` +
        `it has more tools ("${shown[1]}"); lacks tools ("${shown[0]}")`,
    );
    await log.until(problem!);
    assert.equal(log.lines.filter(({ message }) => message === problem).length, 1);
  });
});

test("Upstream serves from the live address while another is dead from the start", async () => {
  const server = await serveHttp(legacy(() => false));
  const dead = await serveHttp(legacy(() => false));
  await dead.close();
  try {
    const targets = [httpTarget(`${dead.url}/mcp`), httpTarget(`${server.url}/mcp`)];
    await withUpstream(pooled(targets), async (upstream) => {
      assert.equal(upstream.state.phase, "ready");
      const calls = Array.from(
        { length: 20 },
        () => upstream.forward(exchangeFor(callText("echo"), ANNA), []),
      );
      for (const { raw } of await Promise.all(calls)) assert.equal(textOf(raw), "ok");
      const { instances } = upstream.status();
      const port = new URL(dead.url).host;
      assert.equal(instances![0]!.name, `instance 1 (${port})`);
      assert.match(instances![0]!.lastError!, /could not be reached/);
      assert.deepEqual(instances!.map(({ calls }) => calls), [0, 20]);
    });
  } finally {
    await server.close();
  }
});

test("Upstream waits for whichever instance is ready first", async () => {
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const servers = await Promise.all(gates.map(({ promise }) =>
    serveHttp(async (seen, response) => {
      if (seen.body?.method === "initialize") await promise;
      legacy(() => false)(seen, response);
    })
  ));
  const targets = servers.map(({ url }) => httpTarget(url));
  const upstream = new Upstream({
    config: pooled(targets, { protocol: "legacy" }),
    runtime,
    log: new RecordedLog(),
  });
  try {
    upstream.start();
    const calls = [1, 2].map(() => upstream.forward(exchangeFor(callText("a")), []));
    await Promise.all(servers.map(({ until }) => until(({ body }) => body !== undefined)));
    // One of them waits for the first instance, and must not go on waiting for it.
    gates[1]!.resolve();
    for (const { raw } of await Promise.all(calls)) assert.equal(textOf(raw), "ok");
    assert.deepEqual(states(upstream), ["connecting", "ready"]);
    assert.deepEqual(upstream.status().instances!.map(({ calls }) => calls), [0, 2]);
  } finally {
    for (const { resolve } of gates) resolve();
    await upstream.close();
    await Promise.all(servers.map((server) => server.close()));
  }
});

test("Upstream passes over an instance that did not answer, while another does", async () => {
  let broken = true;
  const bad = await serveHttp((seen, response) => {
    if (seen.body?.method === "tools/call" && broken) return json(response, 503, { error: "x" });
    return legacy(() => false)(seen, response);
  });
  const good = await serveHttp(legacy(() => false));
  try {
    const targets = [httpTarget(bad.url), httpTarget(good.url)];
    await withPool(pooled(targets, { protocol: "legacy" }), async (upstream) => {
      const outcomes: string[] = [];
      for (let i = 0; i < 6; i++) {
        const call = upstream.forward(exchangeFor(callText("a")), []);
        outcomes.push(await call.then(({ raw }) => textOf(raw), ({ message }) => message));
      }
      assert.equal(outcomes.filter((outcome) => outcome === "ok").length, 5);
      assert.match(outcomes.find((outcome) => outcome !== "ok")!, /HTTP 503/);
      broken = false;
    });
  } finally {
    await Promise.all([bad.close(), good.close()]);
  }
});

test("Upstream keeps a session with a connection of its own on its instance", async () => {
  const config = pooled(TWO, { sharing: "session" });
  await withPool(config, async (upstream, pids) => {
    // Two at once open one connection, not two on two instances.
    const [anna, again] = await Promise.all([say(upstream, "read"), say(upstream, "read")]);
    const bert = await say(upstream, "read", BERT);
    for (let i = 0; i < 4; i++) {
      assert.equal(await say(upstream, "read"), anna);
      assert.equal(await say(upstream, "read", BERT), bert);
    }
    assert.equal(again, anna);
    assert.ok(!pids.includes(anna) && anna !== bert);
    assert.equal(upstream.status().connections, 4);
    assert.deepEqual(upstream.status().instances!.map(({ connections }) => connections), [2, 2]);
    upstream.releaseSession("anna");
    assert.notEqual(await say(upstream, "read"), anna);
  });
});

test("Upstream knows of all its instances that they are interactive when one is", async () => {
  const watch = new Watch();
  await withPool(pooled(TWO), async (upstream, pids) => {
    const exchange = exchangeFor(callText("ask-read"), ANNA);
    // Fill both, so that the question can be anybody's.
    const others = [BERT, BERT].map((client) => exchangeFor(callText("hold-write"), client));
    const held = others.map((each) => upstream.forward(each, []));
    const asking = upstream.forward(exchange, []);
    await watch.until(() => upstream.interactive);
    assert.equal(upstream.status().interactive, true);
    exchange.abort();
    for (const each of others) each.abort();
    await Promise.allSettled([...held, asking]);
    const first = await say(upstream, "read");
    for (let i = 0; i < 4; i++) assert.equal(await say(upstream, "read"), first);
    const second = await say(upstream, "read", BERT);
    assert.equal(new Set([...pids, first, second]).size, 4);
  }, watch);
});

test("Upstream brings what is about a task to the instance that has it, and nowhere else", async () => {
  await withPool(pooled(TWO), async (upstream, pids, log) => {
    const made = new Map<string, number>();
    for (let i = 0; i < 4; i++) {
      const { result: { task } } = await ask(upstream, "tools/call", { name: "task" });
      made.set(task.taskId, Number(task.taskId.split("-")[1]));
    }
    assert.deepEqual(new Set(made.values()), new Set(pids));
    for (const [taskId, pid] of made) {
      for (const id of [taskId, taskId, taskId]) {
        assert.equal((await ask(upstream, "tasks/get", { taskId: id })).result.pid, pid);
      }
      // The router would edit it; here it is the way that counts.
      const exposed = await ask(upstream, "tasks/cancel", { taskId: exposeTaskId("x", taskId) });
      assert.equal(exposed.error.message, "Unknown task");
    }
    const [taskId, pid] = [...made][0]!;
    process.kill(pid, "SIGKILL");
    await log.until("Lost:");
    // Its new process does not know it; the other one is not asked, and says nothing wrong.
    const calls = upstream.status().instances!.find((one) =>
      one.pid !== pid && one.state === "ready"
    );
    const before = calls!.calls;
    assert.equal((await ask(upstream, "tasks/get", { taskId })).error.message, "Unknown task");
    const after = upstream.status().instances!.find(({ name }) => name === calls!.name)!.calls;
    assert.equal(after, before);
  });
});

test("Upstream brings a requestState back to the instance that made it", async () => {
  const targets = [poolTarget("modern"), poolTarget("modern")];
  await withPool(pooled(targets), async (upstream) => {
    for (let i = 0; i < 4; i++) {
      const { result: { requestState } } = await ask(
        upstream,
        "tools/call",
        { name: "state" },
        MODERN_CLIENT,
      );
      const params = { name: "state", requestState, inputResponses: { a: {} } };
      // Another call in between would move the turn on.
      if (i % 2 === 0) await say(upstream, "read", MODERN_CLIENT);
      const retried = await ask(upstream, "tools/call", params, MODERN_CLIENT);
      const [pid, state] = JSON.parse(retried.result.content[0].text);
      assert.equal(`${"x".repeat(300)}${pid}`, state);
    }
  });
});

test("Upstream subscribes at one instance, hears each update once, and moves when that is lost", async () => {
  const updates: unknown[] = [];
  const events: UpstreamEvents = {
    onNotification: ({ method, params }) => {
      if (method === "notifications/resources/updated") updates.push(params);
    },
  };
  await withPool(pooled(TWO), async (upstream, pids, log) => {
    await upstream.setSubscriptions(new Set(["a:b"]));
    const seen = async () => [await say(upstream, "seen"), await say(upstream, "seen")];
    const holders = (await seen()).filter(({ subscriptions }) => subscriptions.length > 0);
    assert.deepEqual(holders.map(({ subscriptions }) => subscriptions), [["+a:b"]]);
    // Both announce it, though only one was asked to.
    await Promise.all([1, 2].map(() => say(upstream, "update", ANNA, { uri: "a:b" })));
    assert.deepEqual(updates, [{ uri: "a:b", pid: holders[0].pid }]);

    process.kill(holders[0].pid, "SIGKILL");
    await log.until("Lost:");
    const heir = pids.find((pid) => pid !== holders[0].pid)!;
    await log.when(() => states(upstream).every((state) => state === "ready"));
    const now = await seen();
    assert.deepEqual(now.find(({ pid }) => pid === heir).subscriptions, ["+a:b"]);
    assert.deepEqual(now.find(({ pid }) => pid !== heir).subscriptions, []);
  }, events);
});

test("Upstream tells all instances levels, roots and the end of a session", async () => {
  await withPool(pooled(TWO), async (upstream) => {
    await upstream.setLogLevel("info");
    upstream.notifyClientRoots("anna");
    const both = [await say(upstream, "seen"), await say(upstream, "seen")];
    assert.deepEqual(both.map(({ levels }) => levels), [["info"], ["info"]]);
    assert.deepEqual(both.map(({ roots }) => roots), [1, 1]);
    await upstream.setSessionLogLevel("anna", "debug");
  });
});

test("Upstream of lazy instances starts one, and the next when that is busy", async () => {
  const config = pooled(TWO, { lazy: true });
  await withUpstream(config, async (upstream, log) => {
    assert.deepEqual(states(upstream), ["ready", "idle"]);
    await say(upstream, "read");
    assert.deepEqual(states(upstream), ["ready", "idle"]);
    const held = exchangeFor(callText("hold-write"), ANNA);
    const holding = upstream.forward(held, []);
    await say(upstream, "read");
    await log.when(() => states(upstream)[1] === "ready");
    held.abort();
    await assert.rejects(holding);
  });
});

test("Upstream settles with all when none can be started, and closes them at the same time", async () => {
  const nothing: ServerTarget = { kind: "stdio", command: "/no/such/thing", args: [], env: {} };
  await withUpstream(pooled([nothing, nothing]), async (upstream) => {
    // Each has failed once; the one that failed first may be at its second attempt by now.
    assert.notEqual(upstream.state.phase, "ready");
    const errors = upstream.status().instances!.map(({ lastError }) => lastError);
    assert.ok(errors.every((error) => error?.includes("cannot be started")), errors.join());
    await assert.rejects(say(upstream, "read"), { message: /cannot be started/ });
    await upstream.close();
    assert.equal(upstream.state.phase, "closed");
    await assert.rejects(say(upstream, "read"), { code: ErrorCode.UpstreamUnavailable });
    assert.equal(upstream.status().inFlight, 0);
  });
});
