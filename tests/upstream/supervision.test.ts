/** What becomes of a server for each way it can fail: the reason that is shown, and the back-off. */

import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { test } from "node:test";
import { runtime } from "#runtime";
import type { ServerConfig, ServerTarget } from "../../src/config/types.ts";
import { Instance } from "../../src/upstream/instance.ts";
import { STATE_REASONS, type StateReason } from "../../src/upstream/state.ts";
import { FakeClock } from "./fakes/clock.ts";
import { type Handler, INITIALIZED, json, legacy, result, serveHttp } from "./fakes/http-server.ts";
import { type Fate, knownInventory, Scripted } from "./fakes/scripted.ts";
import { call, fakeTarget, httpTarget, RecordedLog, serverConfig } from "./support.ts";
import { OWN_ADDRESS, OWN_PORT } from "../support/own-address.ts";

test("STATE_REASONS are exactly these", () => {
  assert.deepEqual(Object.keys(STATE_REASONS), [
    ...["starting", "lazy", "unused", "configuration", "disabled", "stopped", "spawn", "exited"],
    ...[
      "refused",
      "dns",
      "tls",
      "network",
      "closed",
      "unauthorized",
      "login",
      "http-status",
      "protocol",
    ],
    ...["timeout", "unresponsive", "session-expired", "failed"],
  ]);
});

/** An instance of a real server, under fake time. */
class Real {
  readonly clock = new FakeClock();
  readonly log = new RecordedLog();
  readonly instance: Instance;
  attempts = 0;
  #wake: (() => void)[] = [];

