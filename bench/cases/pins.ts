import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Case, Context } from "../harness/case.ts";
import { baselineCommand, isBuilt, ROOT } from "../harness/programs.ts";
import { atMost, type Row, row } from "../harness/row.ts";

/** What it costs to compare 600 tools with what was approved, in one process of the runtime. */
export const pins: Case = { name: "pins", run };

async function run({ target }: Context): Promise<readonly Row[]> {
  if (isBuilt(target)) return []; // It runs in the program of the benchmark, not in ours.
  const { command, args } = baselineCommand(target, "pins.ts");
  const { stdout } = await promisify(execFile)(command, [...args], { cwd: ROOT, timeout: 120_000 });
  const { again, first, plain } = JSON.parse(stdout) as Record<string, readonly number[]>;
  const shared = { unit: "ms", baseline: plain!, note: "the same read and written as JSON" };
  return [
    row({
      ...shared,
      name: "600 tools are as they were approved",
      ours: again!,
      how: "value",
      budget: atMost(5),
    }),
    row({ ...shared, name: "600 tools are pinned", ours: first! }),
  ];
}
