/**
 * `deno task quick`: what can be said of a change in half a minute: format, lint, types,
 * architecture, and the suites that start no process and open no socket. On Bun alone: it needs a
 * third of the time that Deno needs to begin with a file.
 */

import { ROOT } from "./paths.ts";
import { CHECKS, runSteps } from "./steps.ts";
import { onBun, TEST_FILES } from "./suites.ts";

const PURE = /^tests\/(architecture\.test|(lib|protocol|schema|registry|gating)\/)/;

Deno.chdir(ROOT);
const tests = onBun("tests, on Bun", TEST_FILES.filter((path) => PURE.test(path)));
Deno.exit(await runSteps([...CHECKS, tests]));
