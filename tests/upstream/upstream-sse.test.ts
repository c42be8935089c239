import assert from "node:assert/strict";
import { test } from "node:test";
import { type Handler, INITIALIZED, result, serveHttp, sse, TOOLS } from "./fakes/http-server.ts";
import { call, httpTarget, serverConfig, textOf, withUpstream } from "./support.ts";
import { withHttp } from "./with-http.ts";

/** HTTP+SSE of 2024-11-05; `endpoint` is what the first event says. */
function sseServer(endpoint: string, at = "/messages?s=1"): Handler {
  let send: (message: unknown) => void = () => {};
  return ({ method, url, body }, response) => {
    if (method === "GET") {
      send = sse(response);
      response.write(`event: endpoint\ndata: ${endpoint}\n\n`);
      return;
    }
    if (url !== at) return void response.writeHead(405).end();
    response.writeHead(202).end("Accepted");
    if (body.method === "initialize") {
      send(result(body.id, { ...INITIALIZED, protocolVersion: "2024-11-05" }));
    } else if (body.method === "tools/list") send(result(body.id, TOOLS));
    else if (body.method === "tools/call") {
      const progressToken = body.params._meta?.progressToken;
      send({ jsonrpc: "2.0", method: "notifications/progress", params: { progressToken } });
      send(result(body.id, { content: [{ type: "text", text: "over sse" }] }));
    }
  };
}

test("SseTransport is the fall-back of a URL that knows no Streamable HTTP", async () => {
  await withHttp(sseServer("/messages?s=1"), async (upstream) => {
    const { transport, era, protocolVersion } = upstream.status();
    assert.deepEqual([transport, era, protocolVersion], ["sse", "legacy", "2024-11-05"]);
    const exchange = call("x", {}, { id: "q", token: "t" });
    assert.equal(textOf((await upstream.forward(exchange, [])).raw), "over sse");
    assert.equal(JSON.parse(exchange.sent[0]!).params.progressToken, "t");
  });
});

test("SseTransport refuses an endpoint of another origin", async () => {
  await withHttp(sseServer("http://example.invalid/messages"), (upstream) => {
    assert.match(upstream.status().lastError!, /endpoint of another origin, http:\/\/example/);
  });
});

test("SseTransport fails calls when its stream ends, and the upstream reconnects", async () => {
  const inner = sseServer("/messages?s=1");
  let cut = () => {};
  await withHttp(
    (seen, response) => {
      if (seen.method === "GET") cut = () => void response.end();
      if (seen.body?.method === "tools/call" && seen.body.params.name === "cut") {
        response.writeHead(202).end();
        return cut();
      }
      return inner(seen, response);
    },
    async (upstream) => {
      await assert.rejects(upstream.forward(call("cut"), []), /Server "x" ended its event stream/);
      assert.equal(textOf((await upstream.forward(call("x"), [])).raw), "over sse");
    },
  );
});

test("SseTransport says what was wrong with a stream that it gives up", async () => {
  const inner = sseServer("/messages?s=1");
  let flood = () => {};
  await withHttp(
    (seen, response) => {
      if (seen.method === "GET") {
        const part = "x".repeat(1024 * 1024);
        flood = () => {
          response.write("data: ");
          for (let times = 0; times < 65; times++) response.write(part);
        };
      }
      if (seen.body?.method !== "tools/call") return inner(seen, response);
      response.writeHead(202).end();
      flood();
    },
    (upstream) =>
      assert.rejects(
        upstream.forward(call("x"), []),
        /^\S+ Server "x" answered the event stream with more than 64 MiB/,
      ),
    { timeout: 60_000 },
  );
});

test("SseTransport finds the endpoint of a server that does not know what path it is below", async () => {
  const cases = [
    ["/gw/sse", "/messages?s=1", "/gw/messages?s=1"],
    ["/team/gw/sse", "/messages?s=1", "/team/gw/messages?s=1"],
    ["/gw/mcp/sse", "/mcp/messages?s=1", "/gw/mcp/messages?s=1"],
    // What is named counts, where there is somebody.
    ["/mcp/sse", "/messages?s=1", "/messages?s=1"],
    ["/mcp/sse", "messages?s=1", "/mcp/messages?s=1"],
  ] as const;
  for (const [path, named, at] of cases) {
    await withHttp(
      sseServer(named, at),
      async (upstream, server) => {
        assert.equal(textOf((await upstream.forward(call("x"), [])).raw), "over sse", path);
        assert.equal(server.seen.at(-1)!.url, at);
      },
      {},
      undefined,
      path,
    );
  }
});

test("SseTransport tells what a refusal says, and that a login is wanted", async () => {
  const where = 'Bearer resource_metadata="https://x/.well-known/oauth-protected-resource"';
  const cases: [Handler, RegExp][] = [
    [(_, r) => void r.writeHead(403).end("not from here"), /headers.Authorization: not from here$/],
    [
      (_, r) => void r.writeHead(401, { "www-authenticate": where }).end('{"error":"no_token"}'),
      /it wants a login by OAuth; set headers.Authorization to a token of it: no_token$/,
    ],
    [
      (_, r) => void r.writeHead(429, { "content-type": "application/json" }).end('{"detail":"x"}'),
      /with HTTP 429: x$/,
    ],
  ];
  for (const [handler, message] of cases) {
    await using server = await refusing(handler);
    const target = httpTarget(`${server.url}/sse`, { transport: "sse" });
    await withUpstream(serverConfig(target), (upstream) => {
      assert.match(upstream.status().lastError!, message);
      return Promise.resolve();
    });
  }
});

async function refusing(handler: Handler) {
  const server = await serveHttp(handler);
  return { url: server.url, [Symbol.asyncDispose]: () => server.close() };
}
