import assert from "node:assert/strict";
import { test } from "node:test";
import { cacheReads, cacheResults, ResultCache } from "../../../src/gateway/middleware/cache.ts";
import type { Exchange } from "../../../src/protocol/exchange.ts";
import { parseMessage, type ResponseMessage } from "../../../src/protocol/message.ts";
import {
  answered,
  type CallOptions,
  callTo,
  HandUpstream,
  textResult,
} from "./middleware-support.ts";

/** A cache whose clock is turned by hand, before an upstream that answers with a count. */
function house(
  options: { ttl?: number; isPublic?: boolean; limit?: number; result?: string } = {},
) {
  const { ttl = 1000, isPublic = false, limit = 1_000_000, result } = options;
  const clock = { now: 0 };
  const cache = new ResultCache(limit, () => clock.now);
  const middleware = cacheResults({ tools: "*", ttl, public: isPublic }, cache, "settings");
  const asked: string[] = [];
  const ask = async (call: CallOptions = {}) => {
    const { raw } = await middleware(callTo({ session: "a", ...call }), (last) => {
      asked.push(last.exchange.request.raw);
      return Promise.resolve(answered(last, result ?? textResult(`answer ${asked.length}`)));
    });
    return raw;
  };
  return { clock, cache, middleware, asked, ask };
}

const params = (argumentsText: string, rest = "") =>
  `{"name":"t","arguments":${argumentsText}${rest}}`;

test("cacheResults() answers again from the cache with the id of who asks", async () => {
  const result = '{ "content":[ ], "_meta":{"x": 1.0}, "n":12345678901234567890 }';
  const { ask, asked, cache } = house({ result });
  await ask();
  assert.equal(
    await ask({ id: "é", params: params('{ "q" : 1 }', ',"_meta":{"progressToken":7}') }),
    `{"jsonrpc":"2.0","id":"é","result":${result}}`,
  );
  assert.equal(asked.length, 1);
  const { bytes, ...stats } = cache.stats;
  assert.deepEqual(stats, { hits: 1, misses: 1, entries: 1 });
  assert.ok(bytes >= result.length);
});

test("cacheResults() gives no two callers the same result object", async () => {
  const { middleware } = house();
  const send = () =>
    middleware(
      callTo({ session: "a" }),
      (last) => Promise.resolve(answered(last, textResult("x"))),
    );
  const [first, second, third] = [await send(), await send(), await send()];
  assert.notEqual(first.result, second.result);
  assert.notEqual(second.result, third.result);
});

test("cacheResults() tells arguments apart by meaning, and never takes two for one", async () => {
  const { ask, asked } = house();
  const same = ['{"a":1,"b":{"c":[1,2],"d":null}}', '{ "b":{"d":null, "c":[ 1,2 ]},"a":1 }'];
  for (const one of same) await ask({ params: params(one) });
  assert.equal(asked.length, 1);
  const others = [
    ...['{"a":1}', '{"a":"1"}', '{"a":[1]}', '{"a":null}', "{}", '{"a":1,"a":2}', '{"a":2}'],
    ...['{"a":9007199254740992}', '{"a":9007199254740993}', '{"__proto__":1}', '{"a":{"b":1}}'],
    ...['{"a,b":1}', '{"a":[1,2]}', '{"a":[2,1]}', '{"a":[[1],2]}'],
  ];
  for (const one of others) await ask({ params: params(one) });
  assert.equal(asked.length, 1 + others.length);
  await ask({ params: params('{"a":1}', ',"_meta":{"tenant":"x"}') });
  assert.equal(asked.length, 2 + others.length, "_meta that may mean something");
  await ask({ client: { capabilities: { sampling: {} } }, params: params("{}") });
  assert.equal(asked.length, 3 + others.length, "another client's abilities");
});

test("cacheResults() compares arguments as the upstream gets them", async () => {
  const { middleware } = house();
  const asked: unknown[] = [];
  for (const unit of ["km", "mi", "km"]) {
    const call = callTo({ session: "a" });
    const edits = [{ path: ["params", "arguments", "unit"], value: `"${unit}"` }];
    await middleware({ ...call, edits }, (last) => {
      asked.push(unit);
      return Promise.resolve(answered(last, textResult(unit)));
    });
  }
  assert.deepEqual(asked, ["km", "mi"]);
});

test("cacheResults() does not compare arguments that are nested too deep", async () => {
  const { ask, asked } = house();
  const deep = params(`${'{"a":'.repeat(5000)}1${"}".repeat(5000)}`);
  await ask({ params: deep });
  await ask({ params: deep });
  assert.equal(asked.length, 2);
});

