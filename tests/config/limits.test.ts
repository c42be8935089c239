/** What `limits`, `rate` and `audit` may say. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { formatIssue } from "../../src/config/issue.ts";
import { parseConfig } from "../../src/config/load.ts";
import { loadOptions } from "../../src/config/schema.ts";

await loadOptions("limits");

function parse(settings: object, entry: object = {}) {
  const text = JSON.stringify({ mcpServers: { a: { command: "x", ...entry } }, ...settings });
  return parseConfig(text, { file: "f.json", env: {} });
}

test("limits, rates and the audit are read, at the top, for a profile and for a server", () => {
  const limits = { calls: "120/m", concurrent: 16, sessions: 20 };
  const profiles = { p: { limits: { calls: "2/h" } }, q: {} };
  const audit = { file: "/var/log/audit.jsonl" };
  const result = parse({ limits, profiles, audit }, { rate: "3/s" });
  assert.ok(result.ok, JSON.stringify(result));
  const { settings, servers } = result.config;
  assert.deepEqual(settings.limits, { ...limits, calls: { count: 120, per: "minute" } });
  const [p, q] = settings.profiles;
  assert.deepEqual(p, { name: "p", limits: { calls: { count: 2, per: "hour" } } });
  assert.deepEqual(q, { name: "q" });
  assert.deepEqual(settings.audit, { ...audit, arguments: "none", required: false });
  assert.deepEqual(servers.get("a")!.rate, { count: 3, per: "second" });
  const plain = parse({});
  assert.ok(
    plain.ok && !("limits" in plain.config.settings) && !("audit" in plain.config.settings),
  );
  assert.equal(plain.config.servers.get("a")!.key, servers.get("a")!.key, "no new connection");
});

const WRONG: readonly (readonly [settings: object, entry: object, expected: RegExp])[] = [
  ...["0/m", "120", "5/d", "1.5/s", "-1/s", "5 /m", ""].map((calls) =>
    [{ limits: { calls } }, {}, /limits\.calls: found ".*", expected so many in a second/] as const
  ),
  [{ limits: { calls: 120 } }, {}, /limits\.calls: found 120, expected so many/],
  [
    { limits: { concurrent: 0 } },
    {},
    /limits\.concurrent: found 0, expected a whole number from 1/,
  ],
  [{ limits: { sessions: 10_001 } }, {}, /limits\.sessions: found 10001, expected .* to 10000/],
  [{ limits: { call: "1/m" } }, {}, /limits\.call: unknown key "call" \(did you mean "calls"\?\)/],
  [{ limits: [] }, {}, /limits: found an array, expected an object with "calls", "concurrent"/],
  [{ profiles: { p: { limits: { calls: 1 } } } }, {}, /profiles\.p\.limits\.calls: found 1/],
  [{}, { rate: "many" }, /mcpServers\.a\.rate: found "many", expected so many in a second/],
  [{ audit: {} }, {}, /audit: missing key "file"/],
  [
    { audit: { file: "audit.jsonl" } },
    {},
    /audit\.file: found "audit\.jsonl", expected an absolute/,
  ],
  [{ audit: { file: "/a", arguments: "hashed" } }, {}, /audit\.arguments: .*did you mean "hash"/],
  [
    { audit: { file: "/a", required: "yes" } },
    {},
    /audit\.required: found "yes", expected true or/,
  ],
];

for (const [settings, entry, expected] of WRONG) {
  test(`limits cannot be ${JSON.stringify({ ...settings, ...entry })}`, () => {
    const result = parse(settings, entry);
    assert.equal(result.ok, false);
    assert.match(result.ok ? "" : result.issues.map(formatIssue).join("\n"), expected);
  });
}
