import assert from "node:assert/strict";
import { test } from "node:test";
import { type ExecutionDeps, prepareExecution } from "../../src/gating/execute.ts";
import type { MetaResult } from "../../src/gating/meta-call.ts";
import { ActiveExchange } from "../../src/gateway/clients/exchange.ts";
import { callOf } from "../../src/gateway/middleware/middleware.ts";
import { callKey } from "../../src/gateway/middleware/cache.ts";
import { stateContext } from "../../src/gateway/parking.ts";
import { rawAt } from "../../src/lib/json-edit.ts";
import { isObject, type Json, type JsonObject } from "../../src/lib/json.ts";
import type { Client } from "../../src/protocol/exchange.ts";
import { parseMessage, type RequestMessage } from "../../src/protocol/message.ts";
import type { Gate } from "../../src/gating/gate.ts";
import type { Executor } from "../../src/gating/meta-tools.ts";
import { clientOf, GatingWorld, type ServerGiven, SERVERS } from "./support.ts";

/** What a test may say of an execution. */
interface Given {
  readonly gate?: Gate;
  readonly name?: Executor;
  readonly client?: Client;
  readonly deps?: Partial<ExecutionDeps>;
  /** JSON of what else is in the parameters. */
  readonly more?: string;
}

const gate = new GatingWorld().registry.gates.aggregate;

function gateOf(settings: object, servers?: Readonly<Record<string, ServerGiven>>): Gate {
  return new GatingWorld(settings, servers).registry.gates.aggregate;
}

/** Executes by the text of a meta tool's arguments; the request is what the exchange is then. */
function prepare(
  argumentsText: string,
  { gate: given = gate, name = "execute_tool", client = clientOf("c1"), deps, more = "" }: Given =
    {},
) {
  const raw = `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"${name}",` +
    `"arguments":${argumentsText}${more}}}`;
  const exchange = new ActiveExchange(client, parseMessage(raw) as RequestMessage, {
    send: () => {},
  });
  const answer = prepareExecution(exchange, name, given, {
    isProvisioned: () => false,
    whenNamed: () => Promise.resolve(given),
    nearest: () => Promise.resolve([]),
    ...deps,
  });
  return { answer, exchange };
}

/** The request that the execution has become, at once. */
function become(argumentsText: string, given?: Given): RequestMessage {
  const { answer, exchange } = prepare(argumentsText, given);
  assert.equal(answer, undefined);
  return exchange.request;
}

/** What is answered instead, at once; it is an error, and the request has stayed what it was. */
function refusal(argumentsText: string, given?: Given): MetaResult {
  const { answer, exchange } = prepare(argumentsText, given);
  assert.ok(answer !== undefined && !(answer instanceof Promise), argumentsText);
  assert.equal(answer.isError, true);
  assert.equal(exchange.request.params?.name, given?.name ?? "execute_tool");
  return answer;
}

const call = (tool_id: Json, args?: Json) => JSON.stringify({ tool_id, arguments: args });

test("prepareExecution() makes the exchange the call of the tool, everything else as it was", () => {
  const args = '{ "title":"\\u00e9", "title" : "t","big":12345678901234567890,"huge":1e400 }';
  const more = `, "_meta":{"progressToken":9007199254740993},"task":{"ttl":1.0},"x":[ 1 ],` +
    `"requestState":"s","inputResponses":{"a":{"n":1.0}}`;
  const outer = `{"handle":"h","arguments":${args},"tool_id":"github_create_issue"}`;
  const { raw, params, id, method, kind } = become(outer, { more });
  assert.equal(
    raw,
    `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"github_create_issue",` +
      `"arguments":${args}${more}}}`,
  );
  assert.deepEqual([kind, id, method], ["request", 7, "tools/call"]);
  assert.deepEqual(params, JSON.parse(raw).params);
});

test("prepareExecution() takes a tool by its exposed name, its own, and with its server", () => {
  for (
    const id of ["weather_get_forecast", "get_forecast", "weather:get_forecast", " get_forecast "]
  ) {
    assert.equal(become(call(id)).params?.name, "weather_get_forecast", id);
  }
});

