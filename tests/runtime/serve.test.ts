import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import process from "node:process";
import { test } from "node:test";
import { runtime } from "#runtime";
import { OPEN_ENDED, peerOf } from "../../src/runtime/listen.ts";
import { type HttpHandler, type HttpServer, ListenError } from "../../src/runtime/types.ts";
import { scriptArguments } from "../support/program.ts";
import { eventually } from "../support/inbox.ts";
import { fixture, shell } from "./child.ts";

interface TestServer extends AsyncDisposable {
  readonly server: HttpServer;
  readonly base: string;
  readonly errors: unknown[];
}

async function serve(handler: HttpHandler): Promise<TestServer> {
  const errors: unknown[] = [];
  const server = await runtime.serve({
    hostname: "127.0.0.1",
    port: 0,
    handler,
    onError: (error) => errors.push(error),
  });
  return {
    server,
    errors,
    base: `http://127.0.0.1:${server.port}`,
    async [Symbol.asyncDispose]() {
      const stopped = server.stop();
      server.abort();
      await stopped;
    },
  };
}

interface EventStream {
  readonly response: Response;
  readonly cancelled: Promise<void>;
  send(text: string): void;
  close(): void;
}

function eventStream(): EventStream {
  const cancelled = Promise.withResolvers<void>();
  let controller: ReadableStreamDefaultController<Uint8Array>;
  const body = new ReadableStream<Uint8Array>({
    start(given) {
      controller = given;
    },
    cancel: () => cancelled.resolve(),
  });
  const response = new Response(body, { headers: { "content-type": "text/event-stream" } });
  OPEN_ENDED.add(response);
  return {
    response,
    cancelled: cancelled.promise,
    send: (text) => controller.enqueue(new TextEncoder().encode(text)),
    close: () => controller.close(),
  };
}

