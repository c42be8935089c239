import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { test } from "node:test";
import type { ServerConfig } from "../../src/config/types.ts";
import { ErrorCode } from "../../src/protocol/errors.ts";
import { AFTERWORDS } from "../../src/upstream/connection/questions.ts";
import type { Upstream } from "../../src/upstream/upstream.ts";
import { passTime } from "../support/time.ts";
import {
  error,
  type FakeHttp,
  type Handler,
  INITIALIZED,
  json,
  legacy,
  result,
  type Seen,
  serveHttp,
  sse,
} from "./fakes/http-server.ts";
import {
  callText,
  exchangeFor,
  httpTarget,
  LEGACY_CLIENT,
  MODERN_CLIENT,
  serverConfig,
  textOf,
  withUpstream,
} from "./support.ts";

const TOOLS = {
  tools: [
    { name: "write", inputSchema: {} },
    { name: "read", inputSchema: {}, annotations: { readOnlyHint: true } },
    { name: "put", inputSchema: {}, annotations: { idempotentHint: true } },
    { name: "both", inputSchema: {}, annotations: { readOnlyHint: true, idempotentHint: true } },
    {
      name: "vague",
      inputSchema: {},
      annotations: { readOnlyHint: "yes", destructiveHint: false },
    },
  ],
};

/** A server with sessions that can be forgotten; `forget` makes the present ones unknown. */
function forgetful(refusal: (response: ServerResponse, seen: Seen) => void) {
  let count = 0;
  let known = new Set<string>();
  const handler = legacy((seen, response) => {
    const { body, headers } = seen;
    if (body?.method === "initialize") {
      const session = `s-${++count}`;
      known.add(session);
      json(response, 200, result(body.id, INITIALIZED), { "mcp-session-id": session });
      return true;
    }
    const session = headers["mcp-session-id"];
    if (session !== undefined && !known.has(String(session))) {
      refusal(response, seen);
      return true;
    }
    if (body?.method === "tools/list") {
      json(response, 200, result(body.id, TOOLS));
      return true;
    }
    if (body?.method === "prompts/get") {
      json(response, 200, result(body.id, { messages: [] }));
      return true;
    }
    return false;
  });
  return { handler, forget: () => known = new Set(), sessions: () => count };
}

const notFound = (response: ServerResponse) =>
  json(response, 404, error(null, -32001, "Session not found"));

async function withServer(
  handler: Handler,
  run: (upstream: Upstream, server: FakeHttp) => Promise<void>,
  overrides: Partial<ServerConfig> = {},
): Promise<void> {
  const server = await serveHttp(handler);
  try {
    const config = serverConfig(httpTarget(`${server.url}/mcp`), overrides);
    await withUpstream(config, (upstream) => run(upstream, server));
  } finally {
    await server.close();
  }
}

const sent = (server: FakeHttp, method: string) =>
  server.seen.filter(({ body }) => body?.method === method);

test("Upstream repeats a safe request once when its session was forgotten", async () => {
  const { handler, forget, sessions } = forgetful(notFound);
  await withServer(handler, async (upstream, server) => {
    for (const name of ["read", "put"]) {
      forget();
      const exchange = exchangeFor(callText(`x_${name}`, {}, { id: "mine", token: "t" }));
      const edits = [{ path: ["params", "name"], value: JSON.stringify(name) }];
      const { raw } = await upstream.forward(exchange, edits);
      assert.equal(textOf(raw), "ok");
      assert.equal(JSON.parse(raw).id, "mine");
    }
    assert.equal(sent(server, "tools/call").length, 4);
    assert.equal(sent(server, "tools/call").at(-1)!.body.params.name, "put");
    forget();
    const get = '{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"p"}}';
    const { raw } = await upstream.forward(exchangeFor(get), []);
    assert.deepEqual(JSON.parse(raw).result, { messages: [] });
    assert.equal(sessions(), 4);
  });
});

/** The same, of which calls can be broken off when they have arrived; `cut` does that to the next. */
function breaking() {
  const { handler } = forgetful(notFound);
  let cuts = 0;
  return {
    cut: () => cuts++,
    handler: ((seen, response) => {
      if (seen.body?.method !== "tools/call" || cuts === 0) return handler(seen, response);
      cuts--;
      response.writeHead(200, { "content-type": "application/json" });
      response.write("{", () => response.destroy());
    }) as Handler,
  };
}

