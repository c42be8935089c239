import assert from "node:assert/strict";
import { test } from "node:test";
import type { Env } from "../../src/config/types.ts";
import { parseConfig } from "../../src/config/load.ts";
import { collectSecrets } from "../../src/config/secrets.ts";
import { createRedactor, REDACTED } from "../../src/lib/secrets.ts";

function secretsOf(server: unknown, env: Env = {}, settings: object = {}): readonly string[] {
  const text = JSON.stringify({ ...settings, mcpServers: { a: server } });
  const result = parseConfig(text, { file: "f.json", env });
  assert.ok(result.ok, JSON.stringify(result));
  return collectSecrets(result.config);
}

test("collectSecrets() has header values, whole and without their scheme", () => {
  const headers = { Authorization: "Bearer abcdef", "X-Key": "k-12345" };
  assert.deepEqual(secretsOf({ url: "https://h/mcp", headers }), [
    "Bearer abcdef",
    "k-12345",
    "abcdef",
  ]);
  const basic = `Basic ${btoa("user:pa55word")}`;
  assert.ok(secretsOf({ url: "https://h/mcp", headers: { A: basic } }).includes("pa55word"));
});

test("collectSecrets() has env values, long enough ones", () => {
  assert.deepEqual(secretsOf({ command: "x", env: { A: "s3cret", B: "on" } }), ["s3cret"]);
});

test("collectSecrets() leaves the words of every log alone", () => {
  const env = { LEVEL: "debug", PORT: "8080", NODE_ENV: "production", PIN: "123456" };
  assert.deepEqual(secretsOf({ command: "x", env }), ["123456"]);
  assert.deepEqual(secretsOf({ url: "https://h/", headers: { Accept: "application/json" } }), []);
});

test("collectSecrets() has the credentials in URLs", () => {
  assert.deepEqual(secretsOf({ url: "https://user:p%40ssw@h/mcp" }), ["p%40ssw", "p@ssw"]);
  assert.deepEqual(secretsOf({ url: "https://t0k3n@h/mcp" }), ["t0k3n"]);
  assert.deepEqual(secretsOf({ url: "https://h/mcp?page=12345&api_key=qwerty" }), ["qwerty"]);
  assert.deepEqual(secretsOf({ url: "https://h/s/a1B2c3D4e5F6g7H8i9J0/mcp" }), [
    "a1B2c3D4e5F6g7H8i9J0",
  ]);
});

test("collectSecrets() has the credentials in arguments", () => {
  const args = ["--token", "tok-1", "--api-key=key-2", "--verbose", "--secret", "--port", "8080"];
  assert.deepEqual(secretsOf({ command: "x", args }), ["key-2", "tok-1"]);
});

test("collectSecrets() has what variables brought in, unless they name harmless things", () => {
  const env = { HOME: "/home/user", MY_VALUE: "s3cret-value", XDG_DATA_HOME: "/data" };
  const server = { command: "x", args: ["${HOME}", "a-${MY_VALUE}", "${XDG_DATA_HOME}"] };
  assert.deepEqual(secretsOf(server, env), ["s3cret-value"]);
  assert.deepEqual(secretsOf({ command: "x" }, env, { host: "${MY_VALUE}" }), ["s3cret-value"]);
});

test("collectSecrets() puts the longest first and drops line breaks at the end", () => {
  const secrets = secretsOf({ command: "x", env: { A: "abcd", B: "abcdefgh\n" } });
  assert.deepEqual(secrets, ["abcdefgh\n", "abcdefgh", "abcd"]);
});

test("what collectSecrets() takes is what a redactor masks, down to four characters", () => {
  const cases: [server: unknown, told: string, masked: string][] = [
    [{ command: "x", env: { PIN: "k4Zq" } }, "sent k4Zq.", `sent ${REDACTED}.`],
    [{ url: "https://h/", headers: { Auth: "Bearer q7x9z" } }, "no q7x9z", `no ${REDACTED}`],
    [{ url: "https://user:p9w1@h/mcp" }, "login p9w1 failed", `login ${REDACTED} failed`],
    [{ command: "x", args: ["--token", "t5-kn"] }, "<t5-kn>", `<${REDACTED}>`],
    [{ command: "x", env: { PIN: "k3z" } }, "sent k3z.", "sent k3z."],
    [{ command: "x", env: { LEVEL: "debug", PORT: "8080" } }, "debug 8080", "debug 8080"],
  ];
  for (const [server, told, masked] of cases) {
    const secrets = secretsOf(server);
    assert.equal(createRedactor(secrets).text(told), masked, JSON.stringify(server));
    if (told === masked) assert.deepEqual(secrets, []);
  }
});
