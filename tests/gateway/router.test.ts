import assert from "node:assert/strict";
import { test } from "node:test";
import type { ServerShape } from "../../src/config/types.ts";
import { DEFAULT_SETTINGS } from "../../src/config/settings.ts";
import { AGGREGATE, serverEndpoint } from "../../src/gating/endpoint.ts";
import { buildSnapshot } from "../../src/gating/gate.ts";
import { Provisioned } from "../../src/gating/provisioned.ts";
import { ActiveExchange } from "../../src/gateway/clients/exchange.ts";
import type { Chains } from "../../src/gateway/middleware/chains.ts";
import { ResultStore } from "../../src/gateway/middleware/result-store.ts";
import { exposedNotification, Owners, withExposedUris } from "../../src/gateway/tasks.ts";
import { Parking } from "../../src/gateway/parking.ts";
import { replyText } from "../../src/registry/answers.ts";
import type { ServerEntry } from "../../src/registry/types.ts";
import { type CallParts, route } from "../../src/gateway/call.ts";
import { editJson } from "../../src/lib/json-edit.ts";
import type { Json } from "../../src/lib/json.ts";
import { RpcError } from "../../src/protocol/errors.ts";
import type { Client } from "../../src/protocol/exchange.ts";
import {
  type NotificationMessage,
  parseMessage,
  type RequestMessage,
} from "../../src/protocol/message.ts";
import { buildRegistry } from "../../src/registry/build.ts";
import { entry, item } from "../registry/builders.ts";
import { answered, clientOf } from "./middleware/middleware-support.ts";

const OFFERS = {
  tools: ["echo", "drop"],
  prompts: ["greet", "scold"],
  resources: ["r://open", "r://shut"],
  templates: {
    items: [
      item("templates", "t://open/{x}", '"name":"free"'),
      item("templates", "t://shut/{x}"),
      item("templates", "t://named/{x}", '"name":"secret"'),
    ],
  },
};
const SHAPE: ServerShape = {
  tools: { exclude: ["drop"] },
  prompts: { exclude: ["scold"] },
  resources: { exclude: ["r://shut", "t://shut/*", "secret"] },
};

/** A router before servers that answer everything with `result`; says what has reached them. */
function routerBefore(
  servers: readonly ServerEntry[],
  { endpoint = serverEndpoint("s"), client = clientOf("a"), result = "{}" } = {},
) {
  const received: string[] = [];
  /** What a server gets, by the router's edits. */
  const sent: string[] = [];
  const registry = buildSnapshot({ version: 1, servers, gating: DEFAULT_SETTINGS.gating });
  const store = new ResultStore();
  const parts: CallParts = {
    snapshots: { registry, whenListable: () => undefined, whenNamed: () => Promise.resolve() },
    parking: () => Promise.resolve(new Parking()),
    chains: { store, of: () => undefined } as unknown as Chains,
    gating: {
      answers: () => false,
      answer: () => undefined,
      isConstant: () => false,
      listed: () => {},
      provisioned: new Provisioned({ sessions: 1 }),
    },
    tasks: new Owners(),
    states: new Owners(),
    config: { settings: { pageSize: 0 } },
    levels: { want: () => undefined },
    members: {
      upstream: (name) => ({
        name,
        lineFor: () => ({
          era: "legacy",
          forward: () => assert.fail("there is one request"),
          forwardOnce: (exchange, edits) => {
            received.push(exchange.request.raw);
            sent.push(editJson(exchange.request.raw, edits));
            return Promise.resolve(answered({ exchange } as never, result));
          },
          release: () => {},
        }),
      }),
    },
  };
  const ask = (method: string, params: Json) =>
    askText(JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }));
  let caller: Client = client;
  const askText = async (text: string) => {
    const request = parseMessage(text) as RequestMessage;
    const exchange = new ActiveExchange(caller, request, { send: () => {} });
    return replyText(await route(exchange, endpoint, parts));
  };
  /** Who asks from now on. */
  const as = (other: Client) => void (caller = other);
  return { ask, askText, as, received, sent };
}

