/**
 * `deno task ok`: everything that has to hold before a change is done. Runs every step even when
 * one fails, and ends with the line `N passed, N failed` alone.
 */

import { BUN, DENO, ROOT, TEST_BINARIES } from "./paths.ts";
import { countBun, countDeno, runStep, type Step, type StepResult } from "./steps.ts";

const only = Deno.args;

const steps: readonly (Step & { readonly needs?: string })[] = [
  { name: "format", command: [DENO, "fmt", "--check"] },
  { name: "lint", command: [DENO, "lint"] },
  { name: "types", command: [DENO, "check", "main.ts", "src", "tests", "scripts", "bench"] },
  { name: "schema", command: [DENO, "run", "-A", "scripts/schema.ts", "--check"] },
  { name: "binary", command: [DENO, "run", "-A", "scripts/compile.ts", "--for-tests"] },
  {
    name: "tests on Deno, and of the Bun binary",
    // The step "types" has checked them.
    command: [DENO, "test", "-A", "--no-check", "tests"],
    env: { MCPROXY_BINARY: TEST_BINARIES.bun },
    count: countDeno,
  },
  {
    name: "tests of the Deno binary",
    command: [
      DENO,
      "test",
      "-A",
      "--no-check",
      "tests/behaviour/binary.test.ts",
      "tests/hygiene/binary.test.ts",
    ],
    env: { MCPROXY_BINARY: TEST_BINARIES.deno },
    count: countDeno,
    // Only where the base of `deno compile` can be downloaded; the step "binary" says so.
    needs: TEST_BINARIES.deno,
  },
  {
    name: "tests on Bun",
    command: [BUN, "test", "--timeout", "60000", "tests"],
    count: countBun,
  },
];

Deno.chdir(ROOT);
const results: StepResult[] = [];
for (const step of steps) {
  const wanted = only.length === 0 || only.some((name) => step.name.includes(name));
  if (wanted && (step.needs === undefined || await exists(step.needs))) {
    results.push(await runStep(step));
  }
}

console.log("\n=== summary");
for (const { name, passed, failed, seconds } of results) {
  const verdict = failed === 0 ? "ok    " : "FAILED";
  console.log(`${verdict} ${name} (${passed} passed, ${failed} failed, ${seconds.toFixed(1)} s)`);
}
const sum = (pick: (result: StepResult) => number) => results.reduce((n, one) => n + pick(one), 0);
const failed = sum((result) => result.failed);
console.log(`${sum((result) => result.passed)} passed, ${failed} failed`);
Deno.exit(failed === 0 && results.length > 0 ? 0 : 1);

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
