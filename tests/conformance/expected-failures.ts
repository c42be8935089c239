import { readFile } from "node:fs/promises";
import type { Regression } from "./checks.ts";

/** A check that is known to come out worse through the gateway, and why that is right. */
export interface ExpectedFailure {
  /** `<scenario>:<check id>`. */
  readonly check: string;
  /** The runs it fails in, by name; in every other run it must hold. */
  readonly runs: readonly string[];
  /** What becomes of it there; anything else is as unexpected as ever. */
  readonly outcome: string;
  readonly reason: string;
  /** Line in the file, from 1. */
  readonly line: number;
}

/** What is wrong with a run, given what is expected of it; empty when all is as expected. */
export function judge(
  run: string,
  regressions: readonly Regression[],
  expected: readonly ExpectedFailure[],
): readonly string[] {
  const here = expected.filter(({ runs }) => runs.includes(run));
  const matches = (entry: ExpectedFailure, { check, through }: Regression) =>
    entry.check === check && entry.outcome === through;
  return [
    ...regressions.filter((one) => !here.some((entry) => matches(entry, one))).map((one) =>
      `${one.check} (${one.name}): ${one.direct} directly, ${one.through} through the gateway: ${one.why}`
    ),
    ...here.filter((entry) => !regressions.some((one) => matches(entry, one))).map((entry) =>
      `${entry.check}: expected to be ${entry.outcome} (expected-failures.yml:${entry.line}), ` +
      "but it is not; take the entry out"
    ),
  ];
}

/** The expected failures of this project. @throws {Error} naming the line that is wrong */
export async function readExpectedFailures(): Promise<readonly ExpectedFailure[]> {
  return parseExpectedFailures(
    await readFile(new URL("./expected-failures.yml", import.meta.url), "utf8"),
  );
}

/**
 * Reads the little of YAML that the file is written in: a list of flat mappings with the four keys
 * of an entry, one per line, and comments.
 * @throws {Error} naming the line that is anything else
 */
export function parseExpectedFailures(text: string): readonly ExpectedFailure[] {
  const entries: { line: number; values: Map<string, string> }[] = [];
  for (const [index, row] of text.split("\n").entries()) {
    const line = index + 1;
    if (/^\s*(#.*)?$/.test(row) || row === "[]") continue;
    const [, start, key, value] = /^(- | {2})(check|runs|outcome|reason): (\S.*)$/.exec(row) ?? [];
    if (start === undefined) throw wrong(line, `"${row}" is no line of an entry`);
    if (start === "- ") entries.push({ line, values: new Map() });
    const entry = entries.at(-1);
    if (entry === undefined) throw wrong(line, "no entry was begun");
    if (entry.values.has(key!)) throw wrong(line, `"${key}" is there twice`);
    entry.values.set(key!, value!.trim());
  }
  return entries.map(({ line, values }) => {
    const value = (key: string) => {
      const found = values.get(key);
      if (found === undefined) throw wrong(line, `the entry has no ${key}`);
      return found;
    };
    const runs = value("runs").split(",").map((run) => run.trim());
    return {
      check: value("check"),
      runs,
      outcome: value("outcome"),
      reason: value("reason"),
      line,
    };
  });
}

function wrong(line: number, what: string): Error {
  return new Error(
    `Cannot read expected-failures.yml:${line}: ${what}; expected check, runs, outcome and reason`,
  );
}
