/** The page's client of MCP, against a gateway with servers of both eras, and against bad answers. */

import { runtime } from "#runtime";
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Server } from "../../../src/app/server.ts";
import { parseConfig } from "../../../src/config/load.ts";
import {
  argumentHeaders,
  headerValue,
  McpClient,
  McpError,
} from "../../../src/front/dashboard/web/mcp.js";
import { encodeHeaderValue } from "../../../src/protocol/eras.ts";
import { Control } from "../../support/fakes/interactive.ts";

let control: Control;
let server: Server;
let client: McpClient;

before(async () => {
  control = await Control.start();
  const mcpServers = {
    old: await control.http({ name: "old" }),
    new: await control.http({ name: "new", era: "modern" }),
  };
  const parsed = parseConfig(JSON.stringify({ port: 0, mcpServers }), { file: "mcp", env: {} });
  assert.ok(parsed.ok);
  server = await Server.start({ config: parsed.config, runtime, listen: true });
  await server.gateway.settled();
  client = new McpClient((path, init) => fetch(new URL(path, server.url), init));
});

after(async () => {
  await server.stop();
  await control.close();
});

/** What a tool of the fakes says, which is JSON in a text. */
function said({ result }: Awaited<ReturnType<McpClient["call"]>>) {
  return JSON.parse(result.content[0].text);
}

test("all pages of a list", async () => {
  const tools = await client.list("tools");
  const names = tools.map(({ name }) => name);
  assert.ok(names.includes("old_elicit") && names.includes("new_elicit"));
});

for (const era of ["old", "new"]) {
  test(`${era}: progress and log lines come while the call runs`, async () => {
    const events: { at: number; message: { method: string; params: { progress?: number } } }[] = [];
    const onEvent = (event: (typeof events)[number]) => void events.push(event);
    const answer = await client.call(`${era}_progress`, '{"tag":"p","n":3}', { onEvent });
    assert.equal(said(answer).tag, "p");
    assert.deepEqual(events.map(({ message }) => message.params.progress), [1, 2, 3]);
    events.length = 0;
    await client.call(`${era}_log`, '{"tag":"l","levels":["info","error"]}', { onEvent });
    assert.deepEqual(events.map(({ message }) => message.method), [
      "notifications/message",
      "notifications/message",
    ]);
    assert.ok(events.every(({ at }) => at >= 0));
  });

  test(`${era}: questions are answered, one after the other`, async () => {
    const asked: string[] = [];
    const answer = await client.call(`${era}_rounds`, '{"tag":"r"}', {
      onQuestion: ({ method, params }) => {
        asked.push(`${method} ${params.message}`);
        return Promise.resolve({ action: "accept", content: { answer: `${asked.length}` } });
      },
    });
    assert.deepEqual(asked, [1, 2, 3].map((round) => `elicitation/create r ${round}`));
    const answers = said(answer).said.map(({ result }: { result: unknown }) => result);
    assert.deepEqual(
      answers,
      ["1", "2", "3"].map((answer) => ({
        action: "accept",
        content: { answer },
      })),
    );
  });

  test(`${era}: a call can be cancelled`, async () => {
    const from = control.events.items.length;
    const cancelled = new AbortController();
    const call = client.call(`${era}_wait`, `{"tag":"${era} w","key":"never"}`, {
      signal: cancelled.signal,
      onEvent: () => cancelled.abort(),
      // Else it would be a connection of its own, which is closed.
      onQuestion: () => Promise.reject(new Error("nothing is asked")),
    });
    await assert.rejects(call, { name: "AbortError" });
    await control.events.waitFor(
      ({ kind, tag }) => kind === "cancelled" && tag === `${era} w`,
      { from },
    );
  });
}

test("without somebody to answer nothing is asked", async () => {
  await assert.rejects(client.call("old_elicit", '{"tag":"e"}'), (error) => {
    assert.ok(error instanceof McpError);
    assert.equal(error.code, -32021);
    assert.deepEqual(error.data, { requiredCapabilities: { elicitation: {} } });
    return true;
  });
});

test("an error of the gateway is one with its code", async () => {
  await assert.rejects(client.call("näme\n", "{}"), { code: -32602 });
});

test("what was written is what is sent", async () => {
  let body = "";
  const ask = (_: string, init: RequestInit) => {
    body = String(init.body);
    return Promise.resolve(Response.json({ jsonrpc: "2.0", id: 1, result: {} }));
  };
  await new McpClient(ask).call("t", '{ "a": 9007199254740993, "a": 1.0 }');
  assert.ok(body.endsWith('"name":"t","arguments":{ "a": 9007199254740993, "a": 1.0 }}}'), body);
  assert.equal(
    JSON.parse(body).params._meta["io.modelcontextprotocol/clientInfo"].name,
    "dashboard",
  );
});

/** Answers that are none, by what is said of them. */
const BAD: readonly (readonly [() => Response, RegExp])[] = [
  [() => new Response("<h1>Bad gateway</h1>", { status: 502 }), /^The gateway answers 502: <h1>/],
  [() => Response.json({ error: "forbidden", message: "Not you" }, { status: 403 }), /^Not you$/],
  [() => new Response(null, { status: 202 }), /^The answer broke off \(202\)$/],
  [
    () => new Response("data: {}\n\n", { headers: { "content-type": "text/event-stream" } }),
    /broke off/,
  ],
  [() => Response.json([1]), /^The gateway answers 200$/],
];

test("a bad answer is told as it is", async () => {
  for (const [answer, told] of BAD) {
    const bad = new McpClient(() => Promise.resolve(answer()));
    await assert.rejects(bad.request("tools/list", ""), { message: told });
  }
});

test("a stream may come in any pieces", async () => {
  const text =
    ': hello\r\n\r\nevent: message\r\ndata: {"jsonrpc":"2.0",\r\ndata: "method":"x"}\r\n\r\n' +
    'data: {"jsonrpc":"2.0","id":1,"result":{"ä":1}}\n\n';
  const bytes = new TextEncoder().encode(text);
  for (const size of [1, 7, 1_000]) {
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      start(controller) {
        for (let at = 0; at < bytes.length; at += size) {
          controller.enqueue(bytes.slice(at, at + size));
        }
        controller.close();
      },
    });
    const headers = { "content-type": "text/event-stream" };
    const some = new McpClient(() => Promise.resolve(new Response(body, { headers })));
    let events = 0;
    const { result } = await some.request("x", "", { onEvent: () => events++ });
    assert.deepEqual([result, events], [{ "ä": 1 }, 1]);
  }
});

test("names and arguments are in headers as the gateway reads them", () => {
  for (const text of ["plain", "two words", "näh", "", " x", "=?base64?eA==?=", "a\nb"]) {
    assert.equal(headerValue(text), encodeHeaderValue(text));
  }
  const schema = {
    properties: {
      region: { type: "string", "x-mcp-header": "Region" },
      deep: { properties: { n: { type: "integer", "x-mcp-header": "N" } } },
      bad: { type: "string", "x-mcp-header": "a b" },
    },
  };
  const args = { region: "näh", deep: { n: 5 }, bad: "x" };
  assert.deepEqual(argumentHeaders(schema, args), {
    "mcp-param-region": headerValue("näh"),
    "mcp-param-n": "5",
  });
  assert.deepEqual(argumentHeaders(schema, {}), {});
});
