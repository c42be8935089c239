import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { scriptArguments } from "../support/program.ts";
import { complaints, regressions } from "./checks.ts";
import { SCENARIOS } from "./client/scenarios.ts";
import { judge, readExpectedFailures } from "./expected-failures.ts";
import { clientScenarios, refereeClient, type Report, type Revision, TIMEOUT } from "./referee.ts";

/** The gateway's upstream authorization has its own suite. */
const AUTHORIZATION = /^auth\//;

for (const revision of ["2025-11-25", "2026-07-28"] as const) {
  test(`the client plays every ${revision} scenario that is not about authorization`, {
    timeout: TIMEOUT,
  }, async () => {
    const scenarios = await playable(revision);
    assert.ok(scenarios.length >= 5, `the referee knows ${scenarios.join(", ")}`);
    assert.deepEqual(scenarios.filter((name) => !SCENARIOS.has(name)), []);
  });

  test(
    `the gateway is as good a client as one without it in ${revision}`,
    { timeout: TIMEOUT },
    async () => {
      const expected = await readExpectedFailures();
      const direct: Report[] = [];
      const through: Report[] = [];
      for (const scenario of await playable(revision)) {
        // Not all at once: each is a referee, a client and a gateway.
        const [without, with_] = await Promise.all([
          run(scenario, revision, "direct"),
          run(scenario, revision, "gateway"),
        ]);
        direct.push(without);
        through.push(with_);
      }
      const [before, after] = [direct, through].map((all) => all.flatMap(({ checks }) => checks));
      assert.deepEqual(complaints(before!), [], "the client by itself has to meet everything");
      const wrong = judge(`client ${revision}`, regressions(before!, after!), expected);
      assert.ok(wrong.length === 0, `${wrong.length} are not as expected:\n${wrong.join("\n")}`);
    },
  );
}

async function playable(revision: Revision): Promise<readonly string[]> {
  return (await clientScenarios(revision)).filter((name) => !AUTHORIZATION.test(name));
}

function run(scenario: string, revision: Revision, via: "direct" | "gateway"): Promise<Report> {
  const program = fileURLToPath(new URL("./client/main.ts", import.meta.url));
  const command = [process.execPath, ...scriptArguments(program)].join(" ");
  return refereeClient(command, scenario, revision, { MCPROXY_CONFORMANCE_VIA: via });
}
