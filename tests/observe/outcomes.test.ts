/** What is recorded of a call, whatever became of it, between clients and servers of both eras. */

import { runtime } from "#runtime";
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { parseConfig } from "../../src/config/load.ts";
import { loadOptions } from "../../src/config/schema.ts";
import { AGGREGATE, serverEndpoint, withGating } from "../../src/gating/endpoint.ts";
import { ActiveExchange } from "../../src/gateway/clients/exchange.ts";
import { Gateway } from "../../src/gateway/gateway.ts";
import type { Json, JsonObject } from "../../src/lib/json.ts";
import { errorTypeOf, type ObservedCall } from "../../src/observe/call.ts";
import { Recorder } from "../../src/observe/recorder.ts";
import { MetaKey } from "../../src/protocol/eras.ts";
import { parseMessage, type RequestMessage } from "../../src/protocol/message.ts";
import { replyText } from "../../src/registry/answers.ts";
import { clientOf } from "../gateway/middleware/middleware-support.ts";
import { eventually } from "../support/inbox.ts";
import { type HttpFake, startHttpFake } from "../support/fakes/http-server.ts";
import { passTime } from "../support/time.ts";

await loadOptions("limits");

/** Each server twice: in the legacy and in the modern era. */
const ERAS = ["legacy", "modern"] as const;
type Era = (typeof ERAS)[number];

const INFO = { name: "editor", version: "2.1" };
const CAPABILITIES = { elicitation: {} };
/** What a modern client says of itself with each request. */
const ENVELOPE = {
  [MetaKey.ProtocolVersion]: "2026-07-28",
  [MetaKey.ClientInfo]: INFO,
  [MetaKey.ClientCapabilities]: CAPABILITIES,
};

let fakes: Readonly<Record<Era, HttpFake>>;
let gateway: Gateway;
let recorder: Recorder;

before(async () => {
  const resources = ["notes"];
  fakes = {
    legacy: await startHttpFake({ era: "legacy", resources }),
    modern: await startHttpFake({ era: "modern", resources }),
  };
  const mcpServers = Object.fromEntries(ERAS.flatMap((era) => {
    const { url } = fakes[era];
    return [
      [era, { url, cache: { pid: { ttl: "10m" } } }],
      [`slow-${era}`, { url, timeout: "50ms" }],
      [`small-${era}`, { url, maxConcurrency: 1, maxQueue: 1 }],
      [`limited-${era}`, { url, rate: "1/h" }],
    ];
  }));
  const settings = { prefix: "always", gating: "off" };
  const parsed = parseConfig(JSON.stringify({ ...settings, mcpServers }), {
    file: "outcomes.json",
    env: {},
  });
  assert.ok(parsed.ok, JSON.stringify(parsed));
  gateway = new Gateway({ config: parsed.config, runtime });
  recorder = new Recorder(gateway);
  gateway.start();
  await gateway.settled();
  // The first call of a legacy client tries whether a modern server speaks its era, too.
  for (const { config: { name } } of gateway.members.all) {
    await call(toolCall("legacy", `${name}_echo`));
  }
});

after(async () => {
  await gateway.close();
  recorder.close();
  for (const fake of Object.values(fakes)) await fake.close();
});

function exchangeOf(era: Era, params: JsonObject, method = "tools/call"): ActiveExchange {
  const told = era === "legacy" ? params : { ...params, _meta: ENVELOPE };
  const raw = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params: told });
  const client = clientOf(era === "legacy" ? "c1" : undefined, {
    info: INFO,
    capabilities: CAPABILITIES,
  });
  return new ActiveExchange(client, parseMessage(raw) as RequestMessage, { send: () => {} });
}

function toolCall(era: Era, name: string, args: JsonObject = {}): ActiveExchange {
  return exchangeOf(era, { name, arguments: args });
}

/** Carries out a call; resolves with what was recorded of it, and with its result. */
async function call(exchange: ActiveExchange, endpoint = AGGREGATE) {
  const reply = await gateway.handle(exchange, endpoint);
  const found = recorder.find(exchange.rid);
  assert.ok(found !== undefined, "it is recorded");
  return { call: found, reply: reply && JSON.parse(replyText(reply)) };
}

const shown = ({ server, name, ownName, outcome, code, attempts, via, cached }: ObservedCall) => ({
  ...{ server, name, ownName, outcome, code, attempts },
  ...(via === undefined ? {} : { via }),
  ...(cached === undefined ? {} : { cached }),
});

type Row = readonly [
  tool: string,
  expected: Pick<ObservedCall, "outcome" | "code" | "attempts">,
  errorType: string | undefined,
  prefix?: string,
];

