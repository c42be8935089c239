import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { test } from "node:test";
import { runtime } from "#runtime";
import type { RpcError } from "../../src/protocol/errors.ts";
import { Upstream } from "../../src/upstream/upstream.ts";
import { FakeClock } from "./fakes/clock.ts";
import {
  type FakeHttp,
  type Handler,
  INITIALIZED,
  json,
  legacy,
  result,
  type Seen,
  serveHttp,
  sse,
  TOOLS,
} from "./fakes/http-server.ts";
import {
  call,
  exchangeFor,
  httpTarget,
  RecordedLog,
  serverConfig,
  textOf,
  Watch,
} from "./support.ts";
import { withHttp } from "./with-http.ts";

const OK = { content: [{ type: "text", text: "ok" }] };
const named = (name: string) => ({ body }: Seen) => body?.params?.name === name;
const count = (server: FakeHttp, method: string) =>
  server.seen.filter(({ body }) => body?.method === method).length;

/** Ways in which the answer to a call is under way. */
const RUNNING:
  readonly (readonly [string, (response: ServerResponse, id: unknown) => () => void])[] = [
    ["no header has come", (response, id) => () => json(response, 200, result(id, OK))],
    ["its stream is open", (response, id) => {
      const send = sse(response);
      return () => {
        send(result(id, OK));
        response.end();
      };
    }],
  ];

for (const [how, begin] of RUNNING) {
  test(`A connection that is cut is the loss of one call, and not of another of which ${how}`, async () => {
    let finish = () => {};
    await withHttp(
      legacy(({ body }, response) => {
        const name = body?.params?.name;
        if (name === "slow") finish = begin(response, body.id);
        else if (name === "cut") response.destroy();
        else return false;
        return true;
      }),
      async (upstream, server) => {
        const slow = upstream.forward(call("slow"), []);
        await server.until(named("slow"));
        const cut = await upstream.forward(call("cut"), []).catch((error: RpcError) => error);
        assert.match(String(cut), /could not be reached for "tools\/call": connection closed/);
        // Neither is it the end when that is said of a notification.
        const gone = call("cut");
        const cancelled = upstream.forward(gone, []);
        gone.abort();
        await assert.rejects(cancelled);
        finish();
        assert.equal(textOf((await slow).raw), "ok");
        assert.equal(count(server, "initialize"), 1);
        assert.equal(upstream.state.phase, "ready");
      },
    );
  });
}

test("A call that is sent only once is sent whole, and with its length", async () => {
  const word = "é".repeat(50_000);
  await withHttp(legacy(() => false), async (upstream, server) => {
    assert.equal(textOf((await upstream.forward(call(word), [])).raw), "ok");
    const { headers, body } = server.seen.find(named(word))!;
    assert.equal(Number(headers["content-length"]), Buffer.byteLength(JSON.stringify(body)));
    assert.equal(headers["transfer-encoding"], undefined);
  });
});

test("A message of HTTP+SSE that is cut off is the loss of one call alone", async () => {
  let send: ReturnType<typeof sse> = () => {};
  let slowId: unknown;
  let streams = 0;
  const handler: Handler = ({ method, url, body }, response) => {
    if (method === "GET") {
      streams++;
      send = sse(response);
      return void response.write("event: endpoint\ndata: /messages\n\n");
    }
    if (url !== "/messages") return void response.writeHead(405).end();
    if (body.params?.name === "cut") return void response.destroy();
    response.writeHead(202).end();
    if (body.method === "initialize") send(result(body.id, INITIALIZED));
    else if (body.method === "tools/list") send(result(body.id, TOOLS));
    else slowId = body.id;
  };
  await withHttp(handler, async (upstream, server) => {
    const slow = upstream.forward(call("slow"), []);
    await server.until(named("slow"));
    await assert.rejects(upstream.forward(call("cut"), []), /connection closed/);
    send(result(slowId, OK));
    assert.equal(textOf((await slow).raw), "ok");
    assert.equal(streams, 1);
  });
});