test("Upstream does not repeat a call that may do harm, and says so", async () => {
  const { handler, cut } = breaking();
  await withServer(handler, async (upstream, server) => {
    for (const name of ["write", "vague", "unlisted"]) {
      await upstream.forward(exchangeFor(callText(name)), []);
      cut();
      await assert.rejects(upstream.forward(exchangeFor(callText(name)), []), {
        code: ErrorCode.UpstreamUnavailable,
        message: /^Server "x" broke off its answer.*; the call was not repeated/,
      });
    }
    assert.equal(sent(server, "tools/call").length, 6);
  });
});

const CHANGED: ServerConfig["shape"] = {
  tools: {
    overrides: [
      { match: "*", annotations: { readOnlyHint: false } },
      { match: "vague", title: "Vague", annotations: { readOnlyHint: true } },
      { match: "write", annotations: { idempotentHint: true } },
    ],
  },
};

test("Upstream repeats what the configuration calls safe, and nothing that it does not", async () => {
  const { handler, cut } = breaking();
  await withServer(handler, async (upstream) => {
    for (const name of ["vague", "write", "put"]) {
      cut();
      const { raw } = await upstream.forward(exchangeFor(callText(name)), []);
      assert.equal(textOf(raw), "ok", name);
    }
    for (const name of ["read", "both"]) {
      await upstream.forward(exchangeFor(callText(name)), []);
      cut();
      await assert.rejects(
        upstream.forward(exchangeFor(callText(name)), []),
        /the call was not repeated/,
        name,
      );
    }
    await upstream.forward(exchangeFor(callText("read")), []);
    cut();
    upstream.reconfigure({ ...upstream.config, shape: {} });
    const { raw } = await upstream.forward(exchangeFor(callText("read")), []);
    assert.equal(textOf(raw), "ok");
  }, { shape: CHANGED });
});

test("Upstream repeats a request once and not for ever", async () => {
  const { handler } = forgetful(notFound);
  await withServer((seen, response) => {
    if (seen.body?.method === "tools/call") return notFound(response);
    return handler(seen, response);
  }, async (upstream, server) => {
    await assert.rejects(
      upstream.forward(exchangeFor(callText("read")), []),
      /has forgotten the session$/,
    );
    assert.equal(sent(server, "tools/call").length, 2);
  });
});

test("Upstream takes the reference server's 400 for a forgotten session, and no other 400", async () => {
  const { handler, forget, sessions } = forgetful((response, { body }) =>
    json(
      response,
      400,
      error(body?.id ?? null, -32000, "Bad Request: No valid session ID provided"),
    )
  );
  await withServer((seen, response) => {
    if (seen.body?.params?.name === "other") {
      return json(response, 400, error(seen.body.id, -32000, "Bad Request: no such file"));
    }
    return handler(seen, response);
  }, async (upstream) => {
    const other = await upstream.forward(exchangeFor(callText("other")), []);
    assert.equal(JSON.parse(other.raw).error.code, -32000);
    assert.equal(sessions(), 1);
    forget();
    assert.equal(textOf((await upstream.forward(exchangeFor(callText("read")), [])).raw), "ok");
    assert.equal(sessions(), 2);
  });
});

test("Upstream repeats on a new connection of the session, or a new lent one, too", async () => {
  const { handler, forget, sessions } = forgetful(notFound);
  await withServer(handler, async (upstream) => {
    for (const client of [LEGACY_CLIENT, MODERN_CLIENT]) {
      const call = () => upstream.forward(exchangeFor(callText("read"), client), []);
      await call();
      const before = sessions();
      forget();
      // The one that was lent has rested, and is lent again.
      passTime(AFTERWORDS);
      assert.equal(textOf((await call()).raw), "ok");
      assert.equal(sessions(), before + 1);
    }
    assert.equal(upstream.status().connections, 3);
  }, { sharing: "session" });
});

test("StreamableHttpTransport polls a stream that the server closes again and again", async () => {
  let polls = 0;
  const resumed: unknown[] = [];
  await withServer(
    legacy(({ method, headers, body }, response) => {
      if (body?.method === "tools/call") {
        const send = sse(response);
        response.write("retry: 1\n");
        send("", "e-0");
        response.end();
        return true;
      }
      if (method !== "GET" || headers["last-event-id"] === undefined) return false;
      resumed.push(headers["last-event-id"]);
      const send = sse(response);
      const token = 4;
      // Nothing new at first; then progress, then at last the answer, each in a stream of its own.
      if (++polls === 5) {
        const params = { progressToken: token, progress: 1 };
        send({ jsonrpc: "2.0", method: "notifications/progress", params }, "e-1");
      }
      if (polls === 6) send(result(token, { content: [{ type: "text", text: "at last" }] }), "e-2");
      response.end();
      return true;
    }),
    async (upstream, server) => {
      const exchange = exchangeFor(callText("poll", {}, { id: "p", token: "tok" }));
      const { raw } = await upstream.forward(exchange, []);
      assert.equal(sent(server, "tools/call")[0]!.body.id, 4);
      assert.equal(textOf(raw), "at last");
      assert.equal(exchange.sent.length, 1);
      assert.match(exchange.sent[0]!, /"progressToken":"tok"/);
      assert.deepEqual(resumed, ["e-0", "e-0", "e-0", "e-0", "e-0", "e-1"]);
    },
  );
});

