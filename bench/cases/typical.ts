import { byRuntime, type Case, type Context } from "../harness/case.ts";
import { fakeUpstreams } from "../harness/config.ts";
import { gatewayCommand } from "../harness/programs.ts";
import { atMost, type Row, row } from "../harness/row.ts";
import { largest, MB, startServer } from "../harness/server.ts";
import { ready, requestText } from "../harness/session.ts";

const CLIENTS = 3;
const CALLS_PER_SECOND = 20;

/** Resident memory of what most gateways do all day: a few clients, some calls a second. */
export const typical: Case = { name: "typical", run };

async function run({ target, generator, minutes }: Context): Promise<readonly Row[]> {
  using config = fakeUpstreams(10, { tools: 20 });
  await using ours = await startServer(gatewayCommand(target, config.path));
  await ready(ours);
  await using clients = await generator.open(ours, CLIENTS);
  const call = { name: "server03_read_document_000", arguments: { message: "hello" } };
  const peak = await largest(
    ours,
    generator.run(ours, {
      connections: clients.sessions.map((session) => [requestText(session, "tools/call", call)]),
      warmup: 0,
      duration: minutes * 60_000,
      every: CLIENTS * 1_000 / CALLS_PER_SECOND,
    }),
  );
  const budget = atMost(byRuntime(target, 78, 62));
  const note = `ten stdio upstreams, ${CLIENTS} clients with open streams, ${minutes} minutes`;
  return [
    row({
      name: `resident, ${CALLS_PER_SECOND} calls a second, largest`,
      unit: "MB",
      ours: [peak / MB],
      budget,
      note,
    }),
    row({ name: "the same, at the end", unit: "MB", ours: [ours.rss() / MB], budget, note }),
  ];
}
