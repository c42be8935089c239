/** Keeps a changing set of directories watched, whatever happens to them. */

import { lstat, readlink } from "node:fs/promises";
import { dirname, isAbsolute, join } from "node:path";
import process from "node:process";
import { messageOf } from "../lib/text.ts";
import { backOff } from "../lib/time.ts";
import type { Runtime } from "../runtime/types.ts";

/**
 * Milliseconds before a directory that is no longer watched can be watched again: until then
 * Deno would give the old watch, which is dead.
 */
const REOPEN_DELAY = 25;

/** Milliseconds from opening a watch to looking again, at what happened before it was there. */
const ARM_DELAY = 50;

/** A watch that ends sooner than this many milliseconds after its opening never was one. */
const MIN_LIFE = 100;

/** Failures in a row before somebody is told: one or two happen where a directory is replaced. */
const FAILURES_TOLD = 3;

/** What {@link DirectoryWatches} is made of. */
export interface DirectoryWatchesOptions {
  readonly watchDirectory: Runtime["watchDirectory"];
  /** Something changed in one of them, or one went away. */
  readonly onChange: () => void;
  /** One cannot be watched although it is there; told once until it can. */
  readonly onError: (error: unknown) => void;
  /** Milliseconds between two attempts at most. */
  readonly maxDelay: number;
  /** Milliseconds; only differences mean anything. @default performance.now */
  readonly now?: () => number;
}

interface OpenWatch {
  readonly openedAt: number;
  watch?: Disposable;
  over: boolean;
}

/** A directory that may not be opened now. */
interface Rest {
  readonly until: number;
  /** Failed openings in a row. */
  readonly failures: number;
}

/** The watches of a {@link ConfigWatch}: opened, closed, and opened again with growing pauses. */
export class DirectoryWatches implements Disposable {
  readonly #now: () => number;
  readonly #open = new Map<string, OpenWatch>();
  readonly #resting = new Map<string, Rest>();

  constructor(private readonly options: DirectoryWatchesOptions) {
    this.#now = options.now ?? (() => performance.now());
  }

  /**
   * Watches these directories and no others. Returns in how many milliseconds the caller should
   * look again and call this with what it finds: something was opened just now, or could not be
   * opened yet. Undefined where all are watched as they should be.
   */
  follow(directories: ReadonlySet<string>): number | undefined {
    const now = this.#now();
    for (const [path, { until, failures }] of this.#resting) {
      // Failures are remembered until an opening succeeds, but only of what is still wanted.
      if (until <= now && (failures === 0 || !directories.has(path))) this.#resting.delete(path);
    }
    for (const [path, open] of this.#open) {
      if (directories.has(path)) continue;
      this.#close(path, open);
      this.#resting.set(path, { until: now + REOPEN_DELAY, failures: 0 });
    }
    let again: number | undefined;
    for (const path of directories) {
      if (this.#open.has(path)) continue;
      const wait = (this.#resting.get(path)?.until ?? now) - now;
      if (wait <= 0) this.#watch(path, now);
      again = Math.min(again ?? Infinity, wait <= 0 ? ARM_DELAY : wait);
    }
    return again;
  }

  /** Ends all watches. */
  [Symbol.dispose](): void {
    for (const [path, open] of this.#open) this.#close(path, open);
    this.#resting.clear();
  }

  #watch(path: string, now: number): void {
    const open: OpenWatch = { openedAt: now, over: false };
    this.#open.set(path, open);
    const watch = this.options.watchDirectory(
      path,
      () => {
        if (!open.over) this.options.onChange();
      },
      (error) => {
        if (!open.over) this.#lost(path, open, error);
      },
    );
    if (open.over) watch[Symbol.dispose]();
    else open.watch = watch;
  }

  #lost(path: string, open: OpenWatch, error: unknown): void {
    this.#close(path, open);
    const now = this.#now();
    const lived = now - open.openedAt >= MIN_LIFE;
    const failures = lived ? 0 : (this.#resting.get(path)?.failures ?? 0) + 1;
    const delay = lived ? 0 : backOff(failures, REOPEN_DELAY, this.options.maxDelay);
    this.#resting.set(path, { until: now + delay, failures });
    if (failures === FAILURES_TOLD) this.options.onError(this.#explain(path, error));
    this.options.onChange();
  }

  #explain(path: string, cause: unknown): Error {
    const found = messageOf(cause);
    const seconds = this.options.maxDelay / 1000;
    return new Error(
      `Cannot watch "${path}": ${found}; changes in it are noticed only every ${seconds} s`,
      { cause },
    );
  }

  #close(path: string, open: OpenWatch): void {
    open.over = true;
    open.watch?.[Symbol.dispose]();
    this.#open.delete(path);
  }
}

/** As many links as Linux follows; more are a circle. */
const MAX_LINKS = 40;

/**
 * The directories in which a change of what is at `path` shows, real paths: that of every link on
 * the way, and that of the file at the end, or the directory itself, or, where there is nothing, the
 * last one that exists. The path is resolved as the system does, a component at a time (`..` after a
 * link included); a relative one from the working directory. Never rejects.
 */
export async function directoriesOf(path: string): Promise<readonly string[]> {
  const directories = new Set<string>();
  let rest = (isAbsolute(path) ? path : `${process.cwd()}/${path}`).split("/").reverse();
  let at = "/";
  let isDirectory = true;
  let links = 0;
  try {
    while (rest.length > 0) {
      const name = rest.pop()!;
      if (name === "" || name === ".") continue;
      const next = name === ".." ? dirname(at) : join(at, name);
      const stats = await lstat(next);
      if (!stats.isSymbolicLink()) {
        at = next;
        isDirectory = stats.isDirectory();
        continue;
      }
      directories.add(at);
      if (++links > MAX_LINKS) break;
      const target = await readlink(next);
      rest = [...rest, ...target.split("/").reverse()];
      if (isAbsolute(target)) at = "/";
    }
  } catch {
    // Nothing is there, or it is below something that is no directory.
  }
  return [...directories.add(isDirectory ? at : dirname(at))];
}
