/** Work that one does at a time, in this process and in all others that see the same directory. */

import { link, lstat, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { codeOf } from "./text.ts";
import { pause, systemClock } from "./time.ts";

/** How long whoever holds a lock may take, in ms; then they count as killed. */
const STALE = 30_000;
/** And how long one waits for it. */
const PATIENCE = 45_000;

/** A file of this user's cannot be used. The message is a sentence with the remedy. */
export class FileError extends Error {
  override readonly name = "FileError";
}

/** What this process holds or waits for itself, so that it does not wait for its own file. */
const QUEUES = new Map<string, Promise<unknown>>();

/**
 * Does something while nobody else does who names the same file, which is there meanwhile. What a
 * killed process has locked is free after half a minute.
 * @throws {FileError} and whatever `work` throws
 */
export async function exclusively<T>(path: string, work: () => Promise<T>): Promise<T> {
  const next = () => withFile(path, work);
  const turn = (QUEUES.get(path) ?? Promise.resolve()).then(next, next);
  QUEUES.set(path, turn);
  try {
    return await turn;
  } finally {
    if (QUEUES.get(path) === turn) QUEUES.delete(path);
  }
}

async function withFile<T>(path: string, work: () => Promise<T>): Promise<T> {
  const mine = crypto.randomUUID();
  const overdue = Date.now() + PATIENCE;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 }).catch((error) => {
    throw unwritable(path, error);
  });
  while (!await created(path, mine)) {
    if (Date.now() > overdue) {
      throw new FileError(`cannot lock ${path}: another process holds it; stop it, or try again`);
    }
    await removeStale(path);
    await pause(20 + 40 * Math.random(), systemClock);
  }
  try {
    return await work();
  } finally {
    // Who took too long may have lost it.
    if (await readFile(path, "utf8").catch(() => "") === mine) await rm(path, { force: true });
  }
}

async function created(path: string, content: string): Promise<boolean> {
  try {
    await writeFile(path, content, { flag: "wx", mode: 0o600 });
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw unwritable(path, error);
  }
}

function unwritable(path: string, error: unknown): FileError {
  return new FileError(`cannot write ${path}: ${codeOf(error)}; check its directory`);
}

/** Takes away what a process left behind that was killed; of two that see it, one. */
async function removeStale(path: string): Promise<void> {
  const seen = await lstat(path).catch(() => undefined);
  if (seen?.isFile() === false) {
    throw new FileError(`cannot lock ${path}: something else is in its place; remove it`);
  }
  if (seen === undefined || Math.abs(Date.now() - seen.mtimeMs) < STALE) return;
  const aside = `${path}.${crypto.randomUUID()}.tmp`;
  try {
    await rename(path, aside);
    const { ino, mtimeMs } = await lstat(aside);
    // Another was quicker, and this is already the next one's.
    if (ino !== seen.ino || mtimeMs !== seen.mtimeMs) await link(aside, path).catch(() => {});
    await rm(aside, { force: true });
  } catch {
    // Somebody else does it.
  }
}
