import assert from "node:assert/strict";
import { test } from "node:test";
import { runtime } from "#runtime";
import { idleTimeoutOf, IdleTimer, LAZY_IDLE_TIMEOUT } from "../../src/upstream/supervisor.ts";
import { Instance } from "../../src/upstream/instance.ts";
import { FakeClock } from "./fakes/clock.ts";
import { knownInventory, Scripted } from "./fakes/scripted.ts";
import {
  alive,
  askingTarget,
  call,
  callText,
  exchangeFor,
  LEGACY_CLIENT,
  RecordedLog,
  serverConfig,
} from "./support.ts";

test("idleTimeoutOf() is 5 minutes for what is lazy and says nothing else", () => {
  assert.equal(LAZY_IDLE_TIMEOUT, 300_000);
  assert.equal(idleTimeoutOf({ lazy: false }), undefined);
  assert.equal(idleTimeoutOf({ lazy: true }), 300_000);
  assert.equal(idleTimeoutOf({ lazy: true, idleTimeout: 7 }), 7);
  assert.equal(idleTimeoutOf({ lazy: false, idleTimeout: 7 }), 7);
});

test("IdleTimer fires that long after the last use, and not during one", () => {
  const clock = new FakeClock();
  const state = { inUse: false, fired: 0, timeout: 100 as number | undefined };
  const timer = new IdleTimer({
    clock,
    timeout: () => state.timeout,
    inUse: () => state.inUse,
    onIdle: () => state.fired++,
  });
  timer.touch();
  timer.arm();
  clock.tick(90);
  timer.touch();
  clock.tick(99);
  assert.equal(state.fired, 0);
  state.inUse = true;
  clock.tick(500);
  state.inUse = false;
  timer.touch();
  clock.tick(99);
  assert.equal(state.fired, 0);
  clock.tick(1);
  assert.equal(state.fired, 1);
  assert.equal(clock.armed, 0);
  timer.arm();
  timer.stop();
  state.timeout = undefined;
  timer.arm();
  clock.tick(1_000);
  assert.deepEqual([state.fired, clock.armed], [1, 0]);
});

test("Instance.start() of a lazy one whose lists are known does not connect", async () => {
  const known = knownInventory("echo");
  const server = await new Scripted({ lazy: true }).start(known);
  assert.deepEqual([server.phase, server.instance.status().reason], ["idle", "lazy"]);
  assert.equal(server.instance.inventory, known);
  await server.pass(1_000);
  assert.deepEqual(server.spawned, []);
  assert.equal(server.instance.status().counts.tools, 1);
  await server.close();
});

test("Instance.lineFor() starts a lazy one, and the call is served", async () => {
  const server = await new Scripted({ lazy: true }).start(knownInventory("echo"));
  const answer = server.call();
  await server.until(() => server.held.length === 1);
  assert.equal(server.phase, "ready");
  server.answer();
  await answer;
  assert.equal(server.instance.status().restarts, 0);
  await server.close();
});

test("Instance whose lists are known and which was not started yet is started by a call, at once", async () => {
  const server = new Scripted();
  server.instance.recall(knownInventory("echo"));
  assert.equal(server.instance.inventory.lists.tools.items.length, 1);
  // It has settled nothing: unlike a lazy one it is on its way.
  assert.deepEqual([server.phase, server.instance.status().reason], ["idle", undefined]);
  const answer = server.call();
  assert.equal(server.phase, "connecting");
  await server.until(() => server.held.length === 1);
  server.instance.start();
  assert.equal(server.spawned.length, 1, "its own turn finds it started");
  server.answer();
  await answer;
  await server.close();
});

test("Instance starts a lazy one once where no list is known, and stops it when unused", async () => {
  const server = await new Scripted({ lazy: true }).start();
  assert.equal(server.phase, "ready");
  assert.equal(server.instance.inventory.lists.tools.items.length, 1);
  await server.pass(299_000, 1_000);
  assert.equal(server.phase, "ready");
  await server.pass(2_000);
  assert.deepEqual([server.phase, server.instance.status().reason], ["idle", "unused"]);
  assert.ok(server.log.has("Stopped after 5m without use"));
  assert.equal(server.instance.inventory.lists.tools.items.length, 1, "the lists stay");
  assert.equal(server.inventories.length, 1);
  assert.equal(server.instance.status().lastError, undefined, "it is no loss");
  assert.ok(!server.log.lines.some(({ level }) => level === "warn"));
  await server.close();
});

