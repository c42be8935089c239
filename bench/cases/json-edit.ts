import type { Case, Context } from "../harness/case.ts";
import { isBuilt, printedBy } from "../harness/programs.ts";
import { type Row, row } from "../harness/row.ts";

/** Forwarding as text against parse and stringify, in one process of the runtime. */
export const jsonEdit: Case = { name: "json-edit", run };

interface Sample {
  readonly name: string;
  readonly ours: readonly number[];
  readonly plain: readonly number[];
}

async function run({ target }: Context): Promise<readonly Row[]> {
  if (isBuilt(target)) return []; // It runs in the program of the benchmark, not in ours.
  const micros = (samples: readonly number[]) => samples.map((nanoseconds) => nanoseconds / 1_000);
  return (await printedBy(target, "json-edit.ts") as Sample[]).map(({ name, ours, plain }) =>
    row({
      name: `forward a ${name} as text`,
      unit: "µs",
      ours: micros(ours),
      baseline: micros(plain),
      note: "JSON.parse, change, JSON.stringify",
    })
  );
}
