import { paired, type Spread, spreadOf } from "./stats.ts";

/** What is asked of one figure. */
export interface Budget {
  readonly relation: "at least" | "at most";
  readonly value: number;
}

/** One line of the report. */
export interface Row {
  readonly name: string;
  /** Unit of `ours` and `baseline`. */
  readonly unit: string;
  readonly ours: Spread;
  readonly baseline: Spread | undefined;
  /** How `compared` came to be; `value` is `ours` itself. */
  readonly how: "ratio" | "difference" | "value";
  readonly compared: Spread;
  /** Undefined for figures that only explain others. */
  readonly budget: Budget | undefined;
  readonly verdict: "met" | "missed" | "";
  /** What was compared with what, and what to know about it. */
  readonly note: string;
}

/** What a row is made from: one sample a round, in the same order on both sides. */
export interface RowInput {
  readonly name: string;
  readonly unit: string;
  readonly ours: readonly number[];
  readonly baseline?: readonly number[];
  /** @default "ratio" with a baseline, "value" without */
  readonly how?: Row["how"];
  readonly budget?: Budget;
  readonly note?: string;
}

/** Computes comparison and verdict; the verdict goes by the median. */
export function row({ name, unit, ours, baseline, how, budget, note = "" }: RowInput): Row {
  const kind = how ?? (baseline === undefined ? "value" : "ratio");
  const compared = baseline === undefined || kind === "value" ? spreadOf(ours) : paired(
    ours,
    baseline,
    kind === "ratio" ? (a, b) => a / b : (a, b) => a - b,
  );
  return {
    name,
    unit,
    ours: spreadOf(ours),
    baseline: baseline === undefined ? undefined : spreadOf(baseline),
    how: kind,
    compared,
    budget,
    verdict: budget === undefined ? "" : isMet(compared.median, budget) ? "met" : "missed",
    note,
  };
}

function isMet(value: number, { relation, value: limit }: Budget): boolean {
  return relation === "at least" ? value >= limit : value <= limit;
}

/** A budget that is a lower bound. */
export function atLeast(value: number): Budget {
  return { relation: "at least", value };
}

/** A budget that is an upper bound. */
export function atMost(value: number): Budget {
  return { relation: "at most", value };
}
