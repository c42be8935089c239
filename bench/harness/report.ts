import type { Row } from "./row.ts";
import type { Spread } from "./stats.ts";

/** Everything that was measured of one target; what `bench/results/<target>.json` holds. */
export interface Results {
  readonly target: string;
  /** Of the runtime below it. */
  readonly version: string;
  /** Of the engine. */
  readonly flags?: string;
  /** ISO 8601, the day. */
  readonly date: string;
  readonly machine: string;
  readonly rounds: number;
  readonly rows: readonly CaseRow[];
  /** What could not be measured, and why. */
  readonly failures: readonly string[];
}

/** A row, and the case it is of. */
export interface CaseRow extends Row {
  readonly case: string;
}

const TITLES = ["", "ours", "baseline", "compared", "budget", "verdict"];

/** The rows as lines of a table for a terminal. */
export function tableOf(rows: readonly Row[]): string[] {
  const cells = [TITLES, ...rows.map(cellsOf)];
  const widths = TITLES.map((_, at) => Math.max(...cells.map((line) => line[at]!.length)));
  return cells.map((line) =>
    line.map((cell, at) => at === 0 ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!))
      .join("  ")
  );
}

/** The markdown of one target's section. */
export function sectionOf(results: Results): string {
  const { target, version, flags, date, rounds, rows, failures } = results;
  const engine = !flags ? "" : ` \`${flags}\`.`;
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [
    `## ${target} (${version})`,
    "",
    `${date}, ${rounds} rounds. Median (smallest to largest).${engine}`,
    "",
    line(["what", "ours", "baseline", "compared", "budget", "verdict", "baseline is"]),
    "|---|---:|---:|---:|---:|---|---|",
    ...rows.map((row) => line([...cellsOf(row), row.note])),
    ...failures.map((failure) => `\nNot measured: ${failure}`),
    "",
  ].join("\n");
}

function cellsOf({ name, unit, ours, baseline, how, compared, budget, verdict }: Row): string[] {
  const sign = how === "ratio" ? "×" : "";
  const relation = budget?.relation === "at least" ? "≥" : "≤";
  return [
    `${name} (${unit})`,
    spread(ours),
    baseline === undefined ? "" : spread(baseline),
    how === "value" ? "" : spread(compared, sign, how === "difference"),
    budget === undefined ? "" : `${relation} ${figure(budget.value)}${sign}`,
    verdict,
  ];
}

function spread({ min, median, max }: Spread, unit = "", signed = false): string {
  const plus = signed && median > 0 ? "+" : "";
  const middle = `${plus}${figure(median)}${unit}`;
  return min === max ? middle : `${middle} (${figure(min)}..${figure(max)})`;
}

/** Three digits that count. */
function figure(value: number): string {
  const size = Math.abs(value);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : 2;
  return value.toFixed(digits);
}
