/** What is kept of calls, counted of them and written of them. */

import { configureSync, type LogRecord, resetSync } from "@logtape/logtape";
import assert from "node:assert/strict";
import { test } from "node:test";
import v8 from "node:v8";
import vm from "node:vm";
import { ActiveExchange } from "../../src/gateway/clients/exchange.ts";
import { CallRecord, Facts } from "../../src/gateway/events.ts";
import type { Gateway } from "../../src/gateway/gateway.ts";
import type { JsonObject } from "../../src/lib/json.ts";
import { createRedactor } from "../../src/lib/secrets.ts";
import {
  errorTypeOf,
  hasFailed,
  OBSERVED_OUTCOMES,
  type ObservedCall,
} from "../../src/observe/call.ts";
import { Recorder } from "../../src/observe/recorder.ts";
import { BOUNDS, Counter, Family, Histogram, MOST_SERIES } from "../../src/observe/series.ts";
import { ErrorCode, RpcError } from "../../src/protocol/errors.ts";
import type { Client } from "../../src/protocol/exchange.ts";
import {
  parseMessage,
  type RequestMessage,
  type ResponseMessage,
} from "../../src/protocol/message.ts";
import { clientOf } from "../gateway/middleware/middleware-support.ts";

const SECRET = "hunter2-is-a-canary";
const REPLY = '{"jsonrpc":"2.0","id":1,"result":{}}';

interface Ended {
  readonly tool?: string;
  readonly client?: Partial<Client>;
  readonly params?: JsonObject;
  readonly method?: string;
  readonly change?: (record: CallRecord) => void;
}

/** A recorder of a gateway that has the server `s` with 10 tools, and what ends calls there. */
function recording() {
  const events = new Facts();
  const servers = new Set(["s"]);
  const items = Array.from({ length: 10 }, (_, at) => ({ key: `t${at}` }));
  const member = {
    config: { instances: [{ kind: "stdio" }] },
    offered: { lists: { tools: { items }, prompts: { items: [] } } },
  };
  const routes = new Map(items.map(({ key: name }) => [
    name,
    { server: "s", name, exposed: `s_${name}` },
  ]));
  const gateway = {
    events,
    members: { get: (name: string) => servers.has(name) ? member : undefined },
    redact: createRedactor([SECRET]).text,
  } as unknown as Gateway;
  const recorder = new Recorder(gateway);
  const end = ({ tool = "t0", client, params, method = "tools/call", change }: Ended = {}) => {
    const raw = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params: params ?? { name: tool } });
    const request = parseMessage(raw) as RequestMessage;
    const exchange = new ActiveExchange(clientOf("c1", client), request, { send: () => {} });
    const record = new CallRecord(exchange, "*");
    record.route = method === "tools/call" ? routes.get(tool) : undefined;
    if (record.route !== undefined) {
      exchange.server = "s";
      record.attempts = 1;
      record.ownName = tool;
    }
    change?.(record);
    record.ended(REPLY);
    events.emit(record);
    return exchange.rid;
  };
  const reload = (...names: string[]) => {
    servers.clear();
    for (const name of names) servers.add(name);
    events.emit({ kind: "config", file: "f", refused: undefined });
  };
  return { recorder, events, end, reload, routes };
}

test("the last thousand calls are kept, the latest first, and found by their ids", () => {
  const { recorder, end } = recording();
  const ids = Array.from({ length: 2_345 }, (_, at) => end({ tool: `t${at % 10}` }));
  const all = recorder.recent();
  assert.deepEqual(all.map(({ id }) => id), ids.toReversed().slice(0, 1_000));
  for (const call of [all[0]!, all[500]!, all[999]!]) {
    assert.deepEqual(recorder.find(call.id), call);
    assert.equal(call.name, `s_${call.ownName}`);
  }
  for (const id of [ids[0]!, ids[1_344]!, "", "0", "zzzzzzzz", "constructor"]) {
    assert.equal(recorder.find(id), undefined);
  }
  assert.ok(all.every(({ at }, index) => index === 0 || at <= all[index - 1]!.at + 1));
});