test("prepareExecution() makes a call that caches and parking cannot tell from a direct one", () => {
  const { exchange } = prepare(call("create_issue", { title: "t" }), { more: ',"x":1' });
  const direct = parseMessage(
    '{"jsonrpc":"2.0","id":8,"method":"tools/call","params":{"x":1,' +
      '"arguments":{"title":"t"},"name":"github_create_issue"}}',
  ) as RequestMessage;
  const keyOf = (request: RequestMessage) => {
    const one = new ActiveExchange(exchange.client, request, { send: () => {} });
    return callKey(callOf(one, "github", "create_issue", []), "");
  };
  assert.equal(keyOf(exchange.request), keyOf(direct));
  const { client } = exchange;
  assert.equal(
    stateContext(exchange, "github"),
    stateContext({ client, request: direct }, "github"),
  );
});

const ARGUMENTS: readonly (readonly [outer: string, text: string])[] = [
  ['{"tool_id":"get_forecast"}', "{}"],
  ['{"tool_id":"get_forecast","arguments":null}', "{}"],
  ['{"tool_id":"get_forecast","arguments":""}', "{}"],
  ['{"tool_id":"get_forecast","arguments":{}}', "{}"],
  ['{"tool_id":"get_forecast","arguments":{ "n":1.0 }}', '{ "n":1.0 }'],
  [
    '{"tool_id":"get_forecast","arguments":" {\\"n\\": 12345678901234567890}"}',
    ' {"n": 12345678901234567890}',
  ],
  // All of it as text.
  [JSON.stringify('{"tool_id":"get_forecast","arguments":{"n":1.0}}'), '{"n":1.0}'],
  // Of a member that is there twice the last one counts, as for everybody else.
  ['{"tool_id":"x","arguments":{"a":1},"tool_id":"get_forecast","arguments":{"b":1}}', '{"b":1}'],
];

test("prepareExecution() passes on arguments as they are written, or as text of them", () => {
  for (const [outer, text] of ARGUMENTS) {
    const { raw, params } = become(outer);
    assert.equal(rawAt(raw, ["params", "arguments"]), text.trim(), outer);
    assert.deepEqual(params?.arguments, JSON.parse(text), outer);
  }
});

test("prepareExecution() answers arguments that are none with the schema", () => {
  for (const args of [[1], 5, true, "[1]", "{", "title=x"]) {
    const { text, structured } = refusal(call("github_create_issue", args));
    assert.match(text, /arguments: is no object; expected object\n.*"title"/, text);
    assert.deepEqual(structured?.errors, [
      { path: "", problem: "is no object", expected: "object" },
    ]);
  }
});

test("prepareExecution() answers arguments that do not match with the mistakes and the schema", () => {
  const { text, structured } = refusal(call("create_issue", { titel: "x", body: 5 }));
  const inputSchema = {
    type: "object",
    properties: { body: { type: "string" }, title: { type: "string" } },
    required: ["title"],
  };
  assert.deepEqual(structured, {
    tool_id: "github_create_issue",
    errors: [
      { path: "/title", problem: "is missing", expected: "string" },
      { path: "/body", problem: "got 5", expected: "string" },
    ],
    inputSchema,
  });
  assert.equal(
    text,
    [
      "The arguments do not match the schema of github_create_issue:",
      "- /title: is missing; expected string",
      "- /body: got 5; expected string",
      `Schema of "arguments": ${JSON.stringify(inputSchema)}`,
    ].join("\n"),
  );
});

