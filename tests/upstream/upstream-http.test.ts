import assert from "node:assert/strict";
import { test } from "node:test";
import { ErrorCode, RpcError } from "../../src/protocol/errors.ts";
import {
  DISCOVERED,
  error,
  type FakeHttp,
  type Handler,
  INITIALIZED,
  json,
  legacy,
  result,
  serveHttp,
  sse,
  TOOLS,
} from "./fakes/http-server.ts";
import {
  call,
  callText,
  exchangeFor,
  httpTarget,
  MODERN_CLIENT,
  serverConfig,
  textOf,
  Watch,
  withUpstream,
} from "./support.ts";
import { withHttp } from "./with-http.ts";
import { OWN_ADDRESS, OWN_PORT } from "../support/own-address.ts";

const nothing = () => false;

test("StreamableHttpTransport falls back to legacy and carries session, version and headers", async () => {
  let closed: FakeHttp | undefined;
  await withHttp(legacy(nothing), async (upstream, server) => {
    closed = server;
    assert.equal(upstream.status().transport, "http");
    assert.equal(upstream.status().era, "legacy");
    const { raw } = await upstream.forward(call("echo", {}, { id: "q" }), []);
    assert.equal(textOf(raw), "ok");
    assert.equal(JSON.parse(raw).id, "q");
    const initialize = server.seen.find(({ body }) => body?.method === "initialize")!;
    assert.equal(initialize.headers["mcp-protocol-version"], undefined);
    assert.equal(initialize.headers["mcp-method"], undefined);
    const called = server.seen.find(({ body }) => body?.method === "tools/call")!;
    assert.equal(called.headers["mcp-session-id"], "s-1");
    assert.equal(called.headers["mcp-protocol-version"], "2025-11-25");
    for (const { headers } of server.seen) {
      assert.equal(headers.authorization, "Bearer s3cret");
      assert.equal(headers["x-own"], "1");
    }
    await server.until(({ method }) => method === "GET");
  });
  assert.equal(closed!.seen.at(-1)!.method, "DELETE");
  assert.equal(closed!.seen.at(-1)!.headers["mcp-session-id"], "s-1");
});

function modern(special: Handler): Handler {
  return (seen, response) => {
    const { id, method } = seen.body ?? {};
    if (method === "server/discover") return void json(response, 200, result(id, DISCOVERED));
    if (method === "tools/list") return void json(response, 200, result(id, TOOLS));
    return special(seen, response);
  };
}

test("StreamableHttpTransport speaks modern with the headers of the body it sends", async () => {
  await withHttp(
    modern(({ body }, response) => {
      if (body.method === "subscriptions/listen") return void response.writeHead(404).end();
      json(response, 200, result(body.id, { resultType: "complete", content: [] }));
    }),
    async (upstream, server) => {
      assert.equal(upstream.status().era, "modern");
      await upstream.forward(
        exchangeFor(callText("srv_käse"), MODERN_CLIENT),
        [{ path: ["params", "name"], value: '"käse"' }],
      );
      const { headers } = server.seen.find(({ body }) => body?.method === "tools/call")!;
      assert.equal(headers["mcp-protocol-version"], "2026-07-28");
      assert.equal(headers["mcp-method"], "tools/call");
      assert.equal(headers["mcp-name"], "=?base64?a8Okc2U=?=");
      assert.equal(headers["mcp-session-id"], undefined);
      assert.equal(server.seen.every(({ method }) => method === "POST"), true);
    },
  );
});

test("StreamableHttpTransport cancels a modern call by closing its stream", async () => {
  const closed = Promise.withResolvers<void>();
  await withHttp(
    modern(({ body }, response) => {
      if (body.method === "subscriptions/listen") return void response.writeHead(404).end();
      response.on("close", closed.resolve);
      sse(response)({ jsonrpc: "2.0", method: "notifications/message", params: { level: "info" } });
    }),
    async (upstream, server) => {
      const exchange = exchangeFor(callText("slow"), MODERN_CLIENT);
      const answer = upstream.forward(exchange, []);
      await server.until(({ body }) => body?.method === "tools/call");
      exchange.abort();
      await assert.rejects(answer, RpcError);
      await closed.promise;
      assert.equal(
        server.seen.some(({ body }) => body?.method === "notifications/cancelled"),
        false,
      );
    },
  );
});

