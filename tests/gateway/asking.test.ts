import assert from "node:assert/strict";
import { test } from "node:test";
import { Asks } from "../../src/gateway/clients/session.ts";
import { ActiveExchange } from "../../src/gateway/clients/exchange.ts";
import type { Members } from "../../src/gateway/members/members.ts";
import { Owners } from "../../src/gateway/tasks.ts";
import { type ResourceSubscriber, Subscriptions } from "../../src/gateway/clients/subscriptions.ts";
import { editJson, type JsonEdit } from "../../src/lib/json-edit.ts";
import type { JsonObject } from "../../src/lib/json.ts";
import { RpcError } from "../../src/protocol/errors.ts";
import type { Client } from "../../src/protocol/exchange.ts";
import { answerable, cannotAnswer, lackBehind } from "../../src/protocol/inputs.ts";
import { mostVerbose, passes } from "../../src/protocol/methods.ts";
import {
  parseMessage,
  type RequestMessage,
  type ResponseMessage,
  resultResponse,
} from "../../src/protocol/message.ts";
import { MAX_ROUNDS, withRounds } from "../../src/upstream/connection/questions.ts";

const client: Client = {
  label: "c1",
  era: "legacy",
  protocolVersion: "2025-11-25",
  capabilities: { sampling: {}, elicitation: { form: {}, url: {} } },
  info: { name: "c", version: "1" },
  session: "c1",
  logLevel: undefined,
};

test("lackBehind() takes only words about the very tool for its absence", () => {
  const fails = (text: string, name: string) => {
    const content = [{ type: "text", text }];
    const said = JSON.stringify({ jsonrpc: "2.0", id: 1, result: { content, isError: true } });
    const raw = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name } });
    return lackBehind(response(said), parseMessage(raw) as RequestMessage, [], {}) !== undefined;
  };
  assert.ok(fails("MCP error -32602: Tool get-x not found", "get-x"));
  assert.ok(fails('Tool "a.b" not found', "a.b"));
  assert.ok(fails("Unknown tool: run", "run"));
  assert.ok(!fails('Tool "eslint" not found in PATH', "lint"));
  assert.ok(!fails("Tool a not found", "a.b"));
  assert.ok(!fails("Unknown tool: run-all", "run"));
  assert.ok(!fails("cannot get it: unknown tool wrench", "get"));
});

class Sink {
  readonly sent: JsonObject[] = [];
  send(raw: string): void {
    this.sent.push(JSON.parse(raw) as JsonObject);
  }
}

const response = (text: string) => parseMessage(text) as ResponseMessage;

test("Asks puts a question to the client and hands its answer back, by the gateway's own id", async () => {
  const [asks, sink, signal] = [new Asks(), new Sink(), new AbortController().signal];
  const asked = exchange(() => "");
  const first = asks.ask(asked, sink, "sampling/createMessage", '{"n":1e400}', signal);
  const second = asks.ask(asked, sink, "sampling/createMessage", "{}", signal);
  assert.deepEqual(sink.sent.map(({ id, method }) => [id, method]), [
    [1, "sampling/createMessage"],
    [2, "sampling/createMessage"],
  ]);
  assert.equal(asks.answer(response('{"jsonrpc":"2.0","id":2,"result":{"b":2}}')), true);
  assert.equal(asks.answer(response('{"jsonrpc":"2.0","id":2,"result":{"late":1}}')), false);
  assert.equal(asks.answer(response('{"jsonrpc":"2.0","id":"1","result":{}}')), false);
  assert.equal(asks.answer(response('{"jsonrpc":"2.0","id":1,"error":{"code":1}}')), true);
  assert.deepEqual((await second).result, { b: 2 });
  assert.deepEqual((await first).error, { code: 1 });
  assert.equal(asks.size, 0);
});