/** What becomes of a call of a tool of the fakes. */
const ROWS: readonly Row[] = [
  ["echo", { outcome: "ok", code: undefined, attempts: 1 }, undefined],
  ["fail", { outcome: "tool_error", code: undefined, attempts: 1 }, "tool_error"],
  ["rpc_error", { outcome: "error", code: -32077, attempts: 1 }, "-32077"],
  ["never", { outcome: "timeout", code: -32011, attempts: 1 }, "timeout", "slow-"],
];

for (const client of ERAS) {
  for (const server of ERAS) {
    test(`a ${client} client's calls to a ${server} server end as they are recorded`, async () => {
      for (const [tool, expected, errorType, prefix = ""] of ROWS) {
        const name = `${prefix}${server}`;
        const { call: one } = await call(toolCall(client, `${name}_${tool}`));
        const about = { server: name, name: `${name}_${tool}`, ownName: tool };
        assert.deepEqual(shown(one), { ...about, ...expected }, tool);
        assert.equal(errorTypeOf(one), errorType);
        assert.deepEqual([one.client, one.endpoint, one.method], ["editor 2.1", "*", "tools/call"]);
        assert.equal(one.session, client === "legacy" ? "c1" : undefined);
        assert.ok(one.serverMs > 0 && one.gatewayMs > 0 && one.queueMs === 0, JSON.stringify(one));
        const parts = one.queueMs + one.serverMs + one.gatewayMs;
        assert.ok(Math.abs(parts - one.ms) < 1e-6, "the parts are the whole");
        assert.ok(one.bytesIn > 50 && one.bytesOut > 20);
      }
    });

    test(`what a ${client} client gives up of a ${server} server is cancelled`, async () => {
      const exchange = toolCall(client, `${server}_never`);
      const from = fakes[server].requests.items.length;
      const answer = call(exchange);
      await fakes[server].requests.waitFor(({ method }) => method === "tools/call", { from });
      exchange.cancel("enough");
      const { call: one, reply } = await answer;
      assert.deepEqual([one.outcome, one.attempts, reply], ["cancelled", 1, undefined]);
      assert.equal(one.bytesOut, 0);
    });

    test(`a ${client} client's call waits for another of a ${server} server, or is refused`, async () => {
      const name = `small-${server}`;
      const from = fakes[server].requests.items.length;
      const first = call(toolCall(client, `${name}_wait`, { key: name + client }));
      await fakes[server].requests.waitFor(({ method }) => method === "tools/call", { from });
      const second = call(toolCall(client, `${name}_echo`));
      const refused = await call(toolCall(client, `${name}_echo`));
      assert.deepEqual([refused.call.outcome, refused.call.code], ["refused", -32014]);
      assert.deepEqual([refused.call.server, refused.call.attempts], [name, 0]);
      passTime(1_000);
      await call(toolCall(client, `${server}_release`, { key: name + client }));
      assert.equal((await first).call.queueMs, 0);
      const { call: waited } = await second;
      assert.equal(waited.outcome, "ok");
      assert.ok(waited.queueMs >= 1_000 && waited.ms - waited.queueMs < waited.ms);
    });
  }

  test(`what is not there is refused to a ${client} client, and nobody is asked`, async () => {
    const { call: one } = await call(toolCall(client, "nobody_has_this"));
    assert.deepEqual(shown(one), {
      ...{ server: "", name: "nobody_has_this", ownName: undefined },
      ...{ outcome: "refused", code: -32602, attempts: 0 },
    });
    const { call: foreign } = await call(exchangeOf(client, {}, "made/up"));
    assert.deepEqual([foreign.method, foreign.outcome], ["made/up", "refused"]);
  });

  test(`a ${client} client's call beyond a limit is recorded as refused`, async () => {
    const tool = `limited-${client}_echo`;
    const all = [];
    for (let at = 0; at < 6; at++) all.push((await call(toolCall(client, tool))).call);
    assert.equal(all[0]!.outcome, "ok");
    const one = all.at(-1)!;
    assert.deepEqual([one.outcome, one.code, one.attempts], ["refused", -32015, 0]);
  });

  test(`a result that a ${client} client gets from the cache is asked of nobody`, async () => {
    const tool = "legacy_pid";
    const exchange = () => {
      const one = toolCall(client, tool);
      // Whom the gateway does not know gets no other's result.
      return Object.assign(one, { client: { ...one.client, principal: { ...ANNA, id: client } } });
    };
    assert.equal((await call(exchange())).call.cached, undefined);
    const { call: one } = await call(exchange());
    assert.deepEqual(shown(one), {
      ...{ server: "", name: tool, ownName: "pid", outcome: "ok", code: undefined },
      ...{ attempts: 0, cached: true },
    });
    assert.deepEqual([one.serverMs, one.who], [0, "anna"]);
  });

  test(`what a ${client} client calls through execute_tool is told with the way it came`, async () => {
    const gated = withGating(AGGREGATE, true);
    const args = { tool_id: "legacy_echo", arguments: { q: 1 } };
    const { call: one } = await call(toolCall(client, "execute_tool", args), gated);
    assert.deepEqual(shown(one), {
      ...{ server: "legacy", name: "legacy_echo", ownName: "echo" },
      ...{ outcome: "ok", code: undefined, attempts: 1, via: "execute_tool" },
    });
    const found = await call(toolCall(client, "discover_tools", { query: "echo" }), gated);
    assert.deepEqual(shown(found.call), {
      ...{ server: "", name: "discover_tools", ownName: undefined },
      ...{ outcome: "ok", code: undefined, attempts: 0 },
    });
    const lost = await call(toolCall(client, "execute_tool", { tool_id: "no_tool" }), gated);
    assert.deepEqual([lost.call.name, lost.call.outcome], ["execute_tool", "tool_error"]);
    assert.equal(lost.call.via, undefined);
  });
}

