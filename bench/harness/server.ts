import { readFileSync } from "node:fs";
import process from "node:process";
import { type Exit, startProcess } from "../../tests/support/process.ts";
import { emptyCache } from "./cache.ts";
import { type CommandLine, ROOT } from "./programs.ts";

/** A server process that is being measured. */
export interface Server extends AsyncDisposable {
  readonly pid: number;
  readonly port: number;
  /** Its address without path. */
  readonly base: string;
  /** Resident memory now, bytes. */
  rss(): number;
  /** Processor time used so far by the process with all its threads, ms. */
  cpu(): number;
}

/** Starts a server and waits until it prints `http://127.0.0.1:PORT`. */
export async function startServer(line: CommandLine): Promise<Server> {
  const cache = emptyCache();
  const running = await startProcess(line.command, line.args, {
    cwd: ROOT,
    env: { ...process.env, ...cache.env, NO_COLOR: "1" },
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
  const port = await promise;
  return {
    pid: running.pid,
    port: Number(port),
    base: `http://127.0.0.1:${port}`,
    rss: () => rssOf(running.pid),
    cpu: () => cpuOf(running.pid),
    [Symbol.asyncDispose]: async () => {
      if (!running.stdout.ended) running.signal("SIGTERM");
      await Promise.race([running.exited, patience(5_000)]);
      await running.kill();
      cache[Symbol.dispose]();
    },
  };
}

function patience(ms: number): Promise<Exit | undefined> {
  return new Promise((resolve) => setTimeout(() => resolve(undefined), ms).unref());
}

function rssOf(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  if (kilobytes === undefined) throw new Error(`Cannot read the memory of process ${pid}`);
  return Number(kilobytes) * 1024;
}

function cpuOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  // utime and stime in ticks of 10 ms (USER_HZ is 100 on every Linux).
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
