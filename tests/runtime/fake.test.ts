import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeChild, type FakeProgram } from "../support/fake-child.ts";
import { FakeRuntime } from "../support/fake-runtime.ts";
import { FakeServer } from "../support/fake-server.ts";
import {
  type HttpHandler,
  ListenError,
  SpawnError,
  type SpawnOptions,
} from "../../src/runtime/types.ts";

interface Started {
  readonly runtime: FakeRuntime;
  readonly child: FakeChild;
  readonly heard: string[];
}

async function start(program: FakeProgram): Promise<Started> {
  const runtime = new FakeRuntime({ programs: { tool: program } });
  const heard: string[] = [];
  const hear = (from: string) => (chunk: Uint8Array): void => {
    heard.push(`${from} ${new TextDecoder().decode(chunk)}`);
  };
  const options: SpawnOptions = {
    command: "tool",
    args: ["-x"],
    env: { A: "1" },
    onStdout: hear("out"),
    onStderr: hear("err"),
    onExit: (status) => heard.push(`exit ${status.code ?? status.signal}`),
  };
  const child = await runtime.spawn(options);
  assert.ok(child instanceof FakeChild);
  return { runtime, child, heard };
}

async function serve(handler: HttpHandler): Promise<{
  readonly runtime: FakeRuntime;
  readonly server: FakeServer;
  readonly errors: unknown[];
}> {
  const runtime = new FakeRuntime();
  const errors: unknown[] = [];
  const onError = (error: unknown): void => void errors.push(error);
  const server = await runtime.serve({ hostname: "127.0.0.1", port: 0, handler, onError });
  assert.ok(server instanceof FakeServer);
  return { runtime, server, errors };
}

const request = (path = "/"): Request => new Request(`http://127.0.0.1${path}`);

test("FakeRuntime.spawn() runs a program that answers its input", async () => {
  const { runtime, child, heard } = await start((process) => {
    process.stderr(`started ${process.args} ${process.env["A"]}`);
    process.onInput((text) => process.stdout(text.toUpperCase()));
  });
  assert.deepEqual(runtime.leaks(), ["child tool (pid 1000)"]);
  await new Promise(setImmediate);
  await child.write("ping");
  child.endInput();
  assert.deepEqual(await child.ended, { code: 0, signal: null });
  assert.deepEqual(heard, ["err started -x 1", "out PING", "exit 0"]);
  assert.deepEqual(child.input, ["ping"]);
  assert.deepEqual(runtime.leaks(), []);
  await assert.rejects(child.write("late"), /Cannot write to "tool": the process has ended/);
});

test("FakeRuntime.spawn() rejects an unknown command", async () => {
  const { runtime } = await start(() => {});
  const options = { command: "other", args: [], env: {} };
  const nothing = (): void => {};
  const spawned = runtime.spawn({
    ...options,
    onStdout: nothing,
    onStderr: nothing,
    onExit: nothing,
  });
  await assert.rejects(spawned, (error) => error instanceof SpawnError && error.code === "ENOENT");
});

test("FakeChild.write() to a program that stopped reading waits for its end", async () => {
  const { child, heard } = await start((process) => {
    process.stopReading();
    process.onTerminate(() => process.stderr("not yet"));
  });
  await new Promise(setImmediate);
  const write = child.write("x");
  child.kill("SIGTERM");
  child.kill("SIGKILL");
  await assert.rejects(write, { code: "EPIPE" });
  assert.deepEqual(await child.ended, { code: null, signal: "SIGKILL" });
  assert.deepEqual(child.signals, ["SIGTERM", "SIGKILL"]);
  assert.deepEqual(heard, ["err not yet", "exit SIGKILL"]);
});

