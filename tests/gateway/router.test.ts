import assert from "node:assert/strict";
import { test } from "node:test";
import type { ServerShape } from "../../src/config/types.ts";
import { DEFAULT_SETTINGS } from "../../src/config/settings.ts";
import { serverEndpoint } from "../../src/gating/endpoint.ts";
import { buildSnapshot } from "../../src/gating/gate.ts";
import { Provisioned } from "../../src/gating/provisioned.ts";
import { ActiveExchange } from "../../src/gateway/clients/exchange.ts";
import type { Chains } from "../../src/gateway/middleware/chains.ts";
import { ResultStore } from "../../src/gateway/middleware/size.ts";
import { Owners } from "../../src/gateway/tasks.ts";
import { Parking } from "../../src/gateway/parking.ts";
import { replyText } from "../../src/registry/answers.ts";
import { route, type RouterHost } from "../../src/gateway/call.ts";
import type { Json } from "../../src/lib/json.ts";
import { RpcError } from "../../src/protocol/errors.ts";
import { parseMessage, type RequestMessage } from "../../src/protocol/message.ts";
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

/** A router before one server `s`, which answers everything; says what has reached it. */
function routerBefore(shape: ServerShape) {
  const received: string[] = [];
  const registry = buildSnapshot({
    version: 1,
    servers: [entry("s", OFFERS, { shape })],
    gating: DEFAULT_SETTINGS.gating,
  });
  const store = new ResultStore();
  const host: RouterHost = {
    registry,
    parking: new Parking(),
    chains: { store, of: () => undefined } as unknown as Chains,
    gating: {
      answers: () => false,
      answer: () => undefined,
      isConstant: () => false,
      provisioned: new Provisioned({ sessions: 1 }),
      called: () => {},
    },
    tasks: new Owners(),
    pageSize: 0,
    wantLevel: () => undefined,
    upstream: (name) => ({
      name,
      lineFor: () => ({
        era: "legacy",
        forward: (exchange) => {
          received.push(exchange.request.raw);
          return Promise.resolve(answered({ exchange } as never, "{}"));
        },
        release: () => {},
      }),
    }),
    whenListable: () => undefined,
    whenNamed: () => Promise.resolve(),
  };
  const ask = async (method: string, params: Json) => {
    const request = parseMessage(
      JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
    ) as RequestMessage;
    const exchange = new ActiveExchange(clientOf("a"), request, { send: () => {} });
    return replyText(await route(exchange, serverEndpoint("s"), host));
  };
  return { ask, received };
}

test("route() 1:1 asks of what the method is about whether it is left out", async () => {
  const { ask, received } = routerBefore(SHAPE);
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
  const { ask, received } = routerBefore({ ...SHAPE, prompts: { include: ["greet"] } });
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
