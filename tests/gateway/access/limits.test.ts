/** Limits: what is counted, for whom and where, and what is told beyond. The time is the test's. */

import { runtime } from "#runtime";
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfig } from "../../../src/config/load.ts";
import { loadOptions } from "../../../src/config/schema.ts";
import type { Config } from "../../../src/config/types.ts";
import { AGGREGATE, type Endpoint, profileEndpoint } from "../../../src/gating/endpoint.ts";
import { LaterError, Limits } from "../../../src/gateway/access/limits.ts";
import type { ActiveExchange } from "../../../src/gateway/clients/exchange.ts";
import type { Fact } from "../../../src/gateway/events.ts";
import { Gateway } from "../../../src/gateway/gateway.ts";
import { serveModern } from "../../../src/gateway/clients/modern.ts";
import { Parking } from "../../../src/gateway/parking.ts";
import type { JsonObject } from "../../../src/lib/json.ts";
import type { Exchange, Principal } from "../../../src/protocol/exchange.ts";
import {
  parseMessage,
  type ResponseMessage,
  resultResponse,
} from "../../../src/protocol/message.ts";
import { replyText } from "../../../src/registry/answers.ts";
import { holdTime } from "../../support/time.ts";
import { callTo } from "../middleware/middleware-support.ts";

await loadOptions("limits");

const FORM = '{"message":"who?","requestedSchema":{}}';
const [alice, bob] = ["alice", "bob"].map((id): Principal => ({ id, who: id, names: [] }));

function configOf(settings: object): Config {
  const text = JSON.stringify({ mcpServers: {}, ...settings });
  const parsed = parseConfig(text, { file: "limits.json", env: {} });
  assert.ok(parsed.ok, JSON.stringify(parsed));
  return parsed.config;
}

/** Limits of a configuration, and what asking them gives. */
function limited(settings: object) {
  const state = { config: configOf(settings), now: 0 };
  const limits = new Limits(() => state.config, () => state.now);
  const ask = (run: () => void) => {
    try {
      run();
      return "passed";
    } catch (error) {
      assert.ok(error instanceof LaterError && error.status === 429);
      assert.match(error.message, new RegExp(`try again in ${error.seconds} s$`));
      return error.message;
    }
  };
  const exchangeOf = (principal?: Principal, method = "tools/call") =>
    callTo({ method, client: { principal, capabilities: { elicitation: {} } } }).exchange;
  const enter = (exchange: ActiveExchange, endpoint: Endpoint = AGGREGATE) =>
    ask(() => limits.enter(exchange, endpoint));
  /** So many calls that end at once: how many of them passed. */
  const passed = (count: number, principal?: Principal, endpoint?: Endpoint, method?: string) => {
    let passed = 0;
    for (let at = 0; at < count; at++) {
      const exchange = exchangeOf(principal, method);
      if (enter(exchange, endpoint) === "passed") passed++;
      limits.leave(exchange);
    }
    return passed;
  };
  const spend = (server: string, method?: string) =>
    ask(() => limits.spend(exchangeOf(alice, method), server));
  return { state, limits, enter, passed, spend, exchangeOf };
}

test("ten seconds' worth of calls pass at once, at least 5, and then as many as flow in", () => {
  const { state, passed, enter, exchangeOf } = limited({ limits: { calls: "120/m" } });
  assert.equal(passed(100, alice), 20);
  const full = "Limit of 120 calls a minute reached; try again in 1 s";
  assert.equal(enter(exchangeOf(alice)), full);
  state.now = 1_000;
  assert.equal(passed(100, alice), 2);
  state.now = 1_000_000;
  assert.equal(passed(100, alice), 20);
  const slow = limited({ limits: { calls: "5/m" } });
  assert.equal(slow.passed(9, alice), 5);
  const wait = "Limit of 5 calls a minute reached; try again in 12 s";
  assert.equal(slow.enter(exchangeOf(alice)), wait);
  slow.state.now = 12_000;
  assert.equal(slow.passed(9, alice), 1);
  assert.equal(limited({ limits: { calls: "2/h" } }).passed(9), 5);
});

test("each principal has his own; all have one together where nobody says who he is", () => {
  const { passed } = limited({ limits: { calls: "1/m" } });
  assert.deepEqual([passed(9, alice), passed(9, bob), passed(9, alice)], [5, 5, 0]);
  assert.deepEqual([passed(9), passed(9)], [5, 0]);
});

test("calls, prompts and reads are counted together, lists and the rest are not", () => {
  const { passed } = limited({ limits: { calls: "1/m", concurrent: 1 } });
  for (const method of ["tools/list", "completion/complete", "ping", "tasks/get"]) {
    assert.equal(passed(50, alice, AGGREGATE, method), 50, method);
  }
  const counts = ["tools/call", "prompts/get", "resources/read"]
    .map((method) => passed(2, alice, AGGREGATE, method));
  assert.deepEqual(counts, [2, 2, 1]);
});

