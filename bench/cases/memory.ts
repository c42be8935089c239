import { type Case, type Context, rest } from "../harness/case.ts";
import { fakeUpstreams } from "../harness/config.ts";
import { baselineCommand, gatewayCommand } from "../harness/programs.ts";
import { atMost, type Row, row } from "../harness/row.ts";
import { type Server, startServer } from "../harness/server.ts";
import { openSessions, ready, requestText } from "../harness/session.ts";

const MB = 1_000_000;
const IDLE = 10_000;
const SESSIONS = 100;

/** Resident memory: idle against bare Hono, under load, and round after round. */
export const memory: Case = { name: "memory", run };

async function run({ target, generator, rounds }: Context): Promise<readonly Row[]> {
  using config = fakeUpstreams(10, { tools: 20 });
  await using ours = await startServer(gatewayCommand(target, config.path));
  await using bare = await startServer(baselineCommand(target, "hono.ts", ["0"]));
  await ready(ours);
  await rest(IDLE);
  const idle = { ours: ours.rss() / MB, bare: bare.rss() / MB };

  const sessions = await openSessions(ours, SESSIONS);
  const call = { name: "server03_read_document_000", arguments: { message: "hello" } };
  const connections = sessions.map((session) => [
    requestText(session, "tools/list", {}),
    requestText(session, "tools/call", call),
  ]);
  const loaded: number[] = [];
  const after: number[] = [];
  for (let round = 0; round < Math.max(4, rounds); round++) {
    const job = generator.run(ours, { connections, warmup: 0, duration: 2_000 });
    loaded.push(await largest(ours, job) / MB);
    after.push(ours.rss() / MB);
  }
  const half = after.length >> 1;
  return [
    row({
      name: "resident, idle 10 s, ten stdio upstreams",
      unit: "MB",
      ours: [idle.ours],
      baseline: [idle.bare],
      budget: atMost(1.4),
      note: "bare Hono, idle for as long",
    }),
    row({
      name: "resident under load, 100 sessions",
      unit: "MB",
      ours: loaded,
      // The budget is of the release, which is Deno with its V8 flag; Bun has no such lever.
      ...(target === "deno" ? { budget: atMost(90) } : {}),
      note: "100 connections, lists of 200 tools and calls in turn; largest seen each round",
    }),
    row({
      name: "resident, later rounds of load",
      unit: "MB",
      ours: after.slice(half),
      baseline: after.slice(0, after.length - half),
      note: "first rounds: flat is 1",
    }),
  ];
}

/** The largest resident size while a job runs. */
async function largest(server: Server, job: Promise<unknown>): Promise<number> {
  let size = 0;
  const timer = setInterval(() => size = Math.max(size, server.rss()), 20);
  try {
    await job;
  } finally {
    clearInterval(timer);
  }
  return size;
}
