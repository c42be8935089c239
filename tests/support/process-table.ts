/** The process table of Linux, read from /proc. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { eventually } from "./inbox.ts";

/** One line of the table. `pid` and `startedAt` together are never given again. */
export interface Entry {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  readonly isZombie: boolean;
  /** Clock ticks since the machine started. */
  readonly startedAt: string;
  readonly command: string;
}

/** One process, `undefined` where there is none. */
export function entryOf(pid: number): Entry | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name before it may hold anything, closing brackets too.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return {
      pid,
      isZombie: fields[0] === "Z",
      parent: Number(fields[1]),
      group: Number(fields[2]),
      session: Number(fields[3]),
      startedAt: fields[19]!,
      command: readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim(),
    };
  } catch {
    return undefined;
  }
}

/** Every process there is. */
export function processTable(): Entry[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => entryOf(Number(name)))
    .filter((entry) => entry !== undefined);
}

/** The children of a process, zombies included. */
export function childrenOf(pid: number): Entry[] {
  return processTable().filter(({ parent }) => parent === pid);
}

/** The children of a process, their children and so on. */
export function descendantsOf(pid: number): Entry[] {
  const table = processTable();
  const found: Entry[] = [];
  const parents = new Set([pid]);
  for (let before = -1; before !== found.length;) {
    before = found.length;
    for (const entry of table) {
      if (!parents.has(entry.parent) || parents.has(entry.pid)) continue;
      parents.add(entry.pid);
      found.push(entry);
    }
  }
  return found;
}

/** What still runs of some processes. */
export function remaining(entries: readonly Entry[]): Entry[] {
  return entries
    .map(({ pid, startedAt }) => {
      const now = entryOf(pid);
      return now?.startedAt === startedAt && !now.isZombie ? now : undefined;
    })
    .filter((entry) => entry !== undefined);
}

/** Waits until none of the processes is left. @throws {Error} naming those that stay */
export async function waitUntilAllGone(entries: readonly Entry[], ms = 5_000): Promise<void> {
  await eventually(() => remaining(entries), (left) => left.length === 0, "none of them left", ms);
}

/** What the open descriptors of a process lead to, by number. */
export function descriptorsOf(pid: number | "self"): Map<number, string> {
  const folder = `/proc/${pid}/fd`;
  const found = new Map<number, string>();
  for (const name of readdirSync(folder)) {
    try {
      found.set(Number(name), readlinkSync(`${folder}/${name}`));
    } catch {
      // Closed since: that of the look itself, for one.
    }
  }
  return found;
}
