import { type Case, type Context, interleave, rest } from "../harness/case.ts";
import { fakeArgs, fakeUpstreams } from "../harness/config.ts";
import { baselineCommand, gatewayCommand } from "../harness/programs.ts";
import { atMost, type Row, row } from "../harness/row.ts";
import { type Server, startServer } from "../harness/server.ts";
import { openSessions, ready, requestText } from "../harness/session.ts";

const FAKE = { tools: 20 };
const SIZE = 5_000_000;
const IDLE = 5_000;
const JOB = { warmup: 0, duration: 30_000, count: 5 };
const TOOL = "read_document_000";

/** Results of 5 MB, one after the other: their time, and the memory they take meanwhile. */
export const large: Case = { name: "large", run };

async function run({ target, generator, rounds }: Context): Promise<readonly Row[]> {
  using config = fakeUpstreams(1, FAKE);
  await using ours = await startServer(gatewayCommand(target, config.path));
  await ready(ours);
  const forwarder = baselineCommand(target, "forwarder.ts", ["node", ...fakeArgs(FAKE)]);
  await using bare = await startServer(forwarder);
  const [session] = await openSessions(ours, 1);
  await rest(IDLE);
  const idle = { ours: ours.rss(), bare: bare.rss() };
  const results = async (server: Server, name: string) => {
    server.forgetPeak();
    const call = { name, arguments: { bytes: SIZE } };
    const connections = [[requestText(session!, "tools/call", call)]];
    const { p50 } = await generator.run(server, { connections, ...JOB });
    return { p50, peak: server.peak() };
  };
  const samples = await interleave(rounds, {
    ours: () => results(ours, `server00_${TOOL}`),
    bare: () => results(bare, TOOL),
  });
  const above = (side: keyof typeof samples) =>
    samples[side].map(({ peak }) => (peak - idle[side]) / SIZE);
  return [
    row({
      name: "result of 5 MB over stdio, p50",
      unit: "ms",
      ours: samples.ours.map(({ p50 }) => p50),
      baseline: samples.bare.map(({ p50 }) => p50),
      budget: atMost(1.3),
      note: "bare forwarder: parse and stringify; one at a time, five each round",
    }),
    row({
      name: "the same, largest resident above idle",
      unit: "× its size",
      ours: above("ours"),
      baseline: above("bare"),
      how: "value",
      budget: atMost(4),
      note: "the bare forwarder",
    }),
  ];
}
