/** What `metrics`, `history`, `otel`, `dashboard` and `alerts` may say. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { formatIssue } from "../../src/config/issue.ts";
import { parseConfig } from "../../src/config/load.ts";
import { loadOptions } from "../../src/config/schema.ts";
import { collectSecrets } from "../../src/config/secrets.ts";
import { DEFAULT_SETTINGS } from "../../src/config/settings.ts";
import { diffConfig } from "../../src/config/types.ts";

await loadOptions("metrics");

function parse(settings: object) {
  const text = JSON.stringify({
    mcpServers: { fetch: { command: "x" }, "gh-a": { command: "y" } },
    ...settings,
  });
  return parseConfig(text, { file: "f.json", env: {} });
}

function settings(written: object) {
  const result = parse(written);
  assert.ok(result.ok, JSON.stringify(result));
  assert.deepEqual(result.warnings, []);
  return result.config.settings;
}

test("what is to be seen has defaults, which are what the schema makes of nothing", () => {
  const { metrics, history, otel, dashboard, alerts } = settings({});
  assert.equal(metrics, true);
  assert.deepEqual(history, { days: 30, maxSize: 67_108_864, bodies: "off" });
  assert.deepEqual(dashboard, { mode: "auto", edit: false });
  assert.deepEqual([otel, alerts], [undefined, undefined]);
  assert.deepEqual(settings({ history: {}, dashboard: {} }), DEFAULT_SETTINGS);
});

test("what is to be seen may be said in short", () => {
  const signals = ["traces", "logs", "metrics"];
  const said = settings({
    metrics: false,
    history: "off",
    otel: "http://127.0.0.1:4318/",
    dashboard: "on",
    alerts: { to: ["ntfy:https://ntfy.example/mcproxy"] },
  });
  assert.deepEqual([said.metrics, said.history], [false, "off"]);
  const endpoint = "http://127.0.0.1:4318";
  assert.deepEqual(said.otel, { endpoint, headers: {}, sample: 1, signals });
  assert.deepEqual(said.dashboard, { mode: "on", edit: false });
  assert.deepEqual(said.alerts, {
    to: [{ kind: "ntfy", url: "https://ntfy.example/mcproxy" }],
    rules: [
      { when: "down", for: 120_000 },
      { when: "errors", above: 20, of: 10, in: 300_000 },
      { when: "config" },
    ],
  });
});

test("what is to be seen is read as it is written", () => {
  const said = settings({
    history: { days: 7, maxSize: 1_048_576, bodies: "errors" },
    otel: {
      endpoint: "https://otel.example/x",
      sample: 0.1,
      signals: ["logs"],
      headers: { a: "b" },
    },
    dashboard: { edit: true },
    alerts: {
      to: [
        "https://a.example/hook",
        "slack:https://hooks.slack.com/services/T/B",
        "ntfy:http://127.0.0.1:8080/topic",
        { command: ["mail-alert", "me"] },
      ],
      rules: [
        { when: "down", for: "30s", servers: ["fetch"] },
        { when: "slow", servers: ["gh-*"], p95: "5s" },
        { when: "queue", above: 3 },
        { when: "memory", above: 536_870_912 },
        { when: "login" },
        { when: "pin" },
      ],
    },
  });
  assert.deepEqual(said.history, { days: 7, maxSize: 1_048_576, bodies: "errors" });
  assert.deepEqual(said.otel, {
    endpoint: "https://otel.example/x",
    sample: 0.1,
    signals: ["logs"],
    headers: { a: "b" },
  });
  assert.deepEqual(said.dashboard, { mode: "auto", edit: true });
  assert.deepEqual(said.alerts?.to, [
    { kind: "webhook", url: "https://a.example/hook" },
    { kind: "slack", url: "https://hooks.slack.com/services/T/B" },
    { kind: "ntfy", url: "http://127.0.0.1:8080/topic" },
    { kind: "command", command: ["mail-alert", "me"] },
  ]);
  assert.deepEqual(said.alerts?.rules, [
    { when: "down", for: 30_000, servers: ["fetch"] },
    { when: "slow", servers: ["gh-*"], p95: 5_000, in: 600_000 },
    { when: "queue", above: 3, for: 60_000 },
    { when: "memory", above: 536_870_912 },
    { when: "login" },
    { when: "pin" },
  ]);
});

test("what is to be seen changes in a running gateway", () => {
  const old = parse({});
  const next = parse({ metrics: false, history: "off", dashboard: "off", otel: "http://[::1]:1" });
  assert.ok(old.ok && next.ok);
  const { settingsChanged, restartNeeded, changed } = diffConfig(old.config, next.config);
  assert.deepEqual(settingsChanged, ["dashboard", "history", "metrics", "otel"]);
  assert.deepEqual([restartNeeded, changed], [[], []]);
});

const to = ["https://h.example/"];
const WRONG: readonly (readonly [settings: object, expected: RegExp])[] = [
  [{ metrics: "yes" }, /metrics: found "yes", expected true or false/],
  [{ history: "on" }, /history: found "on", expected "off", or an object with "days"/],
  [{ history: { days: "30d" } }, /history\.days: found "30d", expected a number of days/],
  [{ history: { size: 1 } }, /history\.size: unknown key "size"/],
  [{ history: { bodies: "error" } }, /bodies: found "error", .* \(did you mean "errors"\?\)/],
  [{ history: { maxSize: 5 } }, /maxSize: found 5, expected a number of bytes, at least 1048576/],
  [{ otel: "localhost:4318" }, /otel: found a string, expected the address of a collector/],
  [
    { otel: "http://127.0.0.1:4318/v1/traces" },
    /f\.json:1:\d+ otel: found a string, expected the address without "\/v1\/traces"/,
  ],
  [{ otel: { endpoint: "http://h/v1/logs/" } }, /otel\.endpoint: .* without "\/v1\/traces"/],
  [{ otel: { headers: {} } }, /otel: missing key "endpoint"/],
  [{ otel: { endpoint: "http://h", sample: 5 } }, /otel\.sample: found 5, expected a share from 0/],
  [{ otel: { endpoint: "http://h", signals: ["trace"] } }, /signals\[0\]: .*did you mean "traces"/],
  [{ dashboard: "offf" }, /dashboard: found "offf", expected "auto", "on" or .*did you mean "off"/],
  [{ dashboard: { mode: "always" } }, /dashboard\.mode: found "always", expected one of "auto"/],
  [{ alerts: {} }, /alerts: missing key "to"/],
  [{ alerts: to }, /alerts: found an array, expected an object with "to", "rules"/],
  [
    { alerts: { to: ["mail:me@x"] } },
    /alerts\.to\[0\]: found a string, expected "https:\/\/…", "nt/,
  ],
  [{ alerts: { to: ["http://h.example/"] } }, /alerts\.to\[0\]: .* expected "https:\/\/…"/],
  [
    { alerts: { to: ["ntfy:https://h.example/"] } },
    /alerts\.to\[0\]: .* "ntfy:https:\/\/…\/topic"/,
  ],
  [{ alerts: { to: [{ command: [] }] } }, /to\[0\]\.command: .* at least the name of a program/],
  [
    { alerts: { to: [{ comand: ["x"] }] } },
    /to\[0\]\.comand: unknown key .*did you mean "command"/,
  ],
  [
    { alerts: { to, rules: [{ when: "dwn" }] } },
    /f\.json:1:\d+ alerts\.rules\[0\]\.when: found "dwn", expected one of "down",.*mean "down"/,
  ],
  [{ alerts: { to, rules: ["down"] } }, /alerts\.rules\[0\]: found "down", expected an object/],
  [{ alerts: { to, rules: [{ when: "slow" }] } }, /alerts\.rules\[0\]: missing key "p95"/],
  [{ alerts: { to, rules: [{ when: "down", p95: 1 }] } }, /rules\[0\]\.p95: unknown key "p95"/],
  [
    { alerts: { to, rules: [{ when: "down", servers: ["fetc"] }] } },
    /f\.json:1:\d+ alerts\.rules\[0\]\.servers\[0\]: "fetc" is the name of no server.*mean "fetch"/,
  ],
  [
    { alerts: { to, rules: [{ when: "down", servers: ["x*"] }] } },
    /"x\*" is the name of no server, expected one of "fetch", "gh-a"/,
  ],
];

for (const [settings, expected] of WRONG) {
  test(`what is to be seen cannot be ${JSON.stringify(settings)}`, () => {
    const result = parse(settings);
    assert.equal(result.ok, false);
    assert.match(result.ok ? "" : result.issues.map(formatIssue).join("\n"), expected);
  });
}

test("no issue repeats an address of a channel or a header", () => {
  const secret = "hunter2hunter2";
  for (
    const wrong of [
      { alerts: { to: [`http://${secret}.example/`] } },
      { alerts: { to: `https://${secret}.example/` } },
      { otel: `http://u:${secret}@h/v1/traces` },
      { otel: { endpoint: `ftp://u:${secret}@h` } },
      { otel: { endpoint: "http://h", headers: secret } },
      { otel: { endpoint: "http://h", headers: { a: [secret] } } },
    ]
  ) {
    const result = parse(wrong);
    assert.equal(result.ok, false);
    assert.ok(!JSON.stringify(result).includes(secret), JSON.stringify(result));
  }
});

test("the addresses of channels and the headers of the collector are secrets", () => {
  const result = parse({
    otel: {
      endpoint: "https://me:hunter2secret@otel.example",
      headers: { Authorization: "Bearer correct-horse-1" },
    },
    alerts: {
      to: [
        "ntfy:https://ntfy.example/team-topic",
        "slack:https://hooks.slack.com/services/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",
        { command: ["curl", "--token", "battery-staple-9"] },
      ],
    },
  });
  assert.ok(result.ok);
  const secrets = collectSecrets(result.config);
  for (
    const secret of [
      "https://ntfy.example/team-topic",
      "c1c2c3c4c5c6c7c8c9c0c1c2",
      "correct-horse-1",
      "hunter2secret",
      "battery-staple-9",
    ]
  ) {
    assert.ok(secrets.includes(secret), `${secret} in ${secrets.join()}`);
  }
});

test("headers in the clear, and servers of what is about the gateway, are warned of", () => {
  const result = parse({
    otel: { endpoint: "http://otel.example", headers: { a: "b" } },
    alerts: { to, rules: [{ when: "memory", above: 1_048_576, servers: ["fetch"] }] },
  });
  assert.ok(result.ok);
  const told = result.warnings.map((one) => formatIssue(one).replace(/^\S+ /, ""));
  assert.deepEqual(told.sort(), [
    'alerts.rules[0].servers: "memory" is about the gateway itself, whatever its servers',
    "otel: its headers cross the network unencrypted; use https, or a collector on this machine",
  ]);
});
