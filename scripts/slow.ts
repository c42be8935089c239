/**
 * `deno task ok:slow`: what needs a browser, an identity provider, an engine of containers or long
 * seeded rounds, and is not for every change. CI runs it behind `deno task ok`.
 */

import { ROOT } from "./paths.ts";
import { runSteps, type Step } from "./steps.ts";
import { onBun, onDeno } from "./suites.ts";

const RESTARTS = ["tests/slow/restarts.test.ts"];

/** A row for each. Its files are in `tests/slow`, and in no step of `deno task ok`. */
const steps: readonly Step[] = [
  onDeno("twenty restarts, on Deno", RESTARTS),
  onBun("twenty restarts, on Bun", RESTARTS),
];

Deno.chdir(ROOT);
Deno.exit(await runSteps(steps));