test("Asks takes a question back when its call is cancelled or the client goes", async () => {
  const [asks, sink, off] = [new Asks(), new Sink(), new AbortController()];
  const asked = exchange(() => "");
  const cancelled = asks.ask(asked, sink, "sampling/createMessage", "{}", off.signal);
  off.abort();
  await assert.rejects(cancelled, /cancelled/);
  assert.deepEqual(sink.sent.at(-1)?.method, "notifications/cancelled");
  assert.deepEqual((sink.sent.at(-1)?.params as JsonObject).requestId, 1);
  const orphan = asks.ask(
    asked,
    sink,
    "sampling/createMessage",
    "{}",
    new AbortController().signal,
  );
  asks.close();
  await assert.rejects(orphan, /has gone/);
});

const declared: readonly (readonly [JsonObject, string, JsonObject | undefined, boolean])[] = [
  [{ sampling: {} }, "sampling/createMessage", {}, true],
  [{}, "sampling/createMessage", {}, false],
  [{ roots: {} }, "roots/list", undefined, true],
  [{ elicitation: {} }, "elicitation/create", {}, true],
  [{ elicitation: {} }, "elicitation/create", { mode: "form" }, true],
  [{ elicitation: {} }, "elicitation/create", { mode: "url" }, false],
  [{ elicitation: { url: {} } }, "elicitation/create", { mode: "url" }, true],
  [{ elicitation: { url: {} } }, "elicitation/create", {}, false],
  [{ elicitation: { url: {}, form: {} } }, "elicitation/create", {}, true],
  [{ sampling: {} }, "toString", {}, false],
];
for (const [capabilities, method, params, allowed] of declared) {
  const what = `${method} ${JSON.stringify(params)}`;
  test(`cannotAnswer() ${allowed ? "lets" : "refuses"} ${what} with ${JSON.stringify(capabilities)}`, () => {
    const asked = { client: { ...client, capabilities }, request: exchange(() => "").request };
    assert.equal(cannotAnswer(asked, method, params) === undefined, allowed);
  });
}

test("what nobody can be asked for is refused as what a client lacks, or as what it is", async () => {
  const call = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"every_ask"}}';
  const unable = { ...client, capabilities: {} };
  const one = new ActiveExchange(unable, parseMessage(call) as RequestMessage, new Sink());
  const why = (method: string) => one.ask(method, "{}").then(String, (error) => error.message);
  assert.equal(await why("roots/list"), '"every_ask" needs a client that supports roots');
  const sampling = '"every_ask" needs a client that supports sampling';
  assert.equal(await why("sampling/createMessage"), sampling);
  assert.equal(await why("x/y"), 'Method not found: "x/y"');
});

/** A modern server that asks `rounds` times before it is done. */
function server(rounds: number, requests: JsonObject) {
  const seen: JsonObject[] = [];
  const call = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t"}}';
  const send = (edits: readonly JsonEdit[]) => {
    seen.push((JSON.parse(editJson(call, edits)) as JsonObject).params as JsonObject);
    const result = seen.length <= rounds
      ? { resultType: "input_required", inputRequests: requests, requestState: `s${seen.length}` }
      : { resultType: "complete", content: [] };
    return Promise.resolve(response(resultResponse("1", JSON.stringify(result))));
  };
  return { seen, send };
}

function exchange(answer: (method: string, params: string | undefined) => string) {
  const message = parseMessage('{"jsonrpc":"2.0","id":1,"method":"tools/call"}') as RequestMessage;
  return new ActiveExchange(
    client,
    message,
    new Sink(),
    {
      ask: (_, method, params) => Promise.resolve(response(answer(method, params))),
      ended: () => {},
    },
  );
}

test("withRounds() answers every input of every round and gives the state back exactly", async () => {
  const { seen, send } = server(2, {
    who: { method: "elicitation/create", params: { message: "?" } },
    what: { method: "sampling/createMessage", params: { n: 1 } },
  });
  const asked: string[] = [];
  const outcome = await withRounds(
    exchange((method, params) => {
      asked.push(`${method} ${params}`);
      return resultResponse("1", '{"big":12345678901234567890}');
    }),
    send,
  );
  assert.equal(outcome.result?.resultType, "complete");
  assert.equal(asked.length, 4);
  assert.deepEqual(asked.slice(0, 2), [
    'elicitation/create {"message":"?"}',
    'sampling/createMessage {"n":1}',
  ]);
  assert.deepEqual(seen.map(({ requestState }) => requestState), [undefined, "s1", "s2"]);
  assert.deepEqual(Object.keys(seen[1]!.inputResponses as JsonObject), ["who", "what"]);
});