test("calls are chosen by a filter, a time and a number", () => {
  const { recorder, end } = recording();
  for (let at = 0; at < 20; at++) end({ tool: `t${at % 10}` });
  const filter = ({ ownName }: ObservedCall) => ownName === "t3";
  assert.deepEqual(recorder.recent({ filter }).map(({ ownName }) => ownName), ["t3", "t3"]);
  assert.equal(recorder.recent({ filter, limit: 1 }).length, 1);
  assert.equal(recorder.recent({ limit: 0 }).length, 0);
  const [latest] = recorder.recent();
  assert.ok(recorder.recent({ before: latest!.at }).every(({ at }) => at < latest!.at));
  assert.deepEqual(recorder.recent({ before: 0 }), []);
});

test("who follows is told of each call until he leaves, and may fail", () => {
  const { recorder, end } = recording();
  const told: string[] = [];
  const off = recorder.onCall(({ record }) => {
    assert.equal(record.received.method, "tools/call");
    throw new Error("a follower's own");
  });
  const stop = recorder.onCall(({ whole: { id } }) => void told.push(id));
  const id = end();
  assert.deepEqual(told, [id]);
  assert.ok(recorder.find(id) !== undefined);
  off();
  stop();
  end();
  assert.deepEqual(told, [id]);
  recorder.close();
  end();
  assert.equal(recorder.recent().length, 2);
});

test("nothing of what was said is kept, and of long names the beginning only", () => {
  const { recorder, end } = recording();
  const long = "n".repeat(1_000_000);
  end({ params: { name: "t0", arguments: { q: SECRET } } });
  end({ tool: long });
  end({ method: "resources/read", params: { uri: `x://${long}` } });
  end({ method: long, params: {} });
  end({ client: { info: { name: long, version: long } } });
  end({ client: { info: { name: "a\u001b[31m\nb", version: 7 } } });
  const text = JSON.stringify(recorder.recent());
  assert.ok(!text.includes(SECRET) && text.length < 10_000, String(text.length));
  const [odd, large] = recorder.recent();
  assert.equal(odd!.client, "a[31m b");
  assert.equal(large!.client.length, 64);
});

test("neither arguments nor results are kept in memory", async () => {
  const { end } = recording();
  const said: WeakRef<object>[] = [];
  for (let at = 0; at < 100; at++) {
    end({
      change: (record) => {
        said.push(new WeakRef(record.params!));
        record.answeredBy(parseMessage(REPLY) as ResponseMessage, undefined);
      },
    });
  }
  const collect = collector();
  for (let turn = 0; turn < 3; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
    collect();
  }
  const alive = said.filter((one) => one.deref() !== undefined).length;
  // The stack of a runtime may still hold some of the last.
  assert.ok(alive <= 5, `${alive} of 100 are still there`);
});

/** Collects all garbage at once, as each runtime lets tests do it. */
function collector(): () => void {
  const { Bun } = globalThis as { Bun?: { gc(now: boolean): void } };
  if (Bun !== undefined) return () => Bun.gc(true);
  v8.setFlagsFromString("--expose-gc");
  return vm.runInNewContext("gc");
}

test("what a client calls itself is written with its version, however many clients there are", () => {
  const { recorder, end } = recording();
  for (let at = 0; at < 1_200; at++) end({ client: { info: { name: `c${at}`, version: "1" } } });
  end({ client: { info: { name: "c7", version: "1" } } });
  end({ client: { info: { name: "c7", version: "2" } } });
  end({ client: { info: {} } });
  const clients = recorder.recent({ limit: 4 }).map(({ client }) => client);
  assert.deepEqual(clients, ["", "c7 2", "c7 1", "c1199 1"]);
});

