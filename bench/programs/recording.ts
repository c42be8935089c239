/**
 * Times what is recorded of calls: a call as the gateway hands it on, with a recorder and with nobody
 * who listens, in turns. Prints JSON: microseconds of processor time a call, a sample each round.
 */

import process from "node:process";
import { ActiveExchange } from "../../src/gateway/clients/exchange.ts";
import { CallRecord, Facts } from "../../src/gateway/events.ts";
import { systemClock } from "../../src/lib/time.ts";
import { Recorder } from "../../src/observe/recorder.ts";
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

/** Microseconds a call. */
function time(isRecorded: boolean): number {
  const events = new Facts();
  const recorder = isRecorded ? new Recorder(gatewayOf(events)) : undefined;
  const before = process.cpuUsage();
  for (let at = 0; at < CALLS; at++) {
    const tool = at % TOOLS;
    const exchange = new ActiveExchange(client, requests[tool]!, outlet);
    if (events.hasListeners("call")) exchange.record = new CallRecord(exchange, "*");
    const { record } = exchange;
    if (record !== undefined) record.route = routes[tool];
    exchange.server = "github";
    // The clock is asked for the deadline, and when the answer is there, whoever looks.
    const deadline = systemClock.now() + 60_000;
    if (record !== undefined) {
      record.attempts++;
      record.sent ||= deadline - 60_000;
    }
    const heardAt = systemClock.now();
    if (record !== undefined) record.answered = heardAt;
    record?.answeredBy(response, routes[tool]);
    exchange.end();
    if (record !== undefined) {
      record.ended(raw);
      events.emit(record);
    }
  }
  const { user, system } = process.cpuUsage(before);
  recorder?.close();
  return (user + system) / CALLS;
}

const samples = { recorded: [] as number[], plain: [] as number[] };
for (let round = -3; round < ROUNDS; round++) {
  const times = { recorded: time(true), plain: time(false) };
  if (round < 0) continue;
  samples.recorded.push(times.recorded);
  samples.plain.push(times.plain);
}
console.log(JSON.stringify(samples));
