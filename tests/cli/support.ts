/** A command line run inside the test, with everything it touches of the test's making. */

import { runtime } from "#runtime";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Io, TextOutput, UncaughtKind } from "../../src/app/io.ts";
import { main } from "../../src/cli/main.ts";
import type { ProcessSignal } from "../../src/runtime/types.ts";
import { Inbox } from "../support/inbox.ts";

/** What a {@link TestIo} is made with. */
export interface TestIoOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  readonly stdin?: AsyncIterable<Uint8Array>;
  /** Stderr (and stdout) are a terminal of this size. */
  readonly terminal?: { readonly columns: number; readonly rows: number };
}

/** An {@link Io} that keeps what is written, and lets signals and errors be made. */
export class TestIo implements Io {
  readonly #handlers = new Map<ProcessSignal, Set<() => void>>();
  readonly #uncaught = new Set<(error: unknown, kind: UncaughtKind) => void>();
  /** Texts as they were written. */
  readonly out = new Inbox<string>("stdout");
  readonly err = new Inbox<string>("stderr");
  readonly stdout: TextOutput;
  readonly stderr: TextOutput;
  readonly stdin: Io["stdin"];
  /** What {@link Io.hasTerminal} says. */
  isInTerminal: boolean;
  readonly env: Io["env"];
  readonly cwd: string;
  readonly runtime: Io["runtime"];
  readonly secrets = new Set<string>();

  constructor({ env = {}, cwd = "/", stdin = NO_INPUT, terminal }: TestIoOptions = {}) {
    this.isInTerminal = terminal !== undefined;
    this.env = env;
    this.cwd = cwd;
    this.stdout = outputInto(this.out, terminal);
    this.stderr = outputInto(this.err, terminal);
    this.stdin = { isTerminal: false, [Symbol.asyncIterator]: () => stdin[Symbol.asyncIterator]() };
    this.runtime = {
      ...runtime,
      onSignal: (signal, handler) => {
        const all = this.#handlers.get(signal) ?? new Set();
        this.#handlers.set(signal, all.add(handler));
        return () => all.delete(handler);
      },
    };
  }

  hasTerminal(): boolean {
    return this.isInTerminal;
  }

  onUncaught(handler: (error: unknown, kind: UncaughtKind) => void): () => void {
    this.#uncaught.add(handler);
    return () => this.#uncaught.delete(handler);
  }

  /** How many handlers wait for a signal. */
  listeners(signal: ProcessSignal): number {
    return this.#handlers.get(signal)?.size ?? 0;
  }

  signal(signal: ProcessSignal): void {
    for (const handler of [...this.#handlers.get(signal) ?? []]) handler();
  }

  fail(error: unknown, kind: UncaughtKind): void {
    [...this.#uncaught].at(-1)?.(error, kind);
  }

  get stdoutText(): string {
    return this.out.items.join("");
  }

  get stderrText(): string {
    return this.err.items.join("");
  }
}

const NO_INPUT: AsyncIterable<Uint8Array> = {
  async *[Symbol.asyncIterator]() {},
};

function outputInto(inbox: Inbox<string>, terminal: TestIoOptions["terminal"]): TextOutput {
  return {
    isTerminal: terminal !== undefined,
    identity: null,
    columns: terminal?.columns ?? 80,
    rows: terminal?.rows ?? 24,
    write: (text) => {
      inbox.push(text);
      return Promise.resolve();
    },
  };
}

/** Runs a command line to its end. */
export async function run(
  args: readonly string[],
  options: TestIoOptions = {},
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  const io = new TestIo(options);
  const code = await main(args, io);
  return { code, stdout: io.stdoutText, stderr: io.stderrText };
}

/** Stdin that the test writes to and ends. */
export class TestInput implements AsyncIterable<Uint8Array> {
  readonly #chunks: Uint8Array[] = [];
  #ended = false;
  #wake: () => void = () => {};

  write(text: string): void {
    this.#chunks.push(new TextEncoder().encode(text));
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) yield chunk;
      else if (this.#ended) return;
      else await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }
}

/** A directory with a configuration file in it, removed by `close`. */
export async function configFile(config: unknown): Promise<{
  readonly directory: string;
  readonly path: string;
  close(): Promise<void>;
}> {
  const directory = await mkdtemp(join(tmpdir(), "mcproxy-cli-"));
  const path = join(directory, "mcp-servers.json");
  await writeFile(path, typeof config === "string" ? config : JSON.stringify(config));
  return { directory, path, close: () => rm(directory, { recursive: true, force: true }) };
}
