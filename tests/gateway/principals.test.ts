/** What belongs to somebody is bound to who is behind the client, in each place that keeps something. */

import { runtime } from "#runtime";
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfig } from "../../src/config/load.ts";
import { AGGREGATE } from "../../src/gating/endpoint.ts";
import { provisionKey } from "../../src/gating/provisioned.ts";
import { LastingSessions } from "../../src/gateway/clients/lasting.ts";
import { Session } from "../../src/gateway/clients/session.ts";
import { Upcalls } from "../../src/gateway/clients/upcalls.ts";
import { Gateway } from "../../src/gateway/gateway.ts";
import { cacheReads, cacheResults, ResultCache } from "../../src/gateway/middleware/cache.ts";
import { ResultStore } from "../../src/gateway/middleware/result-store.ts";
import {
  exposed,
  hasForeignState,
  listTasks,
  Owners,
  rememberOwner,
} from "../../src/gateway/tasks.ts";
import type { Json } from "../../src/lib/json.ts";
import type { Client, Principal } from "../../src/protocol/exchange.ts";
import { type NotificationMessage, parseMessage } from "../../src/protocol/message.ts";
import { modernMembers } from "../../src/registry/answers.ts";
import { buildRegistry } from "../../src/registry/build.ts";
import { entry } from "../registry/builders.ts";
import {
  answered,
  type CallOptions,
  callTo,
  clientOf,
  HandUpstream,
  textResult,
} from "./middleware/middleware-support.ts";

const [alice, bob] = ["alice", "bob"].map((id): Principal => ({ id, who: id, names: [] }));
const modernOf = (principal?: Principal) => clientOf(undefined, { principal });
const legacyOf = (session: string, principal?: Principal) => clientOf(session, { principal });

/** A call of a modern client with this principal, or of the legacy session `session`. */
function callBy(principal: Principal | undefined, options: CallOptions = {}) {
  return callTo({ ...options, client: { principal } });
}

test("a result is given again to whom it was for, in every session, and to nobody else", async () => {
  const rule = { tools: "*", ttl: 1_000, public: false };
  const middleware = cacheResults(rule, new ResultCache(100_000), "settings");
  let count = 0;
  const ask = async (principal: Principal | undefined, session?: string) => {
    const { raw } = await middleware(
      callBy(principal, { session }),
      (last) => Promise.resolve(answered(last, textResult(`answer ${++count}`))),
    );
    return /answer \d+/.exec(raw)![0];
  };
  assert.deepEqual(
    [await ask(alice), await ask(bob), await ask(alice), await ask(undefined), await ask(bob)],
    ["answer 1", "answer 2", "answer 1", "answer 3", "answer 2"],
  );
  assert.deepEqual(
    [await ask(alice, "a"), await ask(alice, "b"), await ask(bob, "c"), await ask(undefined, "a")],
    ["answer 4", "answer 4", "answer 5", "answer 6"],
  );
});

test("who is called like a session does not get what was that session's", async () => {
  const rule = { tools: "*", ttl: 1_000, public: false };
  const middleware = cacheResults(rule, new ResultCache(100_000), "settings");
  const upstream = new HandUpstream();
  const named: Principal = { id: "c1", who: "c1", names: [] };
  const client = { ...legacyOf("c1"), session: "c1" };
  void middleware(callTo({ client, session: "c1" }), upstream.next);
  void middleware(callTo({ client: { ...client, principal: named } }), upstream.next);
  await upstream.at(1);
});

test("equal calls in flight are one for whom they are by, and no more", async () => {
  const rule = { tools: "*", ttl: 1_000, public: false };
  const middleware = cacheResults(rule, new ResultCache(100_000), "settings");
  const upstream = new HandUpstream();
  const all = [alice, bob, alice].map((who) => middleware(callBy(who), upstream.next));
  (await upstream.at(0)).answer(textResult("one"));
  (await upstream.at(1)).answer(textResult("two"));
  const texts = (await Promise.all(all)).map(({ raw }) => /one|two/.exec(raw)![0]);
  assert.deepEqual(texts, ["one", "two", "one"]);
  assert.equal(upstream.received.length, 2);
});

test("what a server calls public is kept for each by himself", async () => {
  const middleware = cacheReads(new ResultCache(100_000));
  let reads = 0;
  const read = async (principal: Principal | undefined) => {
    const call = callBy(principal, { method: "resources/read", params: '{"uri":"f://a"}' });
    await middleware(call, (last) => {
      const result = `{"contents":[],"n":${++reads},"ttlMs":1000,"cacheScope":"public"}`;
      return Promise.resolve(answered(last, result));
    });
    return reads;
  };
  const counts = [];
  for (const who of [alice, bob, alice, undefined, undefined, bob]) counts.push(await read(who));
  assert.deepEqual(counts, [1, 2, 2, 3, 3, 3]);
});