test("withRounds() gives a URL elicitation the id that legacy clients need", async () => {
  const { send } = server(1, {
    login: { method: "elicitation/create", params: { mode: "url", url: "https://x.example" } },
  });
  const ids: unknown[] = [];
  await withRounds(
    exchange((_, params) => {
      ids.push((JSON.parse(params!) as JsonObject).elicitationId);
      return resultResponse("1", '{"action":"accept"}');
    }),
    send,
  );
  assert.match(String(ids[0]), /^[0-9a-f-]{36}$/);
});

test("withRounds() fails the call when the client refuses, or the server never stops", async () => {
  const input = { who: { method: "elicitation/create", params: {} } };
  const no = '{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"not today"}}';
  await assert.rejects(
    withRounds(exchange(() => no), server(1, input).send),
    (error) => error instanceof RpcError && /refused.*not today/.test(error.message),
  );
  await assert.rejects(
    withRounds(exchange(() => resultResponse("1", "{}")), server(1000, input).send),
    new RegExp(`more than ${MAX_ROUNDS} times`),
  );
});

test("Subscriptions tells changes of a server's set, and who wants what", async () => {
  const told: string[] = [];
  const upstream = (server: string) => ({
    setSubscriptions: (uris: ReadonlySet<string>) => {
      told.push([server, ...uris].join(" "));
      return Promise.resolve();
    },
  });
  const members = { upstream } as unknown as Pick<Members, "upstream">;
  const subscriptions = new Subscriptions(members, { registry: undefined as never });
  const route = (server: string) => ({ server, uri: "u:1", exposed: "u:1" });
  const [a, b]: ResourceSubscriber[] = [
    { hear: () => {} },
    { hear: () => {} },
  ];
  await subscriptions.add(route("s"), a!);
  await subscriptions.add(route("s"), b!);
  await subscriptions.add(route("t"), b!);
  assert.deepEqual(told.splice(0), ["s u:1", "s u:1", "t u:1"]);
  assert.deepEqual([...subscriptions.uris("s")], ["u:1"]);
  assert.deepEqual(subscriptions.subscribers("s", "u:1"), [a, b]);
  await subscriptions.remove(route("s"), a!);
  await subscriptions.remove(route("s"), a!);
  assert.deepEqual(told, []);
  subscriptions.drop(b!);
  assert.deepEqual(told, ["s", "t"]);
  assert.deepEqual([...subscriptions.uris("s")], []);
  assert.deepEqual(subscriptions.subscribers("none", "u:1"), []);
});

test("Owners remembers by server and id, and forgets the oldest", () => {
  const owners = new Owners();
  owners.set("s", "1", { session: "c1" });
  owners.set("t", "1", { session: "c2" });
  assert.deepEqual([owners.get("s", "1"), owners.get("t", "1")], ["c1", "c2"]);
  for (let i = 0; i < 10_000; i++) owners.set("x", String(i), { session: "c3" });
  assert.equal(owners.get("s", "1"), undefined);
  assert.equal(owners.get("x", "9999"), "c3");
});

test("answerable() passes on what a client can be asked and its extensions, nothing else", () => {
  const ui = { "io.modelcontextprotocol/ui": { mimeTypes: ["text/html;profile=mcp-app"] } };
  assert.deepEqual(
    answerable({ elicitation: { url: {} }, extensions: ui, experimental: {}, tasks: {}, roots: 1 }),
    { elicitation: { url: {} }, extensions: ui, experimental: {} },
  );
});

test("log levels: what passes, and the most verbose of several", () => {
  assert.equal(passes("info", "warning"), false);
  assert.equal(passes("warning", "warning"), true);
  assert.equal(passes("emergency", "debug"), true);
  assert.equal(passes("house", "error"), true);
  assert.equal(mostVerbose(["error", undefined, "info", "alert"]), "info");
  assert.equal(mostVerbose([undefined, "loud"]), undefined);
});
