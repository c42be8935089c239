import { byRuntime, type Case, type Context, interleave } from "../harness/case.ts";
import { fakeArgs, fakeUpstreams } from "../harness/config.ts";
import type { Load } from "../harness/load.ts";
import { baselineCommand, gatewayCommand } from "../harness/programs.ts";
import { atLeast, atMost, type Row, row } from "../harness/row.ts";
import { startServer } from "../harness/server.ts";
import { openSessions, ready, requestText } from "../harness/session.ts";

const FAKE = { tools: 20 };
const JOB = { warmup: 300, duration: 1_200 };
const TOOL = "read_document_000";

/** `tools/call` through a stdio upstream against a bare forwarder with an upstream of its own. */
export const call: Case = { name: "call", run };

async function run({ target, generator, rounds }: Context): Promise<readonly Row[]> {
  using config = fakeUpstreams(1, FAKE);
  await using ours = await startServer(gatewayCommand(target, config.path));
  await ready(ours);
  const forwarder = baselineCommand(target, "forwarder.ts", ["node", ...fakeArgs(FAKE)]);
  await using bare = await startServer(forwarder);

  const sessions = await openSessions(ours, 16);
  const requests = (name: string) =>
    sessions.map((session) => [
      requestText(session, "tools/call", { name, arguments: { message: "hello" } }),
    ]);
  const load = (server: typeof ours, name: string, count: number) =>
    generator.run(server, { connections: requests(name).slice(0, count), ...JOB });
  const exposed = `server00_${TOOL}`;
  await generator.warm(ours, requests(exposed));
  await generator.warm(bare, requests(TOOL));
  const many = await interleave(rounds, {
    ours: () => load(ours, exposed, 16),
    bare: () => load(bare, TOOL, 16),
  });
  const one = await interleave(rounds, {
    ours: () => load(ours, exposed, 1),
    bare: () => load(bare, TOOL, 1),
  });
  const compare = (samples: typeof many, pick: (load: Load) => number) => ({
    ours: samples.ours.map(pick),
    baseline: samples.bare.map(pick),
  });
  return [
    row({
      name: "tools/call over stdio, 16 connections",
      unit: "requests/s",
      ...compare(many, (load) => load.perSecond),
      budget: atLeast(byRuntime(target, 0.8, 0.92)),
      note: "bare forwarder: Hono, child_process, parse and stringify",
    }),
    row({
      name: "the same, processor time",
      unit: "µs/request",
      ...compare(many, (load) => load.cpuMicros),
      note: "of the gateway or forwarder, all threads, without the upstream",
    }),
    row({
      name: "tools/call, one connection, p50",
      unit: "ms",
      ...compare(one, (load) => load.p50),
      how: "difference",
      budget: atMost(byRuntime(target, 0.05, 0.04)),
      note: "added to what the bare forwarder takes",
    }),
    row({
      name: "tools/call, one connection, p99",
      unit: "ms",
      ...compare(one, (load) => load.p99),
      how: "difference",
      note: "added to what the bare forwarder takes",
    }),
  ];
}
