import type { ChildProcess, ExitStatus, SpawnOptions } from "../../src/runtime/types.ts";

/** Scripted child processes for tests. */

/** What the script of a fake child sees of itself. */
export interface FakeProcess {
  readonly pid: number;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string | undefined;
  /** Called with each write, whole, in order. Without it the child reads and forgets. */
  onInput(handler: (text: string) => void): void;
  /** Called when stdin is closed. Without it the child then exits with 0. */
  onInputEnd(handler: () => void): void;
  /** Called on SIGTERM. Without it the child then dies of it; SIGKILL is not to be caught. */
  onTerminate(handler: () => void): void;
  /** Writes stay pending from now on, as with a full pipe nobody reads. */
  stopReading(): void;
  stdout(data: string | Uint8Array): void;
  stderr(data: string | Uint8Array): void;
  exit(code?: number): void;
}

/** A program a fake child runs; it may keep working through the handlers it registers. */
export type FakeProgram = (process: FakeProcess) => void;

/** A running {@link FakeProgram}, seen from both ends. */
export class FakeChild implements ChildProcess, FakeProcess {
  readonly pid: number;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string | undefined;
  /** All that was written to stdin. */
  readonly input: string[] = [];
  /** All signals received. */
  readonly signals: string[] = [];
  /** How it ended; null while it runs. */
  status: ExitStatus | null = null;

  readonly #options: SpawnOptions;
  readonly #pendingWrites = new Set<(error: Error) => void>();
  readonly #ended = Promise.withResolvers<ExitStatus>();
  #onInput: (text: string) => void = () => {};
  #onInputEnd: () => void = () => this.exit(0);
  #onTerminate: () => void = () => this.#end({ code: null, signal: "SIGTERM" });
  #reading = true;
  #inputOpen = true;

  constructor(pid: number, options: SpawnOptions) {
    this.pid = pid;
    this.#options = options;
    this.command = options.command;
    this.args = options.args;
    this.env = options.env;
    this.cwd = options.cwd;
  }

  /** Resolves after the exit was reported. */
  get ended(): Promise<ExitStatus> {
    return this.#ended.promise;
  }

  write(text: string): Promise<void> {
    if (this.status !== null || !this.#inputOpen) return Promise.reject(this.#writeError());
    if (!this.#reading) {
      return new Promise((_resolve, reject) => void this.#pendingWrites.add(reject));
    }
    this.input.push(text);
    // Later, as with a pipe: whoever writes must not find the answer there before it returns.
    queueMicrotask(() => {
      if (this.status === null) this.#onInput(text);
    });
    return Promise.resolve();
  }

  endInput(): void {
    if (!this.#inputOpen) return;
    this.#inputOpen = false;
    queueMicrotask(() => {
      if (this.status === null && this.#reading) this.#onInputEnd();
    });
  }

  kill(signal: "SIGTERM" | "SIGKILL"): void {
    if (this.status !== null) return;
    this.signals.push(signal);
    if (signal === "SIGKILL") this.#end({ code: null, signal });
    else this.#onTerminate();
  }

  onInput(handler: (text: string) => void): void {
    this.#onInput = handler;
  }

  onInputEnd(handler: () => void): void {
    this.#onInputEnd = handler;
  }

  onTerminate(handler: () => void): void {
    this.#onTerminate = handler;
  }

  stopReading(): void {
    this.#reading = false;
  }

  stdout(data: string | Uint8Array): void {
    this.#emit(data, this.#options.onStdout);
  }

  stderr(data: string | Uint8Array): void {
    this.#emit(data, this.#options.onStderr);
  }

  exit(code = 0): void {
    this.#end({ code, signal: null });
  }

  #emit(data: string | Uint8Array, sink: (chunk: Uint8Array) => void): void {
    if (this.status !== null) return;
    const chunk = typeof data === "string" ? new TextEncoder().encode(data) : data;
    queueMicrotask(() => sink(chunk));
  }

  #end(status: ExitStatus): void {
    if (this.status !== null) return;
    this.status = status;
    this.#inputOpen = false;
    const error = this.#writeError();
    for (const reject of this.#pendingWrites) reject(error);
    this.#pendingWrites.clear();
    // Behind the output, which is queued in the same way.
    queueMicrotask(() => {
      this.#options.onExit(status);
      this.#ended.resolve(status);
    });
  }

  #writeError(): Error {
    const state = this.status === null ? "its stdin was closed" : "the process has ended";
    const message = `Cannot write to "${this.command}": ${state}; expected a process that reads`;
    return Object.assign(new Error(message), { code: "EPIPE" });
  }
}
