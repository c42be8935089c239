/** What is open ends with the credential it was opened with, and with what `access` gave it. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { AGGREGATE } from "../../../src/gating/endpoint.ts";
import { serveStdio } from "../../../src/front/stdio.ts";
import type { Admission, Principal } from "../../../src/protocol/exchange.ts";
import { Inbox, within } from "../../support/inbox.ts";
import { doorFor, House, inScope, keysOf, messagesOf } from "./house.ts";

/** Lets in until it is told otherwise. */
class Ticket implements Admission {
  isGood = true;
  readonly principal: Principal;

  constructor(name: string) {
    this.principal = { id: name, who: name, names: [name] };
  }

  holds(): boolean {
    return this.isGood;
  }
}

const LAPSED = /The credential has ended, or does not open this any more/;

/** Everything somebody can have open, by what it is, as promises of what it was when it ended. */
async function openAll(house: House, path: string, as?: string, name = "a_slow") {
  const calls = house.heard.items.filter((line) => line === "tools/call slow").length;
  const session = await house.session(path, as);
  const slow = { name, arguments: {} };
  const call = house.legacy(path, session, "tools/call", slow, { as });
  const modernCall = house.modern(path, "tools/call", slow, { as });
  const isCalled = () =>
    house.heard.items.filter((line) => line === "tools/call slow").length === calls + 2;
  while (!isCalled()) await house.heard.waitFor(isCalled, { from: house.heard.items.length });
  const accept = { accept: "text/event-stream" };
  const stream = await house.listen(path, session, as);
  const sse = await house.ask(path.replace(/\/mcp$/, "/sse"), { as, headers: accept });
  const notifications = { toolsListChanged: true };
  const listening = await house.modern(path, "subscriptions/listen", { notifications }, { as });
  assert.equal(listening.headers.get("content-type"), "text/event-stream");
  const json = {
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
  };
  const body = new ReadableStream<Uint8Array>({});
  const half = house.ask(path, { method: "POST", as, headers: json, body });
  const ends: Readonly<Record<string, Promise<unknown>>> = {
    call: call.then(messagesOf),
    modernCall: modernCall.then(messagesOf),
    stream: stream.text(),
    sse: sse.text(),
    subscription: listening.text(),
    half: half.then((told) => told.status),
  };
  const open = new Set(Object.keys(ends));
  for (const [name, end] of Object.entries(ends)) void end.then(() => open.delete(name));
  return { session, ends, open };
}

type Opened = Awaited<ReturnType<typeof openAll>>;

/** All of it has ended, each as it should. */
async function assertEnded({ ends, open }: Opened): Promise<void> {
  for (const name of ["call", "modernCall"]) {
    const [told] = await within(ends[name]!, `the end of ${name}`) as { error: Error }[];
    assert.match(told!.error.message, LAPSED, name);
  }
  assert.equal(await within(ends.half!, "the end of a body"), 403);
  for (const name of ["stream", "sse", "subscription"]) {
    await within(ends[name]!, `the end of ${name}`);
  }
  assert.equal(open.size, 0);
}

