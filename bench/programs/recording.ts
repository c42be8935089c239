/**
 * Times what is recorded of calls: a call as the gateway hands it on, with a recorder and with nobody
 * who listens, in turns. Prints JSON: microseconds of processor time a call, a sample each round.
 */

import process from "node:process";
import { ActiveExchange } from "../../src/gateway/clients/exchange.ts";
import { CallRecord, Facts } from "../../src/gateway/events.ts";
import type { Gateway } from "../../src/gateway/gateway.ts";
import { systemClock } from "../../src/lib/time.ts";
import {
  parseMessage,
  type RequestMessage,
  type ResponseMessage,
} from "../../src/protocol/message.ts";
import { Recorder } from "../../src/observe/recorder.ts";

const CALLS = 50_000;
const ROUNDS = 15;
const TOOLS = 40;

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
const raw = '{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"It is"}]}}';
const response = parseMessage(raw) as ResponseMessage;
const client = {
  label: "c1",
  session: "c1",
  era: "legacy",
  protocolVersion: "2025-11-25",
  capabilities: {},
  info: { name: "editor", version: "2.1" },
  principal: { id: "key:ci", who: "ci", names: [] },
  logLevel: undefined,
} as const;
const server = {
  config: { instances: [{ kind: "stdio" }] },
  offered: { lists: { tools: { items: routes.map(({ name: key }) => ({ key })) } } },
};
const outlet = { send: () => {} };

/** Microseconds a call. */
function time(isRecorded: boolean): number {
  const events = new Facts();
  const gateway = { events, members: { get: () => server } } as unknown as Gateway;
  const recorder = isRecorded ? new Recorder(gateway) : undefined;
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
