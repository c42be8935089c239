// What Linux tells of a process and of those it has started.

import { readdirSync, readFileSync } from "node:fs";

const read = (pid, name) => {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "utf8");
  } catch {
    return ""; // It has ended.
  }
};

/** Resident memory, MB. */
export const residentOf = (pid) =>
  Number(/^VmRSS:\s+(\d+)/m.exec(read(pid, "status"))?.[1] ?? 0) * 1024 / 1e6;

/** Processor time of all threads so far, ms. */
export function processorTimeOf(pid) {
  const stat = read(pid, "stat");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  // In ticks of 10 ms on every Linux.
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** The process and all below it. */
export function familyOf(root) {
  const parents = new Map();
  for (const name of readdirSync("/proc")) {
    const parent = /^\d+$/.test(name) && /^PPid:\s+(\d+)/m.exec(read(name, "status"))?.[1];
    if (parent) parents.set(Number(name), Number(parent));
  }
  const family = [root];
  for (const one of family) for (const [pid, of] of parents) if (of === one) family.push(pid);
  return family;
}

/** The upstreams among what a process has started. */
export const upstreamsOf = (root) =>
  familyOf(root).filter((pid) =>
    /^([^\0]*\/)?node\0[^\0]*upstream\.mjs\0/.test(read(pid, "cmdline"))
  );
