/**
 * Times calls through a gateway in this process, while a history is kept of them and while none is,
 * in turns: microseconds of processor time a call, a sample each round. Also what of the loop is held
 * up where as much is written as ever is: the longest in a thousand, and the longest, in milliseconds.
 */

import { runtime } from "#runtime";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseConfig } from "../../src/config/load.ts";
import { AGGREGATE } from "../../src/gating/endpoint.ts";
import { ActiveExchange } from "../../src/gateway/clients/exchange.ts";
import { Gateway } from "../../src/gateway/gateway.ts";
import { keepHistory } from "../../src/observe/history/keep.ts";
import { Recorder } from "../../src/observe/recorder.ts";
import { parseMessage, type RequestMessage } from "../../src/protocol/message.ts";

const CALLS = 40_000;
const ROUNDS = 7;
const AT_ONCE = 16;
const KEPT = { days: 30, maxSize: 2 ** 26 };

const upstream = fileURLToPath(new URL("upstream.mjs", import.meta.url));
const run = process.versions.bun === undefined ? ["run", "-A", "--node-modules-dir=manual"] : [];
const mcpServers = { bench: { command: process.execPath, args: [...run, upstream, "20", "0"] } };
const parsed = parseConfig(JSON.stringify({ mcpServers }), { file: "bench.json", env: {} });
if (!parsed.ok) throw new Error(JSON.stringify(parsed.issues));
const directory = await mkdtemp(join(tmpdir(), "mcproxy-bench-"));
const gateway = new Gateway({ config: parsed.config, runtime });
const recorder = new Recorder(gateway);
gateway.start();
await gateway.settled();

const client = {
  label: "c1",
  session: "c1",
  era: "legacy",
  protocolVersion: "2025-11-25",
  capabilities: {},
  info: { name: "bench", version: "1.0.0" },
  logLevel: undefined,
} as const;
const requests = Array.from({ length: 20 }, (_, at) => {
  const name = `read_document_${String(at).padStart(3, "0")}`;
  const params = { name, arguments: { message: "notes/today.md", limit: at } };
  const raw = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params });
  return parseMessage(raw) as RequestMessage;
});

async function calls(count: number): Promise<void> {
  for (let at = 0; at < count; at++) {
    const exchange = new ActiveExchange(client, requests[at % 20]!, { send: () => {} });
    await gateway.handle(exchange, AGGREGATE);
  }
}

/** Microseconds a call. */
async function time(isKept: boolean): Promise<number> {
  const history = isKept ? keepHistory(gateway, recorder, { ...KEPT, directory }) : undefined;
  await history?.flush();
  const before = process.cpuUsage();
  await Promise.all(Array.from({ length: AT_ONCE }, () => calls(CALLS / AT_ONCE)));
  await history?.flush();
  const { user, system } = process.cpuUsage(before);
  await history?.close();
  return (user + system) / CALLS;
}

/** With rows of their own for as many calls as there are ever rows of. */
async function stalls(): Promise<{ readonly rare: number; readonly longest: number }> {
  const history = keepHistory(gateway, recorder, { ...KEPT, directory });
  await history.flush();
  await calls(100);
  const [call] = recorder.recent({ limit: 1 });
  const gaps: number[] = [];
  let isOn = true;
  let last = performance.now();
  const look = () => {
    const now = performance.now();
    gaps.push(now - last);
    last = now;
    if (isOn) setImmediate(look);
  };
  setImmediate(look);
  for (let round = 0; round < 10; round++) {
    for (let at = 0; at < 1_000; at++) {
      history.add({ ...call!, id: `${round}-${at}`, at: call!.at + 5 * (1_000 * round + at) });
      if (at % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await history.flush();
  }
  isOn = false;
  await history.close();
  gaps.sort((a, b) => a - b);
  return { rare: gaps[Math.floor(gaps.length * 0.999)]!, longest: gaps.at(-1)! };
}

const samples = { kept: [] as number[], plain: [] as number[] };
for (let round = -2; round < ROUNDS; round++) {
  const times = { kept: await time(true), plain: await time(false) };
  if (round < 0) continue;
  samples.kept.push(times.kept);
  samples.plain.push(times.plain);
}
const { rare, longest } = await stalls();
await gateway.close();
await rm(directory, { recursive: true });
console.log(JSON.stringify({ ...samples, rare: [rare], longest: [longest] }));