test("FakeRuntime.serve() keeps the handler for fetch()", async () => {
  const { runtime, server, errors } = await serve((asked) => {
    if (asked.url.endsWith("/bad")) throw new Error("bad");
    return Response.json(asked.url);
  });
  assert.equal(await (await server.fetch(request("/good"))).json(), request("/good").url);
  const failed = await server.fetch(request("/bad"));
  assert.equal(failed.status, 500);
  assert.deepEqual(await failed.json(), { error: "Internal error" });
  assert.deepEqual(errors.map(String), ["Error: bad"]);
  const again = { hostname: "::", port: server.port, handler: () => new Response(), onError() {} };
  const taken = (error: unknown) => error instanceof ListenError && error.code === "EADDRINUSE";
  await assert.rejects(runtime.serve(again), taken);
  assert.deepEqual(runtime.leaks(), [`server on port ${server.port}`]);
  await server.stop();
  assert.deepEqual(runtime.leaks(), []);
  await assert.rejects(server.fetch(request()), /nobody listens/);
});

test("FakeServer.stop() waits for streams, and abort() cuts them", async () => {
  const cancelled: unknown[] = [];
  const { server } = await serve(() =>
    new Response(
      new ReadableStream({
        start: (controller) => controller.enqueue(new Uint8Array([1])),
        cancel: (reason) => void cancelled.push(reason),
      }),
    )
  );
  const reader = (await server.fetch(request())).body!.getReader();
  assert.deepEqual((await reader.read()).value, new Uint8Array([1]));
  assert.equal(server.active, 1);
  let stopped = false;
  const stop = server.stop().then(() => stopped = true);
  assert.equal((await server.fetch(request())).status, 503);
  assert.equal(stopped, false);
  server.abort();
  await stop;
  await assert.rejects(reader.read(), /Connection was cut/);
  assert.deepEqual(cancelled, ["Connection was cut"]);
  assert.equal(server.active, 0);
});

test("FakeServer.abort() cuts a handler that never answers", async () => {
  const { server } = await serve(() => new Promise<never>(() => {}));
  const answer = server.fetch(request());
  server.abort();
  await assert.rejects(answer, /Connection was cut/);
  assert.equal(server.active, 0);
});

test("FakeRuntime.openDatagram() records datagrams, and plays Bun", async () => {
  const runtime = new FakeRuntime();
  const received = runtime.receiveDatagrams("/dev/log");
  const socket = await runtime.openDatagram("/dev/log");
  assert.ok(socket !== null);
  await socket.send(new Uint8Array([1, 2]));
  assert.deepEqual(received, [new Uint8Array([1, 2])]);
  runtime.stopReceiving("/dev/log");
  await assert.rejects(socket.send(new Uint8Array([3])), { code: "ECONNREFUSED" });
  assert.equal(runtime.leaks().length, 1);
  socket.close();
  assert.deepEqual(runtime.leaks(), []);
  await assert.rejects(Promise.resolve(runtime.openDatagram("/dev/log")), { code: "ENOENT" });
  assert.equal(new FakeRuntime({ name: "bun" }).openDatagram("/dev/log"), null);
});

test("FakeRuntime raises signals and directory events by hand", () => {
  const runtime = new FakeRuntime();
  const heard: string[] = [];
  const remove = runtime.onSignal("SIGHUP", () => heard.push("hup"));
  const watch = runtime.watchDirectory(
    "/etc/x",
    () => heard.push("changed"),
    (error) => heard.push(String(error)),
  );
  assert.deepEqual(runtime.leaks(), ["watch of /etc/x", "1 handlers of SIGHUP"]);
  assert.equal(runtime.raise("SIGHUP"), true);
  assert.equal(runtime.raise("SIGTERM"), false);
  assert.equal(runtime.change("/etc/x"), 1);
  assert.equal(runtime.change("/etc/y"), 0);
  assert.equal(runtime.failWatch("/etc/x", "gone"), 1);
  assert.equal(runtime.change("/etc/x"), 0);
  watch[Symbol.dispose]();
  remove();
  assert.equal(runtime.raise("SIGHUP"), false);
  assert.deepEqual(heard, ["hup", "changed", "gone"]);
  assert.deepEqual(runtime.leaks(), []);
});
