import { byRuntime, type Case, type Context, rest } from "../harness/case.ts";
import { fakeUpstreams } from "../harness/config.ts";
import type { Generator } from "../harness/load.ts";
import { baselineCommand, gatewayCommand, runtimeOf } from "../harness/programs.ts";
import { atMost, type Row, row } from "../harness/row.ts";
import { largest, MB, type Server, startServer } from "../harness/server.ts";
import { ready, requestText } from "../harness/session.ts";

const IDLE = 10_000;
const CLIENTS = 100;

/** After the load, ms: what a runtime gives back it has given back by then. */
const LATER = 120_000;

/** As the unit of systemd has it: what JavaScriptCore takes the machine's memory for. */
const UNIT = { BUN_JSC_forceRAMSize: "96000000" };

/** Resident memory: idle against bare Hono, under load, round after round, and long after it. */
export const memory: Case = { name: "memory", run };

async function run({ target, generator, rounds, minutes }: Context): Promise<readonly Row[]> {
  using config = fakeUpstreams(10, { tools: 20 });
  await using ours = await startServer(gatewayCommand(target, config.path));
  await using bare = await startServer(baselineCommand(target, "hono.ts", ["0"]));
  await ready(ours);
  await rest(IDLE);
  const idle = { ours: ours.rss() / MB, bare: bare.rss() / MB };
  const { loaded, after } = await loadOf(ours, generator, rounds);
  const later = Math.min(LATER, minutes * LATER);
  await rest(later);
  const half = after.length >> 1;
  const load = {
    name: `resident under load, ${CLIENTS} clients with open streams`,
    unit: "MB",
    note: "lists of 200 tools and calls in turn; largest seen each round",
  };
  return [
    row({
      name: "resident, idle 10 s, ten stdio upstreams",
      unit: "MB",
      ours: [idle.ours],
      baseline: [idle.bare],
      how: "value",
      budget: atMost(byRuntime(target, 68, 55)),
      note: "bare Hono, idle for as long",
    }),
    row({ ...load, ours: loaded, budget: atMost(byRuntime(target, 125, 108)) }),
    ...runtimeOf(target) === "deno" ? [] : [row({
      ...load,
      name: "the same as in the unit",
      ours: await loadInUnit(config.path, { target, generator, rounds }),
      budget: atMost(86),
      note: `BUN_JSC_forceRAMSize=${UNIT.BUN_JSC_forceRAMSize}`,
    })],
    row({
      name: "resident, later rounds of load",
      unit: "MB",
      ours: after.slice(half),
      baseline: after.slice(0, after.length - half),
      note: "first rounds: flat is 1",
    }),
    row({
      name: `resident, ${later / 1_000} s after that load`,
      unit: "MB",
      ours: [ours.rss() / MB],
      baseline: [idle.ours],
      budget: atMost(1.15),
      note: "idle before it; the clients have gone",
    }),
  ];
}

/** Loads a server round by round: the largest size of each, and the size after it, MB. */
async function loadOf(server: Server, generator: Generator, rounds: number) {
  await using clients = await generator.open(server, CLIENTS);
  const call = { name: "server03_read_document_000", arguments: { message: "hello" } };
  const connections = clients.sessions.map((session) => [
    requestText(session, "tools/list", {}),
    requestText(session, "tools/call", call),
  ]);
  const loaded: number[] = [];
  const after: number[] = [];
  for (let round = 0; round < Math.max(4, rounds); round++) {
    const job = generator.run(server, { connections, warmup: 0, duration: 2_000 });
    loaded.push(await largest(server, job) / MB);
    after.push(server.rss() / MB);
  }
  return { loaded, after };
}

async function loadInUnit(
  config: string,
  { target, generator, rounds }: Pick<Context, "target" | "generator" | "rounds">,
): Promise<readonly number[]> {
  await using ours = await startServer({ ...gatewayCommand(target, config), env: UNIT });
  await ready(ours);
  return (await loadOf(ours, generator, rounds)).loaded;
}