/** Ways in which a connection ends on which a call has come. */
const ENDS: readonly (readonly [string, (response: ServerResponse) => void])[] = [
  ["is closed", (response) => void response.socket!.end()],
  ["is cut", (response) => void response.destroy()],
  ["is reset", (response) => void response.socket!.resetAndDestroy()],
  ["ends within the status", (response) => void response.socket!.end("HTTP/1.1 200 O")],
];

for (const [how, end] of ENDS) {
  test(`A call is sent once where a connection that was in use before ${how}`, async () => {
    const calls = (server: FakeHttp) => count(server, "tools/call");
    await withHttp(
      legacy(({ body }, response) => {
        if (body?.params?.name === "cut") end(response);
        return body?.params?.name === "cut";
      }),
      async (upstream, server) => {
        for (let nth = 1; nth < 4; nth++) {
          assert.equal(textOf((await upstream.forward(call("write"), [])).raw), "ok");
          const answer = upstream.forward(call("cut"), []);
          await assert.rejects(answer, /connection closed; .*was not repeated/);
          assert.equal(calls(server), 2 * nth);
        }
        assert.equal(count(server, "initialize"), 1);
      },
    );
    let send: ReturnType<typeof sse> = () => {};
    const handler: Handler = ({ method, url, body }, response) => {
      if (method === "GET") {
        send = sse(response);
        return void response.write("event: endpoint\ndata: /messages\n\n");
      }
      if (url !== "/messages") return void response.writeHead(405).end();
      if (body.params?.name === "cut") return end(response);
      response.writeHead(202).end();
      if (body.method === "initialize") send(result(body.id, INITIALIZED));
      else if (body.method === "tools/list") send(result(body.id, TOOLS));
    };
    await withHttp(handler, async (upstream, server) => {
      await assert.rejects(upstream.forward(call("cut"), []), /connection closed/);
      assert.equal(calls(server), 1);
    });
  });
}

test("What does no harm is sent again where a connection that was in use before is cut", async () => {
  const cuts = new Map([["prompts/get", 1], ["resources/read", 1], ["completion/complete", 1]]);
  await withHttp(
    legacy(({ body }, response) => {
      const left = cuts.get(body?.method);
      if (left === undefined) return false;
      cuts.set(body.method, left - 1);
      if (left > 0) response.destroy();
      else json(response, 200, result(body.id, { done: body.method }));
      return true;
    }),
    async (upstream, server) => {
      for (const method of cuts.keys()) {
        const params = { name: "x", uri: "x:y", ref: {}, argument: {} };
        const text = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
        const { raw } = await upstream.forward(exchangeFor(text), []);
        assert.deepEqual(JSON.parse(raw).result, { done: method });
      }
      assert.equal(count(server, "initialize"), 1);
    },
  );
});

/** An upstream under fake time, in which nothing expires: only a stream is waited for. */
async function withStream(
  onGet: (nth: number, response: ServerResponse) => void,
  run: (
    upstream: Upstream,
    server: FakeHttp,
    gets: (number: number) => Promise<void>,
  ) => Promise<void>,
): Promise<number> {
  let gets = 0;
  let answered = 0;
  let finish = () => {};
  const server = await serveHttp(legacy((seen, response) => {
    if (seen.method === "GET") {
      response.once("close", () => answered++);
      onGet(++gets, response);
      return true;
    }
    if (seen.body?.params?.name !== "slow") return false;
    finish = () => json(response, 200, result(seen.body.id, OK));
    return true;
  }));
  const clock = new FakeClock();
  const config = serverConfig(httpTarget(`${server.url}/mcp`), {
    timeout: 1e12,
    startupTimeout: 1e12,
    protocol: "legacy",
  });
  const upstream = new Upstream({ config, runtime, log: new RecordedLog(), clock });
  try {
    upstream.start();
    await upstream.settled;
    const slow = upstream.forward(call("slow"), []);
    await server.until(named("slow"));
    const began = clock.now();
    await run(upstream, server, async (number) => {
      while (gets < number) {
        if (answered === gets) clock.tick(50);
        await new Promise((next) => setImmediate(next));
      }
    });
    finish();
    assert.equal(textOf((await slow).raw), "ok");
    assert.equal(count(server, "initialize"), 1);
    return clock.now() - began;
  } finally {
    await server.close();
    await clock.flowUntil(upstream.close());
  }
}

