import { spawn } from "node:child_process";
import process from "node:process";
import { type Case, type Context, interleave, rest } from "../harness/case.ts";
import { fakeArgs, fakeUpstreams } from "../harness/config.ts";
import { gatewayCommand } from "../harness/programs.ts";
import { atMost, type Row, row } from "../harness/row.ts";
import { type Server, startServer } from "../harness/server.ts";
import { openSessions, post, ready, servers } from "../harness/session.ts";

const FAKE = { tools: 20 };

/** Longest wait for one that has crashed, ms. */
const PATIENCE = 30_000;

/** A killed stdio upstream until it serves again, against the start of such a process alone. */
export const crash: Case = { name: "crash", run };

async function run({ target, rounds }: Context): Promise<readonly Row[]> {
  // Each is killed once: a second crash soon after the first is backed off, which is not the point.
  using config = fakeUpstreams(2 * rounds, FAKE);
  await using ours = await startServer(gatewayCommand(target, config.path));
  await ready(ours);
  const [session] = await openSessions(ours, 1);
  let next = 0;
  const samples = await interleave(rounds, {
    alone: ownStart,
    waiting: () => kill(ours, next++, (index) => isReady(ours, index)),
    calling: () => kill(ours, next++, (index) => answers(ours, index, session!)),
  });
  return [
    row({
      name: "crash of a stdio upstream until ready again",
      unit: "ms",
      ours: samples.waiting,
      baseline: samples.alone,
      how: "difference",
      budget: atMost(500),
      note: "start of such a process until it answers initialize; seen in /api/status",
    }),
    row({
      name: "the same, with a client that calls it",
      unit: "ms",
      ours: samples.calling,
      baseline: samples.alone,
      how: "difference",
      note: "kill to the first call that succeeds",
    }),
  ];
}

/** Kills the process of one upstream; milliseconds until it `serves` again. */
async function kill(
  server: Server,
  index: number,
  serves: (index: number) => Promise<boolean>,
): Promise<number> {
  const { pid } = (await servers(server))[index]!;
  process.kill(pid!, "SIGKILL");
  const began = performance.now();
  // Until then it would look ready because the gateway has not noticed yet.
  const isLate = () => performance.now() - began > PATIENCE;
  while ((await servers(server))[index]!.pid === pid && !isLate()) await rest(1);
  while (!await serves(index) && !isLate()) await rest(2);
  if (isLate()) throw new Error(`Cannot measure: not ready ${PATIENCE} ms after a crash`);
  return performance.now() - began;
}

async function isReady(server: Server, index: number): Promise<boolean> {
  return (await servers(server))[index]!.state === "ready";
}

async function answers(server: Server, index: number, session: string): Promise<boolean> {
  const name = `server${String(index).padStart(2, "0")}_read_document_000`;
  const response = await post(server, session, {
    jsonrpc: "2.0",
    id: 1,
    method: "tools/call",
    params: { name, arguments: { message: "hello" } },
  });
  return (await response.text()).includes("Echo: hello");
}

/** Milliseconds from spawn to the answer to `initialize`. */
function ownStart(): Promise<number> {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    // The environment decides how long Node takes to start, so it is as small as an upstream's.
    const env = { PATH: process.env["PATH"], HOME: process.env["HOME"] };
    const child = spawn("node", fakeArgs(FAKE), { env, stdio: ["pipe", "pipe", "inherit"] });
    child.once("error", reject);
    child.once("close", () => reject(new Error("Cannot measure: the server has ended")));
    child.stdout.once("data", () => {
      resolve(performance.now() - began);
      child.stdin.end();
    });
    const params = { protocolVersion: "2025-11-25", capabilities: {} };
    const request = { jsonrpc: "2.0", id: 1, method: "initialize", params };
    child.stdin.write(JSON.stringify(request) + "\n");
  });
}
