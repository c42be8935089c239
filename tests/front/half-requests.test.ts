/** Requests that do not come to their end, and more of them at once than there is room for. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { after, before, test } from "node:test";
import { runtime } from "#runtime";
import { parseConfig } from "../../src/config/load.ts";
import { type App, createApp } from "../../src/front/app.ts";
import { type FrontContext, readBody, Refusal } from "../../src/front/reply.ts";
import { KeepAlive } from "../../src/front/streams.ts";
import { Gateway } from "../../src/gateway/gateway.ts";
import { nextTurn } from "../../src/lib/time.ts";
import type { HttpServer } from "../../src/runtime/types.ts";
import { statusOf } from "../support/clients/raw.ts";
import { eventually, within } from "../support/inbox.ts";

const MINUTE = 60_000;
const MIB = 1024 * 1024;

let gateway: Gateway;
let app: App;
let http: HttpServer;
const errors: unknown[] = [];

before(async () => {
  const parsed = parseConfig('{"mcpServers":{}}', { file: "half.json", env: {} });
  assert.ok(parsed.ok);
  gateway = new Gateway({ config: parsed.config, runtime });
  app = createApp({ gateway, boundHost: "127.0.0.1" });
  const onError = (error: unknown) => errors.push(error);
  http = await runtime.serve({ hostname: "127.0.0.1", port: 0, handler: app.handler, onError });
});

after(async () => {
  const stopped = http.stop();
  http.abort();
  await stopped;
  app.close();
  await gateway.close();
  assert.deepEqual(errors, []);
});

function head(line: string, headers: string): string {
  const types = "content-type: application/json\r\naccept: application/json, text/event-stream";
  return `${line} HTTP/1.1\r\nhost: 127.0.0.1\r\n${types}\r\n${headers}\r\n\r\n`;
}

/** Sends a part of a request and holds on to its end of the connection. */
async function half(text: string) {
  const socket: Socket = connect(http.port, "127.0.0.1");
  let answer = "";
  socket.setEncoding("utf8").on("data", (chunk: string) => answer += chunk).on("error", () => {});
  const closed = once(socket, "close");
  await once(socket, "connect");
  socket.write(text);
  return { socket, closed, answer: () => answer };
}

for (const path of ["/mcp", "/messages?sessionId=x", "/ungated/mcp"]) {
  for (
    const [what, rest] of [
      ["no body", head(`POST ${path}`, "content-length: 100")],
      ["half a body", head(`POST ${path}`, "content-length: 100") + '{"jsonrpc":'],
      ["half a large body", head(`POST ${path}`, "content-length: 999999") + "x".repeat(9_999)],
      ["chunks without an end", head(`POST ${path}`, "transfer-encoding: chunked") + "2\r\n{}\r\n"],
    ] as const
  ) {
    test(`POST ${path} with ${what} is given up`, async () => {
      const { socket, closed, answer } = await half(rest);
      const look = () => {
        // It has come at some time, and has waited for this long then; that is seen first.
        app.pending.tick(performance.now());
        app.pending.tick(performance.now() + MINUTE);
        return answer();
      };
      await eventually(look, (text) => text.endsWith("}"), "the answer");
      assert.equal(statusOf(answer()), 408, answer());
      assert.match(answer(), /The body of the request does not come/);
      assert.match(answer(), /^connection: close\r$/im);
      // Deno waits for the rest, whatever it has been told.
      if (runtime.name === "deno") socket.destroy();
      await closed;
    });
  }
}

