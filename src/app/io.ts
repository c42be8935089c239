/** Everything a command touches of the process it runs in, so that tests can hand in their own. */

import process from "node:process";
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
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Working directory, absolute. */
  readonly cwd: string;
  readonly runtime: Runtime;
  /**
   * From now on an uncaught error goes to the handler and does not end the process. Returns the
   * function that takes it back.
   */
  onUncaught(handler: (error: unknown, kind: UncaughtKind) => void): () => void;
}

/** The {@link Io} of this process. */
export function processIo(runtime: Runtime): Io {
  const { stdout, stderr } = standardOutputs(runtime);
  return {
    stdout: withSize(stdout, process.stdout),
    stderr: withSize(stderr, process.stderr),
    stdin: {
      get isTerminal() {
        return process.stdin.isTTY === true;
      },
      [Symbol.asyncIterator]: () => process.stdin[Symbol.asyncIterator](),
    },
    env: process.env,
    cwd: process.cwd(),
    runtime,
    onUncaught(handler) {
      const onException = (error: unknown) => handler(error, "exception");
      const onRejection = (error: unknown) => handler(error, "rejection");
      process.on("uncaughtException", onException);
      process.on("unhandledRejection", onRejection);
      return () => {
        process.off("uncaughtException", onException);
        process.off("unhandledRejection", onRejection);
      };
    },
  };
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
  try {
    await output.write(text);
  } catch {
    // The other end is closed; there is nobody to tell.
  }
}
