/**
 * `deno task ok`: everything that has to hold before a change is done. Runs every step even when
 * one fails, and ends with the line `N passed, N failed` alone.
 */

import { BUN, DENO, ROOT, TEST_BINARIES } from "./paths.ts";
import { countBun, countDeno, runStep, type Step, type StepResult } from "./steps.ts";

const only = Deno.args;

const steps: readonly Step[] = [
  { name: "format", command: [DENO, "fmt", "--check"] },
  { name: "lint", command: [DENO, "lint"] },
  { name: "types", command: [DENO, "check", "main.ts", "src", "tests", "scripts", "bench"] },
  { name: "schema", command: [DENO, "run", "-A", "scripts/schema.ts", "--check"] },
  { name: "binary", command: [DENO, "run", "-A", "scripts/compile.ts", "--for-tests"] },
  {
    name: "tests on Deno",
    command: [DENO, "test", "-A", "tests"],
    env: await binaries(),
    count: countDeno,
  },
  { name: "tests on Bun", command: [BUN, "test", "tests"], count: countBun },
];

/** Which binaries there are is known only after the step that builds them, so paths go by name. */
async function binaries(): Promise<Record<string, string>> {
  await Deno.mkdir(`${ROOT}dist/test`, { recursive: true });
  return { MCPROXY_TEST_BINARIES: Object.values(TEST_BINARIES).join(":") };
}

Deno.chdir(ROOT);
const results: StepResult[] = [];
for (const step of steps) {
  if (only.length === 0 || only.some((name) => step.name.includes(name))) {
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
