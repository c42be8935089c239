import { runtime } from "#runtime";
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock } from "../../src/lib/time.ts";
import { FakeClock } from "../upstream/fakes/clock.ts";
import { BridgeLink } from "../../src/cli/bridge.ts";
import { main } from "../../src/cli/main.ts";
import type { HttpServer } from "../../src/runtime/types.ts";
import { eventually, Inbox, within } from "../support/inbox.ts";
import { TestInput, TestIo } from "./support.ts";
import { OWN_ADDRESS } from "../support/own-address.ts";

/** One request a {@link FakeGateway} has seen. */
interface Seen {
  readonly method: string;
  readonly headers: Headers;
  readonly body: string;
  /** Aborted when the client hangs up. */
  readonly signal: AbortSignal;
}

type Answer = (seen: Seen) => Response | Promise<Response> | undefined;

const INIT_RESULT =
  '{"protocolVersion":"2025-06-18","capabilities":{"tools":{"listChanged":true}},' +
  '"serverInfo":{"name":"fake","version":"1"}}';

/** As much of a gateway as the bridge sees: sessions, and answers of the test's making. */
class FakeGateway {
  readonly seen = new Inbox<Seen>("the fake gateway");
  readonly streams = new Inbox<ReadableStreamDefaultController<Uint8Array>>("its event streams");
  #sessions = new Set<string>();
  #count = 0;
  #server: HttpServer | undefined;
  answer: Answer = () => undefined;

  get url(): string {
    return `http://${OWN_ADDRESS}:${this.#server!.port}/mcp`;
  }

  static async start(answer?: Answer): Promise<FakeGateway> {
    const gateway = new FakeGateway();
    if (answer !== undefined) gateway.answer = answer;
    await gateway.listen(0);
    return gateway;
  }

  async listen(port: number): Promise<void> {
    this.#server = await runtime.serve({
      hostname: OWN_ADDRESS,
      port,
      handler: (request) => this.#handle(request),
      onError: () => {},
    });
  }

  /** Goes away with all its sessions; returns its port. */
  async stop(): Promise<number> {
    const server = this.#server!;
    server.abort();
    await server.stop();
    this.forget();
    return server.port;
  }

  forget(): void {
    this.#sessions.clear();
  }

  async #handle(request: Request): Promise<Response> {
    const body = await request.text();
    const { method, headers, signal } = request;
    const seen = { method, headers, body, signal };
    this.seen.push(seen);
    const message = body === "" ? {} : JSON.parse(body);
    if (message.method === "initialize") {
      const id = `session-${++this.#count}`;
      this.#sessions.add(id);
      const text = `{"jsonrpc":"2.0","id":${JSON.stringify(message.id)},"result":${INIT_RESULT}}`;
      return json(text, 200, { "mcp-session-id": id });
    }
    const session = headers.get("mcp-session-id");
    if (session !== null && !this.#sessions.has(session)) {
      return json('{"error":"not_found"}', 404);
    }
    if (method === "GET") return this.#stream();
    if (method === "DELETE") {
      this.#sessions.delete(session!);
      return new Response(null, { status: 204 });
    }
    return await this.answer(seen) ??
      (message.id === undefined || message.method === undefined
        ? new Response(null, { status: 202 })
        : json(`{"jsonrpc":"2.0","id":${JSON.stringify(message.id)},"result":{"ok":1.0}}`));
  }

  #stream(): Response {
    const body = new ReadableStream<Uint8Array>({ start: (c) => this.streams.push(c) });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  }
}

function json(text: string, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(text, {
    status,
    headers: { "content-type": "application/json", ...headers },
  });
}

function sse(...events: string[]): Response {
  const text = events.map((data) => `event: message\ndata: ${data}\n\n`).join("");
  return new Response(text, { headers: { "content-type": "text/event-stream" } });
}