test("route() 1:1 asks of what the method is about whether it is left out", async () => {
  const { ask, received } = routerBefore([entry("s", OFFERS, { shape: SHAPE })]);
  const refused: readonly (readonly [method: string, params: Json])[] = [
    ["tools/call", { name: "drop" }],
    ["tools/call", { name: "drop", uri: "r://open" }],
    ["prompts/get", { name: "scold", uri: "r://open" }],
    ["resources/read", { uri: "r://shut" }],
    ["resources/read", { uri: "r://shut", name: "greet" }],
    ["completion/complete", { ref: { type: "ref/prompt", name: "scold", uri: "t://open/{x}" } }],
    ["completion/complete", { ref: { type: "ref/resource", uri: "t://shut/{x}", name: "greet" } }],
    ["completion/complete", { ref: { type: "ref/resource", uri: "t://named/{x}" } }],
  ];
  for (const [method, params] of refused) {
    await assert.rejects(
      ask(method, params),
      (error) => error instanceof RpcError && /^(Unknown|Resource not found)/.test(error.message),
      `${method} ${JSON.stringify(params)}`,
    );
  }
  assert.deepEqual(received, []);
});

test("route() 1:1 passes on what is left, and what it does not know", async () => {
  const shape = { ...SHAPE, prompts: { include: ["greet"] } };
  const { ask, received } = routerBefore([entry("s", OFFERS, { shape })]);
  const passed: readonly (readonly [method: string, params: Json])[] = [
    ["tools/call", { name: "echo" }],
    ["tools/call", { name: "not listed", uri: "r://shut" }],
    ["resources/read", { uri: "r://open", name: "scold" }],
    ["completion/complete", { ref: { type: "ref/resource", uri: "t://open/{x}" } }],
    // Methods of an extension have a meaning of their own for these members.
    ["skills/get", { name: "scold" }],
    ["tools/call", {}],
  ];
  for (const [method, params] of passed) await ask(method, params);
  assert.equal(received.length, passed.length);
});

test("route() knows a task for its own principal only, 1:1 and behind names", async () => {
  const principal = { id: "alice", who: "Alice", names: [] };
  const other = { ...principal, id: "bob" };
  const begun = JSON.stringify({ task: { taskId: "1", status: "working" } });
  const offers = { tools: ["echo"] };
  for (
    const [endpoint, taskId, name] of [
      [serverEndpoint("s"), "1", "echo"],
      [AGGREGATE, "s.1", "s_echo"],
    ] as const
  ) {
    const given = { endpoint, result: begun, client: clientOf("a", { principal }) };
    const { ask, askText, as, sent } = routerBefore([entry("s", offers), entry("t", {})], given);
    await ask("tools/call", { name, arguments: {} });
    await ask("tasks/get", { taskId });
    as(clientOf(undefined, { principal }));
    await ask("tasks/get", { taskId });
    for (const client of [clientOf("a", { principal: other }), clientOf("a"), clientOf()]) {
      as(client);
      const unknown = /^Unknown task /;
      if (client.principal !== undefined || endpoint === AGGREGATE) {
        await assert.rejects(ask("tasks/cancel", { taskId }), {
          message: `Unknown task "${taskId}"`,
        });
      }
      if (client.principal !== undefined) {
        await assert.rejects(ask("tasks/get", { taskId: 1 }), { message: unknown });
        await assert.rejects(ask("tasks/get", { taskId: taskId + "0" }), { message: unknown });
      }
    }
    as(clientOf("a", { principal }));
    const two = `"params":{"taskId":"2","taskId":${JSON.stringify(taskId)}}`;
    const before = sent.length;
    await askText(`{"jsonrpc":"2.0","id":1,"method":"tasks/get",${two}}`);
    assert.deepEqual(JSON.parse(sent[before]!).params, { taskId: "1" });
    assert.doesNotMatch(sent[before]!, /"2"/, "what the server may take instead");
  }
});

test("route() shows shared URIs in answers about tasks as clients know them", async () => {
  const servers = ["s", "t"].map((name) => entry(name, { resources: ["r://shared"] }));
  const link = { type: "resource_link", uri: "r://shared", name: "it" };
  const outcome = { content: [link, { type: "text", text: "r://shared" }] };
  const related = { "io.modelcontextprotocol/related-task": { taskId: "1" } };
  const legacy = clientOf("a");
  const modern = clientOf();
  const task = { taskId: "1", status: "completed" };
  for (
    const [method, client, result] of [
      ["tasks/result", legacy, { ...outcome, _meta: related }],
      ["tasks/get", modern, { ...task, resultType: "complete", result: outcome }],
      ["tasks/update", modern, { ...task, resultType: "complete", result: outcome }],
    ] as const
  ) {
    const given = { endpoint: AGGREGATE, client, result: JSON.stringify(result) };
    const { ask, received } = routerBefore(servers, given);
    const reply = await ask(method, { taskId: "s.1" });
    assert.match(reply, /"uri":"s\+r:\/\/shared"/, method);
    assert.match(reply, /"text":"r:\/\/shared"/, "text is text");
    assert.match(reply, /"taskId":"s\.1"/, `${method}: the id, too`);
    assert.equal(received.length, 1);
  }
});

