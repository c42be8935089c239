import assert from "node:assert/strict";
import { test } from "node:test";
import { ActiveExchange } from "../../src/gateway/clients/exchange.ts";
import { Parking } from "../../src/gateway/parking.ts";
import type { JsonObject } from "../../src/lib/json.ts";
import type { RpcError } from "../../src/protocol/errors.ts";
import type { Client, Exchange } from "../../src/protocol/exchange.ts";
import {
  parseMessage,
  type RequestMessage,
  type ResponseMessage,
  resultResponse,
} from "../../src/protocol/message.ts";

const client: Client = {
  label: "m",
  era: "modern",
  protocolVersion: "2026-07-28",
  capabilities: { elicitation: {}, sampling: {} },
  info: { name: "m" },
  session: undefined,
  logLevel: undefined,
};

function exchange(id: number, extra: JsonObject = {}, meta?: JsonObject) {
  const sent: string[] = [];
  const params = { name: "t", arguments: { x: 1 }, ...extra, ...(meta ? { _meta: meta } : {}) };
  const message = parseMessage(
    JSON.stringify({ jsonrpc: "2.0", id, method: "tools/call", params }),
  ) as RequestMessage;
  return Object.assign(new ActiveExchange(client, message, { send: (raw) => sent.push(raw) }), {
    sent,
  });
}

/** An upstream call that is played by hand. */
function upstream() {
  const started = Promise.withResolvers<Exchange>();
  const done = Promise.withResolvers<ResponseMessage>();
  return {
    started: started.promise,
    forward: (one: Exchange) => {
      one.signal.addEventListener("abort", () => done.reject(one.signal.reason));
      started.resolve(one);
      return done.promise;
    },
    finish: (result: JsonObject) =>
      done.resolve(parseMessage(resultResponse("1", JSON.stringify(result))) as ResponseMessage),
  };
}

const limits = { calls: 10, characters: 10_000, age: 60_000 };
const FORM = '{"message":"who?","requestedSchema":{}}';

function inputs(response: ResponseMessage): { keys: string[]; state: string } {
  assert.equal(response.result?.resultType, "input_required");
  const requests = response.result.inputRequests as JsonObject;
  return { keys: Object.keys(requests), state: response.result.requestState as string };
}

const good = (response: ResponseMessage) => JSON.parse(response.raw).result as JsonObject;
const refused = (code: number, pattern: RegExp) => (error: unknown) => {
  assert.equal((error as RpcError).code, code);
  assert.match((error as RpcError).message, pattern);
  return true;
};

/** Runs a call up to its first question. */
async function asking(parking: Parking, method = "elicitation/create") {
  const up = upstream();
  const first = parking.start(exchange(1), "s", up.forward);
  const call = await up.started;
  const answer = call.ask(method, FORM);
  answer.catch(() => {});
  return { up, call, answer, ...inputs(await first) };
}

test("Parking passes a call through that asks nothing", async () => {
  const parking = new Parking(limits);
  const up = upstream();
  const reply = parking.start(exchange(7), "s", up.forward);
  up.finish({ content: [] });
  assert.deepEqual(good(await reply), { content: [] });
  assert.equal(parking.size, 0);
});

test("Parking asks by input_required and resumes with the answer, for the retry's own id", async () => {
  const parking = new Parking(limits);
  const { up, answer, keys, state } = await asking(parking);
  const retry = parking.resume(
    exchange(2, {
      inputResponses: { [keys[0]!]: { action: "accept", n: 1 } },
      requestState: state,
    }),
    "s",
  )!;
  assert.deepEqual((await answer).result, { action: "accept", n: 1 });
  up.finish({ ok: 1 });
  const response = await retry;
  assert.deepEqual([JSON.parse(response.raw).id, good(response)], [2, { ok: 1 }]);
  assert.equal(parking.size, 0);
});

test("Parking puts several questions of one breath into one round, and several rounds in one call", async () => {
  const parking = new Parking(limits);
  const up = upstream();
  const first = parking.start(exchange(1), "s", up.forward);
  const call = await up.started;
  const both = [call.ask("elicitation/create", FORM), call.ask("sampling/createMessage", "{}")];
  const one = inputs(await first);
  assert.equal(one.keys.length, 2);
  // Only one is answered: the other is asked again.
  const second = parking.resume(
    exchange(2, { inputResponses: { [one.keys[1]!]: { s: 1 } }, requestState: one.state }),
    "s",
  )!;
  assert.deepEqual((await both[1]!).result, { s: 1 });
  const two = inputs(await second);
  assert.deepEqual(two.keys, [one.keys[0]]);
  const third = parking.resume(
    exchange(3, { inputResponses: { [two.keys[0]!]: { e: 1 } }, requestState: two.state }),
    "s",
  )!;
  assert.deepEqual((await both[0]!).result, { e: 1 });
  up.finish({ done: true });
  assert.deepEqual(good(await third), { done: true });
});

