import type { Generator } from "./load.ts";
import { runtimeOf, type Target } from "./programs.ts";
import type { Row } from "./row.ts";

/** What a measurement works with. */
export interface Context {
  readonly target: Target;
  readonly generator: Generator;
  /** How often each side is measured. */
  readonly rounds: number;
  /** How long what is measured over a long time is watched. */
  readonly minutes: number;
}

/** One measurement: several rows of the report for one target. */
export interface Case {
  readonly name: string;
  readonly run: (context: Context) => Promise<readonly Row[]>;
}

/** A figure that differs between the runtimes. */
export function byRuntime<Value>(target: Target, deno: Value, bun: Value): Value {
  return runtimeOf(target) === "deno" ? deno : bun;
}

/**
 * Measures the sides in turn, A B C A B C …, and returns each one's samples. One side alone at a
 * time: the machine is small.
 */
export async function interleave<Side extends string, Sample>(
  rounds: number,
  sides: Readonly<Record<Side, () => Promise<Sample>>>,
): Promise<Record<Side, Sample[]>> {
  const names = Object.keys(sides) as Side[];
  const samples = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<
    Side,
    Sample[]
  >;
  for (let round = 0; round < rounds; round++) {
    // Every other round backwards, so that no side always follows the same neighbour.
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      samples[name].push(await sides[name]());
    }
  }
  return samples;
}

/** Resolves after a time, in ms. Only for what is to be measured after a time of rest. */
export function rest(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