test("route() shows the task that a call began and shared URIs beside it", async () => {
  const offers = { tools: ["echo"], resources: ["r://shared"] };
  const result = { task: { taskId: "1", status: "working" }, _meta: { uri: "r://shared" } };
  const { ask } = routerBefore([entry("s", offers), entry("t", offers)], {
    endpoint: AGGREGATE,
    result: JSON.stringify(result),
  });
  const reply = await ask("tools/call", { name: "s_echo", arguments: {} });
  assert.match(reply, /"taskId":"s\.1"/);
  assert.match(reply, /"uri":"s\+r:\/\/shared"/);
});

test("withExposedUris() keeps what the bridge between the eras has put into the text", () => {
  const servers = ["s", "t"].map((name) => entry(name, { resources: ["r://shared"] }));
  const { aggregate } = buildRegistry({ version: 1, servers });
  const exchange = { request: { id: 1 } };
  const result = { contents: [{ uri: "r://shared", text: "it" }] };
  const response = answered({ exchange } as never, JSON.stringify(result));
  // As a channel of the other era gives it: edited text, and what was parsed of the text before.
  const bridged = editJson(response.raw, [{ path: ["result", "resultType"], value: '"complete"' }]);
  const raw = withExposedUris({ ...response, raw: bridged }, "s", aggregate);
  assert.deepEqual(JSON.parse(raw).result, {
    contents: [{ uri: "s+r://shared", text: "it" }],
    resultType: "complete",
  });
  assert.deepEqual(response.result, result, "what was parsed may be somebody else's, too");
});

test("exposedNotification() of a task shows its id and shared URIs as clients know them", () => {
  const servers = ["s", "t"].map((name) => entry(name, { resources: ["r://shared"] }));
  const { aggregate } = buildRegistry({ version: 1, servers });
  const outcome = { content: [{ type: "resource_link", uri: "r://shared", name: "it" }] };
  const params = { taskId: "1", status: "completed", result: outcome };
  const message = parseMessage(
    JSON.stringify({ jsonrpc: "2.0", method: "notifications/tasks", params }),
  ) as NotificationMessage;
  const raw = exposedNotification(message, "s", aggregate);
  assert.match(raw, /"taskId":"s\.1"/);
  assert.match(raw, /"uri":"s\+r:\/\/shared"/);
});

test("what a server gets has the one name that was looked up, however often it was given", async () => {
  const { askText, sent } = routerBefore([{ ...entry("s", OFFERS), shape: SHAPE }]);
  const head = '"jsonrpc":"2.0","id":1';
  const texts = [
    `{${head},"method":"tools/call","params":{"name":"drop","name":"echo"}}`,
    `{${head},"method":"tools/call","params":{"n\\u0061me":"drop","name":"echo"}}`,
    `{${head},"method":"tools/call","params":{"name":"drop"},"params":{"name":"echo"}}`,
    `{${head},"method":"prompts/get","method":"tools/call","params":{"name":"echo"}}`,
    `{${head},"m\\u0065thod":"prompts/get","method":"tools/call","params":{"name":"echo"}}`,
    `{${head},"method":"resources/read","params":{"uri":"r://shut","uri":"r://open"}}`,
    `{${head},"method":"completion/complete","params":{"ref":{"type":"ref/prompt",` +
    `"name":"scold","name":"greet"},"argument":{"name":"a","value":""}}}`,
  ];
  for (const text of texts) await askText(text);
  assert.equal(sent.length, texts.length);
  for (const text of sent) {
    assert.doesNotMatch(text, /drop|shut|scold|prompts\/get|\\u/, text);
  }
  const plain = `{${head},"method":"tools/call","params":{"name":"echo","arguments":{"a": 1.0}}}`;
  await askText(plain);
  assert.equal(sent.at(-1), plain);
});