test("Connection listens to a modern server and reads the lists it says have changed", async () => {
  const tools = [{ name: "one" }];
  const watch = new Watch();
  let announce: (message: unknown) => void = () => {};
  await withHttp(
    ({ body }, response) => {
      const { id, method, params } = body;
      if (method === "server/discover") return json(response, 200, result(id, DISCOVERED));
      if (method === "tools/list") return json(response, 200, result(id, { tools }));
      announce = sse(response);
      const _meta = { "io.modelcontextprotocol/subscriptionId": id };
      assert.deepEqual(params.notifications, { toolsListChanged: true });
      announce({
        jsonrpc: "2.0",
        method: "notifications/subscriptions/acknowledged",
        params: { notifications: params.notifications, _meta },
      });
    },
    async (upstream, server) => {
      await server.until(({ body }) => body?.method === "subscriptions/listen");
      tools.push({ name: "two" });
      announce({ jsonrpc: "2.0", method: "notifications/tools/list_changed", params: {} });
      await watch.until(() => upstream.inventory.lists.tools.items.length === 2);
    },
    {},
    watch,
  );
});

test("StreamableHttpTransport knows which call a stream's messages belong to", async () => {
  const seen: (string | undefined)[] = [];
  const watch = new Watch();
  watch.onNotification = ((_message: unknown, exchange?: { rid: string }) => {
    seen.push(exchange?.rid);
  }) as typeof watch.onNotification;
  const held: (() => void)[] = [];
  await withHttp(
    legacy(({ body }, response) => {
      if (body?.method !== "tools/call") return false;
      const send = sse(response);
      held.push(() => {
        send({ jsonrpc: "2.0", method: "notifications/message", params: { level: "info" } });
        send({
          jsonrpc: "2.0",
          method: "notifications/progress",
          params: { progressToken: body.params._meta.progressToken, progress: 1 },
        });
        send(result(body.id, {}));
        response.end();
      });
      if (held.length === 2) { for (const go of held) go(); }
      return true;
    }),
    async (upstream) => {
      const [a, b] = [
        call("a", {}, { id: "1", token: "t" }),
        call("b", {}, { id: "1", token: "t" }),
      ];
      await Promise.all([upstream.forward(a, []), upstream.forward(b, [])]);
      assert.deepEqual(seen.toSorted(), [a.rid, b.rid].toSorted());
      assert.deepEqual([a.sent.length, b.sent.length], [1, 1]);
      assert.equal(JSON.parse(a.sent[0]!).params.progressToken, "t");
    },
    {},
    watch,
  );
});

test("StreamableHttpTransport takes a broken stream up again where the server lets it", async () => {
  await withHttp(
    legacy(({ method, headers, body }, response) => {
      if (body?.method === "tools/call") {
        const send = sse(response);
        response.write("retry: 10\n");
        send("", "ev-1");
        response.end();
        return true;
      }
      if (method !== "GET" || headers["last-event-id"] === undefined) return false;
      assert.equal(headers["last-event-id"], "ev-1");
      sse(response)(result(4, { content: [{ type: "text", text: "resumed" }] }), "ev-2");
      response.end();
      return true;
    }),
    async (upstream, server) => {
      const { raw } = await upstream.forward(call("poll"), []);
      const sent = server.seen.find(({ body }) => body?.method === "tools/call")!;
      assert.equal(sent.body.id, 4);
      assert.equal(textOf(raw), "resumed");
    },
  );
});

test("StreamableHttpTransport fails a call whose stream ends without its answer", async () => {
  await withHttp(
    legacy(({ body }, response) => {
      if (body?.method !== "tools/call") return false;
      sse(response)(result(1, { stale: true }));
      response.end();
      return true;
    }),
    async (upstream) => {
      await assert.rejects(
        upstream.forward(call("x"), []),
        /^RpcError: Server "x" ended its answer stream before it answered "tools\/call"/,
      );
      assert.equal(upstream.state.phase, "ready");
    },
  );
});

