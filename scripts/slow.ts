/**
 * `deno task ok:slow`: what needs a browser, an identity provider, an engine of containers or long
 * seeded rounds, and is not for every change. CI runs it behind `deno task ok`.
 */

import { ROOT } from "./paths.ts";
import { runSteps, type Step } from "./steps.ts";

/** A row for each; none so far. Its files belong to no group of `deno task ok`. */
const steps: readonly Step[] = [];

Deno.chdir(ROOT);
Deno.exit(await runSteps(steps));