/** Time for whatever would end by itself. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((next) => setTimeout(next));
}

const ALL = 6;

test(
  "streams, calls and bodies end with the credential; the session waits for another one",
  inScope(async (scope) => {
    const [first, second] = [new Ticket("tess"), new Ticket("tess")];
    const people = new Map([["Bearer mcproxy_first", first], ["Bearer mcproxy_second", second]]);
    const house = await House.open(scope, { auth: { keys: {} } }, doorFor(people));
    const opened = await openAll(house, "/mcp", "first");
    house.tick();
    await settle();
    assert.equal(opened.open.size, ALL);
    first.isGood = false;
    house.tick();
    await assertEnded(opened);
    const cancelled = () =>
      house.heard.items.filter((line) => line === "notifications/cancelled").length === 2;
    while (!cancelled()) {
      await house.heard.waitFor(cancelled, { from: house.heard.items.length });
    }
    assert.deepEqual([...house.gateway.sessions].map(({ kind }) => kind), ["http"]);
    const told = await house.legacy("/mcp", opened.session, "ping", {}, { as: "second" });
    assert.equal(told.status, 200);
  }),
);

test(
  "what was opened again with a new credential goes on when the old one ends",
  inScope(async (scope) => {
    const [first, second] = [new Ticket("tess"), new Ticket("tess")];
    const people = new Map([["Bearer mcproxy_first", first], ["Bearer mcproxy_second", second]]);
    const house = await House.open(scope, { auth: { keys: {} } }, doorFor(people));
    const session = await house.session("/mcp", "first");
    const stream = await house.listen("/mcp", session, "second");
    first.isGood = false;
    house.tick();
    const reader = stream.body!.getReader();
    scope.defer(() => reader.cancel());
    for (let comments = 0; comments < 2; comments++) {
      assert.equal((await reader.read()).done, false);
    }
    second.isGood = false;
    house.tick();
    while (!(await within(reader.read(), "the end of the stream")).done);
  }),
);

test(
  "a batch ends with its credential, and its session with it",
  inScope(async (scope) => {
    const ticket = new Ticket("tess");
    const people = new Map([["Bearer mcproxy_tess", ticket]]);
    const house = await House.open(scope, { auth: { keys: {} } }, doorFor(people));
    const params = {
      protocolVersion: "2025-03-26",
      capabilities: {},
      clientInfo: { name: "t", version: "1" },
    };
    const begun = await house.legacy("/mcp", undefined, "initialize", params, { as: "tess" });
    const headers = { "mcp-session-id": begun.headers.get("mcp-session-id")! };
    const call = (id: number) => ({
      ...{ jsonrpc: "2.0", id, method: "tools/call" },
      params: { name: id === 1 ? "a_slow" : "b_slow", arguments: {} },
    });
    const told = house.post("/mcp", [call(1), call(2)], { as: "tess", headers });
    await house.heard.waitFor((line) => line === "tools/call slow");
    ticket.isGood = false;
    house.tick();
    assert.equal(await within(told.then((one) => one.text()), "the end of the batch"), "");
    assert.equal(house.gateway.sessions.size, 0);
  }),
);

test(
  "a key that is taken out ends at once what is open by it, and nothing of others",
  inScope(async (scope) => {
    const house = await House.open(scope, { auth: { keys: keysOf("ann", "bob") } });
    const [ann, bob] = [await openAll(house, "/mcp", "ann"), await openAll(house, "/mcp", "bob")];
    // Another setting changes nothing about who may stay.
    house.reload({ auth: { keys: keysOf("ann", "bob") }, pageSize: 7 });
    await settle();
    assert.deepEqual([ann.open.size, bob.open.size], [ALL, ALL]);
    house.reload({ auth: { keys: keysOf("bob") } });
    await assertEnded(ann);
    await settle();
    assert.equal(bob.open.size, ALL);
    const owners = [...house.gateway.sessions].map(({ principal }) => principal!.id);
    assert.deepEqual(owners, ["key:bob", "key:bob"]);
    assert.equal((await house.legacy("/mcp", ann.session, "ping", {}, { as: "ann" })).status, 401);
    assert.equal((await house.legacy("/mcp", bob.session, "ping", {}, { as: "bob" })).status, 200);
  }),
);

test(
  "a call that waits for its client's answer ends with the key it came by, and no other does",
  inScope(async (scope) => {
    const house = await House.open(scope, { auth: { keys: keysOf("ann", "bob") } });
    const can = { elicitation: {} };
    // Of each its own server: one that is asked by two at a time is told to ask again.
    for (const [as, name] of [["ann", "a_slow"], ["bob", "b_slow"]] as const) {
      const slow = { name, arguments: { ask: true } };
      const [told] = await messagesOf(await house.modern("/mcp", "tools/call", slow, { as, can }));
      assert.equal(told.result?.resultType, "input_required", JSON.stringify(told));
    }
    const cancelled = () =>
      house.heard.items.filter((line) => line === "notifications/cancelled").length;
    house.reload({ auth: { keys: keysOf("ann", "bob") }, access: { "*": "*" } });
    await settle();
    assert.equal(cancelled(), 0);
    house.reload({ auth: { keys: keysOf("bob") } });
    while (cancelled() === 0) {
      await house.heard.waitFor(() => true, { from: house.heard.items.length });
    }
    await settle();
    assert.equal(cancelled(), 1);
    // Nobody could come back for it.
    house.reload({});
    while (cancelled() === 1) {
      await house.heard.waitFor(() => true, { from: house.heard.items.length });
    }
  }),
);

test(
  "what access does not give any more ends at once, and begins anew with what it gives",
  inScope(async (scope) => {
    const auth = { keys: keysOf("ann", "bob") };
    const house = await House.open(scope, { auth, access: { "key:ann": "pa", "key:bob": "pb" } });
    const [ann, bob] = [
      await openAll(house, "/mcp", "ann"),
      await openAll(house, "/mcp", "bob", "b_slow"),
    ];
    house.reload({ auth, access: { "key:ann": "pb", "*": "pb" } });
    await assertEnded(ann);
    await settle();
    assert.equal(bob.open.size, ALL);
    assert.equal((await house.legacy("/mcp", ann.session, "ping", {}, { as: "ann" })).status, 404);
    const session = await house.session("/mcp", "ann");
    const [told] = await messagesOf(
      await house.legacy("/mcp", session, "tools/list", {}, { as: "ann" }),
    );
    const names = told.result.tools.map(({ name }: { name: string }) => name);
    assert.deepEqual(names, ["b_echo", "b_slow"]);
    // Back to a, the session on b is not hers any more; what both may see stays.
    house.reload({ auth, access: { "key:ann": ["pa", "pb"], "key:bob": "pb" } });
    assert.equal((await house.legacy("/mcp", session, "ping", {}, { as: "ann" })).status, 404);
    const path = "/profiles/pb/mcp";
    assert.equal((await house.legacy(path, session, "ping", {}, { as: "ann" })).status, 200);
    assert.equal(bob.open.size, ALL);
  }),
);

test(
  "auth that is added ends what strangers have open; that is removed, what belongs to anybody",
  inScope(async (scope) => {
    const auth = { keys: keysOf("ann") };
    const house = await House.open(scope, {});
    const stranger = await openAll(house, "/mcp");
    house.reload({ auth });
    // It is being loaded yet: whoever comes waits.
    assert.equal((await house.modern("/mcp", "tools/list")).status, 401);
    await assertEnded(stranger);
    assert.equal(house.gateway.sessions.size, 0);
    const ann = await openAll(house, "/mcp", "ann");
    house.reload({});
    await assertEnded(ann);
    assert.equal(house.gateway.sessions.size, 0);
    assert.equal((await house.modern("/mcp", "tools/list")).status, 200);
    // What is there again before it was loaded, and what is gone again.
    house.reload({ auth });
    house.reload({});
    assert.equal((await house.modern("/mcp", "tools/list")).status, 200);
    house.reload({ auth });
    house.reload({});
    house.reload({ auth });
    assert.equal((await house.modern("/mcp", "tools/list")).status, 401);
  }),
);

test(
  "nobody is let in where the door cannot be made, nor where it fails at a reload",
  inScope(async (scope) => {
    const auth = { keys: keysOf("ann") };
    const house = await House.open(scope, {}, () => {
      throw new Error("no door today");
    });
    house.reload({ auth });
    for (let i = 0; i < 2; i++) {
      assert.equal((await house.modern("/mcp", "tools/list", {}, { as: "ann" })).status, 500);
    }
    // Nor is anybody kept out by it where there is none any more, whether anybody came or not.
    house.reload({});
    assert.equal((await house.modern("/mcp", "tools/list")).status, 200);
    house.reload({ auth });
    await settle();
    house.reload({});
    assert.equal((await house.modern("/mcp", "tools/list")).status, 200);
    const other = await House.open(scope, { auth }, (options) => ({
      ...doorFor(new Map([["Bearer mcproxy_tess", new Ticket("tess")]]))(options),
      reload() {
        throw new Error("no reload today");
      },
    }));
    assert.equal((await other.modern("/mcp", "tools/list", {}, { as: "tess" })).status, 200);
    other.reload({ auth: { keys: {} } });
    assert.equal((await other.modern("/mcp", "tools/list", {}, { as: "tess" })).status, 500);
  }),
);

test(
  "whose token is verified while the settings change is let in to what they give by then",
  inScope(async (scope) => {
    const auth = { keys: {} };
    const asked = new Inbox<(admission: Admission) => void>("who waits at the door");
    const house = await House.open(scope, { auth, access: { tess: "*" } }, (options) => ({
      ...doorFor(new Map())(options),
      admit: () => new Promise((resolve) => void asked.push(resolve)),
    }));
    const during = async (settings: object, ask: () => Promise<Response>) => {
      house.reload({ auth, access: { tess: "*" } });
      const { length } = asked.items;
      const told = ask();
      if (asked.items.length === length) await asked.waitFor(() => true, { from: length });
      house.reload(settings);
      asked.items.at(-1)!(new Ticket("tess"));
      return await within(told, "the answer");
    };
    const list = (path: string) => () => house.modern(path, "tools/list");
    const taken = { auth, access: { tess: "pa" } };
    assert.equal((await during(taken, list("/servers/b/mcp"))).status, 404);
    assert.equal((await during(taken, () => house.ask("/api/status"))).status, 403);
    const health = await during(taken, () => house.ask("/health"));
    assert.deepEqual(Object.keys(await health.json()), ["status"]);
    const [told] = await messagesOf(await during(taken, list("/mcp")));
    assert.equal(told.result.tools.length, 2);
    const late = await during({}, list("/mcp"));
    assert.deepEqual([late.status, late.headers.get("retry-after")], [503, "1"]);
  }),
);

test(
  "the client on stdin may do everything, and is somebody where others are",
  inScope(async (scope) => {
    const house = await House.open(scope, { auth: { keys: {} }, access: {} });
    const lines = new Array<string>();
    const list = { jsonrpc: "2.0", id: 2, method: "tools/list" };
    const owners: unknown[] = [];
    async function* input() {
      const params = {
        protocolVersion: "2025-11-25",
        capabilities: {},
        clientInfo: { name: "t", version: "1" },
      };
      const begin = { jsonrpc: "2.0", id: 1, method: "initialize", params };
      for (const message of [begin, list]) {
        yield new TextEncoder().encode(`${JSON.stringify(message)}\n`);
      }
      for (const { client } of house.gateway.sessions) owners.push(client?.principal?.id);
    }
    const { gateway } = house;
    await serveStdio({
      gateway,
      endpoint: AGGREGATE,
      input: input(),
      write: (line) => lines.push(line),
    });
    assert.deepEqual(owners, ["local"]);
    assert.equal(JSON.parse(lines[1]!).result.tools.length, 4);
  }),
);