test("StreamableHttpTransport turns wrong answers into errors of that call", async () => {
  const answers: [Handler, RegExp, number][] = [
    [(_, r) => void r.writeHead(500).end("oops"), /with HTTP 500$/, ErrorCode.UpstreamUnavailable],
    [
      (_, r) => void r.writeHead(401).end(),
      /needs authorization; set headers.Auth/,
      ErrorCode.UpstreamUnavailable,
    ],
    [(_, r) => void r.writeHead(202).end(), /without an answer/, ErrorCode.UpstreamProtocol],
    [
      (_, r) => void r.writeHead(200, { "content-type": "text/html" }).end("<p>hi"),
      /as text\/html; expected/,
      ErrorCode.UpstreamProtocol,
    ],
    [
      (_, r) => void r.writeHead(200, { "content-type": "application/json" }).end("{nope"),
      /no JSON/,
      ErrorCode.UpstreamProtocol,
    ],
    [(_, r) => json(r, 200, { jsonrpc: "2.0" }), /no valid answer/, ErrorCode.UpstreamProtocol],
    [(_, r) => json(r, 200, result(999, {})), /something else/, ErrorCode.UpstreamProtocol],
    [
      (_, r) => void r.writeHead(307, { location: "http://example.invalid/mcp?k=v" }).end(),
      /to another origin, http:\/\/example.invalid; put that into "url"/,
      ErrorCode.UpstreamUnavailable,
    ],
  ];
  let answer: Handler = () => {};
  await withHttp(
    legacy((seen, response) => {
      if (seen.body?.method !== "tools/call") return false;
      void answer(seen, response);
      return true;
    }),
    async (upstream) => {
      for (const [handler, message, code] of answers) {
        answer = handler;
        await assert.rejects(upstream.forward(call("x"), []), (error) => {
          assert.ok(error instanceof RpcError);
          assert.match(error.message, message);
          assert.match(error.message, /^Server "x" /);
          assert.equal(error.code, code);
          assert.doesNotMatch(error.message, /s3cret/);
          return true;
        });
        assert.equal(upstream.state.phase, "ready");
      }
      answer = ({ body }, r) => json(r, 400, error(body.id, -32602, "Unknown tool", { a: 1 }));
      const bad = await upstream.forward(call("x", {}, { id: "q" }), []);
      assert.deepEqual(JSON.parse(bad.raw), error("q", -32602, "Unknown tool", { a: 1 }));
      answer = (_, r) => json(r, 400, error(null, -32000, "No"));
      const nullId = await upstream.forward(call("x", {}, { id: "q" }), []);
      assert.deepEqual(JSON.parse(nullId.raw), {
        jsonrpc: "2.0",
        id: "q",
        error: { code: -32000, message: "No" },
      });
    },
  );
});

test("StreamableHttpTransport follows a redirect inside its origin with the same body", async () => {
  const inner = legacy(nothing);
  await withHttp(
    (seen, response) => {
      if (seen.url === "/mcp") return void response.writeHead(307, { location: "/mcp/" }).end();
      return inner(seen, response);
    },
    async (upstream) => {
      assert.equal(textOf((await upstream.forward(call("x"), [])).raw), "ok");
    },
  );
});

test("Upstream initializes again when its session is forgotten", async () => {
  let sessions = 0;
  const watch = new Watch();
  await withHttp(
    legacy((seen, response) => {
      const { body, headers } = seen;
      if (body?.method === "initialize") {
        sessions++;
        json(response, 200, result(body.id, INITIALIZED), { "mcp-session-id": `s-${sessions}` });
        return true;
      }
      if (body?.method === "tools/call" && headers["mcp-session-id"] === "s-1") {
        json(response, 404, error(null, -32001, "Session not found"));
        return true;
      }
      return false;
    }),
    async (upstream) => {
      // What is refused was not carried out, so it is sent again whatever it does.
      assert.equal(textOf((await upstream.forward(call("x"), [])).raw), "ok");
      assert.equal(sessions, 2);
      assert.equal(upstream.status().restarts, 1);
    },
    {},
    watch,
  );
});

