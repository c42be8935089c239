/** Which test files make a step together. */

import { readdirSync } from "node:fs";
import { BUN, DENO, ROOT, TEST_BINARIES } from "./paths.ts";
import { countBun, countDeno, type Step } from "./steps.ts";

/** Every test file, relative to the root. */
export const TEST_FILES: readonly string[] =
  (readdirSync(`${ROOT}tests`, { recursive: true }) as string[])
    .filter((path) => path.endsWith(".test.ts"))
    .map((path) => `tests/${path}`)
    .sort();

/** The files of `tests` that the first matching pattern is this one. */
export function groups<const Name extends string>(
  patterns: readonly (readonly [name: Name, files: RegExp])[],
): ReadonlyMap<Name, readonly string[]> {
  const found = new Map<Name, string[]>(patterns.map(([name]) => [name, []]));
  for (const file of TEST_FILES) {
    const name = patterns.find(([, files]) => files.test(file))?.[0];
    if (name !== undefined) found.get(name)!.push(file);
  }
  return found;
}

/** The test files as a step on Deno; the step "types" has checked them. */
export function onDeno(name: string, files: readonly string[]): Step {
  return {
    name,
    command: [DENO, "test", "-A", "--no-check", ...files],
    env: { MCPROXY_BINARY: TEST_BINARIES.bun },
    count: countDeno,
  };
}

/** {@link onDeno} for files that share what src keeps for the life of a process: loading src is most of what they cost. */
export function togetherOnDeno(name: string, files: readonly string[]): Step {
  const step = onDeno(name, ["scripts/together.ts"]);
  return { ...step, env: { ...step.env, TEST_FILES: files.join(" ") } };
}

/** The test files as a step on Bun, which takes a name without "./" for a part of one. */
export function onBun(name: string, files: readonly string[]): Step {
  return { name, command: [BUN, "test", ...files.map((file) => `./${file}`)], count: countBun };
}
