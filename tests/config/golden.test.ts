/**
 * Walks tests/golden/config: one file a case, what stands above the line of dashes is the input,
 * what stands below is what comes out (issues or warnings as they are printed, then the
 * configuration). `UPDATE_GOLDEN=1` rewrites what stands below, and fails, so that somebody reads it.
 *
 * `name.golden` is JSON, `name.yaml.golden` YAML, `name.files.golden` several files (golden-files.ts).
 */

import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { test } from "node:test";
import type { Config, ConfigResult, ServerConfig } from "../../src/config/types.ts";
import { formatIssue } from "../../src/config/issue.ts";
import { parseConfig } from "../../src/config/load.ts";
import { loadOptions } from "../../src/config/schema.ts";
import { DEFAULT_SETTINGS } from "../../src/config/settings.ts";
import { loadGolden } from "./golden-files.ts";

await loadOptions("auth");

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
  test(`parseConfig() golden ${name}`, async () => {
    const content = readFileSync(new URL(name, FOLDER), "utf8");
    const at = content.lastIndexOf(SEPARATOR);
    assert.notEqual(at, -1, "a golden file has a line of ten dashes between input and result");
    const input = content.slice(0, at);
    const expected = content.slice(at + SEPARATOR.length);
    const actual = await outcome(name, input);
    if (process.env["UPDATE_GOLDEN"] === "1" && actual !== expected) {
      writeFileSync(new URL(name, FOLDER), `${input}${SEPARATOR}${actual}`);
      assert.fail(`${name} was rewritten: read it, then run again without UPDATE_GOLDEN`);
    }
    assert.equal(actual, expected);
  });
}

test("parseConfig() golden cases are there", () => {
  assert.ok(cases.length >= 190, `found ${cases.length} golden files`);
});

async function outcome(name: string, input: string): Promise<string> {
  if (name.endsWith(".yaml.golden")) return await outcomeOfFiles(`>>> mcp-servers.yaml\n${input}`);
  if (name.endsWith(".files.golden")) return await outcomeOfFiles(input);
  return describe(parseConfig(input, { file: "mcp-servers.json", env: ENV }));
}

async function outcomeOfFiles(input: string): Promise<string> {
  const { result, shorten } = await loadGolden(input, ENV);
  return shorten(describe(result)).replaceAll("DIR/mcp-servers.yaml", "mcp-servers.yaml");
}

function describe(result: ConfigResult): string {
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

/** Without defaults, which others test, and which every new setting would change in every file. */
function serverSummary(server: ServerConfig): unknown {
  const { name, disabled, problem, key: _key, instances, ...rest } = server;
  const told = { name, disabled, target: instances[0], ...rest };
  const changed = Object.entries(told).filter(([name, value]) =>
    !Object.hasOwn(SERVER_DEFAULTS, name) ||
    JSON.stringify(value) !== JSON.stringify(SERVER_DEFAULTS[name])
  );
  const same = instances.every((one) => JSON.stringify(one) === JSON.stringify(instances[0]));
  return {
    ...Object.fromEntries(changed),
    ...(instances.length > 1 ? { instances: same ? instances.length : instances } : {}),
    ...(problem === undefined ? {} : { problem: formatIssue(problem) }),
  };
}

const SERVER_DEFAULTS: Readonly<Record<string, unknown>> = defaultsOfServer();

function defaultsOfServer(): Record<string, unknown> {
  const minimal = '{ "mcpServers": { "a": { "command": "x" } } }';
  const result = parseConfig(minimal, { file: "mcp-servers.json", env: {} });
  const { name: _name, ...defaults } = result.ok
    ? { ...result.config.servers.get("a") } as Partial<ServerConfig>
    : {};
  return defaults;
}
