/** What to say of a value that fits none of several alternatives. */

import type { Json } from "../lib/json.ts";
import { shown } from "./argument-keywords.ts";
import type { Fault } from "./run.ts";

/** Alternatives beyond these are not told one by one. */
const MOST = 5;

/**
 * The faults that help most: those of the one alternative that takes values of this type at all;
 * where there is none, or more than one, what each of them expects.
 *
 * @param attempts the faults of each alternative, none of them empty
 * @param here where the value is
 */
export function closestFaults(
  attempts: readonly (readonly Fault[])[],
  value: Json,
  here: string,
): readonly Fault[] {
  const types = attempts.map((faults) =>
    faults.find(({ path, isOfOtherType }) => path === here && isOfOtherType)?.expected
  );
  const near = attempts.filter((_, index) => types[index] === undefined);
  if (near.length === 1) return near[0]!;
  if (near.length === 0) {
    return [{
      path: here,
      problem: `got ${shown(value)}`,
      expected: [...new Set(types)].join(" or "),
      isOfOtherType: true,
    }];
  }
  const wanted = near.slice(0, MOST).map((faults) => faultText(faults[0]!, here));
  return [{
    path: here,
    problem: `fits none of ${near.length} alternatives`,
    expected: [...new Set(wanted), ...(near.length > MOST ? ["…"] : [])].join("; or "),
  }];
}

function faultText({ path, problem, expected }: Fault, here: string): string {
  const where = path === here ? "" : `${path.slice(here.length + 1)} `;
  return expected === undefined ? `${where}${problem}` : `${where}to be ${expected}`;
}