test("Parking refuses a state replayed, of an earlier round, or of a call that has ended", async () => {
  const parking = new Parking(limits);
  const { up, keys, state } = await asking(parking);
  const again = (id: number) =>
    exchange(id, { inputResponses: { [keys[0]!]: {} }, requestState: state });
  const retry = parking.resume(again(2), "s")!;
  assert.throws(() => parking.resume(again(3), "s"), refused(-32602, /answered already/));
  up.finish({});
  await retry;
  assert.throws(() => parking.resume(again(4), "s"), refused(-32602, /has ended/));
});

test("Parking refuses a state that is older than its client may take to answer", async () => {
  const parking = new Parking(limits);
  const { answer, state } = await asking(parking);
  const { now } = Date;
  Date.now = () => now() + limits.age + 1_000;
  try {
    const late = exchange(2, { requestState: state });
    assert.throws(() => parking.resume(late, "s"), refused(-32602, /has expired/));
  } finally {
    Date.now = now;
  }
  parking.close();
  await assert.rejects(answer, /is stopping/);
});

test("Parking takes a state with other parameters, server or letters for nobody's", async () => {
  const parking = new Parking(limits);
  const { state } = await asking(parking);
  const retry = (extra: JsonObject, server = "s") =>
    parking.resume(exchange(2, { requestState: state, ...extra }), server);
  assert.equal(retry({ arguments: { x: 2 } }), undefined);
  assert.equal(retry({}, "other"), undefined);
  assert.equal(retry({ requestState: state + "A" }), undefined);
  assert.equal(retry({ requestState: 5 }), undefined);
  parking.close();
});

test("Parking ends a call that asks for what the client did not declare", async () => {
  const parking = new Parking(limits);
  const up = upstream();
  const first = parking.start(exchange(1), "s", up.forward);
  const call = await up.started;
  await assert.rejects(call.ask("roots/list", undefined), refused(-32021, /supports roots/));
  await assert.rejects(first, (error: RpcError) => {
    assert.deepEqual([error.code, error.data], [-32021, { requiredCapabilities: { roots: {} } }]);
    return true;
  });
  assert.equal(call.signal.aborted, true);
  assert.equal(parking.size, 0);
});

test("Parking keeps an outcome for the client that is still to come back", async () => {
  const parking = new Parking(limits);
  const { up, answer, state } = await asking(parking);
  up.finish({ early: true });
  await assert.rejects(answer, /the call has ended/);
  assert.equal(parking.size, 1);
  const response = await parking.resume(exchange(2, { requestState: state }), "s")!;
  assert.deepEqual(good(response), { early: true });
  assert.equal(parking.size, 0);
});

test("Parking cancels upstream what expires, is left, or is closed", async () => {
  const old = new Parking({ ...limits, age: 1 });
  const expired = await asking(old);
  await assert.rejects(expired.answer, /did not answer in time/);
  assert.equal(expired.call.signal.aborted, true);
  assert.equal(old.size, 0);

  const left = new Parking(limits);
  const up = upstream();
  const leaving = exchange(1);
  const reply = left.start(leaving, "s", up.forward);
  const call = await up.started;
  leaving.cancel("gone");
  await assert.rejects(reply);
  assert.equal(call.signal.aborted, true);
  assert.equal(left.size, 0);

  const closed = new Parking(limits);
  const parked = await asking(closed);
  closed.close();
  assert.equal(parked.call.signal.aborted, true);
  assert.equal(closed.size, 0);
});

test("Parking bounds how many calls wait and how much they hold", async () => {
  const parking = new Parking({ ...limits, calls: 1 });
  await asking(parking);
  const up = upstream();
  const second = parking.start(exchange(2), "s", up.forward);
  await assert.rejects((await up.started).ask("elicitation/create", FORM), /Too many calls/);
  up.finish({});
  await second;
  parking.close();

  const small = new Parking({ ...limits, characters: 10 });
  const big = upstream();
  const third = small.start(exchange(3), "s", big.forward);
  await assert.rejects((await big.started).ask("elicitation/create", FORM), /Too much waits/);
  big.finish({});
  await third;
});

test("Parking gives progress of a parked call to the next round, under its token", async () => {
  const parking = new Parking(limits);
  const { up, call, state } = await asking(parking);
  const progress = (n: number) =>
    `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"old","progress":${n}}}`;
  call.notify(progress(1));
  const retry = exchange(2, { requestState: state }, { progressToken: "new" });
  const reply = parking.resume(retry, "s")!;
  assert.deepEqual(retry.sent, [progress(1).replace("old", "new")]);
  up.finish({});
  await reply;
});

test("Parking gives up what waits for clients that are not let in any more, and nothing else", async () => {
  const parking = new Parking(limits);
  const [gone, stays] = [await asking(parking), await asking(parking)];
  const { client } = gone.call;
  Object.assign(gone.call, { client: { ...client, label: "gone" } });
  parking.cancelWhere(({ label }) => label === "gone", "its key is gone");
  await assert.rejects(gone.answer, /its key is gone/);
  assert.deepEqual([gone.call.signal.aborted, stays.call.signal.aborted], [true, false]);
  assert.equal(parking.size, 1);
  parking.close();
});
