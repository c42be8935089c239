import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { within } from "../../tests/support/inbox.ts";
import { startProcess, type TestProcess } from "../../tests/support/process.ts";
import { emptyCache } from "./cache.ts";
import { type CommandLine, ROOT } from "./programs.ts";

/** What sizes are reported in, bytes. */
export const MB = 1_000_000;

/** A server process that is being measured. */
export interface Server extends AsyncDisposable {
  readonly pid: number;
  readonly process: TestProcess;
  readonly port: number;
  /** Its address without path. */
  readonly base: string;
  /** What is shown to it, where it wants to know who asks. */
  readonly key?: string;
  /** Resident memory now, bytes. */
  rss(): number;
  /** Largest resident memory since the start or since {@link forgetPeak}, bytes. */
  peak(): number;
  forgetPeak(): void;
  /** Processor time used so far by the process with all its threads, ms. */
  cpu(): number;
}

/** Starts a server and waits until it prints `http://127.0.0.1:PORT`. */
export async function startServer(line: CommandLine): Promise<Server> {
  const cache = emptyCache();
  const running = await startProcess(line.command, line.args, {
    cwd: ROOT,
    env: { ...process.env, ...cache.env, ...line.env, NO_COLOR: "1" },
  });
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  for (const output of [running.stdout, running.stderr]) {
    output.follow((text) => {
      const port = /http:\/\/127\.0\.0\.1:(\d+)/.exec(text)?.[1];
      if (port !== undefined) resolve(port);
    }, (reason) => {
      const said = running.stderr.items.slice(-5).join("\n");
      reject(new Error(`Cannot start a server to measure: ${reason}\n${said}`));
    });
  }
  const stop = async () => {
    await end(running);
    cache[Symbol.dispose]();
  };
  const port = await within(promise, `the start of ${line.command}`, 30_000).catch(
    async (error) => {
      await stop();
      throw error;
    },
  );
  return {
    pid: running.pid,
    process: running,
    port: Number(port),
    base: `http://127.0.0.1:${port}`,
    rss: () => memoryOf(running.pid, "VmRSS"),
    peak: () => memoryOf(running.pid, "VmHWM"),
    forgetPeak: () => writeFileSync(`/proc/${running.pid}/clear_refs`, "5"),
    cpu: () => cpuOf(running.pid),
    [Symbol.asyncDispose]: stop,
  };
}

/** The largest resident size while a job runs, bytes. */
export async function largest(server: Server, job: Promise<unknown>): Promise<number> {
  let size = 0;
  const timer = setInterval(() => size = Math.max(size, server.rss()), 20);
  try {
    await job;
  } finally {
    clearInterval(timer);
  }
  return size;
}

/** Stops a process as an init system does, and whatever is left of its group after 5 s. */
export async function end(running: TestProcess): Promise<void> {
  if (!running.stdout.ended) running.signal("SIGTERM");
  await within(running.exited, "a stop", 5_000).catch(() => {});
  await running.kill();
}

function memoryOf(pid: number, what: "VmRSS" | "VmHWM"): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const kilobytes = new RegExp(`^${what}:\\s+(\\d+) kB`, "m").exec(status)?.[1];
  if (kilobytes === undefined) throw new Error(`Cannot read the memory of process ${pid}`);
  return Number(kilobytes) * 1024;
}

function cpuOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  // utime and stime in ticks of 10 ms (USER_HZ is 100 on every Linux).
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
