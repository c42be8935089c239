import assert from "node:assert/strict";
import { test } from "node:test";
import { ErrorCode, RpcError } from "../../src/protocol/errors.ts";
import {
  HttpStatusError,
  NetworkError,
  protocolFault,
} from "../../src/upstream/transport/failures.ts";
import {
  assessHealth,
  isSilence,
  judgeMiss,
  patienceFor,
} from "../../src/upstream/connection/health.ts";
import { Instance } from "../../src/upstream/instance.ts";
import { worstHealth } from "../../src/upstream/status.ts";
import { runtime } from "#runtime";
import {
  alive,
  call,
  callText,
  exchangeFor,
  fakeTarget,
  httpTarget,
  MODERN_CLIENT,
  RecordedLog,
  serverConfig,
  textOf,
} from "./support.ts";
import { json, legacy, serveHttp } from "./fakes/http-server.ts";
import { Scripted } from "./fakes/scripted.ts";

const WATCHED = { healthInterval: 30_000, healthThreshold: 2 };

test("judgeMiss() excuses work in progress, until a call has run out of time in the silence", () => {
  const cases = [
    [{ atWork: 0, timeoutsUnheard: 0, counted: 0, threshold: 2 }, "missed"],
    [{ atWork: 0, timeoutsUnheard: 0, counted: 1, threshold: 2 }, "lost"],
    [{ atWork: 0, timeoutsUnheard: 0, counted: 0, threshold: 1 }, "lost"],
    [{ atWork: 1, timeoutsUnheard: 0, counted: 9, threshold: 2 }, "busy"],
    [{ atWork: 1, timeoutsUnheard: 1, counted: 0, threshold: 2 }, "missed"],
    [{ atWork: 1, timeoutsUnheard: 1, counted: 1, threshold: 2 }, "lost"],
    [{ atWork: 0, timeoutsUnheard: 3, counted: 1, threshold: 2 }, "lost"],
  ] as const;
  for (const [miss, expected] of cases) {
    assert.equal(judgeMiss(miss), expected, JSON.stringify(miss));
  }
});

test("assessHealth() says what is wrong, and nothing where nothing is", () => {
  const well = { misses: 0, silentFor: 90_000, timeoutsInRow: 1 };
  assert.deepEqual(assessHealth(well), { health: "ok", detail: undefined });
  assert.deepEqual(assessHealth({ ...well, timeoutsInRow: 2 }), {
    health: "degraded",
    detail: "let its last 2 calls run out of time",
  });
  assert.deepEqual(assessHealth({ ...well, misses: 1 }), {
    health: "degraded",
    detail: "has not answered a health probe and been silent for 90s",
  });
  assert.match(assessHealth({ ...well, misses: 3 }).detail!, /^has not answered 3 health probes/);
});

test("isSilence() takes every answer for life but that of a proxy for a dead server", () => {
  assert.equal(isSilence(new HttpStatusError("x", 503, "a probe")), true);
  assert.equal(isSilence(new HttpStatusError("x", 404, "a probe")), false);
  assert.equal(isSilence(new HttpStatusError("x", 401, "a probe")), false);
  assert.equal(isSilence(protocolFault("x", "accepted a probe without an answer")), false);
  assert.equal(isSilence(new RpcError(ErrorCode.UpstreamTimeout, "late")), true);
  assert.equal(isSilence(new NetworkError("x", "read", "closed", "broke off")), true);
  assert.equal(isSilence(new Error("a bug")), true);
});

test("patienceFor() is the interval, and 10 s at most", () => {
  assert.deepEqual([500, 10_000, 60_000].map(patienceFor), [500, 10_000, 10_000]);
});

test("worstHealth() is that of the worst connection, and unknown without one", () => {
  const ok = { health: "ok", detail: undefined } as const;
  const bad = { health: "degraded", detail: "why" } as const;
  const unknown = { health: "unknown", detail: undefined } as const;
  assert.deepEqual(worstHealth([]), unknown);
  assert.deepEqual(worstHealth([unknown, ok]), ok);
  assert.deepEqual(worstHealth([ok, bad, ok]), bad);
});

/** The methods a server was asked for behind its start. */
function probes({ asked }: Scripted): number {
  return asked.filter((method) => method === "ping").length;
}

