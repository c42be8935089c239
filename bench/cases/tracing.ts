import type { Case, Context } from "../harness/case.ts";
import { isBuilt, printedBy } from "../harness/programs.ts";
import { atMost, type Row, row } from "../harness/row.ts";

/** What it costs a call to be traced, in one process of the runtime. */
export const tracing: Case = { name: "tracing", run };

async function run({ target }: Context): Promise<readonly Row[]> {
  if (isBuilt(target)) return []; // It runs in the program of the benchmark, not in ours.
  const { traced, plain, spans } = await printedBy(target, "tracing.ts") as Record<
    string,
    readonly number[]
  >;
  return [
    row({
      name: "a call that is traced",
      unit: "µs",
      ours: traced!,
      baseline: plain!,
      note: "the same without a trace",
      how: "difference",
      budget: atMost(target === "bun" ? 1.5 : 3.5),
    }),
    row({ name: "its spans, made into what is sent", unit: "µs", ours: spans! }),
  ];
}
