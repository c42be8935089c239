/** Child processes in process groups of their own, through `node:child_process` on both runtimes. */

import { type ChildProcessWithoutNullStreams, spawn as start } from "node:child_process";
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import type { Readable, Writable } from "node:stream";
import { codeOf, messageOf, snippet } from "../../lib/text.ts";
import { nextTurn, TURN } from "../../lib/time.ts";
import { type ChildProcess, type ExitStatus, SpawnError, type SpawnOptions } from "../types.ts";
import { ProcessGroup } from "./process.ts";

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
  // One that cannot be started may have no streams, either.
  const handle = child.pid === undefined ? undefined : new NodeChild(child, options);
  try {
    await promise;
  } catch (error) {
    throw await spawnError(options, error);
  }
  return handle!;
}

const ENDED = "the process has ended";

class NodeChild implements ChildProcess {
  readonly pid: number;
  readonly #stdin: Writable;
  /** Rejects the writes that nothing has settled yet. */
  readonly #pendingWrites = new Set<(error: Error) => void>();
  readonly #group: ProcessGroup;
  /** Why nothing can be written any more; empty as long as it can. */
  #inputState = "";

  constructor(child: ChildProcessWithoutNullStreams, private readonly options: SpawnOptions) {
    this.pid = child.pid!;
    this.#group = new ProcessGroup(this.pid);
    this.#stdin = child.stdin;
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
    this.#group.signal(signal);
  }

  #exited(status: ExitStatus, output: OutputEnd): void {
    this.#closeInput(ENDED);
    this.#stdin.destroy();
    this.#group.leaderEnded();
    void output.wait().then(() => {
      // The caller decides by it whether there is anything left to signal.
      this.#group.look();
      this.options.onExit(status);
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
    const message =
      `Cannot write to "${this.options.command}": ${state}; expected a process that reads`;
    return Object.assign(new Error(message, { cause }), { code: "EPIPE" });
  }
}

/**
 * The {@link SpawnError} for what `node:child_process` reported. The system says ENOENT alike for a
 * missing command, a missing working directory and a missing script interpreter, so this looks.
 */
export async function spawnError(
  options: Pick<SpawnOptions, "command" | "cwd" | "env">,
  cause: unknown,
): Promise<SpawnError> {
  const { command, cwd, env } = options;
  const fail = (code: string, reason: string): SpawnError =>
    new SpawnError(`Cannot start "${command}": ${reason}`, code, { cause });

  if (cwd !== undefined) {
    const found = await kind(cwd);
    if (found === "missing") {
      return fail("ENOENT", `no working directory "${cwd}"; expected an existing directory`);
    }
    if (found === "other") {
      return fail("ENOTDIR", `working directory "${cwd}" is a file; expected a directory`);
    }
  }
  const code = codeOf(cause) ?? "EUNKNOWN";
  const isPath = command.includes("/");
  if (code === "ENOENT" && isPath && await kind(resolve(cwd ?? ".", command)) === "other") {
    return fail(code, "the interpreter in its first line is missing; expected it to be installed");
  }
  if (code === "ENOENT") {
    const expected = isPath
      ? "an existing program"
      : `a program on the PATH of its environment, ${snippet(env.PATH ?? "which has none", 500)}`;
    return fail(code, `no such command; expected ${expected}`);
  }
  if (code === "EACCES") {
    return fail(code, "permission denied; expected an executable file and access to its directory");
  }
  return fail(code, MEANINGS[code] ?? messageOf(cause));
}

/** What the rest comes from, mostly; each runtime has words of its own for it. */
const MEANINGS: Readonly<Record<string, string>> = {
  EMFILE: "the gateway has too many files open; expected a higher LimitNOFILE (ulimit -n)",
  ENFILE: "the system has too many files open; expected a higher fs.file-max",
  EAGAIN: "there are too many processes; expected a higher TasksMax (ulimit -u)",
  ENOMEM: "there is not enough memory",
  E2BIG: "its arguments and environment are too long",
};

async function kind(path: string): Promise<"directory" | "other" | "missing"> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return "missing";
  return found.isDirectory() ? "directory" : "other";
}

/** Milliseconds between looks at an output that outlives its process. */
const LOOK = 100;
/** Looks without any data after which the rest belongs to somebody else. */
const SILENT_LOOKS = 2;
/** What of an output is more than a message or two, and there may be more where it came from. Bytes. */
const FULL = 32 * 1024;
/** Looks after which even a talkative heir of the pipes is given up. */
const MAX_LOOKS = 20;

/**
 * Hands stdout and stderr on, chunk by chunk, and knows when both have ended. `close` of the child
 * is no use for that: a background process that inherited the pipes keeps it away for as long as it
 * lives. Bun also sends it before the pipes' own `close`.
 */
export class OutputEnd {
  readonly #streams: readonly Readable[];
  readonly #ended = Promise.withResolvers<void>();
  #open = 2;
  #chunks = 0;
  /** Outputs that are not read at the moment. */
  #held = 0;

  constructor(
    stdout: Readable,
    stderr: Readable,
    sinks: Pick<SpawnOptions, "onStdout" | "onStderr">,
  ) {
    this.#streams = [stdout, stderr];
    this.#pipe(stdout, sinks.onStdout);
    this.#pipe(stderr, sinks.onStderr);
  }

  #pipe(stream: Readable, sink: SpawnOptions["onStdout"]): void {
    let spent = 0;
    stream.on("data", (chunk: Uint8Array) => {
      this.#chunks++;
      const began = performance.now();
      let taken = sink(chunk);
      // Full ones come one after the other, and nobody else has a turn in between.
      spent = chunk.length < FULL ? 0 : spent + performance.now() - began;
      if (spent > TURN) taken ??= nextTurn();
      if (!(taken instanceof Promise)) return;
      spent = 0;
      stream.pause();
      this.#held++;
      void taken.then(() => {
        this.#held--;
        stream.resume();
      });
    });
    // A read error (EIO) ends the stream; its "close" follows.
    stream.on("error", () => {});
    stream.once("close", () => {
      if (--this.#open === 0) this.#ended.resolve();
    });
  }

  /**
   * Call when the process has exited. Resolves when both outputs have ended, or after two silent
   * looks in a row (so that a busy event loop gets its chance to read), or after two seconds; then
   * the pipes are closed and nothing more is handed on.
   */
  async wait(): Promise<void> {
    let looks = 0;
    let silent = 0;
    let seen = this.#chunks;
    const timer = setInterval(() => {
      silent = this.#chunks === seen && this.#held === 0 ? silent + 1 : 0;
      seen = this.#chunks;
      if (++looks < MAX_LOOKS && silent < SILENT_LOOKS) return;
      this.#ended.resolve();
    }, LOOK);
    await this.#ended.promise;
    clearInterval(timer);
    for (const stream of this.#streams) {
      stream.removeAllListeners("data");
      stream.destroy();
    }
  }
}