const refusals: readonly (readonly [string, (response: ServerResponse) => void])[] = [
  ["500", (response) => void response.writeHead(500).end()],
  ["502", (response) => void response.writeHead(502).end("<h1>Bad gateway")],
  ["503", (response) => json(response, 503, { error: "busy" })],
  ["a cut", (response) => void response.destroy()],
];

for (const [name, refuse] of refusals) {
  test(`A server whose optional stream is refused with ${name} is spoken to on`, async () => {
    await withStream((_, response) => refuse(response), async (upstream, _server, gets) => {
      await gets(3);
      assert.equal(textOf((await upstream.forward(call("x"), [])).raw), "ok");
    });
  });
}

test("A session is not lost because the server knows no GET, whatever it says then", async () => {
  for (const status of [404, 400, 401]) {
    await withHttp(
      legacy(({ method }, response) => {
        if (method !== "GET") return false;
        json(response, status, { error: "no such route" });
        return true;
      }),
      async (upstream, server) => {
        await server.until(({ method }) => method === "GET");
        await server.until(({ body }) => body?.id === 0);
        assert.equal(textOf((await upstream.forward(call("x"), [])).raw), "ok");
        assert.equal(count(server, "initialize"), 1);
        assert.equal(upstream.state.phase, "ready");
      },
    );
  }
});

test("A stream that has worked and is refused for a while is asked for again, less and less often", async () => {
  let changes: ReturnType<typeof sse> | undefined;
  const times: number[] = [];
  await withStream((nth, response) => {
    if (nth === 1) {
      sse(response)("", "e-1");
      response.end();
    } else if (nth < 7) response.writeHead([429, 503, 500, 404, 502][nth - 2]!).end();
    else changes = sse(response);
  }, async (_upstream, _server, gets) => {
    for (let nth = 2; nth <= 7; nth++) {
      await gets(nth);
      times.push(nth);
    }
    assert.ok(changes !== undefined);
  });
  assert.equal(times.length, 6);
});

test("A stream that ends at once is asked for with a pause that grows, whatever it names", async () => {
  const ways: readonly ((response: ServerResponse) => void)[] = [
    (response) => void response.write("retry: 0\n\n"),
    (response) => void response.write("id: e\nretry: 0\ndata:\n\n"),
    () => {},
  ];
  for (const way of ways) {
    let ended: Promise<void> = Promise.resolve();
    const took = await withStream((_, response) => {
      sse(response);
      way(response);
      ended = new Promise((resolve) => response.once("finish", resolve));
      response.end();
    }, async (_upstream, _server, gets) => {
      await gets(8);
      await ended;
    });
    // Seven pauses: 50 ms at first, doubled; the clock moves on only between two of them.
    assert.ok(took >= 3_000, `${took} ms`);
  }
});

test("A server nobody listens for any more is lost by its stream", async () => {
  const watch = new Watch();
  const server = await serveHttp(legacy(({ method }, response) => {
    if (method !== "GET") return false;
    sse(response)("", "e-1");
    return true;
  }));
  const clock = new FakeClock();
  const upstream = new Upstream({
    config: serverConfig(httpTarget(server.url), { protocol: "legacy" }),
    runtime,
    log: new RecordedLog(),
    events: watch,
    clock,
  });
  try {
    upstream.start();
    await upstream.settled;
    await server.until(({ method }) => method === "GET");
    await server.close();
    await clock.flowUntil(watch.until(() => upstream.state.phase !== "ready"));
    assert.match(upstream.status().lastError!, /refused|event stream broke/);
  } finally {
    await clock.flowUntil(upstream.close());
  }
});