/** A bridge to `gateway` with what it writes. */
class Bridge {
  readonly out = new Inbox<string>("the bridge's stdout");
  readonly told = new Inbox<string>("the bridge's words for people");
  readonly link: BridgeLink;

  constructor(url: string, clock?: Clock) {
    this.link = new BridgeLink({
      url,
      ...(clock === undefined ? {} : { clock }),
      label: "http://gateway",
      write: (line) => this.out.push(line),
      tell: (text) => this.told.push(text),
    });
  }

  /** Sends `initialize` and `initialized`, and waits until the event stream is there. */
  async begin(gateway: FakeGateway): Promise<void> {
    this.link.receive(INITIALIZE);
    await this.out.waitFor((line) => line.includes('"id":"i"'));
    this.link.receive(INITIALIZED);
    await gateway.streams.waitFor(() => true);
  }

  answerTo(id: number): Promise<string> {
    return this.out.waitFor((line) => line.includes(`"id":${id}`));
  }
}

const INITIALIZE = '{"jsonrpc":"2.0","id":"i","method":"initialize","params":' +
  '{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}';
const INITIALIZED = '{"jsonrpc":"2.0","method":"notifications/initialized"}';
const CALL = (id: number) =>
  `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"t","arguments":{"n":1.0}}}`;
const LIST = (id: number) => `{"jsonrpc":"2.0", "id":${id}, "method":"tools/list"}`;

async function bridged(
  answer: Answer | undefined,
  check: (gateway: FakeGateway, bridge: Bridge) => Promise<void>,
): Promise<void> {
  const gateway = await FakeGateway.start(answer);
  const bridge = new Bridge(gateway.url);
  try {
    await check(gateway, bridge);
  } finally {
    await bridge.link.close();
    await gateway.stop();
  }
}

test("BridgeLink passes texts through unchanged, both ways", async () => {
  await bridged(undefined, async (gateway, bridge) => {
    await bridge.begin(gateway);
    bridge.link.receive(CALL(7));
    assert.equal(await bridge.answerTo(7), '{"jsonrpc":"2.0","id":7,"result":{"ok":1.0}}');
    const bodies = gateway.seen.items.map(({ body }) => body).filter((body) => body !== "");
    assert.deepEqual(bodies, [INITIALIZE, INITIALIZED, CALL(7)]);
  });
});

test("BridgeLink carries session and version in headers after initialize", async () => {
  await bridged(undefined, async (gateway, bridge) => {
    await bridge.begin(gateway);
    const headers = (at: number, name: string) => gateway.seen.items[at]?.headers.get(name);
    assert.equal(headers(0, "mcp-session-id"), null);
    for (const at of [1, 2]) {
      assert.equal(headers(at, "mcp-session-id"), "session-1");
      assert.equal(headers(at, "mcp-protocol-version"), "2025-06-18");
    }
    assert.equal(gateway.seen.items[2]?.method, "GET");
  });
});

test("BridgeLink hands on every message of an answer stream, in order", async () => {
  const progress = '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1}}';
  const result = '{"jsonrpc":"2.0","id":1,"result":{}}';
  await bridged(() => sse("", progress, result), async (_, bridge) => {
    bridge.link.receive(CALL(1));
    await bridge.answerTo(1);
    assert.deepEqual(bridge.out.items, [progress, result]);
  });
});

test("BridgeLink puts a message with line breaks on one line", async () => {
  await bridged(() => json('{\n "jsonrpc":"2.0",\n"id":1,"result":{}}'), async (_, bridge) => {
    bridge.link.receive(CALL(1));
    const line = await bridge.answerTo(1);
    assert.ok(!line.includes("\n"));
    assert.deepEqual(JSON.parse(line), { jsonrpc: "2.0", id: 1, result: {} });
  });
});

