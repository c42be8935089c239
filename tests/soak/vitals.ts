import { readFile } from "node:fs/promises";
import { descendantsOf, descriptorsOf } from "../support/process-table.ts";

/** What a process holds. */
export interface Vitals {
  /** Resident memory, MB. */
  readonly rss: number;
  readonly descriptors: number;
  /** Processes below it, whatever their group; zombies included. */
  readonly processes: number;
  readonly zombies: number;
}

/** The vitals of a process now. */
export async function vitalsOf(pid: number): Promise<Vitals> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const below = descendantsOf(pid);
  return {
    rss: Math.round(Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024),
    descriptors: descriptorsOf(pid).size,
    processes: below.length,
    zombies: below.filter(({ isZombie }) => isZombie).length,
  };
}
