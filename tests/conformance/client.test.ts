import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { BUN, scriptArguments } from "../support/program.ts";
import { type Check, complaints, regressions } from "./checks.ts";
import { SCENARIOS } from "./client/scenarios.ts";
import { judge, readExpectedFailures } from "./expected-failures.ts";
import {
  clientScenarios,
  type Mode,
  MODES,
  refereeClient,
  type Report,
  type Revision,
  TIMEOUT,
} from "./referee.ts";

/** These have their own suite, tests/slow/auth/conformance.test.ts. */
const AUTHORIZATION = /^auth\//;

for (const revision of ["2025-11-25", "2026-07-28"] as const) {
  test(`the client plays every ${revision} scenario that is not about authorization`, {
    timeout: TIMEOUT,
  }, async () => {
    const scenarios = await playable(revision);
    assert.ok(scenarios.length >= 5, `the referee knows ${scenarios.join(", ")}`);
    assert.deepEqual(scenarios.filter((name) => !SCENARIOS.has(name)), []);
  });

  for (const mode of MODES) {
    test(
      `the gateway (${mode}) is as good a client as one without it in ${revision}`,
      { timeout: TIMEOUT },
      async () => {
        const expected = await readExpectedFailures();
        const direct: Check[] = [];
        const through: Check[] = [];
        for (const scenario of await playable(revision)) {
          // Not all at once: each is a referee, a client and a gateway.
          const [without, with_] = await Promise.all([
            playDirect(scenario, revision),
            play(scenario, revision, mode),
          ]);
          direct.push(...without.checks);
          through.push(...with_.checks);
        }
        assert.deepEqual(complaints(direct), [], "the client by itself has to meet everything");
        const wrong = judge(`client ${revision}`, regressions(direct, through), expected);
        assert.ok(wrong.length === 0, `${wrong.length} are not as expected:\n${wrong.join("\n")}`);
      },
    );
  }
}

async function playable(revision: Revision): Promise<readonly string[]> {
  return (await clientScenarios(revision)).filter((name) => !AUTHORIZATION.test(name));
}

const direct = new Map<string, Promise<Report>>();

/** The client by itself; judged once. */
function playDirect(scenario: string, revision: Revision): Promise<Report> {
  const byItself = () => play(scenario, revision, "direct");
  return direct.getOrInsertComputed(`${scenario} ${revision}`, byItself);
}

/** On Deno the client is on Deno, too, as its gateway is what runs it. */
function play(scenario: string, revision: Revision, via: "direct" | Mode): Promise<Report> {
  const program = fileURLToPath(new URL("./client/main.ts", import.meta.url));
  const words = via === "deno" ? [process.execPath, ...scriptArguments(program)] : [BUN, program];
  return refereeClient(words.join(" "), scenario, revision, { MCPROXY_CONFORMANCE_VIA: via });
}
