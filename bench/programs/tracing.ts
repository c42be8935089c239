/**
 * Times what it costs a call to be traced: from its arrival to its end, as the gateway and a
 * connection handle it, with a trace and without one, in turns; its spans are made into what is sent
 * apart from that. Prints JSON: microseconds of processor time a call, a sample each round.
 */

import process from "node:process";
import { ActiveExchange } from "../../src/gateway/clients/exchange.ts";
import { CallRecord, Facts } from "../../src/gateway/events.ts";
import type { Gateway } from "../../src/gateway/gateway.ts";
import { systemClock } from "../../src/lib/time.ts";
import { otlpBody, spansOf, type TracedEnd } from "../../src/observe/otlp/encode.ts";
import { beginTrace, TracedCall } from "../../src/observe/otlp/trace.ts";
import { Recorder } from "../../src/observe/recorder.ts";
import {
  parseMessage,
  type RequestMessage,
  type ResponseMessage,
} from "../../src/protocol/message.ts";
import { Forwarding, type SentFrom } from "../../src/upstream/connection/correlation.ts";

const CALLS = 50_000;
const ROUNDS = 15;
const TOOLS = 40;
const BATCH = 512;

const requests = Array.from({ length: TOOLS }, (_, at) => {
  const params = { name: `github_tool_${at}`, arguments: { owner: "me", title: "So" } };
  const raw = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params });
  return parseMessage(raw) as RequestMessage;
});
const routes = requests.map((_, at) => ({
  server: "github",
  name: `tool_${at}`,
  exposed: `github_tool_${at}`,
}));
const edits = routes.map(({ name }) => [{ path: ["params", "name"], value: `"${name}"` }]);
const raw = '{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"It is"}]}}';
const response = parseMessage(raw) as ResponseMessage;
const client = {
  label: "c1",
  session: "c1",
  era: "legacy",
  protocolVersion: "2025-11-25",
  capabilities: {},
  info: { name: "editor", version: "2.1" },
  logLevel: undefined,
} as const;
const server = {
  config: { instances: [{ kind: "stdio" }] },
  offered: { lists: { tools: { items: routes.map(({ name: key }) => ({ key })) } } },
};
const outlet = { send: () => {} };
const from: SentFrom = {
  era: "legacy",
  identity: { info: {}, capabilities: {} },
  timeout: 60_000,
  clock: systemClock,
  heardAt: 0,
  aborted: () => {},
};

const spent = (before: NodeJS.CpuUsage) => {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / CALLS;
};

/** Microseconds a call, and what it costs to make of its spans what is sent. */
function time(isTraced: boolean): { readonly call: number; readonly spans: number } {
  const events = new Facts();
  const gateway = { events, members: { get: () => server } } as unknown as Gateway;
  const recorder = new Recorder(gateway);
  let ends: TracedEnd[] = [];
  // Whoever keeps a history listens as well.
  recorder.onCall((call, { trace }) => {
    if (!(trace instanceof TracedCall)) return;
    ends.push({ call, trace, requestId: "1", protocolVersion: client.protocolVersion });
    if (ends.length === BATCH) ends = [];
  });
  const before = process.cpuUsage();
  for (let at = 0; at < CALLS; at++) {
    const tool = at % TOOLS;
    const exchange = new ActiveExchange(client, requests[tool]!, outlet);
    const record = exchange.record = new CallRecord(exchange, "*");
    if (isTraced) record.trace = beginTrace(exchange, 1);
    record.route = routes[tool];
    record.ownName = routes[tool]!.name;
    exchange.server = "github";
    const sent = new Forwarding(from, exchange, edits[tool]!);
    sent.id = at;
    sent.deadline = systemClock.now() + 60_000;
    sent.text();
    sent.settle(response);
    record.answeredBy(response, routes[tool]);
    exchange.end();
    record.ended(raw);
    events.emit(record);
  }
  const call = spent(before);
  recorder.close();
  const between = process.cpuUsage();
  for (let at = 0; isTraced && at < CALLS; at += ends.length) {
    const spans = ends.flatMap((end) => spansOf(end, () => "pipe", String));
    otlpBody("Spans", "spans", {}, spans.map((span) => JSON.stringify(span)));
  }
  return { call, spans: spent(between) };
}

const samples = { traced: [] as number[], plain: [] as number[], spans: [] as number[] };
for (let round = -3; round < ROUNDS; round++) {
  const [traced, plain] = [time(true), time(false)];
  // Answers are told in another turn.
  await new Promise((resolve) => setTimeout(resolve));
  if (round < 0) continue;
  samples.traced.push(traced.call);
  samples.plain.push(plain.call);
  samples.spans.push(traced.spans);
}
console.log(JSON.stringify(samples));
