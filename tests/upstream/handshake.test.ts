import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { test } from "node:test";
import { ErrorCode } from "../../src/protocol/errors.ts";
import { type Message, parseMessage } from "../../src/protocol/message.ts";
import { receive } from "../../src/upstream/transport/transport.ts";
import {
  DISCOVERED,
  error,
  INITIALIZED,
  json,
  legacy,
  result,
  type Seen,
  sse,
  TOOLS,
} from "./fakes/http-server.ts";
import { call, fakeTarget, serverConfig, textOf, withUpstream } from "./support.ts";
import { withHttp } from "./with-http.ts";

const OK = { content: [{ type: "text", text: "ok" }] };
const initializes = (seen: readonly Seen[]) =>
  seen.filter(({ body }) => body?.method === "initialize")
    .map(({ body }) => body.params.protocolVersion);

/** Refusals of every version but one, and which versions are offered until then. */
const VERSIONS: readonly (readonly [
  string,
  string,
  (response: ServerResponse, id: unknown, asked: string) => void,
  readonly string[],
])[] = [
  ["a list", "2025-06-18", (response, id) => {
    const data = { supported: ["2025-06-18"], requested: "2025-11-25" };
    json(response, 200, error(id, -32602, "Unsupported protocol version", data));
  }, ["2025-11-25", "2025-06-18"]],
  ["400 and words", "2024-11-05", (response) => {
    const text = "Bad Request: Unsupported protocol version (supported versions: 2024-11-05)";
    response.writeHead(400, { "content-type": "text/plain" }).end(text);
  }, ["2025-11-25", "2024-11-05"]],
  ["400 and an error", "2025-03-26", (response, _id, asked) => {
    json(response, 400, error(null, -32000, `Bad Request: unsupported version ${asked}`));
  }, ["2025-11-25", "2025-06-18", "2025-03-26"]],
  ["no more than a word", "2024-11-05", (response, id) => {
    json(response, 200, error(id, -32602, "Invalid protocolVersion"));
  }, ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"]],
];

for (const [how, version, refuse, offered] of VERSIONS) {
  test(`A server that refuses a version with ${how} is offered one it knows`, async () => {
    await withHttp(
      legacy(({ body }, response) => {
        if (body?.method !== "initialize") return false;
        const asked = body.params.protocolVersion;
        if (asked !== version) refuse(response, body.id, asked);
        else json(response, 200, result(body.id, { ...INITIALIZED, protocolVersion: version }));
        return true;
      }),
      async (upstream, server) => {
        assert.deepEqual(initializes(server.seen), offered);
        assert.equal(upstream.status().protocolVersion, version);
        assert.equal(textOf((await upstream.forward(call("x"), [])).raw), "ok");
      },
    );
  });
}

test("A server that refuses for another reason is asked once, and says why", async () => {
  await withHttp(
    legacy(({ body }, response) => {
      if (body?.method !== "initialize") return false;
      json(response, 200, error(body.id, -32603, "No license"));
      return true;
    }),
    (upstream, server) => {
      assert.deepEqual(initializes(server.seen), ["2025-11-25"]);
      assert.match(upstream.status().lastError!, /refused "initialize": No license/);
    },
  );
});

const PROBES: readonly (readonly [string, (response: ServerResponse) => void])[] = [
  ...[401, 403, 429, 500, 502, 503].map((status): typeof PROBES[number] => [
    `HTTP ${status}`,
    (response) => void response.writeHead(status).end(),
  ]),
  ["a cut connection", (response) => void response.destroy()],
];

for (const [name, refuse] of PROBES) {
  test(`A legacy server that answers the probe with ${name} is greeted as one`, async () => {
    await withHttp(
      legacy(({ body }, response) => {
        if (body?.method !== "server/discover") return false;
        refuse(response);
        return true;
      }),
      async (upstream) => {
        assert.equal(upstream.status().era, "legacy");
        assert.equal(textOf((await upstream.forward(call("x"), [])).raw), "ok");
      },
    );
  });
}

test("A modern server that refuses the probe for a moment is modern", async () => {
  let probes = 0;
  await withHttp(({ body }, response) => {
    const { id, method } = body;
    if (method === "tools/list") return json(response, 200, result(id, TOOLS));
    if (method !== "server/discover") return json(response, 404, error(id, -32601, "Unknown"));
    if (++probes === 1) return void response.writeHead(503).end();
    json(response, 200, result(id, DISCOVERED));
  }, (upstream) => assert.equal(upstream.status().era, "modern"));
});

test("An id of ours that comes back as text is ours, over JSON, events and in progress", async () => {
  const asText = (id: unknown) => String(id);
  await withHttp(
    legacy(({ body }, response) => {
      if (body?.id === undefined) return false;
      const id = asText(body.id);
      if (body.method === "initialize") {
        json(response, 200, result(id, INITIALIZED), { "mcp-session-id": "s-1" });
      } else if (body.method === "tools/list") json(response, 200, result(id, TOOLS));
      else if (body.method !== "tools/call") json(response, 200, error(id, -32601, "Unknown"));
      else {
        const send = sse(response);
        const params = { progressToken: asText(body.params._meta.progressToken), progress: 1 };
        send({ jsonrpc: "2.0", method: "notifications/progress", params });
        send(result(id, OK));
        response.end();
      }
      return true;
    }),
    async (upstream) => {
      assert.equal(upstream.inventory.lists.tools.items.length, 1);
      const exchange = call("x", {}, { id: "mine", token: "t" });
      const { raw } = await upstream.forward(exchange, []);
      assert.equal(textOf(raw), "ok");
      assert.equal(JSON.parse(raw).id, "mine");
      assert.equal(JSON.parse(exchange.sent[0]!).params.progressToken, "t");
    },
  );
});

/** What a text is taken for: a message, or the request it was to answer. */
function received(text: string): unknown {
  let found: unknown;
  receive(text, {
    onMessage: (message: Message) => found = message.kind === "response" ? message.id : message,
    onInvalid: ({ error }) => found = `broken ${error.idText}`,
  }, undefined);
  return found;
}

test("receive() knows which request a text was to answer that is no JSON, and guesses none", () => {
  const cases: readonly (readonly [string, unknown])[] = [
    ['{"jsonrpc":"2.0","id":7,"result":{"value":NaN}}', "broken 7"],
    ['{"jsonrpc": "2.0", "id": "7", "result": {"value": Infinity}}', "broken 7"],
    ['{"id":7,"jsonrpc":"2.0","result":{"a":', "broken 7"],
    ['{"jsonrpc":"2.0","id":7,"result":{"content":[{"id":9,"text":"cut o', "broken 7"],
    ['{"result":{"value":NaN},"jsonrpc":"2.0","id":7}', "broken 7"],
    ['{"result":{"value":undefined},"id":7,"jsonrpc":"2.0"}', "broken 7"],
    ['{"result":{"content":[{"id":7,"te', "broken null"],
    ['{"result":{"a":NaN,"b":{"id":7}}}', "broken null"],
    ['{"jsonrpc":"2.0","id":7,"method":"roots/list","params":NaN}', "broken null"],
    ['{"jsonrpc": "2.0", "id": 7, "method": "tools/call"} received', "broken null"],
    ['[debug] recv {"params":{},"jsonrpc":"2.0","id":7}', "broken null"],
    ["started, id: 7,", "broken null"],
    ['{"jsonrpc":"2.0","id":"7","result":{}}', 7],
    ['[{"jsonrpc":"2.0","id":"7","result":{}}]', 7],
    ['{"jsonrpc":"2.0","id":"07","result":{}}', "07"],
    ['{"jsonrpc":"2.0","id":"x7","result":{}}', "x7"],
  ];
  for (const [text, expected] of cases) assert.equal(received(text), expected, text);
  const own = '{"jsonrpc":"2.0","id":"7","method":"ping"}';
  assert.deepEqual(received(own), parseMessage(own), "the server's own ids are its own");
});

test("A call of which the answer is no JSON fails at once, over stdio too", async () => {
  const config = serverConfig(fakeTarget("plain"), { timeout: 600_000 });
  await withUpstream(config, async (upstream) => {
    for (const way of ["nan", "cut", "text"]) {
      await assert.rejects(upstream.forward(call("broken", { way }), []), {
        code: ErrorCode.UpstreamProtocol,
        message: /gave no valid answer to "tools\/call"/,
      }, way);
    }
    assert.equal(textOf((await upstream.forward(call("echo", 1), [])).raw), "1");
  });
});