test("a stored result is read by its owner, in both eras, and by nobody else", async () => {
  const store = new ResultStore();
  const parts = [{ mimeType: "text/plain", text: "whole" }];
  const holder = callBy(alice, { session: "a" }).holder;
  const uri = (await store.put(holder, parts))!;
  const open = (await store.put(undefined, parts))!;
  for (const client of [legacyOf("a", alice), legacyOf("b", alice), modernOf(alice)]) {
    assert.match(store.read(uri, client)!, /whole/);
  }
  for (const client of [legacyOf("a", bob), modernOf(bob), legacyOf("a"), modernOf()]) {
    assert.throws(() => store.read(uri, client), /not kept any more/);
  }
  // What was stored before anybody had to say who he is.
  assert.throws(() => store.read(open, modernOf(alice)), /not kept any more/);
});

test("a task is its principal's; one that nobody is known to have is nobody's", () => {
  const owners = new Owners();
  owners.set("s", "1", modernOf(alice));
  owners.set("s", "2", legacyOf("c1", alice));
  const may = (client: Client, id: string) => owners.mayHave(client, "s", id);
  for (const id of ["1", "2"]) {
    for (const client of [modernOf(alice), legacyOf("c1", alice), legacyOf("c9", alice)]) {
      assert.ok(may(client, id));
    }
    for (const client of [modernOf(bob), legacyOf("c1", bob), modernOf(), legacyOf("c1")]) {
      assert.ok(!may(client, id));
    }
  }
  assert.ok(!may(modernOf(alice), "3"));
  assert.ok(may(modernOf(), "3"), "as ever where nobody has to say who he is");
  owners.set("s", "4", legacyOf("c1"));
  assert.ok(!may(legacyOf("c2"), "4") && !may(modernOf(), "4") && may(legacyOf("c1"), "4"));
});

test("a list of tasks has those of who asks, of several servers and of one", async () => {
  const owners = new Owners();
  const tasks = { tasks: [{ taskId: "1", n: 1.0 }, { taskId: "2" }, null, { taskId: 3 }] };
  const begin = (principal: Principal, taskId: string) => {
    const call = callBy(principal);
    const result = JSON.stringify({ resultType: "task", taskId });
    rememberOwner(answered(call, result), call.exchange, "s", owners, new Owners());
  };
  begin(alice!, "1");
  begin(bob!, "2");
  const registry = buildRegistry({ version: 1, servers: [entry("s", {})] });
  const direct = registry.servers.get("s")!;
  const aggregate = {
    capabilities: () => ({ taskLists: ["s"] }),
  } as unknown as typeof direct;
  const ids = (raw: string) =>
    (JSON.parse(raw).result.tasks as { taskId: string }[]).map(({ taskId }) => taskId);
  for (const [who, own] of [[alice, "1"], [bob, "2"]] as const) {
    const { exchange } = callBy(who, { session: "a", method: "tasks/list", params: "{}" });
    const response = answered({ exchange } as never, JSON.stringify(tasks));
    const merged = await listTasks(exchange, aggregate, owners, () => Promise.resolve(response));
    assert.deepEqual(ids(merged), [`s.${own}`]);
    assert.deepEqual(ids(exposed(response, exchange, "s", direct, owners)), [own]);
  }
  const { exchange } = callBy(undefined, { session: "a", method: "tasks/list", params: "{}" });
  const response = answered({ exchange } as never, JSON.stringify(tasks));
  assert.equal(exposed(response, exchange, "s", direct, owners), response.raw);
});

test("no cacheScope is public where clients have to say who they are", () => {
  const registry = buildRegistry({ version: 1, servers: [entry("s", {})] });
  const direct = registry.servers.get("s")!;
  const scopes = [undefined, alice].map((principal) =>
    /"cacheScope":"(\w+)"/.exec(modernMembers(direct, { cacheScope: "public" }, principal))![1]
  );
  assert.deepEqual(scopes, ["public", "private"]);
  const read = (principal?: Principal) => {
    const call = callBy(principal, { method: "resources/read", params: '{"uri":"f://a"}' });
    const response = answered(call, '{"contents":[ ],"cacheScope":"public","ttlMs":9}');
    return exposed(response, call.exchange, "s", direct, new Owners());
  };
  assert.match(read(), /"contents":\[ \],"cacheScope":"public","ttlMs":9/);
  assert.match(read(alice), /"contents":\[ \],"cacheScope":"private","ttlMs":9/);
});

test("a handle is worth nothing to another principal", () => {
  const keys = [alice, bob, undefined].map((who) => provisionKey(modernOf(who), "*", "h"));
  assert.equal(new Set(keys).size, 3);
  assert.equal(keys[0], provisionKey(modernOf({ ...alice! }), "*", "h"));
});

test("what comes by a session's own connection is that session's, whatever it is called", () => {
  const tasks = new Owners();
  const elicitations = new Owners();
  const heard: string[] = [];
  const session = (label: string) => ({
    client: legacyOf(label),
    send: () => void heard.push(`${label} sent`),
    hear: () => void heard.push(`${label} heard`),
  });
  const sessions = { labelled: (label?: string) => label && session(label) };
  // Two processes of one server that count their ids from 1.
  tasks.set("s", "1", { session: "b" });
  elicitations.set("s", "1", { session: "b" });
  const upcalls = new Upcalls({ tasks, elicitations, sessions } as never).of("s");
  const say = (method: string, params: object, owner?: string) => {
    const text = JSON.stringify({ jsonrpc: "2.0", method, params });
    upcalls.onNotification!(parseMessage(text) as NotificationMessage, undefined, owner);
  };
  say("notifications/tasks/status", { taskId: "1" }, "a");
  say("notifications/elicitation/complete", { elicitationId: "1" }, "a");
  say("notifications/tasks/status", { taskId: "1" });
  say("notifications/elicitation/complete", { elicitationId: "1" });
  assert.deepEqual(heard, ["a heard", "a sent", "b heard", "b sent"]);
});

