import type { Row } from "./row.ts";
import type { Spread } from "./stats.ts";

/** How something was measured. */
export interface Run {
  /** Of the runtime below it. */
  readonly version: string;
  /** Of the engine. */
  readonly flags?: string;
  /** ISO 8601, the day. */
  readonly date: string;
  readonly machine: string;
  readonly rounds: number;
}

/** What was measured of one target, and the last run; what `bench/results/<target>.json` holds. */
export interface Results extends Run {
  readonly target: string;
  readonly rows: readonly CaseRow[];
  /** What could not be measured, and why. */
  readonly failures: readonly string[];
}

/** A row, and the case it is of, which the oldest files do not tell. */
export interface CaseRow extends Row {
  readonly case?: string;
  /** Unless it is the run of the results it is in. */
  readonly run?: Run;
}

/** `now` with what it has not measured anew; `cases` are all, in order, and `measured` those in it. */
export function merged(
  before: Results | undefined,
  now: Results,
  cases: readonly string[],
  measured: readonly string[],
): Results {
  if (before === undefined) return now;
  const others = cases.filter((name) => !measured.includes(name));
  const { version, flags = "", date, machine, rounds } = before;
  const isKept = (row: CaseRow) =>
    row.case === undefined
      ? others.length > 0 && now.rows.every(({ name }) => name !== row.name)
      : others.includes(row.case);
  const kept = before.rows.filter(isKept)
    .map((row) => ({ ...row, run: row.run ?? { version, flags, date, machine, rounds } }));
  const place = (row: CaseRow) => row.case === undefined ? cases.length : cases.indexOf(row.case);
  return {
    ...now,
    rows: [...kept, ...now.rows].sort((a, b) => place(a) - place(b)),
    failures: [
      ...before.failures.filter((failure) => others.includes(failure.split(":", 1)[0]!)),
      ...now.failures,
    ],
  };
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
  const { target, version, date, rounds, rows, failures } = results;
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [
    `## ${target} (${version})`,
    "",
    `${date}, ${rounds} rounds. Median (smallest to largest).${engineOf(results)}`,
    "",
    line(["what", "ours", "baseline", "compared", "budget", "verdict", "baseline is"]),
    "|---|---:|---:|---:|---:|---|---|",
    ...rows.map((row) => line([...cellsOf(row), row.note + otherRun(row, results)])),
    ...failures.map((failure) => `\nNot measured: ${failure}`),
    "",
  ].join("\n");
}

/** How a row was measured, where that is not how the last run was. */
function otherRun({ run }: CaseRow, last: Run): string {
  const of = (one: Run) =>
    `${one.date}, ${one.rounds} rounds, ${one.version}, ${one.machine}.${engineOf(one)}`;
  return run === undefined || of(run) === of(last) ? "" : ` (measured ${of(run)})`;
}

function engineOf({ flags }: Run): string {
  return flags ? ` \`${flags}\`.` : "";
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