test("Instance keeps the inventory it was given as the same object while nothing changes", async () => {
  const known = knownInventory("echo");
  const server = await new Scripted({}).start(known);
  assert.equal(server.phase, "ready");
  assert.equal(server.instance.inventory, known);
  assert.deepEqual(server.inventories, [], "nobody is told of a change");
  await server.close();
  const other = await new Scripted({}).start(knownInventory("gone"));
  assert.equal(other.inventories.length, 1);
  assert.deepEqual(other.instance.inventory.lists.tools.items.map(({ key }) => key), ["echo"]);
  await other.close();
});

test("Instance rests and starts again without a change anybody would see", async () => {
  const server = await new Scripted({ idleTimeout: 60_000 }).start();
  const { inventory } = server.instance;
  for (let round = 1; round <= 3; round++) {
    await server.pass(61_000);
    assert.equal(server.phase, "idle");
    await server.pass(1_000_000, 10_000);
    assert.equal(server.spawned.length, round, "nothing is read, probed or tried meanwhile");
    const answer = server.call();
    await server.until(() => server.held.length === 1);
    server.answer();
    await answer;
    assert.equal(server.instance.inventory, inventory);
  }
  assert.equal(server.inventories.length, 1);
  assert.equal(server.instance.status().restarts, 0);
  assert.deepEqual(server.phases.slice(0, 4), ["connecting", "ready", "idle", "connecting"]);
  await server.close();
});

test("Instance does not rest during a call, nor before the timeout is over behind it", async () => {
  const server = await new Scripted({ idleTimeout: 60_000, timeout: 1e9 }).start();
  const answer = server.call();
  await server.pass(500_000, 1_000);
  assert.equal(server.phase, "ready");
  server.answer();
  await answer;
  await server.pass(59_000, 1_000);
  assert.equal(server.phase, "ready");
  await server.pass(2_000);
  assert.equal(server.phase, "idle");
  await server.close();
});

test("Instance does not rest while somebody holds a line between two requests", async () => {
  const server = await new Scripted({ idleTimeout: 60_000 }).start();
  const line = await server.instance.lineFor(call("echo"));
  await server.pass(500_000, 1_000);
  assert.equal(server.phase, "ready");
  line.release();
  await server.pass(61_000, 1_000);
  assert.equal(server.phase, "idle");
  await server.close();
});

test("Instance does not rest with subscriptions, and starts for one", async () => {
  const server = await new Scripted({ idleTimeout: 60_000 }).start();
  await server.instance.setSubscriptions(new Set(["file:///a"]));
  await server.pass(200_000, 1_000);
  assert.equal(server.phase, "ready");
  await server.instance.setSubscriptions(new Set());
  await server.pass(61_000, 1_000);
  assert.equal(server.phase, "idle");
  await server.instance.setSubscriptions(new Set(["file:///b"]));
  await server.until(() => server.phase === "ready");
  await server.until(() => server.asked.at(-1) === "resources/subscribe");
  await server.close();
});

test("Instance counts connections of sessions as use, and not lent ones that were given back", async () => {
  const server = await new Scripted({ idleTimeout: 60_000, sharing: "session" }).start();
  const own = await server.instance.lineFor(call("echo"));
  own.release();
  await server.pass(200_000, 1_000);
  assert.equal(server.phase, "ready");
  server.instance.releaseSession("c1");
  const client = { ...LEGACY_CLIENT, session: undefined };
  const lent = await server.instance.lineFor(exchangeFor(callText("echo"), client));
  await server.pass(200_000, 1_000);
  assert.equal(server.phase, "ready");
  lent.release();
  assert.equal(server.instance.status().connections, 2);
  await server.pass(61_000, 1_000);
  assert.equal(server.phase, "idle");
  assert.equal(server.instance.status().connections, 0);
  await server.close();
});