test("BridgeLink hands on messages of the event stream", async () => {
  await bridged(undefined, async (gateway, bridge) => {
    await bridge.begin(gateway);
    const raw = '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}';
    gateway.streams.items[0]!.enqueue(new TextEncoder().encode(`: hello\n\ndata: ${raw}\n\n`));
    assert.equal(await bridge.out.waitFor((line) => line.includes("list_changed")), raw);
  });
});

test("BridgeLink answers what is no message itself, and sends nothing", async () => {
  await bridged(undefined, async (gateway, bridge) => {
    bridge.link.receive("{");
    bridge.link.receive('{"jsonrpc":"2.0","id":5,"method":7}');
    bridge.link.receive("   ");
    bridge.link.tooLong();
    const answers = bridge.out.items.map((line) => JSON.parse(line));
    assert.deepEqual(answers.map(({ id, error }) => [id, error.code]), [
      [null, -32700],
      [5, -32600],
      [null, -32600],
    ]);
    assert.equal(gateway.seen.items.length, 0);
    await Promise.resolve();
  });
});

test("BridgeLink gives the gateway's own error the id of its request", async () => {
  const error = '{"jsonrpc":"2.0","id":null,"error":{"code":-32020,"message":"no","data":1e400}}';
  await bridged(() => json(error, 400), async (_, bridge) => {
    bridge.link.receive(CALL(3));
    assert.equal(await bridge.answerTo(3), error.replace('"id":null', '"id":3'));
  });
});

test("BridgeLink opens a forgotten session again and repeats what was refused", async () => {
  await bridged(undefined, async (gateway, bridge) => {
    await bridge.begin(gateway);
    gateway.forget();
    bridge.link.receive(CALL(4));
    bridge.link.receive(LIST(5));
    assert.match(await bridge.answerTo(4), /"ok":1\.0/);
    assert.match(await bridge.answerTo(5), /"ok":1\.0/);
    const initializes = gateway.seen.items.filter(({ body }) => body === INITIALIZE);
    assert.equal(initializes.length, 2, "one renewal serves all");
    const calls = gateway.seen.items.filter(({ body }) => body === CALL(4));
    assert.deepEqual(calls.map(({ headers }) => headers.get("mcp-session-id")), [
      "session-1",
      "session-2",
    ]);
    // Nobody but the client may see its own initialize answered, and only once.
    assert.equal(bridge.out.items.filter((line) => line.includes('"id":"i"')).length, 1);
    await bridge.out.waitFor((line) => line.includes("notifications/tools/list_changed"));
    await gateway.streams.waitFor(() => true, { from: 1 });
  });
});

test("BridgeLink waits for a gateway that is being restarted", async () => {
  await bridged(undefined, async (gateway, bridge) => {
    await bridge.begin(gateway);
    const port = await gateway.stop();
    bridge.link.receive(CALL(6));
    await gateway.listen(port);
    assert.match(await bridge.answerTo(6), /"ok":1\.0/);
  });
});

test("BridgeLink loses none of several calls while a gateway is being restarted", async () => {
  await bridged(undefined, async (gateway, bridge) => {
    await bridge.begin(gateway);
    const port = await gateway.stop();
    for (const id of [21, 22, 23]) bridge.link.receive(CALL(id));
    await gateway.listen(port);
    for (const id of [21, 22, 23]) assert.match(await bridge.answerTo(id), /"ok":1\.0/);
    const answers = bridge.out.items.filter((line) => /"id":2[123]/.test(line));
    assert.equal(answers.length, 3, "each is answered once");
  });
});

test("BridgeLink answers a request that is sent to another origin", async () => {
  const elsewhere = { status: 307, headers: { location: "http://elsewhere.test/mcp" } };
  await bridged(() => new Response(null, elsewhere), async (_, bridge) => {
    bridge.link.receive(CALL(10));
    const { error } = JSON.parse(await bridge.answerTo(10));
    assert.equal(error.code, -32010);
    assert.match(error.message, /another origin, http:\/\/elsewhere\.test/);
    assert.deepEqual(bridge.told.items, []);
  });
});

