/**
 * Walks tests/golden/config: one file a case, what stands above the line of dashes is the input,
 * what stands below is what comes out (issues or warnings as they are printed, then the
 * configuration). `UPDATE_GOLDEN=1` rewrites what stands below, and fails, so that somebody reads it.
 */

import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { test } from "node:test";
import type { Config, ServerConfig } from "../../src/config/config.ts";
import { formatIssue } from "../../src/config/issue.ts";
import { parseConfig } from "../../src/config/parse.ts";
import { DEFAULT_SETTINGS } from "../../src/config/settings.ts";

const FOLDER = new URL("../golden/config/", import.meta.url);
const SEPARATOR = "\n----------\n";

/** The environment of every case. */
const ENV = {
  HOME: "/home/u",
  TOKEN: "s3cr3t-t0ken",
  EMPTY: "",
  NESTED: "${TOKEN}",
  PORT: "80",
  BROKEN: "x\n",
};

const cases = readdirSync(FOLDER).filter((name) => name.endsWith(".golden")).sort();

for (const name of cases) {
  test(`parseConfig() golden ${name}`, () => {
    const content = readFileSync(new URL(name, FOLDER), "utf8");
    const at = content.lastIndexOf(SEPARATOR);
    assert.notEqual(at, -1, "a golden file has a line of ten dashes between input and result");
    const input = content.slice(0, at);
    const expected = content.slice(at + SEPARATOR.length);
    const actual = outcome(input);
    if (process.env["UPDATE_GOLDEN"] === "1" && actual !== expected) {
      writeFileSync(new URL(name, FOLDER), `${input}${SEPARATOR}${actual}`);
      assert.fail(`${name} was rewritten: read it, then run again without UPDATE_GOLDEN`);
    }
    assert.equal(actual, expected);
  });
}

test("parseConfig() golden cases are there", () => {
  assert.ok(cases.length >= 30, `found ${cases.length} golden files`);
});

function outcome(input: string): string {
  const result = parseConfig(input, { file: "mcp-servers.json", env: ENV });
  const lines = result.ok
    ? [
      ...result.warnings.map((warning) => `warning: ${formatIssue(warning)}`),
      JSON.stringify(summary(result.config), null, 2),
    ]
    : result.issues.map((issue) => `error: ${formatIssue(issue)}`);
  return `${lines.join("\n")}\n`;
}

/** What differs from the defaults; keys are hashes, and tested elsewhere. */
function summary({ settings, servers, expandedSecrets }: Config): unknown {
  const changed = Object.entries(settings).filter(([name, value]) =>
    JSON.stringify(value) !== JSON.stringify(DEFAULT_SETTINGS[name as keyof typeof settings])
  );
  return {
    ...(changed.length === 0 ? {} : { settings: Object.fromEntries(changed) }),
    servers: [...servers.values()].map((server) => serverSummary(server)),
    ...(expandedSecrets.length === 0 ? {} : { expandedSecrets }),
  };
}

function serverSummary({ problem, key: _key, ...server }: ServerConfig): unknown {
  return problem === undefined ? server : { ...server, problem: formatIssue(problem) };
}