test("Instance probes a silent server once an interval, and an answer of any kind is life", async () => {
  const server = await new Scripted(WATCHED).start();
  await server.pass(29_000);
  assert.equal(probes(server), 0);
  await server.pass(91_000);
  assert.equal(probes(server), 4);
  assert.deepEqual(server.instance.health, { health: "ok", detail: undefined });
  assert.equal(server.phase, "ready");
  await server.close();
});

test("Instance does not probe a server that says anything, or one it must not", async () => {
  const chatty = await new Scripted(WATCHED).start();
  for (let i = 0; i < 10; i++) {
    await chatty.pass(20_000);
    chatty.send({ method: "notifications/message", params: { level: "info", data: i } });
  }
  assert.equal(probes(chatty), 0);
  await chatty.close();
  const never = await new Scripted({ healthInterval: 0 }).start();
  never.silent = true;
  await never.pass(1_000_000, 50_000);
  assert.equal(probes(never), 0);
  assert.equal(never.phase, "ready");
  await never.close();
});

test("Instance gives up a server that is idle and does not answer, and connects anew", async () => {
  const server = await new Scripted(WATCHED).start();
  server.silent = true;
  await server.pass(41_000);
  assert.equal(server.phase, "ready");
  assert.equal(server.instance.health.health, "degraded");
  assert.ok(server.log.has("Degraded: has not answered a health probe"));
  const { healthDetail } = server.instance.status();
  assert.match(healthDetail!, /^has not answered a health probe and been silent for 4\ds$/);
  await server.pass(10_000);
  await server.until(() => server.spawned.length === 2);
  await server.until(() => server.phase === "ready");
  const { reason, lastError, restarts, health } = server.instance.status();
  assert.equal(lastError, 'Server "x" did not answer 2 health probes within 20 s');
  assert.deepEqual([reason, restarts, health], [undefined, 1, "ok"]);
  assert.ok(server.phases.includes("backoff"));
  await server.close();
});

test("Instance never gives up a server for its silence while it is at work on a call", async () => {
  const server = await new Scripted({ ...WATCHED, timeout: 3_600_000 }).start();
  const answer = server.call();
  await server.until(() => server.held.length === 1);
  server.silent = true;
  await server.pass(600_000, 1_000);
  assert.equal(server.phase, "ready");
  assert.equal(server.instance.health.health, "degraded");
  server.silent = false;
  server.answer();
  await answer;
  assert.equal(server.instance.health.health, "ok");
  await server.pass(40_000);
  assert.ok(server.log.has("Answers again"));
  assert.equal(server.spawned.length, 1);
  await server.close();
});

test("Instance gives it up when a call has run out of time in the same silence", async () => {
  const server = await new Scripted({ ...WATCHED, timeout: 100_000 }).start();
  const late = assert.rejects(server.call(), { code: ErrorCode.UpstreamTimeout });
  await server.until(() => server.held.length === 1);
  server.silent = true;
  await server.pass(60_000, 500);
  const waiting = assert.rejects(server.call(), /did not answer 2 health probes within 20 s/);
  await server.pass(39_000, 500);
  assert.equal(server.phase, "ready");
  await server.pass(62_000, 500);
  await Promise.all([late, waiting]);
  await server.until(() => server.phase === "ready" && server.spawned.length === 2);
  await server.close();
});

test("Instance shows a server that answers probes and lets its calls run out of time", async () => {
  const server = await new Scripted({ ...WATCHED, timeout: 5_000 }).start();
  for (let i = 0; i < 2; i++) {
    assert.equal(server.instance.health.health, "ok");
    const late = assert.rejects(server.call(), { code: ErrorCode.UpstreamTimeout });
    await server.pass(6_000);
    await late;
  }
  const { health, healthDetail, state } = server.instance.status();
  assert.deepEqual([health, state], ["degraded", "ready"]);
  assert.equal(healthDetail, "let its last 2 calls run out of time");
  server.held.length = 0;
  const answer = server.call();
  await server.until(() => server.held.length === 1);
  server.answer();
  await answer;
  assert.equal(server.instance.health.health, "ok");
  await server.close();
});