test("StreamableHttpTransport brings a question to the client whose stream carried it", async () => {
  const OTHER = { ...LEGACY_CLIENT, session: "c2" };
  const streams = new Map<string, ReturnType<typeof sse>>();
  const answers: unknown[] = [];
  let serverStream: ReturnType<typeof sse> | undefined;
  await withServer(
    legacy(({ method, body }, response) => {
      if (method === "GET") {
        serverStream = sse(response);
        return true;
      }
      if (body?.method === "tools/call") {
        streams.set(body.params.name, sse(response));
        return true;
      }
      if (body?.method === undefined && body?.id !== undefined) {
        answers.push([body.id, body.result ?? body.error.code]);
        response.writeHead(202).end();
        return true;
      }
      return false;
    }),
    async (upstream, server) => {
      const a = exchangeFor(callText("a"));
      const b = exchangeFor(callText("b"), OTHER);
      const calls = [upstream.forward(a, []), upstream.forward(b, [])];
      const [forA, forB] = await Promise.all(
        ["a", "b"].map((name) => server.until(({ body }) => body?.params?.name === name)),
      );
      await server.until(({ method }) => method === "GET");
      const ask = (id: number) => ({
        jsonrpc: "2.0",
        id,
        method: "elicitation/create",
        params: {},
      });
      streams.get("b")!(ask(1));
      (await b.nextAsked()).answer({ from: "b" });
      await server.until(({ body }) => body?.id === 1 && body.result !== undefined);
      // On the stream of no call it is anybody's, so it is nobody's.
      serverStream!(ask(2));
      await server.until(({ body }) => body?.id === 2 && body.error !== undefined);
      assert.equal(upstream.interactive, true);
      streams.get("a")!(result(forA!.body.id, {}));
      await calls[0];
      passTime(AFTERWORDS);
      serverStream!(ask(3));
      (await b.nextAsked()).answer({ only: "b" });
      await server.until(({ body }) => body?.id === 3 && body.result !== undefined);
      streams.get("b")!(result(forB!.body.id, {}));
      await calls[1];
      assert.equal(a.asked.length, 0);
      assert.deepEqual(answers, [
        [1, { from: "b" }],
        [2, ErrorCode.InternalError],
        [3, { only: "b" }],
      ]);
    },
  );
});

test("StreamableHttpTransport repeats marked arguments in headers, and leaves out invalid tools", async () => {
  const schema = (mark: unknown) => ({
    type: "object",
    properties: { region: { type: "string", "x-mcp-header": mark } },
  });
  const tools = [
    { name: "good", inputSchema: schema("Region") },
    { name: "bad", inputSchema: schema("not a token") },
    { name: "plain", inputSchema: {} },
  ];
  await withServer(({ body }, response) => {
    const { id, method } = body;
    if (method === "server/discover") {
      const capabilities = { tools: {} };
      const value = { resultType: "complete", supportedVersions: ["2026-07-28"], capabilities };
      return json(response, 200, result(id, value));
    }
    if (method === "tools/list") return json(response, 200, result(id, { tools }));
    json(response, 200, result(id, { resultType: "complete", content: [] }));
  }, async (upstream, server) => {
    const { items } = upstream.inventory.lists.tools;
    assert.deepEqual(items.map(({ key }) => key), ["good", "plain"]);
    assert.match(upstream.status().problems[0]!, /^Left out tool "bad": region: .*HTTP header/);
    const edits = [{ path: ["params", "name"], value: '"good"' }];
    const call = callText("srv_good", { region: "Zürich", other: 1 });
    await upstream.forward(exchangeFor(call, MODERN_CLIENT), edits);
    await upstream.forward(exchangeFor(callText("plain", { region: "x" }), MODERN_CLIENT), []);
    const [good, plain] = sent(server, "tools/call");
    assert.equal(good!.headers["mcp-name"], "good");
    assert.equal(good!.headers["mcp-param-region"], "=?base64?WsO8cmljaA==?=");
    assert.equal(plain!.headers["mcp-param-region"], undefined);
  }, { protocol: "modern" });
});