test("Instance rests although sessions end that have not used it", async () => {
  const server = await new Scripted({ idleTimeout: 60_000 }).start();
  for (let turn = 0; turn < 3; turn++) {
    await server.pass(21_000, 1_000);
    server.instance.releaseSession(`c${turn}`);
  }
  assert.equal(server.phase, "idle");
  await server.close();
});

test("Instance.start() of a lazy one with subscriptions connects", async () => {
  const server = new Scripted({ lazy: true });
  await server.instance.setSubscriptions(new Set(["file:///a"]));
  await server.start(knownInventory("echo"));
  await server.until(() => server.phase === "ready");
  await server.until(() => server.asked.at(-1) === "resources/subscribe");
  await server.close();
});

test("Instance counts a loss and the start behind it as a restart, a rest before it not", async () => {
  const server = await new Scripted({ idleTimeout: 60_000 }).start();
  await server.pass(61_000, 1_000);
  (await server.instance.lineFor(call("echo"))).release();
  assert.equal(server.instance.status().restarts, 0);
  server.die();
  await server.until(() => server.phase === "ready" && server.spawned.length === 3);
  assert.equal(server.instance.status().restarts, 1);
  await server.close();
});

test("Instance.reconfigure() takes on lazy and idleTimeout without connecting anew", async () => {
  const server = await new Scripted().start();
  await server.pass(50_000, 1_000);
  server.instance.reconfigure({ ...server.config, idleTimeout: 60_000 });
  await server.pass(9_000, 1_000);
  assert.equal(server.phase, "ready");
  await server.pass(2_000);
  assert.equal(server.phase, "idle");
  server.instance.reconfigure({ ...server.config, idleTimeout: 30_000 });
  await server.pass(1_000);
  assert.equal(server.phase, "idle", "it may still rest");
  server.instance.start();
  assert.equal(server.phase, "idle", "it has begun long ago");
  server.instance.reconfigure(server.config);
  await server.until(() => server.phase === "ready");
  await server.pass(100_000, 1_000);
  assert.equal(server.phase, "ready");
  assert.equal(server.spawned.length, 2);
  await server.close();
  const known = knownInventory("echo");
  const lazy = await new Scripted({ lazy: true, idleTimeout: 60_000 }).start(known);
  lazy.instance.reconfigure({ ...lazy.config, lazy: false });
  await lazy.until(() => lazy.phase === "ready");
  await lazy.close();
});

test("Instance.reconfigure() changes the limits of a connection that is open", async () => {
  const server = await new Scripted().start();
  server.instance.reconfigure({ ...server.config, timeout: 250 });
  const late = assert.rejects(server.call(), /did not answer "tools\/call" within 250ms/);
  await server.until(() => server.held.length === 1);
  await server.pass(300);
  await late;
  await server.close();
});

test("Instance ends the process at rest, and waits for its end before the next begins", async () => {
  const pids: number[] = [];
  const aliveAtSpawn: boolean[] = [];
  const changes: (() => void)[] = [];
  const instance: Instance = new Instance({
    config: serverConfig(askingTarget(), { idleTimeout: 50 }),
    runtime: {
      spawn: async (options) => {
        aliveAtSpawn.push(...pids.map(alive));
        const child = await runtime.spawn(options);
        pids.push(child.pid);
        return child;
      },
    },
    log: new RecordedLog(),
    events: { onStateChange: () => changes.splice(0).forEach((wake) => wake()) },
  });
  try {
    instance.start();
    await instance.settled;
    while (instance.state.phase !== "idle") await new Promise<void>((wake) => changes.push(wake));
    const exchange = call("seen");
    const line = await instance.lineFor(exchange);
    assert.equal((await line.forward(exchange, [])).error, undefined);
    line.release();
    assert.deepEqual([pids.length, ...aliveAtSpawn], [2, false]);
  } finally {
    await instance.close();
  }
  assert.deepEqual(pids.map(alive), [false, false]);
});
