/** A verdict of the referee on one check. */
export type Verdict = "SUCCESS" | "WARNING" | "FAILURE" | "SKIPPED" | "INFO";

/** One check of one scenario, as the referee writes it to `checks.json`. */
export interface Check {
  readonly scenario: string;
  readonly id: string;
  readonly name: string;
  readonly status: Verdict;
  readonly errorMessage?: string;
}

/** What became of a check in one run. */
export type Outcome = Verdict | "absent";

/** A check that came out worse through the gateway than it does without one. */
export interface Regression {
  /** `<scenario>:<check id>`, which is also how the expected failures name it. */
  readonly check: string;
  /** The name the referee gives it; several checks of a scenario may share an id. */
  readonly name: string;
  readonly direct: Outcome;
  readonly through: Outcome;
  readonly why: string;
}

/** Better is higher. What was not judged proves as little as what did not run. */
const RANK: Readonly<Record<Outcome, number>> = {
  SUCCESS: 2,
  INFO: 1,
  SKIPPED: 1,
  absent: 1,
  WARNING: 0,
  FAILURE: -1,
};

/**
 * What passes directly and does not pass through the gateway. Every step down counts: a success
 * that became a warning, was skipped or never ran is no success, and a failure that the direct run
 * did not even know is one. Repeated checks count as their worst.
 */
export function regressions(
  direct: readonly Check[],
  through: readonly Check[],
): readonly Regression[] {
  const [before, after] = [worstByName(direct), worstByName(through)];
  const found: Regression[] = [];
  for (const key of new Set([...before.keys(), ...after.keys()])) {
    const [was, is] = [before.get(key), after.get(key)];
    const from: Outcome = was?.status ?? "absent";
    const to: Outcome = is?.status ?? "absent";
    if (RANK[to] >= RANK[from]) continue;
    const { scenario, id, name } = (is ?? was)!;
    const why = is?.errorMessage ?? "no message";
    found.push({ check: `${scenario}:${id}`, name, direct: from, through: to, why });
  }
  return found;
}

/** What the referee holds against an implementation, one line each. */
export function complaints(checks: readonly Check[]): readonly string[] {
  return checks.filter(({ status }) => status === "FAILURE" || status === "WARNING")
    .map(({ scenario, id, name, status, errorMessage }) =>
      `${scenario}:${id} (${name}) ${status}: ${errorMessage}`
    );
}

function worstByName(checks: readonly Check[]): Map<string, Check> {
  const worst = new Map<string, Check>();
  for (const check of checks) {
    const key = JSON.stringify([check.scenario, check.id, check.name]);
    const known = worst.get(key);
    if (known === undefined || RANK[check.status] < RANK[known.status]) worst.set(key, check);
  }
  return worst;
}
