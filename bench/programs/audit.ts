/**
 * Times what is told of calls to an audit that hashes their arguments and writes its lines to a disk,
 * and to nobody. Prints JSON: microseconds of processor time a call, a sample each round.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { Audit } from "../../src/gateway/access/audit.ts";
import { CallRecord, Facts } from "../../src/gateway/events.ts";
import { ActiveExchange } from "../../src/gateway/clients/exchange.ts";
import { AGGREGATE } from "../../src/gating/endpoint.ts";
import { createRedactor } from "../../src/lib/secrets.ts";
import { parseMessage, type RequestMessage } from "../../src/protocol/message.ts";

const CALLS = 5_000;
const ROUNDS = 7;

const params = { name: "github_create_issue", arguments: { owner: "me", repo: "it", title: "So" } };
const raw = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params });
const request = parseMessage(raw) as RequestMessage;
const client = {
  label: "c1",
  session: "c1",
  era: "legacy",
  protocolVersion: "2025-11-25",
  capabilities: {},
  info: {},
  principal: { id: "key:ci", who: "key:ci", names: [] },
  logLevel: undefined,
} as const;
const redactor = createRedactor(Array.from({ length: 20 }, (_, at) => `secret-number-${at}`));
const directory = await mkdtemp(join(tmpdir(), "mcproxy-bench-"));

/** Microseconds a call. */
async function time(isAudited: boolean): Promise<number> {
  const events = new Facts();
  const config = {
    file: join(directory, "audit.jsonl"),
    arguments: "hash",
    required: false,
  } as const;
  const audit = isAudited
    ? new Audit({ config, source: "", events, stateDirectory: directory, redactor: () => redactor })
    : undefined;
  await audit?.opened;
  const before = process.cpuUsage();
  for (let at = 0; at < CALLS; at++) {
    const exchange = new ActiveExchange(client, request, { send: () => {} });
    const record = new CallRecord(exchange, AGGREGATE.key);
    record.ended(undefined);
    events.emit(record);
    // As many as come in a tenth of a second are written together.
    if (at % 500 === 499) await audit?.flush();
  }
  const { user, system } = process.cpuUsage(before);
  await audit?.close();
  return (user + system) / CALLS;
}

const samples = { audited: [] as number[], plain: [] as number[] };
for (let round = -2; round < ROUNDS; round++) {
  const times = { audited: await time(true), plain: await time(false) };
  if (round < 0) continue;
  samples.audited.push(times.audited);
  samples.plain.push(times.plain);
}
await rm(directory, { recursive: true });
console.log(JSON.stringify(samples));
