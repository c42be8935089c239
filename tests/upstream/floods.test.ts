import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { test } from "node:test";
import { runtime } from "#runtime";
import type { HttpTarget, ServerConfig } from "../../src/config/types.ts";
import { nextTurn, systemClock } from "../../src/lib/time.ts";
import type { SpawnOptions } from "../../src/runtime/types.ts";
import { EVENT_STREAM, HttpClient } from "../../src/upstream/transport/http-client.ts";
import { Sendings } from "../../src/upstream/transport/sendings.ts";
import { StdioTransport } from "../../src/upstream/transport/stdio.ts";
import { type CloseReason, receive } from "../../src/upstream/transport/transport.ts";
import { Upstream } from "../../src/upstream/upstream.ts";
import { within } from "../support/inbox.ts";
import { FakeClock } from "./fakes/clock.ts";
import { INITIALIZED, json, legacy, result, serveHttp, sse } from "./fakes/http-server.ts";
import {
  call,
  fakeTarget,
  httpTarget,
  RecordedLog,
  serverConfig,
  textOf,
  Watch,
  withUpstream,
} from "./support.ts";
import { withHttp } from "./with-http.ts";

/** Programs that speak without end, none of it MCP. */
const JUNK: readonly (readonly [string, ServerConfig["instances"][number]])[] = [
  ["yes", { kind: "stdio", command: "yes", args: ["x"], env: {} }],
  ["an array", { kind: "stdio", command: "yes", args: ["[1]"], env: {} }],
  ["a program's log", { kind: "stdio", command: "yes", args: ['{"level":"info"}'], env: {} }],
];