test("a call is told of its own session by the label, and a modern client has none", () => {
  const { recorder, end } = recording();
  end({ client: { session: "c7" } });
  end({ client: { session: undefined, era: "modern", principal: ANNA } });
  const [modern, legacy] = recorder.recent();
  assert.deepEqual([legacy!.session, legacy!.who], ["c7", undefined]);
  assert.deepEqual([modern!.session, modern!.who], [undefined, "anna"]);
});

const ANNA = { id: "key:anna", who: "anna", names: [] };

test("the times of a call are parts of the whole, whatever the clocks say", () => {
  const { recorder, end } = recording();
  const nonsense = [NaN, -1e9, 0, 1, 1e12];
  for (const sent of nonsense) {
    for (const answered of nonsense) {
      const id = end({ change: (record) => Object.assign(record, { sent, answered }) });
      const { ms, queueMs, serverMs, gatewayMs } = recorder.find(id)!;
      const sum = queueMs + serverMs + gatewayMs;
      assert.ok(Math.abs(sum - ms) < 1e-6 && gatewayMs >= 0, `${sent} ${answered} ${serverMs}`);
    }
  }
});

test("what is thrown on the way is an outcome by its code", () => {
  const { recorder, end } = recording();
  const outcomes = {
    [ErrorCode.UpstreamUnavailable]: "unavailable",
    [ErrorCode.UpstreamTimeout]: "timeout",
    [ErrorCode.UpstreamProtocol]: "error",
    [ErrorCode.InternalError]: "error",
    [ErrorCode.UpstreamBusy]: "refused",
    [ErrorCode.InvalidParams]: "refused",
    [ErrorCode.MethodNotFound]: "refused",
    [ErrorCode.LimitReached]: "refused",
    [ErrorCode.ShuttingDown]: "refused",
  };
  for (const [code, outcome] of Object.entries(outcomes)) {
    const id = end({ change: (record) => record.failed(new RpcError(Number(code), "no")) });
    assert.deepEqual([recorder.find(id)!.outcome, recorder.find(id)!.code], [outcome, +code]);
  }
});

test("errorTypeOf() and hasFailed() know every outcome", () => {
  const types = OBSERVED_OUTCOMES.map((outcome) => [
    outcome,
    errorTypeOf({ outcome, code: -32000 }),
    hasFailed({ outcome }),
  ]);
  assert.deepEqual(types, [
    ["ok", undefined, false],
    ["tool_error", "tool_error", true],
    ["error", "-32000", true],
    ["refused", "refused", true],
    ["unavailable", "unavailable", true],
    ["timeout", "timeout", true],
    ["cancelled", "cancelled", false],
    ["input_required", undefined, false],
  ]);
  assert.equal(errorTypeOf({ outcome: "error" }), "error");
});

test("the text of a failure is what the client was told, without secrets", () => {
  const { recorder, events } = recording();
  const texts: (string | undefined)[] = [];
  recorder.onCall(({ record }) => void texts.push(recorder.failureText(record)));
  const raw = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}';
  const record = () => {
    const request = parseMessage(raw) as RequestMessage;
    return new CallRecord(new ActiveExchange(clientOf("c"), request, { send: () => {} }), "*");
  };
  const answers: readonly JsonObject[] = [
    { error: { code: -1, message: `no ${SECRET}` } },
    { result: { isError: true, content: [{ type: "text", text: `it is ${SECRET}` }] } },
    { result: { isError: true, content: "no list" } },
    { error: { code: -1, message: "y".repeat(1_000_000) } },
    { result: { content: [{ type: "text", text: "fine" }] } },
  ];
  for (const answer of answers) {
    const one = record();
    one.answeredBy({ kind: "response", raw: "", id: 1, ...answer } as never, undefined);
    one.ended(REPLY);
    events.emit(one);
  }
  const long = texts.splice(3, 1)[0]!;
  assert.deepEqual(texts, ["no [redacted]", "it is [redacted]", undefined, undefined]);
  assert.ok(long.length <= 301, String(long.length));
});