const INITIALIZE = parseMessage(JSON.stringify({
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "t" } },
}));

test("a session's id is worth nothing to others, in memory, out of it and after its end", async () => {
  const parsed = parseConfig('{"mcpServers":{}}', { file: "principals.json", env: {} });
  assert.ok(parsed.ok);
  const gateway = new Gateway({ config: parsed.config, runtime });
  const lasting = new LastingSessions(gateway, undefined);
  await lasting.ready();
  const begin = async (principal?: Principal): Promise<Session> => {
    const session = gateway.openSession("http", AGGREGATE, undefined, principal);
    await session.receive(INITIALIZE, { send: () => {} });
    lasting.name(session);
    return session;
  };
  for (const [own, others] of [[alice, [bob, undefined]], [undefined, [alice, bob]]] as const) {
    const session = await begin(own);
    const { id } = session;
    for (const other of others) {
      assert.equal(await lasting.takeUp(id, AGGREGATE, other), undefined);
    }
    assert.equal(await lasting.takeUp(id, AGGREGATE, own && { ...own }), session);
    session.close("idle");
    for (const other of others) {
      assert.equal(await lasting.takeUp(id, AGGREGATE, other), undefined);
      assert.equal(await lasting.end(id, AGGREGATE, other), false);
    }
    const again = await lasting.takeUp(id, AGGREGATE, own);
    assert.equal(again?.client?.principal?.id, own?.id);
    assert.equal(await lasting.end(id, AGGREGATE, own), true);
    again!.close("ended");
    assert.equal(await lasting.takeUp(id, AGGREGATE, own), undefined);
  }
  await gateway.close();
});

test("a requestState is taken from whom it was given to, though a server gives all the same", () => {
  const states = new Owners();
  const give = (who: Principal | undefined, state: string) => {
    const call = callBy(who);
    const result = JSON.stringify({ resultType: "input_required", requestState: state });
    rememberOwner(answered(call, result), call.exchange, "s", new Owners(), states);
  };
  const isForeign = (who: Principal | undefined, requestState: Json, server = "s") => {
    const params = JSON.stringify({ name: "t", requestState });
    return hasForeignState(callBy(who, { params }).exchange, server, states);
  };
  give(alice, "step 1");
  assert.deepEqual([isForeign(alice, "step 1"), isForeign(bob, "step 1")], [false, true]);
  give(bob, "step 1");
  assert.deepEqual([isForeign(alice, "step 1"), isForeign(bob, "step 1")], [false, false]);
  assert.ok(isForeign(alice, "step 1", "t") && isForeign(alice, "step 2"));
  assert.ok(!isForeign(undefined, "step 9"), "as ever where nobody has to say who he is");
  assert.ok(!isForeign(alice, null), "no state at all");
});

test("who has subscribed to a resource hears no more of it when it is no more theirs", () => {
  const offers = { resources: ["r://a", "r://b"] };
  const of = (exclude: readonly string[]) =>
    buildRegistry({
      version: 1,
      servers: [entry("s", offers)],
      profiles: [{ name: "p", resources: { exclude: [...exclude] } }],
    }).profiles.get("p")!;
  let view = of([]);
  const session = new Session(
    "http",
    AGGREGATE,
    { snapshots: { view: () => view }, events: { emit: () => {} } } as never,
    () => {},
  );
  session.resume({
    protocolVersion: "2025-11-25",
    capabilities: {},
    info: {},
    logLevel: undefined,
  });
  const heard: string[] = [];
  session.attach({ send: (raw) => void heard.push(/r:..\w/.exec(raw)?.[0] ?? "") }, () => {});
  heard.length = 0;
  const updated = (uri: string) => {
    const params = { uri };
    const text = { jsonrpc: "2.0", method: "notifications/resources/updated", params };
    session.hear("s", parseMessage(JSON.stringify(text)) as NotificationMessage);
  };
  ["r://a", "r://b"].forEach(updated);
  view = of(["r://b"]);
  ["r://a", "r://b"].forEach(updated);
  assert.deepEqual(heard, ["r://a", "r://b", "r://a"]);
});

test("Owners forgets what is of who has the most, so that nobody drives out others", () => {
  const owners = new Owners();
  owners.set("s", "first", modernOf(bob));
  for (let at = 0; at < 10_150; at++) owners.set("s", `t${at}`, modernOf(alice));
  assert.equal(owners.isOf(modernOf(bob), "s", "first"), true);
  assert.equal(owners.isOf(modernOf(alice), "s", "t0"), false);
  assert.equal(owners.isOf(modernOf(alice), "s", "t10149"), true);
});