for (const [name, target] of JUNK) {
  test(`A command that is ${name} without end is a failed server, and no other notices`, async () => {
    const watch = new Watch();
    const flood = new Upstream({
      config: serverConfig(target, { startupTimeout: 60_000 }),
      runtime,
      log: new RecordedLog(),
      events: watch,
    });
    await withUpstream(serverConfig(fakeTarget()), async (good) => {
      try {
        flood.start();
        await flood.settled;
        assert.match(flood.status().lastError!, /says nothing but what is no MCP, such as "/);
        assert.equal(textOf((await good.forward(call("echo", 1), [])).raw), "1");
      } finally {
        await flood.close();
      }
    });
  });
}

test("Junk between messages ends nothing, however much it is in the end", async () => {
  let send: (text: string) => void = () => {};
  await withHttp(
    legacy(({ method, body }, response) => {
      if (method === "GET") {
        sse(response);
        send = (text) => void response.write(text);
        return true;
      }
      if (body?.method !== "tools/call") return false;
      send("data: no message\n\n".repeat(15_000));
      send('data: {"jsonrpc":"2.0","method":"notifications/message","params":{}}\n\n');
      json(response, 200, result(body.id, { content: [{ type: "text", text: "ok" }] }));
      return true;
    }),
    async (upstream, server) => {
      await server.until(({ method }) => method === "GET");
      for (let i = 0; i < 3; i++) {
        assert.equal(textOf((await upstream.forward(call("x"), [])).raw), "ok");
      }
      assert.equal(upstream.status().restarts, 0);
    },
  );
});

/** A process that reads nothing before `read` is called, and says what a test makes it say. */
async function deaf() {
  let spawned: SpawnOptions | undefined;
  let pending: (() => void)[] = [];
  let reads = false;
  let written = 0;
  const closed = Promise.withResolvers<CloseReason>();
  const clock = new FakeClock();
  let say: (raw: string) => void = () => {};
  const transport = new StdioTransport({
    server: "x",
    target: { kind: "stdio", command: "x", args: [], env: {} },
    log: new RecordedLog(),
    clock,
    runtime: {
      spawn: (options) => {
        spawned = options;
        return Promise.resolve({
          pid: 1,
          write: (text) => {
            written += text.length;
            return reads ? Promise.resolve() : new Promise<void>((done) => pending.push(done));
          },
          endInput: () => {},
          kill: () => {},
        });
      },
    },
  });
  await transport.start({
    onMessage: (message) => message.kind === "request" && say(message.raw),
    onInvalid: () => {},
    onClose: closed.resolve,
  });
  return {
    transport,
    clock,
    closed: closed.promise,
    written: () => written,
    onAsked: (answer: typeof say) => say = answer,
    hear: (text: string) => spawned!.onStdout(new TextEncoder().encode(text)),
    read: () => {
      reads = true;
      for (const done of pending) done();
      pending = [];
    },
  };
}

for (const [how, turn] of [["", 0], [", however many turns its questions take", 20]] as const) {
  test(`A server that asks and does not read the answers is not listened to meanwhile${how}`, async () => {
    const { transport, onAsked, hear, read } = await deaf();
    let answers = 0;
    onAsked(() => {
      const began = performance.now();
      while (answers % 400 === 0 && performance.now() - began < turn);
      answers++;
      void transport.send('{"jsonrpc":"2.0","id":1,"result":{}}', { method: "" });
    });
    const pings = (count: number) => '{"jsonrpc":"2.0","id":1,"method":"ping"}\n'.repeat(count);
    await hear(pings(500));
    const held = hear(pings(600));
    assert.ok(held instanceof Promise, "it is listened to on");
    let isOver = false;
    const over = held.then(() => isOver = true);
    while (answers < 1_100) await nextTurn();
    for (let turn = 0; turn < 10; turn++) await nextTurn();
    assert.equal(isOver, false);
    read();
    await over;
    assert.equal(answers, 1_100);
    await hear(pings(2_000));
  });
}

test("What waits for a server that reads nothing is bounded: then it is given up", async () => {
  const { transport, clock, closed } = await deaf();
  const megabyte = "x".repeat(1024 * 1024);
  const fails: Promise<unknown>[] = [];
  for (let i = 0; i < 66; i++) {
    const sent = transport.send(megabyte, { method: "tools/call", requestId: i + 1 });
    if (i < 65) sent?.catch(() => {});
    else fails.push(assert.rejects(sent!, /does not read its input: 64 MiB wait for it/));
  }
  await Promise.all(fails);
  clock.tick(300_001);
  await assert.rejects(transport.send(megabyte, { method: "tools/call", requestId: 67 })!);
  assert.match((await closed).message, /does not read its input/);
});

for (
  const [what, sizes, refused] of [
    ["two messages of 40 MiB", [40, 40], [1]],
    ["one that is larger than the bound and one more", [80, 1], [1]],
    ["small ones behind large ones", [30, 30, 10, 1], [2]],
  ] as const
) {
  test(`A slow reader loses what is beyond the bound and no more: ${what}`, async () => {
    const { transport, clock, read, written, hear, onAsked } = await deaf();
    const send = async (size: number, requestId = 1) =>
      await transport.send("x".repeat(size * 1024 * 1024), { method: "tools/call", requestId });
    const sent = sizes.map((size, index) =>
      send(size, index + 1).then(() => "taken", (error) => `${error.message}`)
    );
    const taken = sizes.filter((_, index) => !refused.some((one) => one === index));
    const bytes = taken.reduce((sum, size) => sum + size * 1024 * 1024 + 1, 0);
    // What one message takes counts from when it was sent, not from when the last was taken.
    clock.tick(299_999);
    read();
    for (const [index, outcome] of (await Promise.all(sent)).entries()) {
      if (!refused.some((one) => one === index)) assert.equal(outcome, "taken");
      else assert.match(outcome, /^Server "x" does not .*beyond the bound of 64 MiB$/);
    }
    while (written() < bytes) await nextTurn();
    assert.equal(written(), bytes);
    await send(1);
    let asked = 0;
    onAsked(() => asked++);
    await hear('{"jsonrpc":"2.0","id":1,"method":"ping"}\n');
    assert.equal(asked, 1, "it is still listened to");
  });
}

/** Ways in which a call is held. */
const HELD: readonly (readonly [string, (response: ServerResponse) => void])[] = [
  ["is not answered", () => {}],
  ["has its stream open", (response) => void sse(response)],
];

for (const [how, hold] of HELD) {
  test(`However many calls there are each of which ${how}, others go on`, async () => {
    let held = 0;
    const all = Promise.withResolvers<void>();
    await withHttp(
      legacy(({ body }, response) => {
        if (body?.params?.name !== "hold") return false;
        hold(response);
        if (++held === 260) all.resolve();
        return true;
      }),
      async (upstream) => {
        const calls = Array.from({ length: 260 }, () => call("hold"));
        const ends = calls.map((one) => upstream.forward(one, []).catch(() => "over"));
        await all.promise;
        await withHttp(legacy(() => false), async (other) => {
          assert.equal(textOf((await other.forward(call("x"), [])).raw), "ok");
        });
        assert.equal(textOf((await upstream.forward(call("x"), [])).raw), "ok");
        for (const one of calls) one.abort();
        assert.deepEqual(new Set(await Promise.all(ends)), new Set(["over"]));
        assert.equal(textOf((await upstream.forward(call("x"), [])).raw), "ok");
      },
      { timeout: 300_000 },
    );
  });
}

test("However many event streams are open, others go on", async () => {
  const server = await serveHttp(legacy(({ method }, response) => {
    if (method === "GET") sse(response)({ n: 1 });
    return method === "GET";
  }));
  const stop = new AbortController();
  const { signal } = stop;
  const target = httpTarget(`${server.url}/mcp`) as HttpTarget;
  const client = new HttpClient({ server: "x", target, runtime });
  const open = async () => {
    const headers = { accept: EVENT_STREAM };
    const response = await client.send({ method: "GET", headers, signal, what: "a stream" });
    assert.equal(response.headers.get("content-type"), EVENT_STREAM);
    const first = Promise.withResolvers<string>();
    const over = client.events(response, "a stream", {
      onEvent: ({ data }) => first.resolve(data),
    });
    assert.equal(await first.promise, '{"n":1}');
    return { over };
  };
  try {
    const streams = await Promise.all(Array.from({ length: 260 }, open));
    const body = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';
    const asked = { method: "POST", headers: {}, body, signal, what: "x" } as const;
    assert.match(await client.text(await client.send(asked), "x"), /"echo"/);
    stop.abort();
    const ends = await Promise.allSettled(streams.map(({ over }) => over));
    assert.deepEqual(new Set(ends.map(({ status }) => status)), new Set(["rejected"]));
  } finally {
    await server.close();
  }
});

test("What a server may not answer an event stream with is a failure of that request alone", async () => {
  const answers = [
    "999 Request denied",
    "600 Odd",
    "101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x",
  ];
  for (const answer of answers) {
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => socket.end(`HTTP/1.1 ${answer}\r\ncontent-length: 0\r\n\r\n`));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const target = httpTarget(`http://127.0.0.1:${port}/mcp`) as HttpTarget;
    const client = new HttpClient({ server: "x", target, runtime });
    const { signal } = new AbortController();
    const sent = client.send({ method: "GET", headers: {}, signal, what: "a stream" });
    // Deno refuses what its own responses cannot have, too.
    const isOk = await within(sent.then(({ ok }) => ok, () => false), "the end of the request");
    assert.equal(isOk, false);
    await new Promise((resolve) => server.close(resolve));
  }
});

