import { join } from "node:path";
import type { Clock } from "../lib/clock.ts";
import { codeOf, readOwnFile, replaceFile } from "../lib/list-cache-disk.ts";
import type { SearchLog } from "./meaning/outage.ts";
import { decodeUses, encodeUses } from "./use-format.ts";
import { addUse, countAt, merged, MOST_TOOLS, type Uses } from "./use.ts";

/** What {@link UseMemory} stands on. */
export interface UseMemoryOptions {
  /** See `cacheDirectory()`; without, use is forgotten with the process. */
  readonly directory: string | undefined;
  readonly log: Pick<SearchLog, "warning">;
  readonly clock: Clock;
  /** Milliseconds since the epoch. */
  readonly wall: () => number;
}

/** Milliseconds from the first call to writing: what comes in between is written with it. */
const WRITE_DELAY = 30_000;

/** So many more than are kept may come before the least used are sorted out. */
const SLACK = 200;

/**
 * How often tools were called with success in this installation. Names and counts only, in the file
 * `tools.use`; gateways that share a directory add theirs to what is there.
 */
export class UseMemory {
  readonly #options: UseMemoryOptions;
  readonly #path: string | undefined;
  /** What the file says, and what came since. */
  #kept: Uses = new Map();
  #fresh: Uses = new Map();
  #freshSize = 0;
  #loading: Promise<void> | undefined;
  #unschedule: (() => void) | undefined;
  #writing: Promise<void> = Promise.resolve();
  #hasComplained = false;

  constructor(options: UseMemoryOptions) {
    const { directory } = options;
    this.#options = options;
    this.#path = directory === undefined ? undefined : join(directory, "tools.use");
  }

  /** Reads what is kept, once. Never rejects. */
  load(): Promise<void> {
    return this.#loading ??= this.#read().then((kept) => void (this.#kept = kept));
  }

  /** A tool was called with success. */
  add(server: string, tool: string): void {
    addUse(this.#fresh, server, tool, { count: 1, at: this.#options.wall() });
    // A bound on calls is one on tools; what is over is sorted out without a disk as well.
    if (++this.#freshSize > MOST_TOOLS + SLACK) {
      this.#fresh = merged(this.#fresh, new Map(), this.#options.wall());
      this.#freshSize = 0;
    }
    this.#unschedule ??= this.#options.clock.after(WRITE_DELAY, () => void this.flush());
  }

  /** How often it was, decayed. */
  count(server: string, tool: string): number {
    const now = this.#options.wall();
    let count = 0;
    for (const uses of [this.#kept, this.#fresh]) {
      const use = uses.get(server)?.get(tool);
      if (use !== undefined) count += countAt(use, now);
    }
    return count;
  }

  /**
   * Writes what came since the last time; resolves when it is in its place. Never rejects: what
   * cannot be written is tried again with the next call.
   */
  flush(): Promise<void> {
    if (this.#unschedule === undefined) return this.#writing;
    this.#unschedule();
    this.#unschedule = undefined;
    return this.#writing = this.#writing.then(() => this.#write());
  }

  async #write(): Promise<void> {
    if (this.#path === undefined) return;
    const { wall } = this.#options;
    const [kept, fresh] = [this.#kept, this.#fresh];
    this.#kept = merged(kept, fresh, wall());
    this.#fresh = new Map();
    this.#freshSize = 0;
    try {
      // Others may have written meanwhile.
      const read = await this.#read();
      const all = merged(read.size > 0 ? read : kept, fresh, wall());
      await replaceFile(this.#path, await encodeUses(all));
      this.#kept = all;
    } catch (error) {
      this.#kept = kept;
      this.#fresh = merged(fresh, this.#fresh, wall());
      this.#complain("Cannot keep the use of tools in {file}: {reason}", codeOf(error));
    }
  }

  async #read(): Promise<Uses> {
    const read = this.#path === undefined ? undefined : await readOwnFile(this.#path);
    if (read === undefined) return new Map();
    const decoded = read.ok ? await decodeUses(read.bytes, this.#options.wall()) : read;
    if (decoded.ok) return decoded.uses;
    this.#complain("Cannot use the kept use of tools in {file}: {reason}", decoded.reason);
    return new Map();
  }

  #complain(text: string, reason: string): void {
    if (this.#hasComplained) return;
    this.#hasComplained = true;
    this.#options.log.warning(`${text}; counting goes on`, { file: this.#path, reason });
  }
}
