/** What `access` may say, and what it is told of the rest of the file. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { formatIssue } from "../../src/config/issue.ts";
import { parseConfig } from "../../src/config/load.ts";
import { loadOptions } from "../../src/config/schema.ts";

await loadOptions("auth access");

const HASH = `sha256:${"0a".repeat(32)}`;
const auth = { keys: { ci: HASH, laptop: HASH } };
const profiles = { dev: {}, reading: {} };

function parse(access: unknown, more: Readonly<Record<string, unknown>> = { auth }) {
  const text = JSON.stringify({ mcpServers: {}, profiles, ...more, access });
  return parseConfig(text, { file: "f.json", env: {} });
}

/** Issues, or warnings of what is valid, as a person reads them. */
function saidOf(access: unknown, more?: Readonly<Record<string, unknown>>): string {
  const result = parse(access, more);
  return (result.ok ? result.warnings : result.issues).map(formatIssue).join("\n");
}

test("access gives profiles, paths or everything to names", () => {
  const result = parse({
    "key:ci": "dev",
    "group:admins": "*",
    "scope:mcp:write": ["dev", "/metrics"],
    "alice@example.com": ["reading"],
    "*": "reading",
  });
  assert.ok(result.ok, JSON.stringify(result));
  assert.deepEqual(result.config.settings.access, [
    { who: "key:ci", gives: ["dev"] },
    { who: "group:admins", gives: ["*"] },
    { who: "scope:mcp:write", gives: ["dev", "/metrics"] },
    { who: "alice@example.com", gives: ["reading"] },
    { who: "*", gives: ["reading"] },
  ]);
  assert.doesNotMatch(result.warnings.map(formatIssue).join(), /access/);
  // Whom it gives nothing, nobody has anything.
  const nobody = parse({});
  assert.ok(nobody.ok);
  assert.deepEqual(nobody.config.settings.access, []);
  const absent = parse(undefined);
  assert.ok(absent.ok && !("access" in absent.config.settings));
});

const WRONG: readonly (readonly [unknown, RegExp])[] = [
  [[], /access: found an array, expected an object of what is given/],
  [{ ci: 5 }, /access\.ci: found 5, expected the name of a profile.*array/],
  [{ ci: [] }, /access\.ci: found .*, expected the name of a profile/],
  [{ ci: "" }, /access\.ci: found "", expected the name of a profile/],
  [{ "": "dev" }, /key "", expected a name, "key:NAME"/],
  [{ "key:": "dev" }, /key "key:", expected a name, "key:NAME"/],
  [{ ci: "devv" }, /access\.ci: found "devv", expected .*\(did you mean "dev"\?\)/],
  [{ ci: ["dev", "reding"] }, /access\.ci: found "reding".*\(did you mean "reading"\?\)/],
];

for (const [access, expected] of WRONG) {
  test(`access cannot be ${JSON.stringify(access)}`, () => {
    assert.equal(parse(access).ok, false);
    assert.match(saidOf(access), expected);
  });
}

test("access without auth is an issue that says so", () => {
  for (const access of [{}, { "*": "dev" }]) {
    assert.equal(parse(access, {}).ok, false);
    assert.match(saidOf(access, {}), /f\.json:1:\d+ access: without "auth" nobody can be told/);
  }
});

test("a key that auth does not have is warned of", () => {
  assert.ok(parse({ "key:lapto": "dev" }).ok);
  assert.match(saidOf({ "key:lapto": "dev" }), /"key:lapto".*\(did you mean "key:laptop"\?\)/);
  assert.doesNotMatch(saidOf({ "key:laptop": "dev", "lapto": "dev" }), /access/);
});