/** Of a length that the runtimes show, and do not go by. */
const LYING = { "content-length": "10", "transfer-encoding": "chunked" };

for (
  const [kind, chunk, headers = {}] of [
    ["text", "x"],
    ["events", "data: 1\n\n"],
    ["text that is longer than it says", "x", LYING],
  ] as const
) {
  test(`An answer in tiny chunks leaves others their turn, though none takes long: ${kind}`, async () => {
    const client = new HttpClient({
      server: "x",
      target: httpTarget("http://localhost/") as HttpTarget,
    });
    let [left, inTurn, most] = [5_000, 0, 0];
    const bytes = new TextEncoder().encode(chunk);
    const response = new Response(
      new ReadableStream({
        pull: (stream) => {
          most = Math.max(most, ++inTurn);
          if (left-- > 0) stream.enqueue(bytes);
          else stream.close();
        },
      }),
      { headers },
    );
    let isOver = false;
    const read = kind === "events"
      ? client.events(response, "x", { onEvent: () => {} })
      : client.text(response, "x");
    void read.then(() => isOver = true);
    for (; !isOver; inTurn = 0) await new Promise((next) => setImmediate(next));
    assert.ok(most < 600, `${most} in one turn`);
  });
}

test("Sendings has room again when enough of what is no request was taken", async () => {
  const sendings = new Sendings(systemClock);
  const replies = Array.from({ length: 102 }, () => sendings.begin(undefined, undefined));
  const requests = Array.from({ length: 500 }, (_, id) => sendings.begin(id, undefined));
  let isOver = false;
  const room = sendings.room!.then(() => isOver = true);
  requests.forEach((abort, id) => sendings.end(id, abort));
  sendings.end(undefined, replies[0]!);
  await Promise.resolve();
  assert.equal(isOver, false);
  sendings.end(undefined, replies[1]!);
  await room;
  assert.equal(sendings.room, undefined);
});