test("cacheResults() gives no client what another was answered", async () => {
  const { ask, asked } = house();
  await ask({ session: "a" });
  await ask({ session: "b" });
  assert.equal(asked.length, 2);
  await ask({ session: undefined });
  await ask({ session: undefined });
  assert.equal(asked.length, 4, "a client that cannot be recognised");
  assert.match(await ask({ session: "b" }), /answer 2/);
});

test("cacheResults() gives all clients of an era what is public", async () => {
  const { ask, asked } = house({ isPublic: true });
  for (const session of ["a", "b", undefined, undefined]) await ask({ session });
  assert.equal(asked.length, 2, "once for each era");
});

test("cacheResults() keeps a result for its time", async () => {
  const { ask, asked, clock } = house({ ttl: 1000 });
  await ask();
  clock.now = 1000;
  await ask();
  assert.equal(asked.length, 1);
  clock.now = 1001;
  assert.match(await ask(), /answer 2/);
});

test("cacheResults() keeps no errors, questions or tasks", async () => {
  for (
    const result of [
      textResult("no", { isError: true }),
      '{"resultType":"input_required","inputRequests":{}}',
      '{"resultType":"task","taskId":"1"}',
      '{"task":{"taskId":"1"}}',
    ]
  ) {
    const { ask, asked, cache } = house({ result });
    await ask();
    await ask();
    assert.equal(asked.length, 2, result);
    assert.equal(cache.stats.entries, 0, result);
  }
  const { middleware, cache } = house();
  const error = (id: number) =>
    parseMessage(`{"jsonrpc":"2.0","id":${id},"error":{"code":-1,"message":"x"}}`);
  for (const id of [1, 2]) {
    const call = callTo({ id, session: "a" });
    const got = await middleware(call, () => Promise.resolve(error(id) as ResponseMessage));
    assert.equal(got.id, id);
  }
  assert.equal(cache.stats.misses, 2);
});

test("cacheResults() passes rounds of an exchange and tasks by", async () => {
  for (const rest of [',"requestState":"x"', ',"inputResponses":{}', ',"task":{"ttl":1}']) {
    const { ask, asked, cache } = house();
    await ask({ params: params("{}", rest) });
    await ask({ params: params("{}", rest) });
    assert.equal(asked.length, 2, rest);
    assert.deepEqual(cache.stats, { hits: 0, misses: 0, entries: 0, bytes: 0 });
  }
});

test("ResultCache.forget() lets go of one server's results, those on their way included", async () => {
  const { middleware, cache } = house();
  const upstream = new HandUpstream();
  const send = (id: number, server = "s") =>
    middleware({ ...callTo({ id, session: "a" }), server }, upstream.next);
  const other = send(1, "other");
  (await upstream.at(0)).answer("{}");
  await other;
  const before = send(2);
  const received = await upstream.at(1);
  cache.forget("s");
  const after = send(3);
  assert.equal(upstream.received.length, 3, "a call from before is not shared");
  received.answer(textResult("old"));
  await before;
  assert.equal(cache.stats.entries, 1, "of the other server");
  (await upstream.at(2)).answer(textResult("new"));
  assert.match((await after).raw, /new/);
  assert.match((await send(4)).raw, /new/);
  await send(5, "other");
  assert.equal(upstream.received.length, 3);
  cache.forget("s");
  void send(6);
  assert.equal(upstream.received.length, 4);
});

test("ResultCache.forget() lets go each time of what was kept since, and of no other server", async () => {
  const cache = new ResultCache(1_000_000);
  const keep = (key: string, server: string) =>
    cache.keep(key, server, answered(callTo(), textResult("x")), 1_000);
  await keep("mine", "t");
  for (let round = 0; round < 3; round++) {
    await keep(`one ${round}`, "s");
    await keep(`two ${round}`, "s");
    assert.equal(cache.stats.entries, 3);
    cache.forget("s");
    cache.forget("s");
    assert.equal(cache.stats.entries, 1);
  }
  assert.ok(cache.find("mine"));
});

test("ResultCache stays within its bytes, and keeps nothing that would drive all else out", async () => {
  const { ask, asked, cache } = house({ limit: 10_000, result: textResult("x".repeat(1000)) });
  for (let q = 0; q < 30; q++) await ask({ params: params(`{"q":${q}}`) });
  const { entries, bytes } = cache.stats;
  assert.ok(bytes <= 10_000 && entries >= 5, `${entries} entries, ${bytes} bytes`);
  await ask({ params: params('{"q":29}') });
  assert.equal(asked.length, 30);
  const large = house({ limit: 10_000, result: textResult("x".repeat(3000)) });
  await large.ask();
  await large.ask();
  assert.equal(large.asked.length, 2);
});

