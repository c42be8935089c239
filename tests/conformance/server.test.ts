import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { BUN } from "../support/program.ts";
import { type Check, complaints, regressions } from "./checks.ts";
import { judge, readExpectedFailures } from "./expected-failures.ts";
import { startHttpFixture } from "./fixture/http.ts";
import { type Mode, MODES, refereeServer, type Report, type Revision, TIMEOUT } from "./referee.ts";

const REVISIONS = ["2025-11-25", "2026-07-28"] as const;

/** Extensions the fixture does not have: the gateway cannot be judged by them. */
const WITHOUT_BASELINE = /^tasks-/;

const direct = new Map<Revision, Promise<Report>>();

/** The fixture by itself; judged once. */
function judgeFixture(revision: Revision): Promise<Report> {
  return direct.getOrInsertComputed(revision, async () => {
    await using fixture = await startHttpFixture();
    return await refereeServer(fixture.url, revision);
  });
}

for (const revision of REVISIONS) {
  test(
    `the fixture meets ${revision} by itself, and more than is required`,
    { timeout: TIMEOUT },
    async () => {
      const { checks, code, output } = await judgeFixture(revision);
      assert.equal(code, 0, output);
      assert.deepEqual(complaints(checks.filter(hasBaseline)), []);
      assert.ok(checks.filter(({ status }) => status === "SUCCESS").length > 80);
    },
  );
}

// An upstream of the other era: what the gateway bridges is measured against a server of both.
const BRIDGED = [
  { revision: "2025-11-25", eras: "modern", spoken: "2026-07-28" },
  { revision: "2026-07-28", eras: "legacy", spoken: "2025-11-25" },
] as const;

for (const mode of MODES) {
  const options = { timeout: TIMEOUT };
  for (const revision of REVISIONS) {
    test(`the gateway (${mode}) keeps ${revision} of a server over HTTP`, options, async () => {
      await using fixture = await startHttpFixture();
      await judgeGateway(mode, `server ${revision} http`, revision, { url: fixture.url });
    });

    test(`the gateway (${mode}) keeps ${revision} of a server over stdio`, options, async () => {
      const args = [fileURLToPath(new URL("./fixture/stdio.ts", import.meta.url))];
      await judgeGateway(mode, `server ${revision} stdio`, revision, { command: BUN, args });
    });
  }

  for (const { revision, eras, spoken } of BRIDGED) {
    test(
      `the gateway (${mode}) gives ${revision} to the client of a ${eras} server`,
      options,
      async () => {
        await using fixture = await startHttpFixture(eras);
        const server = { url: fixture.url };
        await judgeGateway(mode, `server ${revision} ${eras}`, revision, server, spoken);
      },
    );
  }
}

/**
 * Runs the referee through a gateway of its own and compares it with the direct run. `spoken` is
 * the only version the server speaks, if there is one.
 */
async function judgeGateway(
  mode: Mode,
  name: string,
  revision: Revision,
  server: object,
  spoken?: Revision,
): Promise<void> {
  const gateway = await startGateway({ mode, config: { mcpServers: { fixture: server } } });
  try {
    await gateway.ready();
    if (spoken !== undefined) {
      await gateway.waitForServer("fixture", (status) => status.protocolVersion === spoken);
    }
    const before = (await judgeFixture(revision)).checks.filter(hasBaseline);
    const expected = await readExpectedFailures();
    const judged = async () => {
      const through = await refereeServer(gateway.serverUrl("fixture"), revision);
      return judge(name, regressions(before, through.checks.filter(hasBaseline)), expected);
    };
    let wrong = await judged();
    // For some of its answers the referee waits half a second, however busy the machine is.
    for (let again = 0; wrong.length > 0 && again < 2; again++) wrong = await judged();
    assert.ok(wrong.length === 0, explain(wrong, gateway));
  } finally {
    await gateway.stop();
  }
}

function hasBaseline({ scenario }: Check): boolean {
  return !WITHOUT_BASELINE.test(scenario);
}

function explain(wrong: readonly string[], gateway: Gateway): string {
  const log = gateway.logs.items.slice(-100).join("\n");
  return `${wrong.length} checks are not as expected:\n${wrong.join("\n")}\nThe log:\n${log}`;
}