test("Instance.reconfigure() changes the probing of an open connection", async () => {
  const server = await new Scripted({ healthInterval: 0 }).start();
  const config = { ...server.config, healthInterval: 5_000, healthThreshold: 1 };
  server.instance.reconfigure(config);
  server.silent = true;
  await server.pass(9_800);
  assert.equal(server.spawned.length, 1);
  await server.pass(400);
  await server.until(() => server.spawned.length === 2);
  assert.match(server.instance.status().lastError!, /did not answer a health probe within 5 s$/);
  server.instance.reconfigure({ ...config, healthInterval: 0 });
  await server.until(() => server.phase === "ready");
  server.silent = true;
  await server.pass(100_000, 1_000);
  assert.equal(server.phase, "ready");
  await server.close();
});

test("Instance gives up the own connection of a session that hangs, and opens another", async () => {
  const server = await new Scripted({ ...WATCHED, sharing: "session" }).start();
  (await server.instance.lineFor(call("echo"))).release();
  assert.equal(server.spawned.length, 2);
  server.silent = true;
  await server.pass(51_000);
  assert.equal(server.instance.status().connections, 1);
  assert.equal(server.phase, "ready", "the shared one answers");
  (await server.instance.lineFor(call("echo"))).release();
  assert.equal(server.spawned.length, 3);
  await server.close();
});

test("Instance.close() while a probe is under way leaves nothing", async () => {
  const server = await new Scripted(WATCHED).start();
  server.silent = true;
  await server.pass(35_000);
  assert.equal(probes(server), 1);
  await server.close();
});

test("Instance gives up an HTTP server that listens and does not answer", async () => {
  let hung = false;
  const server = await serveHttp(legacy(({ body }, response) => {
    if (body?.method === "initialize") hung = false;
    if (body?.method === "ping" && !hung) {
      json(response, 200, { jsonrpc: "2.0", id: body.id, result: {} });
      hung = true;
      return true;
    }
    return hung;
  }));
  const changes: (() => void)[] = [];
  const instance: Instance = new Instance({
    config: serverConfig(httpTarget(server.url), { healthInterval: 50, protocol: "legacy" }),
    runtime,
    log: new RecordedLog(),
    events: { onStateChange: () => changes.splice(0).forEach((wake) => wake()) },
  });
  try {
    instance.start();
    for (const wanted of ["ready", "backoff", "ready"]) {
      while (instance.state.phase !== wanted) {
        await new Promise<void>((wake) => changes.push(wake));
      }
      if (wanted === "backoff") assert.equal(instance.status().reason, "unresponsive");
    }
    assert.match(instance.status().lastError!, /did not answer 2 health probes within 0.1 s$/);
  } finally {
    await instance.close();
    await server.close();
  }
});

for (const mode of ["plain", "modern"]) {
  test(`Instance kills a ${mode} process that hangs, and one that only computes it leaves alone`, async () => {
    const changes: (() => void)[] = [];
    const pids: number[] = [];
    const aliveAtSpawn: boolean[] = [];
    const log = new RecordedLog();
    const instance: Instance = new Instance({
      config: serverConfig(fakeTarget(mode), { healthInterval: 100, healthThreshold: 2 }),
      runtime: {
        spawn: async (options) => {
          aliveAtSpawn.push(...pids.map(alive));
          const child = await runtime.spawn(options);
          pids.push(child.pid);
          return child;
        },
      },
      log,
      events: { onStateChange: () => changes.splice(0).forEach((wake) => wake()) },
    });
    const phase = async (wanted: string) => {
      while (instance.state.phase !== wanted) {
        await new Promise<void>((wake) => changes.push(wake));
      }
    };
    const client = mode === "modern" ? MODERN_CLIENT : undefined;
    const forward = async (name: string, args: unknown) => {
      const exchange = exchangeFor(callText(name, args), client ?? call(name).client);
      const line = await instance.lineFor(exchange);
      return textOf((await line.forward(exchange, []).finally(() => line.release())).raw);
    };
    try {
      instance.start();
      await instance.settled;
      const { pid } = instance.status();
      assert.equal(await forward("compute", { ms: 1_500 }), "computed");
      assert.equal(instance.status().pid, pid);
      assert.ok(log.has("Degraded: "), "its silence was noticed");
      assert.equal(await forward("freeze", {}), "frozen");
      await phase("backoff");
      assert.equal(instance.status().reason, "unresponsive");
      await phase("ready");
      assert.deepEqual(aliveAtSpawn, [false], "what hung was ended before the next began");
      assert.equal(await forward("echo", 1), "1");
    } finally {
      await instance.close();
    }
  });
}
