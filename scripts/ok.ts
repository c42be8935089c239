/**
 * `deno task ok`: everything that has to hold before a change is done. Runs every step even when
 * one fails, and ends with the line `N passed, N failed` alone. With words as arguments only the
 * steps that have one of them in their name.
 */

import { DENO, ROOT, TEST_BINARIES } from "./paths.ts";
import { CHECKS, runSteps, type Step } from "./steps.ts";
import { groups, onBun, onDeno, togetherOnDeno } from "./suites.ts";

/** What runs in one process: about as long each, so that no processor is left without work. */
const files = groups([
  ["hygiene", /^tests\/hygiene\//],
  ["soak", /^tests\/soak\//],
  // Of `deno task ok:slow`.
  ["slow", /^tests\/slow\//],
  ["deno", /^tests\/behaviour\/(eras\/)?deno\.test/],
  ["bun", /^tests\/behaviour\/(eras\/)?bun\.test/],
  ["binary", /^tests\/behaviour\/(eras\/)?binary\.test/],
  // Of `deno task ok:slow`: what it asks is asked of processes below.
  ["memory", /^tests\/behaviour\/(eras\/)?memory\.test/],
  ["behaviour", /^tests\/behaviour\//],
  ["isolation", /^tests\/isolation\//],
  ["conformance", /^tests\/conformance\//],
  // What changes or watches the whole process stays apart from the rest.
  ["processes", /^tests\/(log|runtime)\//],
  ["parts", /./],
]);
const of = (name: typeof files extends ReadonlyMap<infer Name, unknown> ? Name : never) =>
  files.get(name)!;

// The long ones first, so that the end is short; what a step follows stands before it.
const steps: readonly Step[] = [
  { name: "binary", command: [DENO, "run", "-A", "scripts/compile.ts", "--for-tests"] },
  ...CHECKS,
  togetherOnDeno("parts, on Deno", of("parts")),
  onBun("parts, on Bun", [...of("parts"), ...of("processes")]),
  { ...onDeno("soak, on Deno", of("soak")), after: "binary", isLight: true },
  // Gateways on both runtimes, beside the same servers and clients without one.
  onDeno("conformance", of("conformance")),
  togetherOnDeno("isolation, on Deno", of("isolation")),
  togetherOnDeno("behaviour, on Deno", of("behaviour")),
  onBun("behaviour, on Bun", of("behaviour")),
  togetherOnDeno("a Deno process, on Deno", of("deno")),
  { ...onDeno("hygiene, on Deno", of("hygiene")), after: "binary" },
  { ...togetherOnDeno("a binary of Bun, on Deno", of("binary")), after: "binary" },
  togetherOnDeno("a Bun process, on Deno", of("bun")),
  {
    ...onDeno("a binary of Deno, on Deno", of("binary")),
    env: { MCPROXY_BINARY: TEST_BINARIES.deno },
    after: "binary",
    // Only where the base of `deno compile` can be downloaded; the step "binary" says so.
    needs: TEST_BINARIES.deno,
  },
  onBun("isolation, on Bun", of("isolation")),
  { ...onDeno("processes, on Deno", of("processes")), after: "soak, on Deno", isLight: true },
  {
    ...onDeno("hygiene of a binary of Deno", ["tests/hygiene/binary.test.ts"]),
    env: { MCPROXY_BINARY: TEST_BINARIES.deno },
    after: "binary",
    needs: TEST_BINARIES.deno,
  },
  onBun("hygiene, on Bun", of("hygiene")),
];

Deno.chdir(ROOT);
const wanted = steps.filter(({ name }) =>
  Deno.args.length === 0 || Deno.args.some((word) => name.includes(word))
);
if (wanted.length === 0) throw new Error(`Cannot find a step with ${Deno.args.join(" or ")}`);
Deno.exit(await runSteps(wanted));
