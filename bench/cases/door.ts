import type { Case, Context } from "../harness/case.ts";
import { isBuilt, printedBy } from "../harness/programs.ts";
import { atMost, type Row, row } from "../harness/row.ts";

/** What it costs to know who asks, in one process of the runtime. */
export const door: Case = { name: "door", run };

/** In the order of the program; µs a request may cost beyond its baseline. */
const ROWS = [
  { budget: atMost(1), note: "the header read" },
  { budget: atMost(1), note: "the header read" },
  { budget: atMost(30), note: "the key hashed" },
  { budget: undefined, note: "the token verified by jose alone" },
  { budget: undefined, note: "one that shares none" },
  { budget: undefined, note: "one that shares none" },
];

interface Sample {
  readonly name: string;
  readonly ours: readonly number[];
  readonly plain: readonly number[];
}

async function run({ target }: Context): Promise<readonly Row[]> {
  if (isBuilt(target)) return []; // It runs in the program of the benchmark, not in ours.
  const micros = (samples: readonly number[]) => samples.map((nanoseconds) => nanoseconds / 1_000);
  return (await printedBy(target, "door.ts") as Sample[]).map(({ name, ours, plain }, index) => {
    const { budget, note } = ROWS[index]!;
    return row({
      name,
      unit: "µs",
      ours: micros(ours),
      baseline: micros(plain),
      how: "difference",
      ...(budget && { budget }),
      note,
    });
  });
}
