/** All scenarios of the referee about authorization, by `mcproxy login` and through the gateway. */

import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { type Check, regressions } from "../../conformance/checks.ts";
import { judge, readExpectedFailures } from "../../conformance/expected-failures.ts";
import { clientScenarios, refereeClient, TIMEOUT } from "../../conformance/referee.ts";
import { ON_BUN, scriptArguments } from "../../support/program.ts";

const CLIENT = fileURLToPath(new URL("../../conformance/client/main.ts", import.meta.url));
const COMMAND = [process.execPath, ...scriptArguments(CLIENT)].join(" ");

/** Of the first revision the referee knows no list. */
const SCENARIOS = {
  "2025-03-26": () =>
    Promise.resolve([
      "auth/2025-03-26-oauth-metadata-backcompat",
      "auth/2025-03-26-oauth-endpoint-fallback",
    ]),
  "2025-11-25": () => clientScenarios("2025-11-25"),
  "2026-07-28": () => clientScenarios("2026-07-28"),
};

for (const [revision, list] of Object.entries(SCENARIOS)) {
  test(`whoever follows what mcproxy login prints meets ${revision}`, {
    timeout: TIMEOUT,
  }, async () => {
    const scenarios = (await list()).filter((name) => name.startsWith("auth/"));
    assert.ok(scenarios.length >= 2, scenarios.join());
    const expected = await readExpectedFailures();
    const checks: Check[] = [];
    const env = { MCPROXY_CONFORMANCE_VIA: ON_BUN ? "bun" : "deno" };
    const play = async () => {
      for (let scenario = scenarios.pop(); scenario !== undefined; scenario = scenarios.pop()) {
        checks.push(...(await refereeClient(COMMAND, scenario, revision, env)).checks);
      }
    };
    // Not all at once: each is four programs.
    await Promise.all([play(), play()]);
    const wrong = judge(`login ${revision}`, regressions([], checks), expected);
    assert.ok(wrong.length === 0, `${wrong.length} are not as expected:\n${wrong.join("\n")}`);
  });
}
