import { type Case, type Context, interleave } from "../harness/case.ts";
import { fakeArgs, fakeUpstreams } from "../harness/config.ts";
import type { Job } from "../harness/load.ts";
import {
  baselineCommand,
  baselineFile,
  type CommandLine,
  gatewayCommand,
  gatewayScript,
  ROOT,
  runtimeOf,
} from "../harness/programs.ts";
import { atMost, type Row, row } from "../harness/row.ts";
import { type Server, startServer } from "../harness/server.ts";
import { openSessions, ready, requestText } from "../harness/session.ts";

const FAKE = { tools: 20 };
const CONNECTIONS = 16;
const JOB = { warmup: 0, duration: 1_200 };
const TOOL = "read_document_000";

/** What a call and a list allocate, the one figure that no busy machine disturbs. V8 counts it. */
export const allocated: Case = { name: "allocated", run };

async function run({ target, generator, rounds }: Context): Promise<readonly Row[]> {
  if (target === "binary" || runtimeOf(target) === "bun") return []; // JavaScriptCore keeps no count.
  using config = fakeUpstreams(1, FAKE);
  const gateway = gatewayCommand(target, config.path);
  await using ours = await startServer(counted(gateway, gatewayScript(target)));
  await ready(ours);
  const forwarder = baselineCommand(target, "forwarder.ts", ["node", ...fakeArgs(FAKE)]);
  await using bare = await startServer(counted(forwarder, baselineFile(target, "forwarder.ts")));
  const sessions = await openSessions(ours, CONNECTIONS);
  const requests = (method: string, params: object) =>
    sessions.map((session) => [requestText(session, method, params)]);
  const kilobytes = async (server: Server, connections: Job["connections"]) => {
    const before = await soFar(server);
    const { total } = await generator.run(server, { connections, ...JOB });
    return (await soFar(server) - before) / total / 1_000;
  };
  const measure = async (onOurs: Job["connections"], onBare: Job["connections"]) => {
    await generator.warm(ours, onOurs); // What is not compiled yet allocates otherwise.
    await generator.warm(bare, onBare);
    return await interleave(rounds, {
      ours: () => kilobytes(ours, onOurs),
      bare: () => kilobytes(bare, onBare),
    });
  };
  const call = (name: string) => requests("tools/call", { name, arguments: { message: "hello" } });
  const calls = await measure(call(`server00_${TOOL}`), call(TOOL));
  const lists = await measure(requests("tools/list", {}), requests("tools/list", {}));
  return [
    row({
      name: "allocated by a tools/call over stdio",
      unit: "kB",
      ours: calls.ours,
      baseline: calls.bare,
      how: "value",
      budget: atMost(9.5),
      note: "the bare forwarder",
    }),
    row({
      name: "allocated by a tools/list",
      unit: "kB",
      ours: lists.ours,
      baseline: lists.bare,
      how: "value",
      note: `${FAKE.tools} tools; the bare forwarder, which asks its server each time`,
    }),
  ];
}

/** The same program, telling what it has allocated when it is asked. */
function counted({ command, args }: CommandLine, program: string): CommandLine {
  const counting = `${ROOT}bench/programs/counted.ts`;
  const replaced = args.map((arg) => arg === program ? counting : arg);
  return { command, args: replaced, env: { COUNTED_PROGRAM: program } };
}

/** Bytes a server has allocated since its start. */
async function soFar({ process }: Server): Promise<number> {
  const { length } = process.stdout.items;
  process.write("\n");
  const isCount = (line: string) => /^\d+$/.test(line);
  return Number(await process.stdout.waitFor(isCount, { from: length }));
}