test("A list is cut where it has too many items or bytes, in one page or in many", async () => {
  const tool = (name: string, description = "") =>
    JSON.stringify({ name, description, inputSchema: {} });
  const page = (tools: readonly string[], cursor = "") => `{"tools":[${tools}]${cursor}}`;
  const many = page(Array.from({ length: 10_001 }, (_, index) => tool(`t${index}`)));
  const odd = page([...Array.from({ length: 10_001 }, (_, index) => tool(`t${index}`)), "{}"]
    .toSpliced(5, 1, "{}"));
  const big = "x".repeat(3 * 1024 * 1024);
  const cases = [
    [() => many, /^List of tools cut at 10000 items: more than 10000 items$/],
    [() => odd, /^List of tools cut at 9999 items: more than 10000 items$/],
    [
      (nth: number) => page([tool(`t${nth}`, big)], `,"nextCursor":"${nth}"`),
      /^List of tools cut at 2 items: more than 8 MiB$/,
    ],
    [
      () => page(Array.from({ length: 2 }, (_, index) => tool(`t${index}`, big))),
      /^Cannot list tools: .* no valid answer to "tools\/list": message longer than 4 MiB$/,
    ],
    [
      () => page([tool("t", big), tool("u", big)]),
      /^Cannot list tools: .* answered "tools\/list" with more than 4 MiB$/,
      "text/event-stream",
    ],
  ] as const;
  for (const [pageOf, problem, type = "application/json"] of cases) {
    let pages = 0;
    await withHttp(
      legacy(({ body }, response) => {
        if (body?.method === "initialize") {
          json(response, 200, result(body.id, { ...INITIALIZED, capabilities: { tools: {} } }));
          return true;
        }
        if (body?.method !== "tools/list") return false;
        response.writeHead(200, { "content-type": type });
        const answer = `{"jsonrpc":"2.0","id":${body.id},"result":${pageOf(++pages)}}`;
        response.end(type === "text/event-stream" ? `data: ${answer}\n\n` : answer);
        return true;
      }),
      (upstream) => assert.match(upstream.status().problems[0]!, problem),
      { startupTimeout: 120_000 },
    );
  }
});

/** Ways in which an answer comes that is not to be read before it is known to be no list. */
const LONG: readonly (readonly [string, number | undefined, (answer: string) => string])[] = [
  ["after its id", undefined, (answer) => `{"jsonrpc":"2.0","id":7,${answer}}`],
  ["before its id", undefined, (answer) => `{${answer},"jsonrpc":"2.0","id":"7"}`],
  ["on a stream of its own", 7, (answer) => `{${answer},"id":7,"jsonrpc":"2.0","x":1}`],
];

for (const [where, carriedBy, write] of LONG) {
  test(`A page of a list that is too long is not read, any other answer is: ${where}`, () => {
    // No JSON, as reading it would tell.
    const long = write(`"result":{"tools":[${'{"name":"t"},'.repeat(400_000)}]}`);
    const told = (isList: (id: number) => boolean) => {
      let said: { kind: string; idText: string } | undefined;
      receive(long, {
        onMessage: () => assert.fail("it was read"),
        onInvalid: ({ kind, error }) => said = { kind, idText: error.idText },
        isList,
      }, carriedBy);
      return said;
    };
    assert.deepEqual(told((id) => id === 7), { kind: "overlong", idText: "7" });
    assert.equal(told(() => false)?.kind, "junk");
  });
}