test("BridgeLink does not repeat a call that may have been carried out", async () => {
  await bridged(undefined, async (gateway, bridge) => {
    await bridge.begin(gateway);
    let calls = 0;
    gateway.answer = ({ body }) => {
      if (!body.includes("tools/call")) return undefined;
      calls++;
      return sse('{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1}}');
    };
    bridge.link.receive(CALL(8));
    const { error } = JSON.parse(await bridge.answerTo(8));
    assert.equal(error.code, -32010);
    assert.match(error.message, /may or may not have been carried out/);
    assert.equal(calls, 1);
  });
});

test("BridgeLink repeats a broken request that can do no harm", async () => {
  await bridged(undefined, async (gateway, bridge) => {
    await bridge.begin(gateway);
    let lists = 0;
    gateway.answer = ({ body }) => {
      return body.includes("tools/list") && ++lists === 1 ? sse("") : undefined;
    };
    bridge.link.receive(LIST(9));
    assert.match(await bridge.answerTo(9), /"ok":1\.0/);
    assert.equal(lists, 2);
  });
});

test("BridgeLink neither repeats nor answers a request that was cancelled", async () => {
  await bridged(undefined, async (gateway, bridge) => {
    await bridge.begin(gateway);
    const open = new Inbox<ReadableStreamDefaultController<Uint8Array>>("unfinished answers");
    let sent = 0;
    gateway.answer = ({ body }) => {
      if (!body.includes("tools/")) return undefined;
      sent++;
      const stream = new ReadableStream<Uint8Array>({ start: (c) => open.push(c) });
      return new Response(stream, { headers: { "content-type": "text/event-stream" } });
    };
    for (const [at, request] of [LIST(41), CALL(42)].entries()) {
      bridge.link.receive(request);
      await eventually(
        () => open.items.length,
        (count) => count > at,
        "the request at the gateway",
      );
      const id = JSON.parse(request).id;
      bridge.link.receive(
        `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${id}}}`,
      );
      await gateway.seen.waitFor(({ body }) => body.includes(`"requestId":${id}`));
      open.items[at]!.close();
    }
    // The end waits for what is under way, a repetition included.
    gateway.answer = () => undefined;
    bridge.link.receive(LIST(43));
    await bridge.answerTo(43);
    await bridge.link.close();
    assert.equal(sent, 2);
    const lists = gateway.seen.items.filter(({ body }) => body.includes("tools/list"));
    assert.equal(lists.length, 2, "41 once, 43 once");
    assert.deepEqual(bridge.out.items.filter((line) => /"id":4[12]/.test(line)), []);
    assert.deepEqual(bridge.told.items, []);
  });
});

test("BridgeLink waits for a gateway that is not there yet", async () => {
  await bridged(undefined, async (gateway, bridge) => {
    const port = await gateway.stop();
    bridge.link.receive(INITIALIZE);
    await bridge.told.waitFor((text) => text.startsWith("Waiting for the gateway at"));
    await gateway.listen(port);
    assert.match(await bridge.out.waitFor(() => true), /"id":"i".*"result"/);
    assert.equal(bridge.told.items.length, 1);
  });
});

test("BridgeLink says how to start a gateway that does not come within 15 s", async () => {
  const gateway = await FakeGateway.start();
  const { url } = gateway;
  await gateway.stop();
  const clock = new FakeClock();
  const bridge = new Bridge(url, clock);
  bridge.link.receive(INITIALIZE);
  const answer = bridge.out.waitFor(() => true);
  await clock.flowUntil(answer);
  assert.ok(clock.now() >= 15_000);
  const { id, error } = JSON.parse(await answer);
  assert.deepEqual([id, error.code], ["i", -32010]);
  assert.equal(
    error.message,
    'Cannot reach the gateway at "http://gateway": connection refused; start it with "mcproxy serve"',
  );
  await bridge.link.close();
});

