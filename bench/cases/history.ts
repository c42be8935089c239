import type { Case, Context } from "../harness/case.ts";
import { isBuilt, printedBy } from "../harness/programs.ts";
import { atMost, type Row, row } from "../harness/row.ts";

/** What a call costs more where a history is kept, in one process of the runtime. */
export const history: Case = { name: "history", run };

async function run({ target }: Context): Promise<readonly Row[]> {
  if (isBuilt(target)) return []; // It runs in the program of the benchmark, not in ours.
  const { kept, plain, rare, longest } = await printedBy(target, "history.ts") as Record<
    string,
    readonly number[]
  >;
  return [
    row({
      name: "a call that is kept in the history",
      unit: "µs",
      ours: kept!,
      baseline: plain!,
      note: "no history",
      budget: atMost(1.03),
    }),
    row({
      name: "the loop while as much is written as ever is, the longest in a thousand turns",
      unit: "ms",
      ours: rare!,
      budget: atMost(5),
    }),
    row({ name: "the longest of all", unit: "ms", ours: longest! }),
  ];
}
