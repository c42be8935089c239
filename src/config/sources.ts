/** What is in the files a configuration was read from, in a form that can be compared. */

import type { Stats } from "node:fs";
import { type FileHandle, lstat, open, readdir, readlink } from "node:fs/promises";
import { dirname, isAbsolute, join } from "node:path";
import process from "node:process";
import { codeOf } from "../lib/text.ts";
import { MAX_CONFIG_BYTES } from "./files.ts";

/** Files of one directory that are read; of further ones only the names count. */
const MAX_ENTRIES = 256;

/** Sources read at a time: bounds memory and open files. */
const AT_A_TIME = 8;

/**
 * `ctime` comes in whole seconds on Deno, and file systems lag behind the clock by some
 * milliseconds.
 */
const TIME_GRAIN = 1000;

/** The process or the system is out of something, which says nothing about the file. */
const SHORTAGES: ReadonlySet<string> = new Set(["EMFILE", "ENFILE", "ENOMEM", "EAGAIN"]);

/** One source at one moment. */
export interface SourceContent {
  /** The same for the same bytes, names, or reason why there are none. */
  readonly tag: string;
  /** Differs once somebody wrote or replaced it, be it with the same bytes. */
  readonly stamp: string;
  /** Milliseconds since the epoch. */
  readonly touched: number;
}

/** By path: the sources themselves, and the entries of those that are directories. */
export type SourceContents = ReadonlyMap<string, SourceContent>;

/** One look at all sources. */
export interface SourceReading {
  readonly contents: SourceContents;
  /** Where a change of them would show; real paths. */
  readonly directories: ReadonlySet<string>;
}

/** Which entries of a directory count; see {@link readSources}. */
export type EntryFilter = (name: string) => boolean;

/** Hidden files, of which Kubernetes and editors make many, and backups (`servers.json~`) do not. */
export function isPlainEntry(name: string): boolean {
  return !name.startsWith(".") && !name.endsWith("~");
}

/**
 * Reads all sources. Whatever one of them is (missing, unreadable, a device, too big) is part of
 * the answer; no more than {@link MAX_CONFIG_BYTES} of one are read, and of a directory the files
 * directly in it for which `counts` holds.
 * @throws {Error} where the process is out of descriptors or memory, which says nothing about them
 */
export async function readSources(
  paths: readonly string[],
  counts: EntryFilter = isPlainEntry,
): Promise<SourceReading> {
  const contents = new Map<string, SourceContent>();
  const directories = new Set<string>();
  const read = async (path: string, entries: string[]): Promise<void> => {
    const trace = await traceSource(path);
    for (const directory of trace.directories) directories.add(directory);
    contents.set(path, await contentOf(path, trace, counts, entries));
  };
  const entries: string[] = [];
  await eachOf(paths, (path) => read(path, entries));
  // Directories in directories are not looked into.
  await eachOf(entries, (path) => contents.has(path) ? undefined : read(path, []));
  return { contents, directories };
}

/**
 * Whether `now` holds other content than `before`. Of a source that `before` does not know, which
 * joined since, the content counts as new when it was touched after `since` (milliseconds since
 * the epoch), within the grain of file times. One that left makes no difference.
 */
export function contentDiffers(
  before: SourceContents,
  now: SourceContents,
  since: number,
): boolean {
  return [...now].some(([path, { tag, touched }]) => {
    const old = before.get(path);
    return old === undefined ? touched > since - TIME_GRAIN : old.tag !== tag;
  });
}

/** Whether anybody has written a source between the two looks, be it the same bytes as before. */
export function wasTouched(before: SourceContents, now: SourceContents): boolean {
  return [...now].some(([path, { stamp }]) => {
    const old = before.get(path);
    return old !== undefined && old.stamp !== stamp;
  });
}

async function contentOf(
  path: string,
  { end, links, touched }: SourceTrace,
  counts: EntryFilter,
  entries: string[],
): Promise<SourceContent> {
  if (typeof end === "string") return { tag: end, stamp: `${links} ${end}`, touched };
  try {
    if (end.isDirectory()) {
      const names = (await readdir(path)).filter(counts).sort();
      const prefix = path.endsWith("/") ? path : `${path}/`;
      entries.push(...names.slice(0, MAX_ENTRIES).map((name) => prefix + name));
      return describe(`directory ${JSON.stringify(names)}`, end, links, touched);
    }
    // Reading a device or a pipe may never end.
    if (!end.isFile()) return describe("no file", end, links, touched);
    await using file = await open(path);
    const stats = await file.stat();
    return describe(await tagOf(file, stats), stats, links, touched);
  } catch (error) {
    const code = codeOf(error) ?? String(error);
    if (SHORTAGES.has(code)) throw error;
    return describe(code, end, links, touched);
  }
}

function describe(tag: string, stats: Stats, links: string, linked: number): SourceContent {
  return {
    tag,
    stamp: `${links} ${stamp(stats)}`,
    touched: Math.max(linked, lastTouched(stats)),
  };
}

async function tagOf(file: FileHandle, stats: Stats): Promise<string> {
  const bytes = stats.size > MAX_CONFIG_BYTES ? undefined : await readBounded(file, stats.size);
  if (bytes === undefined) return "too big";
  // Not node:crypto, whose loading would come in the middle of the start.
  const digest = await globalThis.crypto.subtle.digest("SHA-256", bytes);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** It may grow while it is read, and some file systems give 0 as the size of everything. */
async function readBounded(
  file: FileHandle,
  size: number,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  let buffer = new Uint8Array(size + 1);
  let length = 0;
  for (;;) {
    const { bytesRead } = await file.read(buffer, length, buffer.length - length, length);
    if (bytesRead === 0) return buffer.subarray(0, length);
    length += bytesRead;
    if (length > MAX_CONFIG_BYTES) return undefined;
    if (length === buffer.length) {
      const longer = new Uint8Array(Math.min(2 * length + 4096, MAX_CONFIG_BYTES + 1));
      longer.set(buffer);
      buffer = longer;
    }
  }
}

async function eachOf(
  paths: readonly string[],
  act: (path: string) => Promise<void> | undefined,
): Promise<void> {
  for (let at = 0; at < paths.length; at += AT_A_TIME) {
    await Promise.all(paths.slice(at, at + AT_A_TIME).map(act));
  }
}

/** Follows a path through its links, to know which directories a change of it shows in. */

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
    end = codeOf(error) ?? String(error);
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

function withCode(code: string): Error {
  return Object.assign(new Error(code), { code });
}
