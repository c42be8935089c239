import { spawn } from "node:child_process";
import process from "node:process";
import { eventually, Inbox } from "./inbox.ts";

/** How a process ended; one of the two is null. */
export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** A process under test, in a process group of its own. */
export interface TestProcess {
  readonly pid: number;
  readonly stdout: Inbox<string>;
  readonly stderr: Inbox<string>;
  /** Settles when it has ended and all its output was read. */
  readonly exited: Promise<Exit>;
  /** Writes to its stdin. */
  write(text: string): void;
  /** Ends its stdin. */
  endInput(): void;
  /** Signals the process itself, as an init system does. */
  signal(signal: "SIGTERM" | "SIGINT" | "SIGHUP" | "SIGKILL"): void;
  /** Ends the whole group at once and waits for it. */
  kill(): Promise<void>;
}

const running = new Set<number>();
function killAll(): void {
  for (const pid of running) killGroup(pid);
}
process.on("exit", killAll);
// Deno runs no hook of a file some of whose tests were left out, and has no exit there.
globalThis.addEventListener("unload", killAll);

/** Starts a process; output arrives line by line. Rejects when it cannot be started. */
export async function startProcess(
  command: string,
  args: readonly string[],
  { env = process.env, cwd = process.cwd() }: {
    readonly env?: Readonly<Record<string, string | undefined>>;
    readonly cwd?: string;
  } = {},
): Promise<TestProcess> {
  const child = spawn(command, [...args], { cwd, env: { ...env }, detached: true, stdio: "pipe" });
  const name = `${command} ${args.join(" ")}`.slice(0, 200);
  const stdout = new Inbox<string>(`stdout of ${name}`);
  const stderr = new Inbox<string>(`stderr of ${name}`);
  readLines(child.stdout, stdout);
  readLines(child.stderr, stderr);
  child.stdin.on("error", () => {}); // A process that has gone does not read: its exit says so.
  const exited = new Promise<Exit>((resolve) => {
    child.once("close", (code, signal) => {
      if (child.pid !== undefined) running.delete(child.pid);
      for (const inbox of [stdout, stderr]) inbox.end(`exit ${code ?? signal}`);
      resolve({ code, signal });
    });
  });
  await new Promise<void>((resolve, reject) => {
    child.once("spawn", () => resolve());
    child.once("error", reject);
  });
  const pid = child.pid!;
  running.add(pid);
  return {
    pid,
    stdout,
    stderr,
    exited,
    write: (text) => void child.stdin.write(text),
    endInput: () => void child.stdin.end(),
    // Not child.kill(): Deno then reports that signal as the cause of the end, whatever it was.
    signal: (signal) => void process.kill(pid, signal),
    kill: async () => {
      killGroup(pid);
      await exited;
    },
  };
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // The group is gone already.
  }
}

function readLines(stream: NodeJS.ReadableStream, into: Inbox<string>): void {
  let rest = "";
  stream.setEncoding("utf8");
  stream.on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop()!;
    for (const line of lines) into.push(line);
  });
  stream.on("end", () => {
    if (rest !== "") into.push(rest);
  });
}

/** True while a process of this id exists (a zombie counts as gone). */
export async function isAlive(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  const { readFile } = await import("node:fs/promises");
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  return !/^\d+ \(.*\) Z/.test(stat);
}

/** Waits until a process is gone. @throws {Error} naming it when it stays */
export async function waitUntilGone(pid: number): Promise<void> {
  await eventually(() => isAlive(pid), (alive) => !alive, `process ${pid} gone`);
}
