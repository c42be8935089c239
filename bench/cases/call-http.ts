import { fileURLToPath } from "node:url";
import { byRuntime, type Case, type Context, interleave } from "../harness/case.ts";
import { configOf } from "../harness/config.ts";
import type { Load } from "../harness/load.ts";
import { baselineCommand, gatewayCommand } from "../harness/programs.ts";
import { atMost, type Row, row } from "../harness/row.ts";
import { startServer } from "../harness/server.ts";
import { openSessions, ready, requestText } from "../harness/session.ts";

const UPSTREAM = fileURLToPath(new URL("../programs/upstream-http.mjs", import.meta.url));
const JOB = { warmup: 300, duration: 1_200 };
const TOOL = "read_document_000";

/** `tools/call` through a Streamable HTTP upstream against a bare `fetch` to the same. */
export const callHttp: Case = { name: "call-http", run };

async function run(context: Context): Promise<readonly Row[]> {
  await using upstream = await startServer({ command: "node", args: [UPSTREAM] });
  return [
    ...await through(context, `${upstream.base}/json`, "JSON"),
    ...await through(context, `${upstream.base}/sse`, "one SSE event"),
  ];
}

async function through(
  { target, generator, rounds }: Context,
  url: string,
  form: string,
): Promise<readonly Row[]> {
  using config = configOf({ remote: { url } });
  await using ours = await startServer(gatewayCommand(target, config.path));
  await ready(ours);
  await using bare = await startServer(baselineCommand(target, "fetch-forwarder.ts", [url]));
  const sessions = await openSessions(ours, 16);
  const requests = (name: string) =>
    sessions.map((session) => [
      requestText(session, "tools/call", { name, arguments: { message: "hello" } }),
    ]);
  await generator.warm(ours, requests(`remote_${TOOL}`));
  await generator.warm(bare, requests(TOOL));
  const samples = await interleave(rounds, {
    ours: () => generator.run(ours, { connections: requests(`remote_${TOOL}`), ...JOB }),
    bare: () => generator.run(bare, { connections: requests(TOOL), ...JOB }),
  });
  const compare = (pick: (load: Load) => number) => ({
    ours: samples.ours.map(pick),
    baseline: samples.bare.map(pick),
  });
  return [
    row({
      name: `tools/call over HTTP, answered as ${form}, processor time`,
      unit: "µs/request",
      ...compare((load) => load.cpuMicros),
      budget: atMost(byRuntime(target, 1.5, 1.4)),
      note: "16 connections; bare forwarder: Hono and fetch to the same server; all threads",
    }),
    row({
      name: "the same, throughput",
      unit: "requests/s",
      ...compare((load) => load.perSecond),
      note: "the upstream takes its part of the machine on both sides",
    }),
  ];
}
