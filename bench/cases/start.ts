import { type Case, type Context, interleave } from "../harness/case.ts";
import { fakeUpstreams } from "../harness/config.ts";
import { freePort, timeToListen } from "../harness/listening.ts";
import { baselineCommand, gatewayCommand } from "../harness/programs.ts";
import { atMost, type Row, row } from "../harness/row.ts";
import { ready } from "../harness/session.ts";
import { startServer } from "../harness/server.ts";

/** Milliseconds to listening. */
const BUDGETS = { deno: 150, "deno-bundle": 90, bun: 85, binary: 35 };

/** Start of the process to the first connection taken, and to ten slow upstreams ready. */
export const start: Case = { name: "start", run };

async function run({ target, rounds }: Context): Promise<readonly Row[]> {
  return [...await listening(target, rounds), ...await upstreams(target, rounds)];
}

async function listening(
  target: Context["target"],
  rounds: number,
): Promise<readonly Row[]> {
  using config = fakeUpstreams(10, { tools: 20 });
  const ours = async () => {
    const port = await freePort();
    return await timeToListen(gatewayCommand(target, config.path, port), port);
  };
  const bare = async () => {
    const port = await freePort();
    return await timeToListen(baselineCommand(target, "hono.ts", [String(port)]), port);
  };
  // Fills the module caches.
  await ours();
  await bare();
  const samples = await interleave(2 * rounds, { ours, bare });
  return [row({
    name: "start to listening, ten stdio upstreams",
    unit: "ms",
    ours: samples.ours,
    baseline: samples.bare,
    how: "value",
    budget: atMost(BUDGETS[target]),
    note: "bare Hono; starts after a first one, which fills the caches of code",
  })];
}

async function upstreams(
  target: Context["target"],
  rounds: number,
): Promise<readonly Row[]> {
  const slow = { tools: 20, delay: 1_000 };
  using ten = fakeUpstreams(10, slow);
  using one = fakeUpstreams(1, slow);
  const timeToReady = (path: string) => async () => {
    const began = performance.now();
    await using server = await startServer(gatewayCommand(target, path));
    await ready(server);
    return performance.now() - began;
  };
  const samples = await interleave(Math.max(2, rounds >> 1), {
    ten: timeToReady(ten.path),
    one: timeToReady(one.path),
  });
  return [row({
    name: "ten upstreams of 1 s each, start to ready",
    unit: "ms",
    ours: samples.ten,
    baseline: samples.one,
    how: "difference",
    budget: atMost(500),
    note: "the gateway with one such upstream",
  })];
}
