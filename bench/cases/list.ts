import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { byRuntime, type Case, type Context, interleave } from "../harness/case.ts";
import { fakeUpstreams } from "../harness/config.ts";
import { baselineCommand, gatewayCommand } from "../harness/programs.ts";
import { atLeast, type Row, row } from "../harness/row.ts";
import { openSessions, post, ready, requestText, withShortIds } from "../harness/session.ts";
import { type Server, startServer } from "../harness/server.ts";

const CONNECTIONS = 16;
const JOB = { warmup: 300, duration: 1_200 };

const GATED = "/gated/mcp";

/** Cached `tools/list` of 600 tools, whole and gated, against bare handlers with the same bytes. */
export const list: Case = { name: "list", run };

async function run({ target, generator, rounds }: Context): Promise<readonly Row[]> {
  using config = fakeUpstreams(12, { tools: 50 });
  await using ours = await startServer(gatewayCommand(target, config.path));
  await ready(ours);
  const { answer, connections } = await listAt(ours, "/mcp", 600);
  const gated = await listAt(ours, GATED, 5);

  const folder = mkdtempSync(join(tmpdir(), "mcproxy-bench-"));
  const file = join(folder, "answer.json");
  const gatedFile = join(folder, "gated.json");
  writeFileSync(file, answer);
  writeFileSync(gatedFile, gated.answer);
  await using text = await startServer(baselineCommand(target, "hono.ts", ["0", "string", file]));
  await using bytes = await startServer(baselineCommand(target, "hono.ts", ["0", "bytes", file]));
  await using echo = await startServer(baselineCommand(target, "hono.ts", ["0", "echo", file]));
  const short = baselineCommand(target, "hono.ts", ["0", "string", gatedFile]);
  await using gatedText = await startServer(short);
  rmSync(folder, { recursive: true });

  await generator.warm(ours, connections);
  await generator.warm(ours, gated.connections);
  const plain = withShortIds(connections);
  for (const server of [text, bytes, echo, gatedText]) await generator.warm(server, plain);
  const load = (server: Server, requests = plain) =>
    generator.run(server, { connections: requests, ...JOB });
  const samples = await interleave(rounds, {
    ours: () => load(ours, connections),
    text: () => load(text),
    bytes: () => load(bytes),
    echo: () => load(echo),
    gated: () => load(ours, gated.connections),
    gatedText: () => load(gatedText),
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
      budget: atLeast(byRuntime(target, 0.78, 0.85)),
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
    row({
      name: "tools/list of the same, gated",
      unit: "requests/s",
      ours: perSecond("gated"),
      baseline: perSecond("gatedText"),
      note: `bare Hono handler, the same ${gated.answer.length} bytes as one constant string; ` +
        "so short that what is measured is the path of a request",
    }),
  ];
}

/** What is listed at a path, and the requests of clients there. */
async function listAt(server: Server, path: string, expected: number) {
  const sessions = await openSessions(server, CONNECTIONS, path);
  const message = { jsonrpc: "2.0", id: 1, method: "tools/list" };
  const answer = await (await post(server, sessions[0], message, path)).text();
  const { length } = (JSON.parse(answer) as { result: { tools: readonly unknown[] } }).result.tools;
  if (length !== expected) {
    throw new Error(`Cannot measure: ${length} tools at ${path}, expected ${expected}`);
  }
  // As clients count: the answers differ in their ids.
  const connections = sessions.map((session) =>
    Array.from(
      { length: 20 },
      (_, index) => requestText(session, "tools/list", {}, index + 1, path),
    )
  );
  return { answer, connections };
}
