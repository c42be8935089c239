import type { Case, Context } from "../harness/case.ts";
import { isBuilt, printedBy } from "../harness/programs.ts";
import { atMost, type Row, row } from "../harness/row.ts";

/** What it costs to compare 600 tools with what was approved, in one process of the runtime. */
export const pins: Case = { name: "pins", run };

async function run({ target }: Context): Promise<readonly Row[]> {
  if (isBuilt(target)) return []; // It runs in the program of the benchmark, not in ours.
  const { again, first, plain } = await printedBy(target, "pins.ts") as Record<
    string,
    readonly number[]
  >;
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