test("calls are counted by what they are, and lists and what is no call, too", () => {
  const { recorder, events, end, reload, routes } = recording();
  const { series } = recorder;
  const shown = () =>
    [...series.operations].map(([labels, { count }]) => [
      ...[labels.method, labels.name, labels.server, labels.errorType, count],
    ]);
  for (let at = 0; at < 3; at++) end();
  end({ change: (record) => record.outcome = "tool_error" });
  end({ tool: "not there" });
  end({ method: "tools/list", params: {} });
  end({ method: "resources/read", params: { uri: `x://${SECRET}` } });
  end({ method: "x".repeat(100), params: {} });
  events.emit({ kind: "served", method: "ping", duration: 0 });
  assert.deepEqual(shown(), [
    ["tools/call", "s_t0", "s", undefined, 3],
    ["tools/call", "s_t0", "s", "tool_error", 1],
    ["tools/call", "_unknown", undefined, undefined, 1],
    ["tools/list", undefined, undefined, undefined, 1],
    ["resources/read", undefined, undefined, undefined, 1],
    ["_unknown", undefined, undefined, undefined, 1],
    ["ping", undefined, undefined, undefined, 1],
  ]);
  assert.equal(recorder.recent().length, 7, "a list is no call");
  const [[labels, size]] = [...series.resultSize] as [[{ server: string }, Counter]];
  assert.deepEqual([labels.server, size.value], ["s", 4 * REPLY.length]);
  const [[request, asked]] = [...series.requests] as [[{ transport: string }, Histogram]];
  assert.deepEqual([request.transport, asked.count], ["pipe", 3]);

  reload("other");
  assert.deepEqual(shown().filter(([, , server]) => server === "s"), []);
  assert.equal(series.requests.size + series.queue.size + series.resultSize.size, 0);
  reload("s");
  assert.ok(routes.has("t0"));
  end();
  assert.deepEqual(shown().at(-1), ["tools/call", "s_t0", "s", undefined, 1]);
});

test("names that clients make up are one series, however many and however long", () => {
  const { recorder, events, end } = recording();
  const { series } = recorder;
  const kept: CallRecord[] = [];
  const off = events.on("call", (record) => void kept.push(record));
  end({ tool: "made up" });
  off();
  // The same record under other names: to write and read each takes longer than to count it.
  const [record] = kept;
  for (let at = 1; at < 100_000; at++) {
    Object.defineProperty(record, "name", { value: `made up ${at}`, configurable: true });
    events.emit(record!);
  }
  for (let at = 0; at < 10; at++) {
    end({ tool: "n".repeat(1_000_000) + at });
    end({ method: "m".repeat(1_000_000) + at, params: {} });
  }
  const found = [...series.operations].map(([{ method, name }, { count }]) => [
    ...[method, name, count],
  ]);
  const calls = ["tools/call", "_unknown", 100_010];
  assert.deepEqual(found, [calls, ["_unknown", undefined, 10]]);
  assert.deepEqual([...series.gateway].map(([{ method }]) => method), ["tools/call", "_unknown"]);
  assert.equal(series.requests.size + series.queue.size + series.resultSize.size, 0);
  const all = recorder.recent();
  assert.equal(all.length, 1_000);
  assert.ok(all.every(({ name = "", method }) => name.length <= 1_001 && method.length <= 1_001));
});

test("a histogram counts each in the bucket of its bound", () => {
  const histogram = new Histogram();
  for (const bound of BOUNDS) histogram.observe(bound * 1_000);
  histogram.observe(300_001);
  assert.ok(histogram.buckets.every((count) => count === 1));
  assert.equal(histogram.count, BOUNDS.length + 1);
  const sum = BOUNDS.reduce((all, bound) => all + bound, 300.001);
  assert.ok(Math.abs(histogram.sum - sum) < 1e-9);
});

