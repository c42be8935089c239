/**
 * Runs the program in `COUNTED_PROGRAM`, which tells on each line of its stdin how many bytes it
 * has allocated so far.
 */

import process from "node:process";
import { getHeapStatistics } from "node:v8";

process.stdin.on("data", () => {
  // Not in the types yet: V8 counts it, and garbage collections change nothing about it.
  const { total_allocated_bytes } = getHeapStatistics() as unknown as Record<string, number>;
  process.stdout.write(`${total_allocated_bytes}\n`);
});

await import(process.env["COUNTED_PROGRAM"]!);
