import type { Case, Context } from "../harness/case.ts";
import { isBuilt, printedBy } from "../harness/programs.ts";
import { atMost, type Row, row } from "../harness/row.ts";

/** What a call costs that is written down, in one process of the runtime. */
export const audit: Case = { name: "audit", run };

async function run({ target }: Context): Promise<readonly Row[]> {
  if (isBuilt(target)) return []; // It runs in the program of the benchmark, not in ours.
  const { audited, plain } = await printedBy(target, "audit.ts") as Record<
    string,
    readonly number[]
  >;
  return [
    row({
      name: "a call that is written down",
      unit: "µs",
      ours: audited!,
      baseline: plain!,
      note: "the same told to nobody",
      how: "value",
      budget: atMost(25),
    }),
  ];
}