test("a metric has so many series, and one for all that come then", async () => {
  const family = new Family(Counter);
  for (let at = 0; at < 100_000; at++) family.of({ name: `n${at}` }).value++;
  assert.equal(family.size, MOST_SERIES + 1);
  const series = [];
  for await (const one of family.inTurns()) series.push(one);
  assert.deepEqual(series.at(-1)![0], { overflow: true });
  assert.equal(series.at(-1)![1].value, 100_000 - MOST_SERIES);
  family.of({ name: "n3" }).value++;
  assert.equal(series[3]![1].value, 2);
});

/** The lines about calls that are written while `run` goes. */
function logged(lowestLevel: "debug" | "info" | "warning", run: () => void): LogRecord[] {
  const lines: LogRecord[] = [];
  const keep = (record: LogRecord) => void lines.push(record);
  const loggers = [
    { category: ["mcproxy", "calls"], sinks: ["keep"], lowestLevel },
    { category: ["logtape", "meta"], sinks: [] },
  ];
  configureSync({ sinks: { keep }, loggers, reset: true });
  try {
    run();
  } finally {
    resetSync();
  }
  return lines;
}

test("a failed call is a line at info, others are at debug, and each has its fields", () => {
  const calls = () => {
    const { end } = recording();
    end({ client: { principal: ANNA } });
    end({ change: (record) => record.failed(new RpcError(-32011, "too late")) });
    end({ change: (record) => record.outcome = "tool_error" });
    end({ change: (record) => record.outcome = "input_required" });
    // These have a line already.
    end({ change: (record) => record.failed(new RpcError(ErrorCode.LimitReached, "no more")) });
    end({ change: (record) => record.isLogged = true });
  };
  const lines = logged("debug", calls);
  const texts = lines.map(({ level, message }) => `${level} ${message.join("")}`);
  assert.deepEqual(texts, [
    "debug tools/call was answered",
    "info tools/call failed: too late",
    "info tools/call ended: tool_error",
    "debug tools/call ended: input_required",
  ]);
  const { rid, ms, queueMs, serverMs, ...fields } = lines[1]!.properties;
  assert.match(String(rid), /^[0-9a-z]{4}$/);
  for (const time of [ms, queueMs, serverMs]) assert.equal(typeof time, "number");
  assert.deepEqual(JSON.parse(JSON.stringify(fields)), {
    ...{ client: "c1", method: "tools/call", server: "s", name: "s_t0" },
    ...{ outcome: "timeout", code: -32011, bytesIn: 69, bytesOut: REPLY.length, error: "too late" },
  });
  assert.equal(lines[0]!.properties.who, "anna");
  assert.deepEqual(logged("info", calls).map(({ level }) => level), ["info", "info"]);
  assert.deepEqual(logged("warning", calls), []);
});

test("what a server repeats of the arguments is in no line, where it stands under a telling key", () => {
  const message = 'bad {"password":"hunter2 of mine","path":"/x"}';
  const [line] = logged("debug", () => {
    recording().end({ change: (one) => one.failed({ code: 1, message }) });
  });
  assert.equal(line!.properties.error, 'bad {"password":"[redacted]","path":"/x"}');
});

test("no text of a client or server makes the line of a call a long one", () => {
  const long = "y".repeat(1_000_000);
  const lines = logged("debug", () => {
    const { end } = recording();
    end({
      method: long,
      params: { uri: long },
      change: (one) => one.failed({ code: 1, message: long }),
    });
  });
  assert.ok(JSON.stringify(lines).length < 5_000);
});

test("what a client calls itself has no secret in it, however it is cut", () => {
  const { recorder, end } = recording();
  const named = (name: string, version: string) => end({ client: { info: { name, version } } });
  for (const name of [SECRET, `${"n".repeat(50)} ${SECRET}`]) named(name, SECRET);
  named("n".repeat(245) + SECRET, "1");
  const clients = recorder.recent().map(({ client }) => client);
  assert.equal(clients.length, 3);
  for (const client of clients) {
    assert.ok(!client.includes(SECRET.slice(0, 8)), client);
    assert.ok(client.length <= 64, client);
  }
  assert.equal(clients[2], "[redacted] [redacted]");
});
