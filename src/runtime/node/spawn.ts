/** Child processes in process groups of their own, through `node:child_process` on both runtimes. */

import { type ChildProcessWithoutNullStreams, spawn as start } from "node:child_process";
import type { Writable } from "node:stream";
import type { ChildProcess, ExitStatus, SpawnOptions } from "../types.ts";
import { OutputEnd } from "./output-end.ts";
import { ProcessGroup } from "./process-group.ts";
import { spawnError } from "./spawn-error.ts";

/** {@link Runtime.spawn}. */
export async function spawn(options: SpawnOptions): Promise<ChildProcess> {
  let child: ChildProcessWithoutNullStreams;
  try {
    child = start(options.command, [...options.args], {
      cwd: options.cwd,
      env: { ...options.env },
      // A group of its own: a server behind `npx` or `sh -c` has more processes than the one we know.
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
    });
  } catch (error) {
    throw await spawnError(options, error);
  }
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  child.once("spawn", resolve);
  // Stays registered: an "error" without a listener would end this process.
  child.on("error", reject);
  const handle = new NodeChild(child, options);
  try {
    await promise;
  } catch (error) {
    throw await spawnError(options, error);
  }
  return handle;
}

const ENDED = "the process has ended";

class NodeChild implements ChildProcess {
  readonly pid: number;
  readonly #command: string;
  readonly #stdin: Writable;
  readonly #onExit: (status: ExitStatus) => void;
  /** Rejects the writes that nothing has settled yet. */
  readonly #pendingWrites = new Set<(error: Error) => void>();
  readonly #group: ProcessGroup | undefined;
  /** Why nothing can be written any more; empty as long as it can. */
  #inputState = "";

  constructor(child: ChildProcessWithoutNullStreams, options: SpawnOptions) {
    // Undefined only where the start failed, and then nobody gets this object.
    this.pid = child.pid ?? 0;
    this.#group = child.pid === undefined ? undefined : new ProcessGroup(child.pid);
    this.#command = options.command;
    this.#stdin = child.stdin;
    this.#onExit = options.onExit;
    child.stdin.on("error", () => this.#closeInput("its stdin is broken"));
    child.stdin.on("close", () => this.#closeInput("its stdin is closed"));
    const output = new OutputEnd(child.stdout, child.stderr, options);
    child.once("exit", (code, signal) => this.#exited({ code, signal }, output));
  }

  write(text: string): Promise<void> {
    if (this.#inputState !== "") return Promise.reject(this.#writeError());
    return new Promise((resolve, reject) => {
      this.#pendingWrites.add(reject);
      this.#stdin.write(text, (error) => {
        this.#pendingWrites.delete(reject);
        if (error) reject(this.#writeError(error));
        else resolve();
      });
    });
  }

  endInput(): void {
    if (this.#inputState !== "") return;
    // Writes before this one are still on their way, so they are not rejected.
    this.#inputState = "its stdin was closed";
    this.#stdin.end();
  }

  kill(signal: "SIGTERM" | "SIGKILL"): void {
    this.#group?.signal(signal);
  }

  #exited(status: ExitStatus, output: OutputEnd): void {
    this.#closeInput(ENDED);
    this.#stdin.destroy();
    this.#group?.leaderEnded();
    void output.wait().then(() => {
      // The caller decides by it whether there is anything left to signal.
      this.#group?.look();
      this.#onExit(status);
    });
  }

  #closeInput(state: string): void {
    // The pipe's own end comes before or after that of the process, and says less.
    if (this.#inputState !== ENDED) this.#inputState = state;
    if (this.#pendingWrites.size === 0) return;
    const error = this.#writeError();
    for (const reject of this.#pendingWrites) reject(error);
    this.#pendingWrites.clear();
  }

  #writeError(cause?: Error): Error {
    const state = this.#inputState || "its stdin is broken";
    const message = `Cannot write to "${this.#command}": ${state}; expected a process that reads`;
    return Object.assign(new Error(message, { cause }), { code: "EPIPE" });
  }
}
