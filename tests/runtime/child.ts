/** Starts a process through the runtime layer and gathers what it says. */
import { spawnSync } from "node:child_process";
import process from "node:process";
import { runtime } from "#runtime";
import type { ChildProcess, ExitStatus, SpawnOptions } from "../../src/runtime/types.ts";
import { scriptArguments } from "../support/program.ts";

export class TestChild implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly exited: Promise<ExitStatus>;
  readonly #output: Output;

  constructor(child: ChildProcess, exited: Promise<ExitStatus>, output: Output) {
    this.child = child;
    this.exited = exited;
    this.#output = output;
  }

  get stdout(): string {
    return this.#output.stdout;
  }

  get stderr(): string {
    return this.#output.stderr;
  }

  /** Resolves as soon as stdout matches, with the match. */
  line(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#output.match(pattern);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGKILL");
    await this.exited;
  }
}

class Output {
  stdout = "";
  stderr = "";
  #waiting: (() => void)[] = [];

  onStdout(chunk: Uint8Array): void {
    this.stdout += new TextDecoder().decode(chunk);
    for (const look of this.#waiting) look();
  }

  match(pattern: RegExp): Promise<RegExpExecArray> {
    return new Promise((resolve) => {
      const look = (): void => {
        const found = pattern.exec(this.stdout);
        if (found === null) return;
        this.#waiting = this.#waiting.filter((waiting) => waiting !== look);
        resolve(found);
      };
      this.#waiting.push(look);
      look();
    });
  }
}

/** A process with this one's PATH unless told otherwise; killed with its group at the end. */
export async function start(
  command: string,
  args: readonly string[] = [],
  options: Partial<SpawnOptions> = {},
): Promise<TestChild> {
  const output = new Output();
  const { promise, resolve } = Promise.withResolvers<ExitStatus>();
  const child = await runtime.spawn({
    command,
    args,
    env: { PATH: process.env["PATH"] ?? "" },
    onStdout: (chunk) => output.onStdout(chunk),
    onStderr: (chunk) => void (output.stderr += new TextDecoder().decode(chunk)),
    ...options,
    onExit(status) {
      options.onExit?.(status);
      resolve(status);
    },
  });
  return new TestChild(child, promise, output);
}

/** A shell script, as {@link start}. */
export function shell(script: string, options: Partial<SpawnOptions> = {}): Promise<TestChild> {
  return start("/bin/sh", ["-c", script], options);
}

/** One of the programs in fixtures/, on the runtime the test runs on. */
export function fixture(name: string, args: readonly string[] = []): Promise<TestChild> {
  const path = new URL(`./fixtures/${name}`, import.meta.url).pathname;
  return start(process.execPath, scriptArguments(path, ...args), {
    env: { ...process.env as Record<string, string>, NO_COLOR: "1" },
  });
}

/** Whether a process exists and is more than an entry its parent has not collected yet. */
export function isRunning(pid: number): boolean {
  const { stdout } = spawnSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" });
  return stdout.trim() !== "" && !stdout.trim().startsWith("Z");
}

/** Looks until the process is gone; a look takes milliseconds, so this gives up after seconds. */
export function isGone(pid: number): boolean {
  for (let looks = 0; looks < 300; looks++) if (!isRunning(pid)) return true;
  return false;
}