  constructor(target: ServerTarget, overrides: Partial<ServerConfig> = {}) {
    this.instance = new Instance({
      config: serverConfig(target, overrides),
      runtime,
      log: this.log,
      clock: this.clock,
      random: () => 0.5,
      events: {
        onStateChange: () => {
          if (this.instance.state.phase === "connecting") this.attempts++;
          for (const wake of this.#wake.splice(0)) wake();
        },
      },
    });
  }

  /** Resolves in this phase, with what happens in real time only. */
  async phase(wanted: string): Promise<void> {
    while (this.instance.state.phase !== wanted) {
      await new Promise<void>((wake) => this.#wake.push(wake));
    }
  }
}

/** Attempts are made at once, then after 0.5, 1 and 2 s, and never end. */
async function assertBacksOff(
  real: Real,
  reason: StateReason,
  backedOff: () => Promise<void>,
): Promise<void> {
  const { instance, clock } = real;
  instance.start();
  await backedOff();
  for (const [made, delay] of [0, 500, 1_000, 2_000].entries()) {
    const status = instance.status();
    assert.deepEqual([status.reason, status.health], [reason, "unknown"]);
    assert.ok(Math.abs(Date.parse(status.retryAt!) - Date.now() - delay) < 10_000);
    assert.ok(Date.now() - Date.parse(status.lastErrorAt!) < 10_000);
    assert.match(status.lastError!, /^Server "x" /);
    if (delay > 0) clock.tick(delay - 1);
    assert.equal(real.attempts, made + 1);
    clock.tick(1);
    assert.equal(real.attempts, made + 2);
    assert.equal(instance.status().retryAt, undefined);
    assert.equal(instance.status().reason, reason, "the reason stays while it is tried again");
    await backedOff();
  }
}

const HTTP_FAULTS: readonly (readonly [string, StateReason, Handler])[] = [
  ["HTTP 503", "http-status", (_, response) => void response.writeHead(503).end()],
  ["HTTP 500", "http-status", (_, response) => void response.writeHead(500).end()],
  ["HTTP 404", "http-status", (_, response) => void response.writeHead(404).end()],
  ["a web page", "protocol", (_, response) => {
    response.writeHead(200, { "content-type": "text/html" }).end("<h1>Hello");
  }],
  ["JSON that is no message", "protocol", (_, response) => json(response, 200, { hello: 1 })],
  ["an answer without a result", "protocol", (seen, response) => {
    json(response, 200, result(seen.body.id, {}));
  }],
  ["a connection that is cut", "closed", (_, response) => void response.destroy()],
];

for (const [what, reason, handler] of HTTP_FAULTS) {
  test(`Instance backs off from ${what}, and says "${reason}"`, async () => {
    const server = await serveHttp(handler);
    const real = new Real(httpTarget(server.url));
    try {
      await assertBacksOff(real, reason, () => real.phase("backoff"));
    } finally {
      await real.instance.close();
      await server.close();
    }
    assert.equal(real.clock.armed, 0);
  });
}

test("Instance backs off from a port nobody listens on, and from a host nobody knows", async () => {
  const gone = `http://${OWN_ADDRESS}:${OWN_PORT}`;
  for (
    const [url, reason] of [[gone, "refused"], ["http://no-such-host.invalid/", "dns"]] as const
  ) {
    const real = new Real(httpTarget(url));
    await assertBacksOff(real, reason, () => real.phase("backoff"));
    await real.instance.close();
    assert.equal(real.clock.armed, 0);
  }
});

test("Instance backs off from a command that is not there, and says so", async () => {
  const real = new Real({ kind: "stdio", command: "no-such-cmd-4711", args: [], env: {} });
  await assertBacksOff(real, "spawn", () => real.phase("backoff"));
  await real.instance.close();
});

test("Instance asks a server that refuses its credentials once a minute, and never gives up", async () => {
  for (const status of [401, 403]) {
    const server = await serveHttp((_, response) => void response.writeHead(status).end());
    const real = new Real(httpTarget(server.url));
    try {
      real.instance.start();
      await real.phase("backoff");
      for (let made = 1; made <= 3; made++) {
        assert.equal(real.instance.status().reason, "unauthorized");
        assert.match(real.instance.status().lastError!, /headers\.Authorization$/);
        real.clock.tick(59_999);
        assert.equal(real.attempts, made);
        real.clock.tick(1);
        assert.equal(real.attempts, made + 1);
        await real.phase("backoff");
      }
      // Calls do not make a storm of it either.
      real.clock.tick(9_999);
      for (let i = 0; i < 20; i++) {
        await assert.rejects(async () => await real.instance.lineFor(call("a")), /headers\.Auth/);
      }
      assert.equal(real.attempts, 4);
      real.clock.tick(1);
      await assert.rejects(async () => await real.instance.lineFor(call("a")), /headers\.Auth/);
      assert.equal(real.attempts, 5);
    } finally {
      await real.instance.close();
      await server.close();
    }
  }
});

test("Instance says why it lost a process, and a session", async () => {
  const exits = new Real(fakeTarget());
  exits.instance.start();
  await exits.phase("ready");
  const exiting = await exits.instance.lineFor(call("exit"));
  await assert.rejects(exiting.forward(call("exit"), []));
  await exits.phase("backoff");
  assert.equal(exits.instance.status().reason, "exited");
  assert.match(exits.instance.status().lastError!, /exited with code 7: fatal: out of cheese/);
  await exits.instance.close();

  let forgotten = false;
  const server = await serveHttp(legacy((_, response) => {
    if (forgotten) json(response, 404, {});
    return forgotten;
  }));
  const forgets = new Real(httpTarget(server.url));
  try {
    forgets.instance.start();
    await forgets.phase("ready");
    forgotten = true;
    const line = await forgets.instance.lineFor(call("a"));
    await assert.rejects(line.forward(call("a"), []));
    await forgets.phase("backoff");
    assert.equal(forgets.instance.status().reason, "session-expired");
  } finally {
    await forgets.instance.close();
    await server.close();
  }
});

test("Instance says that an event stream was closed", async () => {
  let stream: ServerResponse | undefined;
  const say = (message: unknown) => {
    stream!.write(`data: ${JSON.stringify(message)}\n\n`);
  };
  const server = await serveHttp((seen, response) => {
    if (seen.method === "GET") {
      stream = response;
      response.writeHead(200, { "content-type": "text/event-stream" });
      return void response.write("event: endpoint\ndata: /messages\n\n");
    }
    response.writeHead(202).end();
    const { id, method } = seen.body;
    if (method === "initialize") say(result(id, { ...INITIALIZED, capabilities: {} }));
  });
  const real = new Real(httpTarget(server.url, { transport: "sse" }));
  try {
    real.instance.start();
    await real.phase("ready");
    stream!.end();
    await real.phase("backoff");
    assert.equal(real.instance.status().reason, "closed");
  } finally {
    await real.instance.close();
    await server.close();
  }
});

const FATES: readonly (readonly [Fate, StateReason])[] = [
  ["dies-at-start", "exited"],
  ["hangs", "timeout"],
  ["hangs-at-lists", "timeout"],
];

for (const [fate, reason] of FATES) {
  test(`Instance backs off from a process that ${fate}, and says "${reason}"`, async () => {
    const server = new Scripted({ startupTimeout: 2_000 });
    server.fate = fate;
    server.instance.start();
    const failed: number[] = [];
    for (let made = 1; made <= 6; made++) {
      await server.reach("backoff");
      failed.push(server.clock.now());
      assert.equal(server.instance.status().reason, reason);
      await server.reach("connecting");
    }
    const pauses = server.spawned.slice(1, 6).map((at, index) => at - failed[index]!);
    const expected = [0, 500, 1_000, 2_000, 4_000];
    // The clock here moves a millisecond at a time, and closing takes some of them.
    pauses.forEach((pause, index) =>
      assert.ok(Math.abs(pause - expected[index]!) <= 5, `${pauses}`)
    );
    await server.close();
  });
}

test("Instance backs off from a server that becomes ready and dies, again and again", async () => {
  const server = new Scripted();
  server.fate = "dies-when-ready";
  server.instance.start();
  while (server.spawned.length < 7) await server.pass(50, 5);
  const gaps = server.spawned.slice(1).map((at, index) => at - server.spawned[index]!);
  gaps.forEach((gap, index) => {
    const expected = [0, 500, 1_000, 2_000, 4_000, 8_000][index]!;
    assert.ok(gap >= expected && gap < expected + 100, `${gaps}`);
  });
  // A call may shorten the pause, but not to nothing.
  await server.until(() => server.phase === "backoff");
  const before = server.spawned.length;
  for (let i = 0; i < 10; i++) {
    await assert.rejects(async () => await server.instance.lineFor(call("echo")), /Server "x"/);
  }
  assert.equal(server.spawned.length, before);
  // One that then runs for a while is forgiven.
  server.fate = "serves";
  await server.reach("ready", 50);
  await server.pass(10_000);
  server.die();
  await server.until(() => server.phase === "ready");
  assert.equal(server.instance.state.failures, 1);
  await server.close();
});

test("Instance.close() leaves no process, no timer and nobody waiting, whatever it does", async () => {
  const cases: readonly (readonly [string, Fate, (server: Scripted) => Promise<void>])[] = [
    ["idle", "serves", () => Promise.resolve()],
    ["connecting", "serves", (server) => Promise.resolve(server.instance.start())],
    ["connecting", "hangs", async (server) => {
      server.instance.start();
      await server.pass(50, 5);
    }],
    ["connecting", "hangs-at-lists", async (server) => {
      server.instance.start();
      await server.until(() => server.asked.includes("tools/list"));
    }],
    ["ready", "serves", async (server) => {
      await server.start();
    }],
    ["backoff", "dies-at-start", async (server) => {
      server.instance.start();
      while (server.instance.state.failures < 3) await server.pass(50, 5);
    }],
    ["connecting", "hangs", async (server) => {
      server.fate = "serves";
      await server.start();
      server.fate = "hangs";
      server.die();
      await server.until(() => server.spawned.length === 2);
    }],
  ];
  for (const [phase, fate, prepare] of cases) {
    const server = new Scripted({ healthInterval: 1_000, idleTimeout: 60_000 });
    server.fate = fate;
    await prepare(server);
    assert.equal(server.phase, phase);
    const waiting = server.call().then(() => "served", () => "refused");
    if (phase !== "ready") await new Promise((next) => setImmediate(next));
    await server.close();
    assert.equal(await waiting, "refused");
    await server.instance.settled;
    assert.equal(server.instance.status().reason, "stopped");
    await assert.rejects(async () => await server.instance.lineFor(call("a")), /Server "x"/);
  }
  const lazy = await new Scripted({ lazy: true }).start(knownInventory("echo"));
  await lazy.close();
});

test("Instance never starts what is switched off or wrongly configured, and says so", async () => {
  const problem = {
    file: "f",
    line: 1,
    column: 1,
    path: ["a"],
    severity: "error",
    message: "wrong",
  } as const;
  for (
    const [overrides, reason] of [
      [{ disabled: true }, "disabled"],
      [{ problem: problem as never }, "configuration"],
    ] as const
  ) {
    const server = await new Scripted(overrides).start();
    assert.deepEqual([server.phase, server.instance.status().reason], ["closed", reason]);
    assert.deepEqual(server.spawned, []);
    await server.close();
  }
});
