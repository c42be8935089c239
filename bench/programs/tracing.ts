/**
 * Times what it costs a call to be traced: from its arrival to its end, as the gateway and a
 * connection handle it, with a trace and without one, in turns; its spans are made into what is sent
 * apart from that. Prints JSON: microseconds of processor time a call, a sample each round.
 */

import process from "node:process";
import { ActiveExchange } from "../../src/gateway/clients/exchange.ts";
import { CallRecord, Facts } from "../../src/gateway/events.ts";
import { systemClock } from "../../src/lib/time.ts";
import { otlpBody, spansOf, type TracedEnd } from "../../src/observe/otlp/encode.ts";
import { beginTrace, TracedCall } from "../../src/observe/otlp/trace.ts";
import { Recorder } from "../../src/observe/recorder.ts";
import { Forwarding, type SentFrom } from "../../src/upstream/connection/correlation.ts";
import {
  CALLS,
  client,
  gatewayOf,
  outlet,
  raw,
  requests,
  response,
  ROUNDS,
  routes,
  TOOLS,
} from "./sample-calls.ts";

const BATCH = 512;

const edits = routes.map(({ name }) => [{ path: ["params", "name"], value: `"${name}"` }]);
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
  const recorder = new Recorder(gatewayOf(events));
  let ends: TracedEnd[] = [];
  // Whoever keeps a history listens as well.
  recorder.onCall(({ whole: call, record: { trace } }) => {
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
    otlpBody("traces", {}, spans.map((span) => JSON.stringify(span)));
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
