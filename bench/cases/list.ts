import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Case, type Context, interleave } from "../harness/case.ts";
import { fakeUpstreams } from "../harness/config.ts";
import { baselineCommand, gatewayCommand } from "../harness/programs.ts";
import { atLeast, type Row, row } from "../harness/row.ts";
import { openSessions, post, ready, requestText } from "../harness/session.ts";
import { startServer } from "../harness/server.ts";

const CONNECTIONS = 16;
const JOB = { warmup: 300, duration: 1_200 };

/** Cached `tools/list` of 600 tools against a bare Hono handler with the same bytes. */
export const list: Case = { name: "list", run };

async function run({ target, generator, rounds }: Context): Promise<readonly Row[]> {
  using config = fakeUpstreams(12, { tools: 50 });
  await using ours = await startServer(gatewayCommand(target, config.path));
  await ready(ours);
  const sessions = await openSessions(ours, CONNECTIONS);
  const message = { jsonrpc: "2.0", id: 1, method: "tools/list" };
  const answer = await (await post(ours, sessions[0], message)).text();
  const tools = (JSON.parse(answer) as { result: { tools: unknown[] } }).result.tools.length;
  if (tools !== 600) throw new Error(`Cannot measure: ${tools} tools are listed, expected 600`);

  const folder = mkdtempSync(join(tmpdir(), "mcproxy-bench-"));
  const file = join(folder, "answer.json");
  writeFileSync(file, answer);
  await using text = await startServer(baselineCommand(target, "hono.ts", ["0", "string", file]));
  await using bytes = await startServer(baselineCommand(target, "hono.ts", ["0", "bytes", file]));
  await using echo = await startServer(baselineCommand(target, "hono.ts", ["0", "echo", file]));
  rmSync(folder, { recursive: true });

  // As clients count: the answers differ in their ids.
  const connections = sessions.map((session) =>
    Array.from({ length: 20 }, (_, index) => requestText(session, "tools/list", {}, index + 1))
  );
  for (const server of [ours, text, bytes, echo]) await generator.warm(server, connections);
  const load = (server: typeof ours) => generator.run(server, { connections, ...JOB });
  const samples = await interleave(rounds, {
    ours: () => load(ours),
    text: () => load(text),
    bytes: () => load(bytes),
    echo: () => load(echo),
  });
  const perSecond = (side: keyof typeof samples) => samples[side].map((one) => one.perSecond);
  const cpu = (side: keyof typeof samples) => samples[side].map((one) => one.cpuMicros);
  const size = `${Math.round(answer.length / 1000)} kB`;
  return [
    row({
      name: "tools/list, 600 tools, 16 connections",
      unit: "requests/s",
      ours: perSecond("ours"),
      baseline: perSecond("text"),
      budget: atLeast(0.9),
      note: `bare Hono handler, the same ${size} as one constant string, whatever was asked`,
    }),
    row({
      name: "the same against bytes",
      unit: "requests/s",
      ours: perSecond("ours"),
      baseline: perSecond("bytes"),
      note: `bare Hono handler, the same ${size} as a Uint8Array`,
    }),
    row({
      name: "the same against a handler that answers by id",
      unit: "requests/s",
      ours: perSecond("ours"),
      baseline: perSecond("echo"),
      note: "Hono handler that parses the request and puts its id before the string",
    }),
    row({
      name: "the same, processor time",
      unit: "µs/request",
      ours: cpu("ours"),
      baseline: cpu("text"),
      note: "bare Hono handler with a string; all threads of the server",
    }),
  ];
}
