/** Follows a path through its links, to know which directories a change of it shows in. */

import type { Stats } from "node:fs";
import { lstat, readlink } from "node:fs/promises";
import { dirname, isAbsolute, join } from "node:path";
import process from "node:process";

/** As many links as Linux follows; more are a circle. */
const MAX_LINKS = 40;

/** Where a path leads at this moment. */
export interface SourceTrace {
  /**
   * Real paths of the directories in which it can change: that of every link on the way, and that
   * of the file at the end, or the directory itself, or, where there is nothing, the last one that
   * exists.
   */
  readonly directories: readonly string[];
  /** Differs when a link on the way was swapped, even for one of the same text. */
  readonly links: string;
  /** What is at the end, never a link; or the system's code why there is nothing (`ENOENT`). */
  readonly end: Stats | string;
  /** Milliseconds since the epoch when a link on the way was last made. */
  readonly touched: number;
}

/**
 * Resolves `path` as the system does, a component at a time (`..` after a link included); a
 * relative one from the working directory. Never rejects.
 */
export async function traceSource(path: string): Promise<SourceTrace> {
  const directories = new Set<string>();
  const links: string[] = [];
  let touched = 0;
  let rest = (isAbsolute(path) ? path : `${process.cwd()}/${path}`).split("/").reverse();
  let at = "/";
  let end: Stats | string = "ENOENT";
  try {
    end = await lstat(at);
    while (rest.length > 0) {
      const name = rest.pop()!;
      if (name === "" || name === ".") continue;
      const next = name === ".." ? dirname(at) : join(at, name);
      const stats = await lstat(next);
      if (!stats.isSymbolicLink()) {
        at = next;
        end = stats;
        continue;
      }
      directories.add(at);
      if (links.push(stamp(stats)) > MAX_LINKS) throw withCode("ELOOP");
      touched = Math.max(touched, lastTouched(stats));
      const target = await readlink(next);
      rest = [...rest, ...target.split("/").reverse()];
      if (isAbsolute(target)) {
        at = "/";
        end = await lstat(at);
      }
    }
    directories.add(end.isDirectory() ? at : dirname(at));
  } catch (error) {
    // A component under something that is no directory gives ENOTDIR.
    directories.add(typeof end === "string" || end.isDirectory() ? at : dirname(at));
    // What is not there can still have come and gone: that shows in its directory.
    if (typeof end !== "string") links.push(stamp(end));
    end = sourceErrorCode(error);
  }
  return { directories: [...directories], links: links.join(), end, touched };
}

/** Differs when a file or directory was written, replaced, or made to look otherwise. */
export function stamp({ dev, ino, size, mtimeMs, ctimeMs }: Stats): string {
  return [dev, ino, size, mtimeMs, ctimeMs].join(":");
}

/** Milliseconds since the epoch; also a rename into place counts where the system records it. */
export function lastTouched({ mtimeMs, ctimeMs }: Stats): number {
  return Math.max(mtimeMs, ctimeMs);
}

/** The system's code of an error, or its text where it has none. */
export function sourceErrorCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}

function withCode(code: string): Error {
  return Object.assign(new Error(code), { code });
}
