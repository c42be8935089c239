/** Everything a command touches of the process it runs in, so that tests can hand in their own. */

import process from "node:process";
import { isatty } from "node:tty";
import { codeOf, messageOf } from "../lib/text.ts";
import { type Output, standardOutputs } from "../log/output.ts";
import type { Runtime } from "../runtime/types.ts";

/** A standard stream to write to; the size is that of its terminal. */
export interface TextOutput extends Output {
  readonly columns: number;
  readonly rows: number;
}

/** Where something went wrong that nobody caught. */
export type UncaughtKind = "exception" | "rejection";

/** What a command gets besides its arguments. */
export interface Io {
  /** Data, and nothing else. */
  readonly stdout: TextOutput;
  /** Talk: progress, warnings, errors. */
  readonly stderr: TextOutput;
  /** Read once, by the command that wants it. */
  readonly stdin: AsyncIterable<Uint8Array> & { readonly isTerminal: boolean };
  /** Whether a terminal is at any of the three, asked anew each time: a window may be closed. */
  hasTerminal(): boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Working directory, absolute. */
  readonly cwd: string;
  readonly runtime: Runtime;
  /** What must not be printed, as far as it is known; filled by whoever reads a configuration. */
  readonly secrets?: Set<string>;
  /**
   * From now on an uncaught error goes to the handler and does not end the process; of several the
   * latest has it. Returns the function that takes it back.
   */
  onUncaught(handler: (error: unknown, kind: UncaughtKind) => void): () => void;
}

/** The {@link Io} of this process. */
export function processIo(runtime: Runtime): Io {
  Object.assign(process.env, directLoopback(process.env));
  const { stdout, stderr } = standardOutputs(runtime);
  const handlers: Parameters<Io["onUncaught"]>[0][] = [];
  return {
    stdout: withSize(stdout, process.stdout),
    stderr: withSize(stderr, process.stderr),
    stdin: {
      get isTerminal() {
        return process.stdin.isTTY === true;
      },
      [Symbol.asyncIterator]: () => process.stdin[Symbol.asyncIterator](),
    },
    hasTerminal: () => [0, 1, 2].some(isatty),
    env: process.env,
    cwd: process.cwd(),
    runtime,
    secrets: new Set(),
    onUncaught(handler) {
      handlers.push(handler);
      const told = (error: unknown, kind: UncaughtKind) => {
        if (handlers.at(-1) === handler) handler(error, kind);
      };
      const onException = (error: unknown) => told(error, "exception");
      const onRejection = (error: unknown) => told(error, "rejection");
      process.on("uncaughtException", onException);
      process.on("unhandledRejection", onRejection);
      return () => {
        handlers.splice(handlers.lastIndexOf(handler), 1);
        process.off("uncaughtException", onException);
        process.off("unhandledRejection", onRejection);
      };
    },
  };
}

/**
 * What to add to the environment where it names a proxy: to this machine nobody means to go by one.
 * Both runtimes look when they first fetch something.
 */
export function directLoopback(env: Io["env"]): Record<string, string> {
  const set = Object.keys(env).some((name) => /^(https?|all)_proxy$/i.test(name) && env[name]);
  // Deno goes by the one, Bun by the other.
  const direct = new Set([env["NO_PROXY"], env["no_proxy"]].filter((one) => one));
  if (!set || direct.has("*")) return {};
  const value = [...direct, "localhost,127.0.0.1,::1,[::1]"].join(",");
  return { NO_PROXY: value, no_proxy: value };
}

function withSize(
  output: Output,
  stream: { readonly columns?: number; readonly rows?: number },
): TextOutput {
  return {
    isTerminal: output.isTerminal,
    identity: output.identity,
    write: (text) => output.write(text),
    get columns() {
      return stream.columns || 80;
    },
    get rows() {
      return stream.rows || 24;
    },
  };
}

/** Writes what may be lost: a reader that has gone (`mcproxy list | head`) is no failure. */
export async function say(output: Output, text: string): Promise<void> {
  // Where the other end is closed there is nobody to tell.
  await output.write(text).catch(() => {});
}

/**
 * Writes what the command is there for.
 * @throws {CliError} where it finds no room; a reader that has gone is no failure here either
 */
export async function print({ stdout }: Pick<Io, "stdout">, text: string): Promise<void> {
  try {
    await stdout.write(text);
  } catch (error) {
    if (!/^(ENOSPC|EDQUOT|EFBIG|EIO)$/.test(codeOf(error) ?? "")) return;
    const why = messageOf(error).replace(/^E\w+: |, write$/g, "");
    throw failed(`Cannot write the output: ${why}`, { cause: error });
  }
}

// How a command ends.

/** Exit codes, part of the public contract; pinned by a test. */
export const ExitCode = {
  Ok: 0,
  /** It was tried and did not work. */
  Failed: 1,
  /** The command line asks for something that does not exist or may not be. */
  Usage: 2,
  /** The configuration is missing or invalid. */
  Config: 3,
} as const;

/** Any of {@link ExitCode}. */
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** Options of a {@link CliError}. */
export interface CliErrorOptions extends ErrorOptions {
  /** Further lines below the message: what to do, examples. Not coloured. */
  readonly hint?: string | undefined;
  /** What `--json` adds to `error`. Never a secret. */
  readonly data?: Readonly<Record<string, unknown>>;
}

/** An end that is not success: what is told on stderr, and the code. Never a stack. */
export class CliError extends Error {
  override readonly name: string = "CliError";
  readonly hint: string | undefined;
  readonly data: Readonly<Record<string, unknown>>;

  constructor(readonly exitCode: ExitCode, message: string, options: CliErrorOptions = {}) {
    super(message, options);
    this.hint = options.hint;
    this.data = options.data ?? {};
  }
}

/** What a command throws that was tried and did not work. */
export function failed(message: string, options?: CliErrorOptions): CliError {
  return new CliError(ExitCode.Failed, message, options);
}

/** What is wrong is on the command line; the reader is sent to the help. */
export class UsageError extends CliError {
  override readonly name = "UsageError";
  constructor(message: string, hint = 'Run "mcproxy help" for usage') {
    super(ExitCode.Usage, message, { hint });
  }
}