test("An event stream is no request that does not come to its end", async () => {
  const { socket, answer } = await half(head("GET /sse", "connection: keep-alive"));
  await eventually(answer, (text) => text.includes("/messages?sessionId="), "the stream");
  app.pending.tick(performance.now() + 1_000 * MINUTE);
  const [, path] = /data: (\S+)/.exec(answer())!;
  const sent = await fetch(`http://127.0.0.1:${http.port}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: '{"jsonrpc":"2.0","id":7,"method":"ping"}',
  });
  assert.equal(sent.status, 202);
  await sent.body?.cancel();
  await eventually(answer, (text) => text.includes('"id":7'), "the answer");
  socket.destroy();
});

/** A body that comes when it is told to. */
function upload(declared?: number) {
  let controller!: ReadableStreamDefaultController<Uint8Array>;
  const body = new ReadableStream<Uint8Array>({ start: (given) => void (controller = given) });
  const pending = new KeepAlive(MINUTE);
  const context: Pick<FrontContext, "bodyLimit" | "pending"> = { bodyLimit: 100 * MIB, pending };
  const headers = {
    "content-type": "application/json",
    ...(declared === undefined ? {} : { "content-length": `${declared}` }),
  };
  const init = { method: "POST", headers, body, duplex: "half" } as RequestInit;
  const request = new Request("http://localhost/", init);
  const text = new Promise<string>((take, fail) => readBody(request, context, { take, fail }));
  let isOver = false;
  const outcome = text.then(({ length }) => length, ({ status }: Refusal) => -status)
    .finally(() => isOver = true);
  return {
    outcome,
    come: async (size: number) => {
      controller.enqueue(new Uint8Array(size));
      do await nextTurn(); while (!isOver && controller.desiredSize! < 1);
    },
    end: () => controller.close(),
    tick: (ms: number) => pending.tick(performance.now() + ms),
    [Symbol.dispose]: () => pending.close(),
  };
}

for (const declared of [2 * MIB, undefined]) {
  const how = declared === undefined ? "in chunks" : "as declared";
  test(`A large body that comes slowly, ${how}, has its time`, async (t) => {
    let passed = performance.now();
    // Given back by hand: Deno does not, and other files share its engine.
    const clock = t.mock.method(performance, "now", () => passed);
    using _ = { [Symbol.dispose]: () => clock.mock.restore() };
    using slow = upload(declared);
    // 16 KB a second, for more than two minutes.
    for (let piece = 0; piece < 32; piece++) {
      await slow.come(MIB / 16);
      slow.tick(0);
      passed += 4_000;
    }
    slow.end();
    assert.equal(await slow.outcome, 2 * MIB);
    using slower = upload(declared);
    for (let piece = 0; piece < 8; piece++) {
      await slower.come(MIB / 16);
      slower.tick(0);
      passed += 8_000;
    }
    slower.tick(0);
    assert.equal(await slower.outcome, -408);
  });

  test(`A large body that came fast, ${how}, is not kept for longer when it stops`, async () => {
    using resting = upload(declared);
    await resting.come(MIB);
    resting.tick(MINUTE / 4);
    await resting.come(MIB);
    resting.end();
    assert.equal(await resting.outcome, 2 * MIB);
    using stuck = upload(declared);
    await stuck.come(MIB);
    stuck.tick(MINUTE / 2 + 1_000);
    assert.equal(await within(stuck.outcome, "the refusal"), -408);
  });
}

test("Large bodies are bounded together, small ones find room, and what is over makes some", async () => {
  using first = upload();
  using second = upload();
  using third = upload();
  using small = upload();
  await first.come(90 * MIB);
  await second.come(50 * MIB);
  await third.come(MIB);
  assert.equal(await third.outcome, -503);
  await small.come(60 * 1024);
  small.end();
  assert.equal(await small.outcome, 60 * 1024);
  first.tick(1_000 * MINUTE);
  assert.equal(await first.outcome, -408);
  await nextTurn();
  using fourth = upload();
  await fourth.come(MIB);
  fourth.end();
  assert.equal(await fourth.outcome, MIB);
  second.tick(1_000 * MINUTE);
  assert.equal(await second.outcome, -408);
});

test("A refusal for want of room says when to come again", () => {
  assert.equal(new Refusal(503, "full").toResponse().headers.get("retry-after"), "1");
});
