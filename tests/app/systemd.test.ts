import assert from "node:assert/strict";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { runtime } from "#runtime";
import { createNotifier, watchdogInterval } from "../../src/app/systemd.ts";
import { configureLogging } from "../../src/log/mod.ts";
import { FakeRuntime } from "../support/fake-runtime.ts";
import { eventually } from "../support/inbox.ts";
import { fakeOutputs } from "../log/support.ts";

const SOCKET = "/run/systemd/notify";
const decode = (data: Uint8Array) => new TextDecoder().decode(data);

test("createNotifier() sends the states as datagrams, in order", async () => {
  const fake = new FakeRuntime();
  const received = fake.receiveDatagrams(SOCKET);
  const notifier = createNotifier({ env: { NOTIFY_SOCKET: SOCKET }, runtime: fake });
  notifier.status("starting\n 2 of 4");
  notifier.ready();
  notifier.stopping();
  await notifier.close();
  assert.deepEqual(received.map(decode), ["STATUS=starting 2 of 4", "READY=1", "STOPPING=1"]);
});

test("reloading() carries the time that Type=notify-reload wants", async () => {
  const fake = new FakeRuntime();
  const received = fake.receiveDatagrams(SOCKET);
  const notifier = createNotifier({ env: { NOTIFY_SOCKET: SOCKET }, runtime: fake });
  notifier.reloading();
  await notifier.close();
  assert.match(received.map(decode).join(), /^RELOADING=1(\nMONOTONIC_USEC=\d+)?$/);
});

test("createNotifier() passes an abstract address on", async () => {
  const fake = new FakeRuntime();
  const received = fake.receiveDatagrams("@notify");
  const notifier = createNotifier({ env: { NOTIFY_SOCKET: "@notify" }, runtime: fake });
  notifier.ready();
  await notifier.close();
  assert.equal(received.length, 1);
});

test("without NOTIFY_SOCKET nothing is started", async () => {
  const fake = new FakeRuntime({ name: "bun", programs: { "systemd-notify": () => {} } });
  const notifier = createNotifier({ env: { WATCHDOG_USEC: "1000" }, runtime: fake });
  notifier.ready();
  notifier.watchdog();
  await notifier.close();
  assert.equal(fake.children.length, 0);
});

test("a manager that does not listen costs one debug line", async () => {
  for (const name of ["deno", "bun"] as const) {
    const outputs = fakeOutputs();
    const logging = await configureLogging({
      destination: { kind: "stdout" },
      format: "text",
      level: "debug",
      env: {},
      runtime: new FakeRuntime(),
      outputs,
    });
    const fake = new FakeRuntime({ name });
    const notifier = createNotifier({ env: { NOTIFY_SOCKET: SOCKET }, runtime: fake });
    notifier.ready();
    notifier.status("one");
    await notifier.close();
    notifier.status("two");
    await notifier.close();
    await logging.close();
    assert.equal(outputs.stdout.lines.length, 1);
    assert.match(outputs.stdout.text, /Z debug systemd +Cannot notify systemd: /);
  }
});

test("a manager that was restarted is found again", async () => {
  const fake = new FakeRuntime();
  fake.receiveDatagrams(SOCKET);
  const notifier = createNotifier({ env: { NOTIFY_SOCKET: SOCKET }, runtime: fake });
  notifier.ready();
  await notifier.close();
  fake.stopReceiving(SOCKET);
  const again = fake.receiveDatagrams(SOCKET);
  notifier.status("up");
  await notifier.close();
  assert.deepEqual(again.map(decode), ["STATUS=up"]);
});

test("without datagrams systemd-notify speaks, and only the latest status waits", async () => {
  const fake = new FakeRuntime({
    name: "bun",
    programs: { "systemd-notify": (child) => child.exit(0) },
  });
  const env = { NOTIFY_SOCKET: SOCKET, PATH: "/bin", SECRET: "x" };
  const notifier = createNotifier({ env, runtime: fake });
  notifier.ready();
  for (let i = 0; i < 100; i++) notifier.status(`${i} of 100`);
  notifier.stopping();
  await notifier.close();
  const pid = `--pid=${process.pid}`;
  assert.deepEqual(fake.children.map(({ args }) => args), [
    [pid, "READY=1"],
    [pid, "STATUS=99 of 100"],
    [pid, "STOPPING=1"],
  ]);
  assert.deepEqual(fake.children[0]?.env, { NOTIFY_SOCKET: SOCKET, PATH: "/bin" });
});

test("a failing systemd-notify does not end the later ones", async () => {
  let starts = 0;
  const fake = new FakeRuntime({
    name: "bun",
    programs: {
      "systemd-notify": (child) => {
        starts++;
        child.exit(1);
      },
    },
  });
  const notifier = createNotifier({ env: { NOTIFY_SOCKET: SOCKET }, runtime: fake });
  notifier.ready();
  notifier.stopping();
  await notifier.close();
  assert.equal(starts, 2);
});

test("watchdogInterval() is half of what the unit allows this process", () => {
  assert.equal(watchdogInterval({ WATCHDOG_USEC: "30000000" }), 15_000);
  assert.equal(watchdogInterval({ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "7" }, 7), 15_000);
  assert.equal(watchdogInterval({ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "8" }, 7), null);
  for (const bad of [undefined, "", "0", "-1", "x", "1.5"]) {
    assert.equal(watchdogInterval({ WATCHDOG_USEC: bad }), null);
  }
});

test("watchdog() pings while healthy, and only then", async () => {
  const fake = new FakeRuntime();
  const received = fake.receiveDatagrams(SOCKET);
  const env = { NOTIFY_SOCKET: SOCKET, WATCHDOG_USEC: "4000" };
  const notifier = createNotifier({ env, runtime: fake });
  let asked = 0;
  const enough = Promise.withResolvers<void>();
  notifier.watchdog(() => {
    asked++;
    if (asked === 8) enough.resolve();
    return asked <= 3;
  });
  // The timer itself does not keep a process alive.
  const alive = setInterval(() => {}, 1000);
  await enough.promise;
  clearInterval(alive);
  await notifier.close();
  assert.deepEqual(received.map(decode), ["WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"]);
});

test("the real runtime reaches a real receiver", async () => {
  const folder = await mkdtemp(join(tmpdir(), "mcproxy-"));
  const out = join(folder, "out");
  // Bun has no datagrams to receive with, and no need: there the child's command line is what counts.
  const script = join(folder, "systemd-notify");
  await writeFile(script, `#!/bin/sh\nshift\necho "$NOTIFY_SOCKET $*" >> ${out}\n`);
  await chmod(script, 0o755);
  const path = join(folder, "notify");
  const receiver = runtime.name === "deno"
    ? Deno.listenDatagram({ transport: "unixpacket", path })
    : null;
  const env = { NOTIFY_SOCKET: path, PATH: `${folder}:${process.env.PATH}` };
  const notifier = createNotifier({ env, runtime });
  notifier.ready();
  if (receiver !== null) {
    assert.equal(decode((await receiver.receive())[0]), "READY=1");
    receiver.close();
  } else {
    const text = await eventually(
      () => readFile(out, "utf8").catch(() => ""),
      (text) => text.endsWith("\n"),
      "systemd-notify to be called",
    );
    assert.equal(text, `${path} READY=1\n`);
  }
  await notifier.close();
  await rm(folder, { recursive: true });
});
