import { byRuntime, type Case, type Context, rest } from "../harness/case.ts";
import { fakeUpstreams } from "../harness/config.ts";
import { gatewayCommand } from "../harness/programs.ts";
import { atMost, type Row, row } from "../harness/row.ts";
import { MB, startServer } from "../harness/server.ts";
import { ready } from "../harness/session.ts";

const CLIENTS = 1_000;
const IDLE = 10_000;

/** What a thousand clients cost that only hold their streams. */
export const clients: Case = { name: "clients", run };

async function run({ target, generator }: Context): Promise<readonly Row[]> {
  using config = fakeUpstreams(10, { tools: 20 });
  await using ours = await startServer(gatewayCommand(target, config.path));
  await ready(ours);
  await rest(IDLE);
  const before = ours.rss() / MB;
  await using _open = await generator.open(ours, CLIENTS);
  await rest(IDLE);
  return [row({
    name: `resident, ${CLIENTS} idle clients with open streams`,
    unit: "MB",
    ours: [ours.rss() / MB],
    baseline: [before],
    how: "difference",
    budget: atMost(byRuntime(target, 85, 26)),
    note: "added to what it was without any; looked at after 10 s of rest",
  })];
}