test("what a profile says is counted by itself there, and the rest as everywhere", () => {
  const { passed, enter, exchangeOf } = limited({
    limits: { calls: "1/m", concurrent: 2 },
    profiles: { slow: { limits: { calls: "6/m" } }, narrow: { limits: { concurrent: 1 } } },
  });
  const [slow, narrow] = ["slow", "narrow"].map(profileEndpoint);
  assert.deepEqual([passed(9, alice, slow), passed(9, alice, slow)], [5, 0]);
  assert.deepEqual([passed(3, alice), passed(9, alice, narrow)], [3, 2]);
  assert.equal(enter(exchangeOf(bob), narrow), "passed");
  const told = "Limit of 1 call at a time reached; try again in 1 s";
  assert.equal(enter(exchangeOf(bob), narrow), told);
  assert.equal(enter(exchangeOf(bob)), "passed");
  assert.equal(enter(exchangeOf(bob), slow), "passed");
  assert.match(enter(exchangeOf(bob)), /^Limit of 2 calls at a time reached/);
});

test("calls in flight are those that have not ended, and one that was refused is none", () => {
  const { enter, limits, exchangeOf } = limited({ limits: { concurrent: 2 } });
  const [one, two, three] = [1, 2, 3].map(() => exchangeOf(alice));
  assert.deepEqual([enter(one!), enter(two!)], ["passed", "passed"]);
  assert.match(enter(three!), /^Limit of 2 calls at a time reached/);
  limits.leave(three!);
  assert.match(enter(three!), /^Limit/);
  assert.equal(enter(exchangeOf(bob)), "passed");
  limits.leave(one!);
  limits.leave(one!);
  assert.equal(enter(three!), "passed");
  assert.match(enter(one!), /^Limit/);
});

test("a parked call keeps its place, its next round takes that over, and nobody else does", async () => {
  const { enter, limits, passed, exchangeOf } = limited({ limits: { concurrent: 1 } });
  const parking = new Parking(undefined, () => limits);
  const first = exchangeOf(alice);
  assert.equal(enter(first), "passed");
  const done = Promise.withResolvers<ResponseMessage>();
  const upstream = Promise.withResolvers<Exchange>();
  const asked = parking.start(first, "s", (exchange) => {
    upstream.resolve(exchange);
    return done.promise;
  });
  (await upstream.promise).ask("elicitation/create", FORM).catch(() => {});
  const { inputRequests, requestState } = JSON.parse((await asked).raw).result;
  limits.leave(first);
  assert.deepEqual([passed(1, alice), passed(1, bob)], [0, 1]);
  const inputResponses = { [Object.keys(inputRequests)[0]!]: { action: "accept" } };
  const retryOf = (more: JsonObject, principal: Principal | undefined = alice) => {
    const params = { ...first.request.params!, inputResponses, requestState, ...more };
    return callTo({ client: { principal }, params: JSON.stringify(params) }).exchange;
  };
  // One for another call than that has a place as long as it lasts, and the parked one keeps its own.
  const other = retryOf({ name: "other" });
  assert.deepEqual([enter(other), passed(1, alice)], ["passed", 0]);
  assert.match(enter(retryOf({})), /^Limit/);
  assert.equal(parking.resume(other, "s"), undefined);
  limits.leave(other);
  assert.equal(passed(1, alice), 0);
  const retry = retryOf({});
  assert.equal(enter(retry), "passed");
  const answer = parking.resume(retry, "s")!;
  assert.equal(passed(1, alice), 0);
  done.resolve(parseMessage(resultResponse("1", "{}")) as ResponseMessage);
  await answer;
  limits.leave(retry);
  assert.equal(passed(1, alice), 1);
});

test("a parked call that is given up has no place any more", async () => {
  const { enter, limits, passed, exchangeOf } = limited({ limits: { concurrent: 1 } });
  const parking = new Parking(undefined, () => limits);
  const first = exchangeOf(alice);
  assert.equal(enter(first), "passed");
  const asked = parking.start(first, "s", (exchange) => {
    exchange.ask("elicitation/create", FORM).catch(() => {});
    return new Promise((_, reject) =>
      exchange.signal.addEventListener("abort", () => reject(exchange.signal.reason))
    );
  });
  await asked;
  limits.leave(first);
  assert.equal(passed(1, alice), 0);
  parking.cancelWhere(({ principal }) => principal === alice, "it is over");
  assert.equal(passed(1, alice), 1);
});

