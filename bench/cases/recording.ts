import type { Case, Context } from "../harness/case.ts";
import { isBuilt, printedBy } from "../harness/programs.ts";
import { atMost, type Row, row } from "../harness/row.ts";

/** What it costs a call to be recorded, in one process of the runtime. */
export const recording: Case = { name: "recording", run };

async function run({ target }: Context): Promise<readonly Row[]> {
  if (isBuilt(target)) return []; // It runs in the program of the benchmark, not in ours.
  const { recorded, plain } = await printedBy(target, "recording.ts") as Record<
    string,
    readonly number[]
  >;
  return [
    row({
      name: "a call that is recorded",
      unit: "µs",
      ours: recorded!,
      baseline: plain!,
      note: "the same told to nobody",
      how: "difference",
      budget: atMost(target === "bun" ? 0.8 : 1.5),
    }),
  ];
}