async function readText(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string> {
  return new TextDecoder().decode((await reader.read()).value);
}

async function listenFailure(hostname: string, port: number): Promise<ListenError> {
  const options = { hostname, port, handler: () => new Response(), onError() {} };
  const outcome = await runtime.serve(options).then((server) => server, (error) => error);
  assert.ok(outcome instanceof ListenError);
  return outcome;
}

test("serve() says the port it picked", async () => {
  await using served = await serve((request) => Response.json(request.method));
  assert.ok(served.server.port > 0);
  assert.equal(served.server.hostname, "127.0.0.1");
  assert.equal(await (await fetch(served.base)).json(), "GET");
});

test("serve() passes a body of 5 MiB and its answer through", async () => {
  await using served = await serve(async (request) => new Response(await request.text()));
  const body = "x".repeat(5 * 1024 * 1024);
  const response = await fetch(served.base, { method: "POST", body });
  assert.equal((await response.text()).length, body.length);
});

test("serve() rejects with EADDRINUSE where somebody listens", async () => {
  await using served = await serve(() => new Response());
  const error = await listenFailure("127.0.0.1", served.server.port);
  assert.equal(error.code, "EADDRINUSE");
  const place = `127.0.0.1:${served.server.port}`;
  assert.ok(error.message.startsWith(`Cannot listen on "${place}": the port is in use; expected`));
});

test("serve() rejects with EADDRNOTAVAIL for an address of another machine", async () => {
  const error = await listenFailure("203.0.113.9", 0);
  assert.equal(error.code, "EADDRNOTAVAIL");
});

test("serve() answers 500 without details when the handler throws or rejects", async () => {
  await using served = await serve((request) => {
    const error = new Error(`secret of ${new URL(request.url).pathname}`);
    if (request.url.endsWith("/throws")) throw error;
    return Promise.reject(error);
  });
  for (const path of ["/throws", "/rejects"]) {
    const response = await fetch(served.base + path);
    assert.equal(response.status, 500);
    assert.match(response.headers.get("content-type") ?? "", /^application\/json/);
    assert.equal(await response.text(), '{"error":"Internal error"}');
  }
  assert.deepEqual(served.errors.map((error) => (error as Error).message), [
    "secret of /throws",
    "secret of /rejects",
  ]);
});

test("stop() waits for a running handler and delivers its answer", async () => {
  const entered = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  await using served = await serve(async () => {
    entered.resolve();
    await release.promise;
    return new Response("late answer");
  });
  const answer = fetch(served.base).then((response) => response.text());
  await entered.promise;
  let stopped = false;
  const stop = served.server.stop().then(() => stopped = true);
  const refused = await fetch(served.base).then((response) => response.status, () => "refused");
  assert.ok(refused === "refused" || refused === 503);
  assert.equal(stopped, false);
  release.resolve();
  assert.equal(await answer, "late answer");
  await stop;
  await assert.rejects(fetch(served.base));
});

test("stop() resolves at once when the streams close on a drain signal", async () => {
  const drain = new AbortController();
  await using served = await serve(() => {
    const stream = eventStream();
    stream.send("first");
    drain.signal.addEventListener("abort", () => {
      stream.send("last");
      stream.close();
    });
    return stream.response;
  });
  const readers = [];
  for (let i = 0; i < 10; i++) {
    const reader = (await fetch(served.base)).body!.getReader();
    assert.equal(await readText(reader), "first");
    readers.push(reader);
  }
  const before = performance.now();
  const stopped = served.server.stop();
  drain.abort();
  await stopped;
  assert.ok(performance.now() - before < 5_000);
  for (const reader of readers) {
    assert.equal(await readText(reader), "last");
    assert.equal((await reader.read()).done, true);
  }
});

test("stop() resolves with idle keep-alive connections open", async () => {
  await using served = await serve(() => new Response("ok"));
  const socket = connect(served.server.port, "127.0.0.1");
  socket.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
  await once(socket, "data");
  const closed = once(socket, "close");
  await served.server.stop();
  await closed;
});

test("abort() cuts a stream that never ends, and tells its producer", async () => {
  const stream = eventStream();
  await using served = await serve(() => stream.response);
  stream.send("first");
  const reader = (await fetch(served.base)).body!.getReader();
  assert.equal(await readText(reader), "first");
  served.server.abort();
  await assert.rejects(reader.read());
  await stream.cancelled;
  await served.server.stop();
});

test("stop() waits for a stream, which abort() still cuts then", async () => {
  const stream = eventStream();
  await using served = await serve(() => stream.response);
  stream.send("first");
  const reader = (await fetch(served.base)).body!.getReader();
  assert.equal(await readText(reader), "first");
  let stopped = false;
  const stop = served.server.stop().then(() => stopped = true);
  const refused = await fetch(served.base).then((response) => response.status, () => "refused");
  assert.ok(refused === "refused" || refused === 503);
  assert.equal(stopped, false);
  served.server.abort();
  await assert.rejects(reader.read());
  await stream.cancelled;
  await stop;
});

test("abort() ends a stop() that waits for a client that does not read", async () => {
  await using served = await serve(() => new Response("x".repeat(50_000_000)));
  const socket = connect(served.server.port, "127.0.0.1");
  socket.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
  await once(socket, "readable");
  let stopped = false;
  const stop = served.server.stop().then(() => stopped = true);
  await assert.rejects(fetch(served.base));
  assert.equal(stopped, false);
  served.server.abort();
  await stop;
  socket.destroy();
});

test("abort() after stop() ends both, and the process lives on", async () => {
  await using child = await fixture("stop-then-abort.ts");
  assert.deepEqual(await child.exited, { code: 0, signal: null });
  assert.equal(child.stderr, "");
  // Nothing else may be on stdout either: in stdio mode it belongs to JSON-RPC.
  assert.deepEqual(child.stdout.split("\n"), [
    "first hi",
    "stopped",
    "stream cut",
    "pending cut",
    "alive",
    "errors 0",
    "",
  ]);
});

test("request.signal fires when the client of a pending answer goes", async () => {
  const entered = Promise.withResolvers<void>();
  const aborted = Promise.withResolvers<void>();
  await using served = await serve((request) => {
    request.signal.addEventListener("abort", () => aborted.resolve());
    entered.resolve();
    return new Promise<never>(() => {});
  });
  const client = new AbortController();
  const answer = fetch(served.base, { method: "POST", body: "{}", signal: client.signal });
  await entered.promise;
  client.abort();
  await assert.rejects(answer);
  await aborted.promise;
});

test("request.signal and cancel() fire when the client of a stream goes", async () => {
  const aborted = Promise.withResolvers<void>();
  const stream = eventStream();
  await using served = await serve((request) => {
    request.signal.addEventListener("abort", () => aborted.resolve());
    return stream.response;
  });
  stream.send("first");
  const client = new AbortController();
  const reader = (await fetch(served.base, { signal: client.signal })).body!.getReader();
  assert.equal(await readText(reader), "first");
  client.abort();
  await assert.rejects(reader.read());
  await aborted.promise;
  await stream.cancelled;
});

test("request.signal does not fire after a complete answer, json or stream", async () => {
  const signals: AbortSignal[] = [];
  let aborts = 0;
  await using served = await serve((request) => {
    signals.push(request.signal);
    request.signal.addEventListener("abort", () => aborts++);
    if (request.url.endsWith("/json")) return Response.json({ ok: true });
    const stream = eventStream();
    stream.send("one");
    queueMicrotask(() => {
      stream.send(" two");
      stream.close();
    });
    return stream.response;
  });
  assert.deepEqual(await (await fetch(`${served.base}/json`)).json(), { ok: true });
  assert.equal(await (await fetch(`${served.base}/stream`)).text(), "one two");
  // A graceful stop is over when nothing of these requests is left.
  await served.server.stop();
  assert.equal(signals.length, 2);
  assert.equal(aborts, 0);
  assert.ok(signals.every((signal) => !signal.aborted));
});

test("Who cannot listen again says what keeps it from it", async () => {
  if (runtime.name !== "deno") return;
  const { Deno } = globalThis as unknown as { Deno: { serve: () => unknown } };
  const real = [Deno.serve, globalThis.setTimeout] as const;
  const again = Promise.withResolvers<void>();
  const gone = { hostname: "127.0.0.1", port: 8_008 };
  const taken = () => {
    throw Object.assign(new Error("Address already in use"), { code: "EADDRINUSE" });
  };
  const attempts = [
    () => ({ addr: gone, finished: Promise.reject(new Error("Too many open files")) }),
    taken,
    taken,
    () => {
      again.resolve();
      return { addr: gone, finished: Promise.resolve(), shutdown: () => Promise.resolve() };
    },
  ];
  Deno.serve = () => attempts.shift()!();
  globalThis.setTimeout = ((callback: () => void) => queueMicrotask(callback)) as never;
  await using served = await serve(() => new Response("here"));
  await again.promise;
  [Deno.serve, globalThis.setTimeout] = real;
  const words = served.errors.map((error) => `${((error as Error).cause as Error).message}`);
  assert.equal(words.shift(), "Too many open files");
  assert.equal(words.length, 2);
  for (const one of words) {
    assert.match(one, /^Cannot listen on "127.0.0.1:8008": the port is in use/);
  }
});

test("More connections than there are files to open end no listener", async () => {
  const path = new URL("./fixtures/crowded.ts", import.meta.url).pathname;
  const program = [process.execPath, ...scriptArguments(path)].map((word) => `'${word}'`).join(" ");
  await using child = await shell(`ulimit -n 100; exec ${program}`, {
    env: { ...process.env as Record<string, string>, NO_COLOR: "1" },
  });
  const port = Number((await child.line(/port (\d+)/))[1]);
  const sockets = Array.from({ length: 150 }, () => {
    const socket = connect(port, "127.0.0.1", () => socket.write("GET / HTTP/1.1\r\nhost: x\r\n"));
    return socket.on("error", () => {});
  });
  const settled = sockets.map((socket) =>
    new Promise((resolve) => socket.on("connect", resolve).on("close", resolve))
  );
  await Promise.all(settled);
  // Bun leaves the others in the queue of the system, Deno cannot.
  if (runtime.name === "deno") await child.line(/error .*Cannot take connections/);
  for (const socket of sockets) socket.destroy();
  const ask = (way: string) =>
    fetch(`http://127.0.0.1:${port}/${way}`).then((answer) => answer.text(), String);
  await eventually(() => ask(""), (text) => text === "here", "an answer");
  await ask("stop");
  await child.line(/stopped/);
});

test("the address of who asks is known, where somebody wants to know it", async () => {
  await using served = await serve((request, source) => new Response(peerOf(request, source)));
  assert.equal(await (await fetch(served.base)).text(), "127.0.0.1");
  const request = new Request("http://localhost");
  assert.equal(peerOf(request, undefined), undefined);
  assert.equal(peerOf(request, { requestIP: () => null }), undefined);
  assert.equal(peerOf(request, { remoteAddr: { hostname: "::ffff:10.0.0.7" } }), "10.0.0.7");
  assert.equal(peerOf(request, { requestIP: () => ({ address: "::1" }) }), "::1");
});