test("the rate of a server is that of everybody together, whatever else is limited", () => {
  const servers = { a: { command: "x", rate: "60/m" }, b: { command: "x" } };
  const { state, spend } = limited({ mcpServers: servers });
  const tell = 'Limit of 60 calls a minute to "a" reached; try again in 1 s';
  const all = Array.from({ length: 11 }, () => spend("a"));
  assert.deepEqual(all, [...Array(10).fill("passed"), tell]);
  assert.equal(spend("a", "completion/complete"), "passed");
  assert.equal(spend("b"), "passed");
  state.now = 1_000;
  assert.deepEqual([spend("a"), spend("a")], ["passed", tell]);
});

test("a reload forgets nothing of a limit that stays the same", () => {
  const { state, passed } = limited({
    limits: { calls: "1/m" },
    profiles: { p: { limits: { calls: "6/m" } } },
  });
  const p = profileEndpoint("p");
  assert.deepEqual([passed(3, alice), passed(4, alice, p)], [3, 4]);
  const profiles = { p: { limits: { calls: "600/m" } } };
  state.config = configOf({ limits: { calls: "1/m", concurrent: 9 }, profiles });
  assert.deepEqual([passed(9, alice), passed(200, alice, p)], [2, 100]);
  state.config = configOf({});
  assert.equal(passed(50, alice), 50);
  state.config = configOf({ limits: { calls: "2/m" } });
  assert.equal(passed(50, alice), 5);
});

test("no number of principals makes more than a bounded number of counters", () => {
  const { limits, exchangeOf, enter, passed } = limited({ limits: { calls: "1/m" } });
  assert.equal(passed(9, alice), 5);
  const one = exchangeOf();
  for (let at = 0; at < 9_999; at++) {
    const principal = { id: `p${at}`, who: "p", names: [] };
    const exchange = { ...one, client: { ...one.client, principal } } as unknown as ActiveExchange;
    assert.equal(enter(exchange), "passed");
    limits.leave(exchange);
    // Who goes on being busy is not who is forgotten.
    if (at % 1_000 === 0) assert.equal(passed(1, alice), 0);
  }
  assert.equal(passed(1, alice), 0);
});

/** A gateway without servers, to ask as clients do. */
async function inGateway(
  settings: object,
  run: (gateway: Gateway, facts: Fact[]) => Promise<void>,
): Promise<void> {
  const gateway = new Gateway({ config: configOf(settings), runtime });
  const facts: Fact[] = [];
  for (const kind of ["call", "limited", "failure"] as const) {
    gateway.events.on(kind, (fact) => void facts.push(fact));
  }
  try {
    await run(gateway, facts);
  } finally {
    await gateway.close();
  }
}

test("a tool answers beyond a limit with a result, all else with an error and a status", async () => {
  using _ = holdTime();
  await inGateway({ limits: { calls: "1/m" } }, async (gateway, facts) => {
    const ask = async (method: string, session?: string) => {
      const exchange = callTo({ method, session, client: { principal: alice } }).exchange;
      const reply = (await gateway.handle(exchange, AGGREGATE))!;
      const { result, error } = JSON.parse(replyText(reply));
      return { reply, result, error };
    };
    // The first ones wait until it is known what is allowed.
    const first = await Promise.all(Array.from({ length: 5 }, () => ask("tools/call")));
    for (const { error } of first) assert.match(error.message, /Unknown tool/);
    const text = "Limit of 1 call a minute reached; try again in 60 s";
    const modern = await ask("tools/call");
    const content = [{ type: "text", text }];
    assert.deepEqual(modern.result, { content, isError: true, resultType: "complete" });
    assert.deepEqual((await ask("tools/call", "s")).result, { content, isError: true });
    for (const method of ["prompts/get", "resources/read"]) {
      const { reply, error } = await ask(method);
      assert.deepEqual(error, { code: -32015, message: text });
      assert.ok(typeof reply === "object" && "seconds" in reply);
      assert.deepEqual([reply.status, reply.seconds], [429, 60]);
    }
    assert.ok("tools" in (await ask("tools/list")).result);
    const kinds = facts.map(({ kind }) => kind);
    const calls = facts.filter((fact) => fact.kind === "call");
    assert.deepEqual(calls.map(({ outcome, code }) => code ?? outcome), [
      ...Array(5).fill(-32602),
      ...Array(4).fill(-32015),
      "ok",
    ]);
    assert.ok(calls.slice(0, -1).every(({ outcome }) => outcome === "refused"));
    const limited = facts.filter((fact) => fact.kind === "limited");
    assert.deepEqual(limited.map(({ method, endpoint, told }) => [method, endpoint, told]), [
      ["tools/call", "*", text],
      ["tools/call", "*", text],
      ["prompts/get", "*", text],
      ["resources/read", "*", text],
    ]);
    assert.equal(kinds.filter((kind) => kind === "failure").length, 5);
  });
});

