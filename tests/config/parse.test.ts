import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Config, Env } from "../../src/config/types.ts";
import { formatIssue } from "../../src/config/issue.ts";
import { parseConfig } from "../../src/config/load.ts";
import { rounds } from "../support/rounds.ts";

function parse(text: string, env: Env = {}): Config {
  const result = parseConfig(text, { file: "f.json", env });
  assert.ok(result.ok, JSON.stringify(result));
  return result.config;
}

function keyOf(server: unknown, env: Env = {}): string | undefined {
  return parse(JSON.stringify({ mcpServers: { a: server } }), env).servers.get("a")?.key;
}

/** Whatever comes out must be printable and placed. */
function assertSound(text: string): void {
  const result = parseConfig(text, { file: "f.json", env: { NAME: "v" } });
  const issues = result.ok ? result.warnings : result.issues;
  assert.ok(result.ok || issues.length > 0);
  for (const issue of issues) {
    assert.ok(issue.line >= 1 && issue.column >= 1);
    assert.match(formatIssue(issue), /^f\.json:\d+:\d+.*: ./);
  }
}

test("parseConfig() never throws for any text", () => {
  const token = fc.constantFrom(
    ...["{", "}", "[", "]", ",", ":", '"', "\\", "//", "/*", "*/", "\n", "\uFEFF", "1e", "true"],
    ...['"mcpServers"', '"command"', '"url"', "${", "$${", ":-", "\uD800", "\0"],
  );
  const text = fc.oneof(
    fc.string(),
    fc.string({ unit: "binary" }),
    fc.array(token, { maxLength: 30 }).map((tokens) => tokens.join("")),
  );
  fc.assert(fc.property(text, assertSound), { numRuns: rounds(1000) });
});

test("parseConfig() never throws for any JSON", () => {
  fc.assert(fc.property(fc.json({ maxDepth: 6 }), assertSound), { numRuns: rounds(500) });
});

test("parseConfig() never throws for nearly right configurations", () => {
  const name = fc.constantFrom("a", "a b", "a.b", "", "__proto__", "constructor", "7", "🚀");
  const text = fc.constantFrom("x", "${NAME}", "${NONE}", "${NONE:-5s}", "${", "https://h/", "5s");
  const value = fc.oneof(text, fc.jsonValue({ maxDepth: 2 }), fc.array(text), fc.boolean());
  const key = fc.constantFrom(
    ...["command", "args", "env", "cwd", "url", "headers", "transport", "type", "protocol"],
    ...[
      "disabled",
      "enabled",
      "timeout",
      "prefix",
      "separator",
      "alwaysAllow",
      "comand",
      "toString",
    ],
  );
  const server = fc.oneof(fc.dictionary(key, value, { maxKeys: 5 }), value);
  const setting = fc.constantFrom("port", "host", "timeout", "syslog", "allowedHosts", "$schema");
  const root = fc.tuple(
    fc.dictionary(name, server, { maxKeys: 3 }),
    fc.dictionary(setting, value, { maxKeys: 3 }),
  );
  fc.assert(
    fc.property(root, ([mcpServers, settings]) => {
      const text = JSON.stringify({ ...settings, mcpServers });
      assertSound(text);
      const result = parseConfig(text, { file: "f.json", env: { NAME: "v" } });
      // No server is ever lost without a word.
      if (result.ok) assert.equal(result.config.servers.size, Object.keys(mcpServers).length);
    }),
    { numRuns: rounds(1000) },
  );
});

test("parseConfig() stays bounded for a file full of mistakes", () => {
  const servers = Array.from({ length: 20_000 }, (_, index) => `"s${index}": { "comand": 1 }`);
  const result = parseConfig(`{ "mcpServers": { ${servers.join(",")} } }`, { file: "f", env: {} });
  assert.ok(!result.ok);
  assert.equal(result.issues.length, 100);
});

test("parseConfig() tells the same place with either line end", () => {
  const text = '{\n  "mcpServers": {\n    "a": { "command": 1 }\n  }\n}';
  const [lf, crlf] = [text, text.replaceAll("\n", "\r\n")].map((variant) =>
    parseConfig(variant, { file: "f.json", env: {} })
  );
  assert.deepEqual(lf, crlf);
});

test("parseConfig() reports an unset variable for its server only, at its place", () => {
  const config = parse(
    '{"mcpServers":{\n"a":{"command":"x","env":{"T":"${T}"}},\n"b":{"command":"y"}}}',
  );
  const problem = config.servers.get("a")?.problem;
  assert.deepEqual(problem, {
    file: "f.json",
    line: 2,
    column: 31,
    path: "mcpServers.a.env.T",
    message: 'environment variable "T" is not set',
    remedy: 'set it, or write a default: "${T:-default}"',
  });
  assert.equal(config.servers.get("b")?.problem, undefined);
});

test("parseConfig() shows no value of the environment in any issue", () => {
  const env = { CANARY: "c4n4ry-v4lue" };
  const values = ['"${CANARY}"', '["${CANARY}", 5]', '{ "a": "${CANARY}", "b": 5 }'];
  const keys = ["command", "args", "env", "cwd", "url", "headers", "transport", "type", "protocol"];
  const more = ["disabled", "enabled", "timeout", "startupTimeout", "prefix", "separator", "nope"];
  const settings = ["port", "host", "syslog", "logLevel", "allowedHosts", "bodyLimit", "timeout"];
  let issues = 0;
  for (const value of values) {
    const files = [
      ...[...keys, ...more].map((key) => `{ "mcpServers": { "a": { "${key}": ${value} } } }`),
      `{ "mcpServers": { "a": { "url": "https://h/", "transport": ${value}, "type": "sse" } } }`,
      ...settings.map((key) => `{ "${key}": ${value}, "mcpServers": {} }`),
    ];
    for (const text of files) {
      const result = parseConfig(text, { file: "f.json", env });
      issues += result.ok ? 0 : result.issues.length;
      if (!result.ok) assert.doesNotMatch(JSON.stringify(result.issues), /c4n4ry/, text);
    }
  }
  assert.ok(issues > 50, `only ${issues} issues`);
});

test("ServerConfig.key changes with what a connection depends on, and with nothing else", () => {
  const base = { command: "x", args: ["1", "2"], env: { A: "1", B: "2" } };
  const key = keyOf(base);
  assert.ok(key !== undefined);
  assert.equal(keyOf({ env: { B: "2", A: "1" }, args: ["1", "2"], command: "x" }), key);
  assert.equal(keyOf({ ...base, timeout: 1, startupTimeout: "1s", prefix: "never" }), key);
  assert.equal(keyOf({ ...base, disabled: true, description: "n", type: "stdio" }), key);
  assert.equal(keyOf({ ...base, env: { A: "${X}", B: "2" } }, { X: "1" }), key);
  const others = [
    { ...base, command: "y" },
    { ...base, args: ["2", "1"] },
    { ...base, env: { A: "1" } },
    { ...base, cwd: "/" },
    { ...base, protocol: "legacy" },
    { url: "https://x/" },
    { url: "https://x/", transport: "sse" },
    { url: "https://x/", headers: { A: "1" } },
  ].map((server) => keyOf(server));
  assert.equal(new Set([key, ...others]).size, others.length + 1);
});
