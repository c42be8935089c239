/** When the output of a process that has ended is complete. */

import type { Readable } from "node:stream";
import type { SpawnOptions } from "../types.ts";

/** Milliseconds between looks at an output that outlives its process. */
const LOOK = 100;
/** Looks without any data after which the rest belongs to somebody else. */
const SILENT_LOOKS = 2;
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

  constructor(
    stdout: Readable,
    stderr: Readable,
    sinks: Pick<SpawnOptions, "onStdout" | "onStderr">,
  ) {
    this.#streams = [stdout, stderr];
    this.#pipe(stdout, sinks.onStdout);
    this.#pipe(stderr, sinks.onStderr);
  }

  #pipe(stream: Readable, sink: (chunk: Uint8Array) => void): void {
    stream.on("data", (chunk: Uint8Array) => {
      this.#chunks++;
      sink(chunk);
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
      silent = this.#chunks === seen ? silent + 1 : 0;
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