test("ResultCache.limit empties it, and 0 turns it off", async () => {
  const { ask, asked, cache } = house();
  await ask();
  cache.limit = 500_000;
  assert.equal(cache.stats.entries, 0);
  await ask();
  await ask();
  assert.equal(asked.length, 2);
  cache.limit = 0;
  await Promise.all([ask(), ask()]);
  assert.equal(asked.length, 4);
  assert.equal(cache.stats.entries, 0);
});

test("ResultCache makes one call of equal calls at a time", async () => {
  const { middleware, cache } = house();
  const upstream = new HandUpstream();
  const calls = [1, 2, 3].map((id) => middleware(callTo({ id, session: "a" }), upstream.next));
  const { call, answer } = await upstream.at(0);
  call.exchange.notify("progress");
  answer(textResult("one"));
  const responses = await Promise.all(calls);
  assert.deepEqual(responses.map(({ id }) => id), [1, 2, 3]);
  assert.deepEqual(responses.map(({ raw }) => JSON.parse(raw).id), [1, 2, 3]);
  assert.equal(upstream.received.length, 1);
  assert.equal(cache.stats.hits, 2);
  assert.equal(cache.stats.misses, 1);
});

test("ResultCache tells all who wait of the one failure, and calls again afterwards", async () => {
  const { middleware } = house();
  const upstream = new HandUpstream();
  const calls = [1, 2].map((id) => middleware(callTo({ id, session: "a" }), upstream.next));
  (await upstream.at(0)).fail(new Error("gone"));
  for (const call of calls) await assert.rejects(call, /gone/);
  const again = middleware(callTo({ session: "a" }), upstream.next);
  (await upstream.at(1)).answer("{}");
  await again;
  // Also where it fails before it has begun.
  const broken = () => {
    throw new Error("at once");
  };
  const other = { session: "a", params: params('{"other":1}') };
  await assert.rejects(middleware(callTo(other), broken), /at once/);
  await assert.rejects(middleware(callTo(other), broken), /at once/);
});

test("ResultCache goes on with a call whose first caller has cancelled", async () => {
  const { middleware } = house();
  const upstream = new HandUpstream();
  const leader = callTo({ id: 1, session: "a" });
  const first = middleware(leader, upstream.next);
  const second = middleware(callTo({ id: 2, session: "a" }), upstream.next);
  const { call, answer } = await upstream.at(0);
  leader.exchange.cancel("enough");
  await assert.rejects(first, /enough/);
  assert.equal(call.exchange.signal.aborted, false);
  answer(textResult("late"));
  assert.match((await second).raw, /"id":2.*late/);
  assert.equal(upstream.received.length, 1);
});

test("ResultCache starts anew where the call went down with its first caller", async () => {
  const { middleware } = house();
  const upstream = new HandUpstream();
  const leader = callTo({ id: 1, session: "a" });
  const first = middleware(leader, upstream.next);
  const others = [2, 3].map((id) => middleware(callTo({ id, session: "a" }), upstream.next));
  const received = await upstream.at(0);
  leader.exchange.cancel("enough");
  await assert.rejects(first, /enough/);
  received.fail(new Error("its connection is closed"));
  const next = await upstream.at(1);
  assert.equal(next.call.exchange.request.id, 2);
  next.answer(textResult("again"));
  for (const other of others) assert.match((await other).raw, /again/);
  assert.equal(upstream.received.length, 2);
});

test("ResultCache cancels the call when nobody waits any more", async () => {
  const { middleware } = house();
  const upstream = new HandUpstream();
  const calls = [callTo({ id: 1, session: "a" }), callTo({ id: 2, session: "a" })];
  const answers = calls.map((call) => middleware(call, upstream.next));
  const { call } = await upstream.at(0);
  for (const { exchange } of calls) exchange.cancel("enough");
  for (const answer of answers) await assert.rejects(answer, /enough/);
  assert.equal(call.exchange.signal.aborted, true);
  const later = middleware(callTo({ id: 3, session: "a" }), upstream.next);
  (await upstream.at(1)).answer("{}");
  await later;
});

test("ResultCache lets nobody join a call that is being cancelled", async () => {
  const { middleware } = house();
  const leader = callTo({ id: 1, session: "a" });
  const deaf = middleware(leader, () => new Promise(() => {}));
  leader.exchange.cancel("enough");
  await assert.rejects(deaf, /enough/);
  const later = callTo({ id: 2, session: "a" });
  const { raw } = await middleware(later, (last) => Promise.resolve(answered(last, '{"n":2}')));
  assert.match(raw, /"n":2/);
});

