/**
 * Times calls by HTTP, without sockets, through a gateway in this process, while a history is kept of them and while none is,
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
import { createApp } from "../../src/front/app.ts";
import { Gateway } from "../../src/gateway/gateway.ts";
import { keepHistory } from "../../src/observe/history/keep.ts";
import { Recorder } from "../../src/observe/recorder.ts";

const CALLS = 10_000;
const ROUNDS = 15;
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

const { handler, close } = createApp({ gateway, boundHost: "127.0.0.1" });
const headers = {
  "content-type": "application/json",
  "accept": "application/json, text/event-stream",
  "host": "127.0.0.1",
  "mcp-protocol-version": "2026-07-28",
  "mcp-method": "tools/call",
};
const meta = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientCapabilities": {},
  "io.modelcontextprotocol/clientInfo": { name: "bench", version: "1.0.0" },
};
const requests = Array.from({ length: 20 }, (_, at) => {
  const name = `read_document_${String(at).padStart(3, "0")}`;
  const params = { _meta: meta, name, arguments: { message: "notes/today.md", limit: at } };
  return {
    headers: { ...headers, "mcp-name": name },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params }),
  };
});

/** As clients make them, but for the socket. */
async function calls(count: number): Promise<void> {
  for (let at = 0; at < count; at++) {
    const request = new Request("http://127.0.0.1/mcp", { method: "POST", ...requests[at % 20]! });
    const response = await handler(request, undefined);
    if (response.status !== 200) throw new Error(await response.text());
    await response.text();
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
close();
await gateway.close();
await rm(directory, { recursive: true });
console.log(JSON.stringify({ ...samples, rare: [rare], longest: [longest] }));
