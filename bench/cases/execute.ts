import { type Case, type Context, interleave } from "../harness/case.ts";
import { fakeUpstreams } from "../harness/config.ts";
import type { Load } from "../harness/load.ts";
import { gatewayCommand } from "../harness/programs.ts";
import { atMost, type Row, row } from "../harness/row.ts";
import { startServer } from "../harness/server.ts";
import { openSessions, ready, requestText } from "../harness/session.ts";

const FAKE = { tools: 100 };
const JOB = { warmup: 300, duration: 1_500 };
const PATH = "/gated/mcp";
const TOOL = "server00_read_document_050";

/** `execute_tool` against the direct call of the same tool, of the same gateway. */
export const execute: Case = { name: "execute", run };

async function run({ target, generator, rounds }: Context): Promise<readonly Row[]> {
  using config = fakeUpstreams(5, FAKE);
  await using ours = await startServer(gatewayCommand(target, config.path));
  await ready(ours);
  const sessions = await openSessions(ours, 16, PATH);
  const requests = (params: object) =>
    sessions.map((session) => [requestText(session, "tools/call", params, 1, PATH)]);
  const args = { path: "notes/today.md", limit: 100 };
  const executed = requests({
    name: "execute_tool",
    arguments: { tool_id: TOOL, arguments: args },
  });
  const direct = requests({ name: TOOL, arguments: args });
  await generator.warm(ours, executed);
  await generator.warm(ours, direct);
  const load = (connections: typeof direct, count: number) =>
    generator.run(ours, { connections: connections.slice(0, count), ...JOB });
  const one = await interleave(rounds, {
    executed: () => load(executed, 1),
    direct: () => load(direct, 1),
  });
  const many = await interleave(rounds, {
    executed: () => load(executed, 16),
    direct: () => load(direct, 16),
  });
  const compare = (samples: typeof one, pick: (load: Load) => number) => ({
    ours: samples.executed.map(pick),
    baseline: samples.direct.map(pick),
  });
  return [
    row({
      name: "execute_tool, one connection, p50",
      unit: "ms",
      ...compare(one, ({ p50 }) => p50),
      how: "difference",
      budget: atMost(0.1),
      note: "added to a direct call of the same tool, of 500, arguments checked",
    }),
    row({
      name: "the same, p99",
      unit: "ms",
      ...compare(one, ({ p99 }) => p99),
      how: "difference",
      note: "added to a direct call of the same tool",
    }),
    row({
      name: "execute_tool, 16 connections, processor time",
      unit: "µs/request",
      ...compare(many, ({ cpuMicros }) => cpuMicros),
      how: "difference",
      note: "added to a direct call of the same tool",
    }),
  ];
}