test("one session too many ends the idlest of the same principal", async () => {
  const settings = { limits: { sessions: 2 }, profiles: { p: { limits: { sessions: 1 } } } };
  await inGateway(settings, async (gateway) => {
    await gateway.handle(callTo().exchange, AGGREGATE);
    const open = (principal?: Principal, endpoint: Endpoint = AGGREGATE) =>
      gateway.openSession("http", endpoint, undefined, principal);
    const stream = { send: () => {} };
    const stdio = gateway.openSession("stdio", AGGREGATE, undefined, alice);
    const busy = open(alice);
    busy.attach(stream, () => {});
    const others = [open(bob), open(bob), open(alice, profileEndpoint("p")), open()];
    const idle = open(alice);
    // The one that has a stream is not idle, and older.
    (idle as unknown as { idleFor: () => number }).idleFor = () => 5;
    assert.equal(idle.closed.aborted, false);
    const next = open(alice);
    const isOver = [busy, idle, next, stdio, ...others].map(({ closed }) => closed.aborted);
    assert.deepEqual(isOver, [false, true, false, false, ...others.map(() => false)]);
    open(alice, profileEndpoint("p"));
    assert.equal(others[2]!.closed.aborted, true);
    assert.equal(next.closed.aborted, false);
  });
});

test("subscriptions of modern clients have the limit of sessions, and bounded resources in all", async () => {
  const settings = { limits: { sessions: 2 }, profiles: { p: { limits: { sessions: 1 } } } };
  await inGateway(settings, async (gateway) => {
    const listening: Promise<unknown>[] = [];
    const listen = (
      principal: Principal | undefined,
      endpoint: Endpoint = AGGREGATE,
      pipe?: string,
    ) => {
      const params = '{"notifications":{"toolsListChanged":true}}';
      const client = { principal, pipe };
      const { exchange } = callTo({ method: "subscriptions/listen", params, client });
      const heard = new Promise<string>((resolve) => exchange.notify = resolve);
      const answer = Promise.resolve(serveModern(exchange, endpoint, gateway));
      listening.push(answer);
      return { exchange, answer, outcome: Promise.race([answer, heard]) };
    };
    const first = listen(alice);
    for (const open of [first, listen(alice), listen(bob), listen(alice, profileEndpoint("p"))]) {
      assert.match(String(await open.outcome), /acknowledged/);
    }
    for (const endpoint of [AGGREGATE, profileEndpoint("p")]) {
      const reply = await listen(alice, endpoint).answer as { status: number };
      assert.equal(reply.status, 429);
    }
    assert.match(String(await listen(alice, AGGREGATE, "stdio").outcome), /acknowledged/);
    first.exchange.cancel("it is over");
    await first.answer;
    const rest = gateway.control!;
    const { uris, end } = rest.listen(
      callTo({ client: { principal: bob } }).exchange,
      AGGREGATE,
      1e9,
    );
    assert.equal(uris, 10_000);
    end();
    gateway.stopping.cancel(new Error("enough"));
    await Promise.all(listening);
  });
});

test("with auth nobody has more than 100 sessions, though nothing is said of limits", async () => {
  await loadOptions("auth");
  const keys = { keys: { a: `sha256:${"0a".repeat(32)}` } };
  await inGateway({ auth: keys }, async (gateway) => {
    await gateway.handle(callTo().exchange, AGGREGATE);
    for (let at = 0; at < 103; at++) gateway.openSession("http", AGGREGATE, undefined, alice);
    assert.equal(gateway.sessions.size, 100);
  });
  await inGateway({}, async (gateway) => {
    for (let at = 0; at < 103; at++) gateway.openSession("http", AGGREGATE);
    assert.equal(gateway.sessions.size, 103);
    assert.equal(gateway.control, undefined);
    await gateway.handle(callTo().exchange, AGGREGATE);
  });
});

test("a reload brings limits, and takes them away", async () => {
  await inGateway({}, async (gateway) => {
    const ask = async () => {
      const reply = await gateway.handle(callTo().exchange, AGGREGATE);
      return replyText(reply!).includes("Limit of");
    };
    assert.equal(await ask(), false);
    gateway.reload(configOf({ limits: { calls: "1/h" } }));
    const all = [];
    for (let at = 0; at < 6; at++) all.push(await ask());
    assert.deepEqual(all, [false, false, false, false, false, true]);
    gateway.reload(configOf({}));
    assert.equal(await ask(), false);
  });
});