const ANNA = { id: "anna", who: "anna", names: [] };

test("each round of a call that asks a modern client is a call", async () => {
  const { params } = { params: { message: "who?", requestedSchema: { type: "object" } } };
  const asks = { name: "legacy_ask", arguments: { method: "elicitation/create", params } };
  const first = await call(exchangeOf("modern", asks));
  assert.deepEqual([first.call.outcome, first.call.attempts], ["input_required", 1]);
  assert.ok(first.call.serverMs > 0);
  const { requestState, inputRequests } = first.reply.result;
  const answers = Object.keys(inputRequests).map((key) => [key, { action: "decline" }]);
  const retry: Record<string, Json> = { ...asks, requestState };
  retry.inputResponses = Object.fromEntries(answers);
  const { call: one } = await call(exchangeOf("modern", retry));
  assert.deepEqual([one.outcome, one.attempts], ["ok", 0], "it was sent in the round before");
  assert.ok(one.serverMs > 0 && one.serverMs <= one.ms);
});

test("a call whose server is lost was unavailable, and one that was repeated says so", async () => {
  const { legacy } = fakes;
  legacy.fault = (method) => method === "tools/call" ? { cut: "before" } : undefined;
  const lost = await call(toolCall("legacy", "legacy_echo"));
  assert.deepEqual([lost.call.outcome, lost.call.code], ["unavailable", -32010]);
  legacy.fault = undefined;
  await eventually(
    () => gateway.members.upstream("legacy")?.state.phase,
    (phase) => phase === "ready",
    "the server to be back",
  );
  // Nobody has carried out what is refused with the session.
  legacy.expireSessions();
  const { call: again } = await call(toolCall("legacy", "legacy_echo"));
  assert.deepEqual([again.outcome, again.attempts], ["ok", 2]);
});

test("a resource is told by the URI that clients know it by, and its server", async () => {
  const listed = gateway.snapshots.registry.aggregate.list("resources").text;
  const { uri } = JSON.parse(`{${listed}}`).resources[0];
  const { call: read } = await call(exchangeOf("legacy", { uri }, "resources/read"));
  assert.deepEqual([read.name, read.ownName], [uri, "fake://fake/notes"]);
  assert.deepEqual([read.server, read.outcome], ["legacy", "ok"]);
});

test("names are labels where a server has listed them, methods where they are known", async () => {
  const direct = serverEndpoint("modern");
  await call(toolCall("modern", "echo"), direct);
  await call(toolCall("modern", "made-up"), direct);
  const labels = [...recorder.series.operations].map(([one]) => one);
  const ofServer = labels.filter(({ server, method }) =>
    server === "modern" && method === "tools/call"
  );
  const names = [...new Set(ofServer.map(({ name }) => name))];
  assert.ok(names.includes("echo") && names.includes("_unknown") && names.includes("modern_echo"));
  const all = JSON.stringify(labels);
  for (const word of ["made", "nobody_has", "fake://"]) assert.ok(!all.includes(word), word);
  assert.ok(labels.some(({ method, name }) => method === "_unknown" && name === undefined));
  const [request] = [...recorder.series.requests].filter(([{ server, errorType }]) =>
    server === "modern" && errorType === undefined
  );
  assert.deepEqual([request![0].transport, request![1].count > 0], ["tcp", true]);
});
