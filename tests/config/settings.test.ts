import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { generateSchema } from "../../scripts/schema.ts";
import type { Settings } from "../../src/config/types.ts";
import { loadConfig, parseConfig } from "../../src/config/load.ts";
import type { Env } from "../../src/config/types.ts";
import { inDirectory, writeFiles } from "./temp.ts";
import { formatIssue } from "../../src/config/issue.ts";
import {
  DEFAULT_SETTINGS,
  type Layers,
  settingsFromEnv,
  variableOf,
} from "../../src/config/settings.ts";
import { sanitizeName } from "../../src/lib/text.ts";

test("DEFAULT_SETTINGS is pinned", () => {
  assert.deepEqual(DEFAULT_SETTINGS, {
    host: "127.0.0.1",
    port: 12009,
    prefix: "always",
    separator: "_",
    startupTimeout: 30_000,
    timeout: 300_000,
    startupGrace: 1_000,
    drainTimeout: 30_000,
    healthInterval: 30_000,
    healthThreshold: 2,
    warmStart: true,
    pin: "warn",
    staleGrace: 300_000,
    sessionIdleTimeout: 1_800_000,
    sessionMaxAge: 604_800_000,
    shutdownTimeout: 4_000,
    bodyLimit: 4_194_304,
    pageSize: 0,
    allowedHosts: [],
    allowedOrigins: [],
    logLevel: "info",
    logFormat: "text",
    allowCommands: false,
    metrics: true,
    history: { days: 30, maxSize: 67_108_864, bodies: "off" },
    dashboard: { mode: "auto", edit: false },
    cacheSize: 16_777_216,
    gating: {
      mode: "off",
      maxTools: 50,
      maxTokens: 10_000,
      alwaysVisible: [],
      exposeProvisioned: false,
      requireProvisioning: false,
      splitByRisk: false,
      usageRanking: false,
    },
    profiles: [],
    tags: [],
  });
});

test("loadConfig() lets the later layer win, and undefined nothing", () =>
  inDirectory(async (directory) => {
    await writeFiles(directory, { "c.json": '{ "port": 1, "host": "file", "mcpServers": {} }' });
    const environment = settingsFromEnv({ MCPROXY_PORT: "2", MCPROXY_HOST: "env" });
    const load = async (layers: Layers) => {
      const result = await loadConfig(join(directory, "c.json"), { env: {}, layers });
      assert.ok(result.ok);
      return [result.config.settings.port, result.config.settings.host];
    };
    assert.deepEqual(await load({ environment: settingsFromEnv({}) }), [1, "file"]);
    assert.deepEqual(await load({ environment }), [2, "env"]);
    assert.deepEqual(await load({ environment, flags: { port: 0, host: undefined } }), [0, "env"]);
  }));

test("settingsFromEnv() reads host and port, empty ones being unset", () => {
  const settings = (env: Env) => settingsFromEnv(env).settings;
  assert.deepEqual(settings({ MCPROXY_HOST: "::1", MCPROXY_PORT: "0" }), { host: "::1", port: 0 });
  assert.deepEqual(settings({ MCPROXY_HOST: "", MCPROXY_PORT: "" }), {});
});

test("settingsFromEnv() refuses what is no port", () => {
  for (const port of ["abc", "70000", "-1", "1.5", " 80", "0x50"]) {
    const { issues } = settingsFromEnv({ MCPROXY_PORT: port });
    assert.match(issues[0]?.message ?? "", /expected a port number from 0 to 65535/, port);
  }
});

test("sanitizeName() keeps what names may contain and counts code points", () => {
  assert.equal(sanitizeName("My-server_1"), "My-server_1");
  assert.equal(sanitizeName("a b/c.d"), "a_b_c_d");
  assert.equal(sanitizeName("🚀é"), "__");
});