test("prepareExecution() judges arguments as the server will get them", () => {
  const string = { type: "string" };
  const servers: Readonly<Record<string, ServerGiven>> = {
    s: {
      tools: [{
        name: "t",
        inputSchema: {
          type: "object",
          properties: { shown: string, given: string, secret: string, gone: string },
          required: ["shown", "given", "secret"],
          allOf: [{ required: ["given", "secret"] }],
          additionalProperties: false,
        },
      }],
      config: {
        tools: {
          override: {
            t: { defaults: { given: "d" }, fixed: { secret: "s" }, hideParameters: ["gone"] },
          },
        },
      },
    },
  };
  const shaped = gateOf({}, servers);
  for (const args of [{ shown: "x" }, { shown: "x", secret: 5, gone: 5 }]) {
    become(call("t", args), { gate: shaped });
  }
  const { structured } = refusal(call("t", { given: 1, shwon: 2 }), { gate: shaped });
  assert.deepEqual(
    (structured?.errors as JsonObject[]).map(({ path, problem }) => `${path} ${problem}`),
    ["/shown is missing", "/given got 1", "/shwon is unknown"],
  );
  assert.doesNotMatch(JSON.stringify(structured?.inputSchema), /secret"?:|gone/);
});

test("prepareExecution() holds nobody to what the configuration puts in", () => {
  const number = { type: "number" };
  const servers: Readonly<Record<string, ServerGiven>> = {
    s: {
      tools: [{
        name: "t",
        inputSchema: {
          type: "object",
          properties: { "a/b": number, secret: {} },
          allOf: [{ properties: { secret: number, gone: number, "a/b": number } }],
        },
      }],
      config: {
        tools: {
          override: {
            t: { defaults: { "a/b": "d" }, fixed: { secret: "hunter2" }, hideParameters: ["gone"] },
          },
        },
      },
    },
  };
  const shaped = gateOf({}, servers);
  become(call("t", { gone: "x" }), { gate: shaped });
  const { text, structured } = refusal(call("t", { "a/b": "x" }), { gate: shaped });
  assert.deepEqual((structured?.errors as JsonObject[]).map(({ path }) => path), ["/a~1b"]);
  assert.doesNotMatch(text, /hunter2/);
});

test("prepareExecution() passes on what cannot be checked", () => {
  const inputSchema = { type: "object", properties: { a: { type: "strnig" } } };
  const large = {
    type: "object",
    properties: { a: { type: "string" } },
    description: "x".repeat(100_000),
  };
  const odd = gateOf({}, {
    s: { tools: [{ name: "t", inputSchema }, { name: "l", inputSchema: large }] },
  });
  become(call("t", { a: 1 }), { gate: odd });
  become(call("l", { a: 1 }), { gate: odd });
});

test("prepareExecution() does not repeat a schema that is of no use to a model", () => {
  const deep = JSON.parse(`${'{"items":'.repeat(20_000)}{}${"}".repeat(20_000)}`);
  const long = { type: "object", description: "x".repeat(200_000) };
  for (const inputSchema of [deep, long]) {
    const odd = gateOf({}, { s: { tools: [{ name: "t", inputSchema }] } });
    const { text, structured } = refusal(call("t", 5), { gate: odd });
    assert.ok(text.length < 200, text.slice(0, 300));
    assert.deepEqual(Object.keys(structured!), ["tool_id", "errors"]);
  }
});

test("prepareExecution() says what is wrong with an id that is none", () => {
  for (const outer of ["{}", '{"tool_id":null}', '{"tool_id":" "}', '{"arguments":{}}', '""']) {
    assert.match(refusal(outer).text, /^"tool_id" is missing/, outer);
  }
  assert.match(refusal('{"tool_id":{}}').text, /^"tool_id" must be a string/);
  assert.match(refusal("[]").text, /^"arguments" must be an object/);
  assert.match(refusal(call("discover_tools")).text, /called by its own name/);
});

test("prepareExecution() executes a real tool that is named like a meta tool", () => {
  const clash = gateOf({}, {
    s: { tools: [{ name: "discover_tools" }], config: { prefix: "never" } },
  });
  assert.equal(become(call("discover_tools"), { gate: clash }).params?.name, "discover_tools");
});

test("prepareExecution() waits for servers that start, and looks again", async () => {
  const world = new GatingWorld();
  const { answer, exchange } = prepare(call("late_do", { n: 1 }), {
    gate: world.registry.gates.aggregate,
    deps: {
      whenNamed: (id) => {
        assert.equal(id, "late_do");
        world.change({ late: { tools: [{ name: "do" }] } });
        return Promise.resolve(world.registry.gates.aggregate);
      },
    },
  });
  assert.ok(answer instanceof Promise);
  assert.equal(await answer, undefined);
  assert.equal(exchange.request.params?.name, "late_do");
});

test("prepareExecution() answers an id that nobody has with what is near", async () => {
  const nearest = () => Promise.resolve(["github_list_issues", "not_listed"]);
  const unknown = await prepare(call("github_list_isues"), { deps: { nearest } }).answer;
  assert.equal(unknown?.isError, true);
  assert.deepEqual(unknown.structured, {
    tool_id: "github_list_isues",
    nearest: ["github_list_issues", "github_create_issue", "github_delete_branch"],
  });
  assert.match(
    unknown.text,
    /no tool "github_list_isues".*Nearest: github_list_issues\. Of the same/,
  );
  const foreign = await prepare(call("weather:forecast")).answer;
  assert.deepEqual(foreign?.structured?.nearest, ["weather_get_forecast"]);
  const odd = await prepare(call("\u0000\ud800")).answer;
  assert.deepEqual(odd?.structured?.nearest, []);
  const huge = await prepare(call("x".repeat(100_000))).answer;
  assert.ok(huge !== undefined && huge.text.length < 300);
});

test("prepareExecution() names all servers that may be meant", async () => {
  const both = gateOf({}, { a: { tools: [{ name: "go" }] }, b: { tools: [{ name: "go" }] } });
  const answer = await prepare(call("go"), { gate: both }).answer;
  assert.deepEqual(answer?.structured, { tool_id: "go", nearest: ["a_go", "b_go"] });
});

test("prepareExecution() does not execute what only a UI may call", async () => {
  const name = "hidden";
  const ui = gateOf({}, {
    s: { tools: [{ name, _meta: { ui: { visibility: ["app"] } } } as never, { name: "open" }] },
  });
  assert.ok(ui.full.tool(name) !== undefined);
  const answer = await prepare(call(name), { gate: ui }).answer;
  assert.equal(answer?.isError, true);
});

test("prepareExecution() requires provisioning where the configuration does", () => {
  const strict = gateOf({ gating: { requireProvisioning: true } });
  const legacy = refusal(call("get_forecast"), { gate: strict });
  assert.match(legacy.text, /call provision_tools with tool_ids \["weather_get_forecast"\]\.$/);
  const modern = refusal(call("get_forecast"), { gate: strict, client: clientOf() });
  assert.match(modern.text, /give the "handle" that it returns to execute_tool/);
  const isProvisioned = (id: string) => id === "weather_get_forecast";
  become(call("get_forecast"), { gate: strict, deps: { isProvisioned } });
});

const SPLIT: readonly (readonly [name: Executor, tool: string, instead: Executor | undefined])[] = [
  ["execute_read", "list_issues", undefined],
  ["execute_read", "create_issue", "execute_write"],
  ["execute_read", "get_forecast", "execute_destructive"],
  ["execute_write", "list_issues", undefined],
  ["execute_write", "create_issue", undefined],
  ["execute_write", "delete_branch", "execute_destructive"],
  ["execute_destructive", "delete_branch", undefined],
  ["execute_destructive", "list_issues", undefined],
  ["execute_tool", "list_issues", "execute_read"],
  ["execute_tool", "delete_branch", "execute_destructive"],
];

test("prepareExecution() with splitByRisk keeps each executor to its risk", () => {
  const split = gateOf({ gating: { splitByRisk: true } });
  const args = { title: "x", name: "x" };
  for (const [name, tool, instead] of SPLIT) {
    if (instead === undefined) {
      const { params } = become(call(tool, args), { gate: split, name });
      assert.equal(params?.name, `github_${tool}`);
    } else {
      const { text, structured } = refusal(call(tool, args), { gate: split, name });
      assert.equal(structured?.execute_with, instead, `${name} ${tool}`);
      assert.match(text, new RegExp(`with ${instead}\\. Its risk is`));
    }
  }
});

test("prepareExecution() without splitByRisk goes on for clients that still list three executors", () => {
  const args = { title: "x", name: "x" };
  for (const [name, tool, instead] of SPLIT) {
    if (name === "execute_tool" || instead === undefined) {
      assert.equal(become(call(tool, args), { name }).params?.name, `github_${tool}`);
    } else {
      const { text, structured } = refusal(call(tool, args), { name });
      assert.equal(structured?.execute_with, instead, `${name} ${tool}`);
      assert.match(text, new RegExp(`with ${instead}\\. Its risk is`));
    }
  }
});

test("prepareExecution() loses no argument that stands beside the others", () => {
  const beside = '{"tool_id":"list_issues","state":"open"}';
  const { text, structured } = refusal(beside);
  assert.match(text, /- arguments: "state" is given beside them; expected it among them\nSchema/);
  assert.equal((structured?.errors as JsonObject[]).length, 1);
  const kept = '{"tool_id":"list_issues","arguments":{"state":"open"},"state":"closed","why":1}';
  assert.deepEqual(become(kept).params?.arguments, { state: "open" });
  become('{"tool_id":"list_issues","why":"a client adds that","constructor":1,"handle":"h"}');
});

test("prepareExecution() sees nothing of a view but what is behind its gate", async () => {
  const world = new GatingWorld({ profiles: { quiet: { servers: ["weather"] } } }, SERVERS);
  const quiet = world.registry.gates.profiles.get("quiet")!;
  become(call("get_forecast"), { gate: quiet });
  const answer = await prepare(call("github_list_issues"), { gate: quiet }).answer;
  assert.ok(isObject(answer?.structured));
  assert.doesNotMatch(answer.text, /create_issue|delete_branch/);
});
