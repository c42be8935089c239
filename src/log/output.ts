import { fstatSync } from "node:fs";
import process from "node:process";
import type { Writable } from "node:stream";
import { attempt } from "../lib/json.ts";
import type { Runtime } from "../runtime/types.ts";
import type { Encode, Entry } from "./entry.ts";

/** Standard output or standard error, as far as logging needs it. */
export interface Output {
  readonly isTerminal: boolean;
  /** `device:inode` as in JOURNAL_STREAM, or null where it cannot be told. */
  readonly identity: string | null;
  /**
   * Resolves when the system has taken the text, rejects when it never will (EPIPE). Waits without
   * blocking the process while a pipe or socket is full.
   */
  write(text: string): Promise<void>;
}

/** The two standard streams. */
export interface StandardOutputs {
  readonly stdout: Output;
  readonly stderr: Output;
}

/** The process's own standard streams, opened at first use. */
export function standardOutputs(runtime: Pick<Runtime, "name">): StandardOutputs {
  return { stdout: standardOutput(1, runtime), stderr: standardOutput(2, runtime) };
}

function standardOutput(fd: 1 | 2, runtime: Pick<Runtime, "name">): Output {
  const stream = fd === 1 ? process.stdout : process.stderr;
  let target: Writable | null = null;
  let pending = 0;
  let failure: Error | null = null;
  return {
    isTerminal: stream.isTTY === true,
    identity: identityOf(fd),
    write(text) {
      if (target === null) {
        target = nonBlocking(fd, runtime) ?? stream;
        // Without a listener a broken pipe would end the process.
        target.on("error", (error: Error) => failure = error);
      }
      if (failure !== null) return Promise.reject(failure);
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      // What waits for its reader must keep the process; an idle stream must not.
      if (pending++ === 0) keepAlive(target, true);
      target.write(text, (error) => {
        if (--pending === 0) keepAlive(target, false);
        if (error) reject(failure = error);
        else resolve();
      });
      return promise;
    },
  };
}

/**
 * Deno writes to its standard streams synchronously, so a pipe that nobody reads stops the whole
 * process (measured on 2.9.6: no timer ran until the reader went away). A socket over the same
 * descriptor waits in the event loop instead. It is never destroyed by us: that would close the
 * descriptor. Bun's own streams wait as they should, but a socket over the descriptor blocks.
 */
function nonBlocking(fd: 1 | 2, runtime: Pick<Runtime, "name">): Writable | null {
  if (runtime.name !== "deno") return null;
  try {
    const stat = fstatSync(fd);
    if (!stat.isFIFO() && !stat.isSocket()) return null;
    // Loaded only here: the module is a tenth of the time to a listening gateway on Deno.
    const { Socket } = process.getBuiltinModule("node:net");
    const socket = new Socket({ fd, readable: false, writable: true });
    socket.unref();
    return socket;
  } catch {
    return null;
  }
}

/** Only a socket of ours can be told; the runtimes look after their own streams. */
function keepAlive(target: Writable | null, keep: boolean): void {
  if (target === null || target === process.stdout || target === process.stderr) return;
  const socket = target as Writable & { ref(): void; unref(): void };
  if (keep) socket.ref();
  else socket.unref();
}

function identityOf(fd: number): string | null {
  const file = attempt(() => fstatSync(fd, { bigint: true }));
  return file === undefined ? null : `${file.dev}:${file.ino}`;
}

/** Writes encoded lines to an output, a whole batch at once. */
export class OutputWriter implements Writer {
  constructor(private readonly output: Output, private readonly encode: Encode) {}

  async write(entries: readonly Entry[]): Promise<number> {
    await this.output.write(entries.map((entry) => this.encode(entry) + "\n").join(""));
    return entries.length;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Where entries end up. One write is under way at a time; see `pump.ts`. */
export interface Writer {
  /**
   * Hands over entries in order and resolves with how many of them the destination took, at least
   * one. Rejects when it took none; the same entries may then be offered again. May stay pending
   * for as long as the destination is not ready.
   */
  write(entries: readonly Entry[]): Promise<number>;
  /** Lets go of sockets and processes. Never rejects. */
  close(): Promise<void>;
}

/** Options of a {@link FallbackWriter}. */
export interface FallbackOptions {
  readonly primary: Writer;
  readonly fallback: Writer;
  /** Says why, as an entry; written to the fallback once in the life of this writer. */
  readonly warn: (error: unknown) => Entry;
  /** Milliseconds until the primary is tried again; it may have been restarted. */
  readonly retryAfter: number;
}

/**
 * Writes to the primary; while that cannot be had, to the fallback, after one warning. For
 * destinations on this machine, where waiting for one that is missing would hide the log.
 */
export class FallbackWriter implements Writer {
  #retryAt = 0;
  #warned = false;

  constructor(private readonly options: FallbackOptions) {}

  async write(entries: readonly Entry[]): Promise<number> {
    const { primary, fallback, warn, retryAfter } = this.options;
    if (performance.now() >= this.#retryAt) {
      try {
        return await primary.write(entries);
      } catch (error) {
        this.#retryAt = performance.now() + retryAfter;
        if (!this.#warned) {
          await fallback.write([warn(error)]);
          this.#warned = true;
        }
      }
    }
    return await fallback.write(entries);
  }

  async close(): Promise<void> {
    await Promise.all([this.options.primary.close(), this.options.fallback.close()]);
  }
}