const MODERN = (id: number, method: string, rest = "") =>
  `{"jsonrpc":"2.0","id":${id},"method":"${method}","params":{${rest}"_meta":` +
  '{"io.modelcontextprotocol/protocolVersion":"2026-07-28",' +
  '"io.modelcontextprotocol/clientCapabilities":{}}}}';

test("BridgeLink repeats a modern request's method and name in headers", async () => {
  await bridged(undefined, async (gateway, bridge) => {
    bridge.link.receive(MODERN(1, "tools/call", '"name":"größe",'));
    await bridge.answerTo(1);
    const { headers } = gateway.seen.items[0]!;
    assert.equal(headers.get("mcp-protocol-version"), "2026-07-28");
    assert.equal(headers.get("mcp-method"), "tools/call");
    assert.equal(headers.get("mcp-name"), "=?base64?Z3LDtsOfZQ==?=");
    assert.equal(headers.get("mcp-session-id"), null);
  });
});

test("BridgeLink cancels a modern request by hanging up", async () => {
  const hanging = () =>
    new Response(new ReadableStream(), { headers: { "content-type": "text/event-stream" } });
  await bridged(hanging, async (gateway, bridge) => {
    bridge.link.receive(MODERN(2, "subscriptions/listen"));
    const { signal } = await gateway.seen.waitFor(() => true);
    const gone = new Promise((resolve) => signal.addEventListener("abort", resolve));
    bridge.link.receive(
      '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}',
    );
    await within(gone, "the hang-up");
    assert.equal(gateway.seen.items.length, 1, "no notification is posted");
    assert.deepEqual(bridge.out.items, []);
  });
});

test("BridgeLink.close() ends the session, and a subscription does not delay it", async () => {
  const gateway = await FakeGateway.start(({ body }) =>
    body.includes("subscriptions/listen")
      ? new Response(new ReadableStream(), { headers: { "content-type": "text/event-stream" } })
      : undefined
  );
  const bridge = new Bridge(gateway.url);
  await bridge.begin(gateway);
  bridge.link.receive(MODERN(2, "subscriptions/listen"));
  await gateway.seen.waitFor(({ body }) => body.includes("listen"));
  await within(bridge.link.close(), "the end of the bridge", 1_500);
  const goodbye = gateway.seen.items.filter(({ method }) => method === "DELETE");
  assert.deepEqual(goodbye.map(({ headers }) => headers.get("mcp-session-id")), ["session-1"]);
  await gateway.stop();
});

test("bridge ends with stdin, after what was asked last, and exits with 0", async () => {
  const gateway = await FakeGateway.start();
  const stdin = new TestInput();
  const io = new TestIo({ stdin });
  stdin.write(`${INITIALIZE}\n${INITIALIZED}\n${CALL(1)}`);
  stdin.end();
  const code = await within(main(["bridge", gateway.url], io), "the bridge");
  assert.equal(code, 0);
  assert.equal(io.stderrText, "");
  const ids = io.stdoutText.trimEnd().split("\n").map((line) => JSON.parse(line).id);
  assert.deepEqual(ids, ["i", 1]);
  assert.ok(gateway.seen.items.some(({ method }) => method === "DELETE"));
  await gateway.stop();
});

test("bridge ends on a signal", async () => {
  const gateway = await FakeGateway.start();
  const io = new TestIo({ stdin: new TestInput() });
  const ended = main(["bridge", gateway.url], io);
  await eventually(() => io.listeners("SIGTERM"), (count) => count > 0, "the signal handler");
  io.signal("SIGTERM");
  assert.equal(await within(ended, "the bridge"), 0);
  await gateway.stop();
});

test("bridge refuses what is no URL", async () => {
  const io = new TestIo();
  assert.equal(await main(["bridge", "ftp://x"], io), 2);
  assert.equal(io.stdoutText, "");
});
