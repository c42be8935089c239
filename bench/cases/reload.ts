import { execFile, spawn } from "node:child_process";
import { renameSync, writeFileSync } from "node:fs";
import process from "node:process";
import { promisify } from "node:util";
import { type Case, type Context, interleave } from "../harness/case.ts";
import { type ConfigFile, fakeArgs, fakeUpstreams } from "../harness/config.ts";
import { baselineCommand, gatewayCommand, isBuilt, ROOT } from "../harness/programs.ts";
import { atMost, type Row, row } from "../harness/row.ts";
import { openSessions, ready } from "../harness/session.ts";
import { startServer } from "../harness/server.ts";
import { listChanges } from "../harness/changes.ts";

const FAKE = { tools: 20 };
const SERVERS = 10;
const EDITS = 20;

/** From the edit of the file to what a connected client hears of it: 200 ms. */
export const reload: Case = { name: "reload", run };

async function run(context: Context): Promise<readonly Row[]> {
  return [...await edits(context), ...await planning(context)];
}

async function edits({ target }: Context): Promise<readonly Row[]> {
  using config = fakeUpstreams(SERVERS, FAKE);
  await using ours = await startServer(gatewayCommand(target, config.path));
  await ready(ours);
  const [session] = await openSessions(ours, 1);
  using changes = await listChanges(ours, session!);
  let made = 0;
  const added = async () => {
    const began = write(config, { [`added${made++}`]: fakeEntry() });
    return await changes.next() - began;
  };
  const removals: number[] = [];
  const addAndRemove = async () => {
    const took = await added();
    const began = write(config, {});
    removals.push(await changes.next() - began);
    return took;
  };
  // Compiles what an edit runs through: the budget is about a gateway that has been running.
  await addAndRemove();
  removals.length = 0;
  const samples = await interleave(EDITS, { ours: addAndRemove, alone: ownStart });
  return [
    row({
      name: `edit that adds a server until list_changed arrives, ${EDITS} edits`,
      unit: "ms",
      ours: samples.ours,
      baseline: samples.alone,
      how: "difference",
      budget: atMost(200),
      note: "the same server alone, from its start to its list",
    }),
    row({
      name: `edit that removes one until list_changed arrives, ${EDITS} edits`,
      unit: "ms",
      ours: removals,
      budget: atMost(200),
      note: "no server has to be started",
    }),
  ];
}

async function planning({ target }: Context): Promise<readonly Row[]> {
  if (isBuilt(target)) return []; // It runs in the program of the benchmark, not in ours.
  const { command, args } = baselineCommand(target, "reload.ts");
  const { stdout } = await promisify(execFile)(command, [...args], { cwd: ROOT, timeout: 120_000 });
  const { reading, planning } = JSON.parse(stdout) as Record<"reading" | "planning", number[]>;
  return [
    row({
      name: "plan and rebuild, 30 servers, 1 000 tools, one changed",
      unit: "ms",
      ours: planning,
      budget: atMost(100),
      note: "in process: diff, plan, new snapshot, which lists changed",
    }),
    row({
      name: "reading of that configuration",
      unit: "ms",
      ours: reading,
      note: "in process: from text to a checked configuration",
    }),
  ];
}

function fakeEntry(): object {
  return { command: "node", args: fakeArgs(FAKE) };
}

/** Puts another file in its place, as `mv` does; returns when it did. */
function write(config: ConfigFile, more: Readonly<Record<string, unknown>>): number {
  const mcpServers = { ...config.servers, ...more };
  const next = `${config.path}.next`;
  writeFileSync(next, JSON.stringify({ ...config.settings, mcpServers }));
  const began = performance.now();
  renameSync(next, config.path);
  return began;
}

/** Milliseconds from spawn to the answer to `tools/list`, for a client that does no more. */
function ownStart(): Promise<number> {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    // The environment decides how long Node takes to start, so it is as small as an upstream's.
    const env = { PATH: process.env["PATH"], HOME: process.env["HOME"] };
    const child = spawn("node", fakeArgs(FAKE), { env, stdio: ["pipe", "pipe", "inherit"] });
    child.once("error", reject);
    child.once("close", () => reject(new Error("Cannot measure: the server has ended")));
    const say = (message: object) =>
      child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
    let heard = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      const greeted = heard.includes("\n");
      heard += text;
      const [, list, rest] = heard.split("\n");
      if (!greeted && heard.includes("\n")) {
        say({ method: "notifications/initialized" });
        say({ id: 2, method: "tools/list" });
      }
      if (list === undefined || rest === undefined) return;
      resolve(performance.now() - began);
      child.stdin.end();
    });
    const params = { protocolVersion: "2025-11-25", capabilities: {} };
    say({ id: 1, method: "initialize", params });
  });
}