test("settingsFromEnv() has a variable for every setting, each read by its schema", () => {
  const texts: Record<keyof Settings, readonly [string, unknown]> = {
    host: ["::1", "::1"],
    port: ["0", 0],
    prefix: ["never", "never"],
    separator: ["__", "__"],
    startupTimeout: ["1m", 60_000],
    timeout: ["5000", 5_000],
    roots: ["/a,/b", [{ uri: "file:///a" }, { uri: "file:///b" }]],
    drainTimeout: ["0", 0],
    healthInterval: ["1s", 1_000],
    healthThreshold: ["3", 3],
    warmStart: ["false", false],
    startupGrace: ["0", 0],
    pin: ["block", "block"],
    staleGrace: ["1h", 3_600_000],
    sessionIdleTimeout: ["2h", 7_200_000],
    sessionMaxAge: ["24h", 86_400_000],
    shutdownTimeout: ["500ms", 500],
    bodyLimit: ["2048", 2_048],
    pageSize: ["10", 10],
    publicUrl: ["https://m.example/gw", "https://m.example/gw"],
    allowedHosts: ["a.example, b.example,", ["a.example", "b.example"]],
    allowedOrigins: ['["https://a.example"]', ["https://a.example"]],
    logLevel: ["debug", "debug"],
    logFormat: ["json", "json"],
    syslog: ['{"udp":"h:514"}', { udp: "h:514" }],
    allowCommands: ["true", true],
    cacheSize: ["1048576", 1_048_576],
    auth: [
      `{"keys":{"a":"sha256:${"0a".repeat(32)}"}}`,
      { keys: [{ name: "a", hash: "0a".repeat(32), expires: undefined }] },
    ],
    access: ['{"*":"dev"}', [{ who: "*", gives: ["dev"] }]],
    limits: ['{"calls":"5/s"}', { calls: { count: 5, per: "second" } }],
    audit: ['{"file":"/a"}', { file: "/a", arguments: "none", required: false }],
    metrics: ["false", false],
    history: ["off", "off"],
    otel: ["http://h", {
      endpoint: "http://h",
      headers: {},
      sample: 1,
      signals: ["traces", "logs", "metrics"],
    }],
    dashboard: ["on", { mode: "on", edit: false }],
    alerts: ['{"to":["https://h/"],"rules":[]}', {
      to: [{ kind: "webhook", url: "https://h/" }],
      rules: [],
    }],
    gating: ["off", { ...DEFAULT_SETTINGS.gating, mode: "off" }],
    embeddings: ['{"url":"http://h","model":"m"}', { url: "http://h", model: "m", timeout: 300 }],
    profiles: ['{"dev":{}}', [{ name: "dev" }]],
    tags: ['{"get_*":["read"]}', [{ match: "get_*", tags: ["read"] }]],
  };
  const schema = JSON.parse(generateSchema()) as { properties: Record<string, unknown> };
  const sections = ["$schema", "mcpServers", "servers", "context_servers"];
  const others = [...sections, "inputs", "proxy", "features"];
  const settings = Object.keys(schema.properties).filter((name) => !others.includes(name));
  assert.deepEqual(Object.keys(texts).sort(), settings.sort());
  const env = Object.fromEntries(
    Object.entries(texts).map(([name, [text]]) => [variableOf(name), text]),
  );
  const expected = Object.fromEntries(
    Object.entries(texts).map(([name, [, value]]) => [name, value]),
  );
  assert.deepEqual(settingsFromEnv(env), { settings: expected, issues: [], warnings: [] });
});

test("settingsFromEnv() names the member of a JSON text that is wrong, and shows no secret", () => {
  const cases: readonly [string, string, readonly string[]][] = [
    ["MCPROXY_GATING", '{"mode":"of"}', [
      'MCPROXY_GATING.mode: found "of", expected one of "off", "on", "auto" (did you mean "off"?)',
    ]],
    ["MCPROXY_GATING", '{"maxTool":1}', [
      'MCPROXY_GATING.maxTool: unknown key "maxTool" (did you mean "maxTools"?)',
    ]],
    ["MCPROXY_GATING", "maybe", [
      'MCPROXY_GATING: found "maybe", expected "off", "on" or "auto", or an object with "mode" ' +
      "and others",
    ]],
    ["MCPROXY_EMBEDDINGS", '{"apiKey":"topsecret","url":"h","timeout":0}', [
      'MCPROXY_EMBEDDINGS.url: found "h", expected a URL such as "https://example.com/mcp"',
      "MCPROXY_EMBEDDINGS.timeout: found 0, expected a duration such as 5000, " +
      '"5s" or "2m", more than 0',
      'MCPROXY_EMBEDDINGS: missing key "model"',
    ]],
    ["MCPROXY_EMBEDDINGS", '{"apiKey":"topsecret"', [
      "MCPROXY_EMBEDDINGS: found a string, expected an object with " +
      '"url", "model", "apiKey", "timeout"',
    ]],
  ];
  for (const [variable, text, expected] of cases) {
    const { issues } = settingsFromEnv({ [variable]: text });
    assert.deepEqual(issues.map((issue) => formatIssue(issue).replace(/^environment /, "")), [
      ...expected,
    ]);
  }
});

test("variableOf() is the name in capitals", () => {
  assert.equal(variableOf("sessionIdleTimeout"), "MCPROXY_SESSION_IDLE_TIMEOUT");
  assert.equal(variableOf("port"), "MCPROXY_PORT");
});

test("gating is off unless asked for, and a bound alone asks for auto", () => {
  const modeOf = (gating: unknown) => {
    const parsed = parseConfig(JSON.stringify({ gating, mcpServers: {} }), { file: "c", env: {} });
    assert.ok(parsed.ok);
    return parsed.config.settings.gating.mode;
  };
  assert.equal(modeOf(undefined), "off");
  assert.equal(modeOf({}), "off");
  assert.equal(modeOf({ alwaysVisible: ["a"] }), "off");
  assert.equal(modeOf({ maxTools: 40 }), "auto");
  assert.equal(modeOf({ maxTokens: 0 }), "auto");
  assert.equal(modeOf({ mode: "off", maxTokens: 500 }), "off");
  assert.equal(modeOf("on"), "on");
});