test("Upstream names what is wrong with a server it cannot reach or enter", async () => {
  const cases: [Handler, RegExp][] = [
    [(_, r) => void r.writeHead(401).end(), /with HTTP 401: it needs authorization; set headers/],
    [(_, r) => void r.writeHead(403).end(), /with HTTP 403: access denied/],
    [
      (_, r) => void r.writeHead(403, { "content-type": "text/plain" }).end("no scope repo\n"),
      /HTTP 403: access denied; check headers.Authorization: no scope repo$/,
    ],
    [
      (_, r) => json(r, 403, { message: "Enable the API first", status: "DENIED" }),
      /check headers.Authorization: Enable the API first$/,
    ],
    [
      (_, r) => json(r, 401, { error: "invalid_token", error_description: "It has expired" }),
      /set headers.Authorization: It has expired$/,
    ],
    [
      (_, r) => json(r, 401, { jsonrpc: "2.0", id: null, error: { code: 1, message: "No key" } }),
      /set headers.Authorization: No key$/,
    ],
    [
      (_, r) => void r.writeHead(403, { "content-type": "text/html" }).end("<html>Go away"),
      /check headers.Authorization$/,
    ],
    [
      (_, r) => void r.writeHead(403).end("x".repeat(100_000)),
      /check headers.Authorization: x{200}…$/,
    ],
    [
      (_, r) => {
        const where = 'Bearer resource_metadata="https://x/.well-known/oauth-protected-resource"';
        r.writeHead(401, { "www-authenticate": where }).end();
      },
      /HTTP 401: it wants a login by OAuth; set headers.Authorization to a token of it$/,
    ],
    [(_, r) => json(r, 503, { message: "Down until 5" }), /with HTTP 503: Down until 5$/],
    [(_, r) => void r.writeHead(503).end(), /answered "initialize" with HTTP 503$/],
    [(_, r) => void r.writeHead(500).end(), /answered "initialize" with HTTP 500$/],
    [
      (_, r) => void r.writeHead(404).end("<h1>Not Found"),
      /speaks neither Streamable HTTP \(HTTP 404\) nor HTTP\+SSE \(HTTP 404\)/,
    ],
  ];
  for (const [handler, message] of cases) {
    await withHttp(handler, (upstream) => {
      assert.match(upstream.status().lastError!, message);
      assert.equal(upstream.state.phase, "backoff");
    });
  }
  const gone = `http://${OWN_ADDRESS}:${OWN_PORT}`;
  await withUpstream(serverConfig(httpTarget(`${gone}/secret-path`)), (upstream) => {
    assert.match(upstream.status().lastError!, /could not be reached .*: connection refused$/);
    assert.doesNotMatch(upstream.status().lastError!, /secret-path/);
    return Promise.resolve();
  });
});

test("HttpClient turns credentials of the URL into a header and never shows them", async () => {
  const server = await serveHttp(legacy(nothing));
  try {
    const url = server.url.replace("http://", "http://me:p%40ss@");
    await withUpstream(serverConfig(httpTarget(`${url}/mcp`)), (upstream) => {
      assert.equal(upstream.state.phase, "ready");
      assert.equal(server.seen[0]!.headers.authorization, `Basic ${btoa("me:p@ss")}`);
      return Promise.resolve();
    });
  } finally {
    await server.close();
  }
});

test("StreamableHttpTransport hears list changes on the legacy event stream, and resumes it", async () => {
  const tools = [{ name: "one" }];
  const watch = new Watch();
  const changed = { jsonrpc: "2.0", method: "notifications/tools/list_changed" };
  let streams = 0;
  await withHttp(
    legacy(({ method, body, headers }, response) => {
      if (body?.method === "tools/list") {
        json(response, 200, result(body.id, { tools }));
        return true;
      }
      if (method !== "GET") return false;
      const send = sse(response);
      if (++streams === 1) {
        assert.equal(headers["mcp-session-id"], "s-1");
        response.write("retry: 5\n");
        send("", "e-1");
        response.end();
      } else {
        assert.equal(headers["last-event-id"], "e-1");
        tools.push({ name: "two" });
        send(changed, "e-2");
      }
      return true;
    }),
    async (upstream) => {
      await watch.until(() => upstream.inventory.lists.tools.items.length === 2);
    },
    {},
    watch,
  );
});

test("StreamableHttpTransport sends a legacy cancel and lets go of the stream", async () => {
  const closed = Promise.withResolvers<void>();
  await withHttp(
    legacy(({ body }, response) => {
      if (body?.method !== "tools/call") return false;
      sse(response);
      response.on("close", closed.resolve);
      return true;
    }),
    async (upstream, server) => {
      const exchange = call("slow");
      const answer = upstream.forward(exchange, []);
      const sent = await server.until(({ body }) => body?.method === "tools/call");
      exchange.abort("stop");
      await assert.rejects(answer, RpcError);
      const cancel = await server.until(({ body }) => body?.method === "notifications/cancelled");
      assert.deepEqual(cancel.body.params, { requestId: sent.body.id, reason: "stop" });
      await closed.promise;
    },
  );
});

test("Upstream keeps to the transport the config pins", async () => {
  const server = await serveHttp((seen, response) => {
    if (seen.method === "GET") return void response.writeHead(404).end();
    response.writeHead(405).end();
  });
  try {
    for (
      const [transport, message] of [
        ["http", /answered "initialize" with HTTP 405$/],
        ["sse", /answered the event stream with HTTP 404$/],
      ] as const
    ) {
      const config = serverConfig(httpTarget(server.url, { transport }));
      await withUpstream(config, (upstream) => {
        assert.match(upstream.status().lastError!, message);
        assert.equal(upstream.status().transport, transport);
        return Promise.resolve();
      });
    }
  } finally {
    await server.close();
  }
});