test("ResultCache lets go of a follower that cancels, and of nobody else", async () => {
  const { middleware } = house();
  const upstream = new HandUpstream();
  const first = middleware(callTo({ id: 1, session: "a" }), upstream.next);
  const follower = callTo({ id: 2, session: "a" });
  const second = middleware(follower, upstream.next);
  const { call, answer } = await upstream.at(0);
  follower.exchange.cancel("enough");
  await assert.rejects(second, /enough/);
  assert.equal(call.exchange.signal.aborted, false);
  answer("{}");
  await first;
});

test("ResultCache shares and keeps nothing that a client was asked for", async () => {
  const { middleware, cache } = house({ isPublic: true });
  const upstream = new HandUpstream();
  const asked: string[] = [];
  const ask = (who: string): Exchange["ask"] => () => {
    asked.push(who);
    return Promise.resolve(answered(callTo(), `{"name":"${who}"}`));
  };
  const leader = callTo({ id: 1, session: "a", ask: ask("a") });
  const first = middleware(leader, upstream.next);
  const second = middleware(callTo({ id: 2, session: "b", ask: ask("b") }), upstream.next);
  const one = await upstream.at(0);
  // As whoever sends it on does.
  one.call.exchange.server = "s";
  await one.call.exchange.ask("elicitation/create", "{}");
  assert.equal(leader.exchange.server, "s", "the session remembers who asked");
  const two = await upstream.at(1);
  assert.equal(two.call.exchange.client.session, "b");
  await two.call.exchange.ask("elicitation/create", "{}");
  one.answer(textResult("for a"));
  two.answer(textResult("for b"));
  assert.match((await first).raw, /for a/);
  assert.match((await second).raw, /for b/);
  assert.deepEqual(asked, ["a", "b"]);
  assert.equal(cache.stats.entries, 0);
});

test("ResultCache asks no client that has cancelled", async () => {
  const { middleware } = house({ isPublic: true });
  const upstream = new HandUpstream();
  const leader = callTo({ id: 1, session: "a" });
  const first = middleware(leader, upstream.next);
  const second = middleware(callTo({ id: 2, session: "b" }), upstream.next);
  const one = await upstream.at(0);
  leader.exchange.cancel("enough");
  await assert.rejects(first);
  await assert.rejects(
    async () => await one.call.exchange.ask("x", "{}"),
    /has cancelled the call/,
  );
  (await upstream.at(1)).answer(textResult("own"));
  assert.match((await second).raw, /own/);
});

test("ResultCache gives each its own question where the answer is one", async () => {
  const { middleware } = house({ isPublic: true });
  const upstream = new HandUpstream();
  const first = middleware(callTo({ id: 1 }), upstream.next);
  const second = middleware(callTo({ id: 2 }), upstream.next);
  const question = '{"resultType":"input_required","inputRequests":{}}';
  (await upstream.at(0)).answer(question);
  (await upstream.at(1)).answer(question);
  assert.equal((await first).id, 1);
  assert.equal((await second).id, 2);
});

test("cacheReads() keeps what a modern server says is public, for as long as it says", async () => {
  const clock = { now: 0 };
  const cache = new ResultCache(100_000, () => clock.now);
  const middleware = cacheReads(cache);
  let reads = 0;
  let hint = '"ttlMs":1000,"cacheScope":"public"';
  const read = async (uri: string, session?: string) => {
    const call = callTo({ method: "resources/read", params: `{"uri":"${uri}"}`, session });
    const response = await middleware(call, (last) => {
      reads++;
      return Promise.resolve(answered(last, `{"contents":[ ],${hint}}`));
    });
    assert.deepEqual(JSON.parse(response.raw).result, response.result);
    return response.raw;
  };
  await read("f://a");
  clock.now = 400;
  assert.match(await read("f://a"), /"contents":\[ \],"ttlMs":600,"cacheScope":"public"/);
  assert.equal(reads, 1);
  await read("f://b");
  await read("f://a", "legacy");
  await read("f://a", "legacy");
  assert.equal(reads, 4);
  clock.now = 1001;
  await read("f://a");
  assert.equal(reads, 5);
  for (
    const other of [
      '"ttlMs":1000,"cacheScope":"private"',
      '"ttlMs":0,"cacheScope":"public"',
      '"ttlMs":"9","cacheScope":"public"',
    ]
  ) {
    hint = other;
    const before: number = reads;
    await read("f://c");
    await read("f://c");
    assert.equal(reads, before + 2, other);
  }
  cache.forget("s");
  await read("f://a");
  assert.equal(reads, 12);
});
