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
  const secrets = secretsOf({ command: "x", env: { PASS: "abcd", B_TOKEN: "abcdefgh\n" } });
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

test("collectSecrets() takes of env what is a secret by its name or look, and no plain word", () => {
  const env = {
    PGUSER: "postgres",
    NODE_OPTIONS: "--max-old-space-size=4096",
    REGION: "us-east-1",
    MODEL: "gpt-4o-mini",
    AUTH_MODE: "oauth",
    TOKEN_FILE: "/run/secrets/token",
    DATA: "/home/jane/x86_64/data",
    GREETING: "こんにちは",
  };
  assert.deepEqual(secretsOf({ command: "x", env }), []);
  const secret = {
    PGPASSWORD: "hunter",
    GH_PAT: "letters",
    dbPass: "correct",
    DATABASE_URL: "postgres://shop:horse@db.local/shop",
    DSN: "host=db;password=battery;user=me",
    ANY: "x9y8z7q6",
  };
  assert.deepEqual(secretsOf({ command: "x", env: secret }), [
    "x9y8z7q6",
    "battery",
    "correct",
    "letters",
    "hunter",
    "horse",
  ]);
});

test("collectSecrets() takes nothing that a server's name contains", () => {
  const env = { TOKEN: "postgres", PASSWORD: "gres" };
  const text = JSON.stringify({ mcpServers: { postgres: { command: "x", env } } });
  const result = parseConfig(text, { file: "f.json", env: {} });
  assert.ok(result.ok);
  assert.deepEqual(collectSecrets(result.config), []);
});

test("collectSecrets() finds secrets in arguments however they are given", () => {
  const cases: [args: string[], secret: string][] = [
    [["run", "-i", "-e", "API_KEY=abcdef", "img"], "abcdef"],
    [["run", "--env", "GH_TOKEN=abcdef", "img"], "abcdef"],
    [["run", "--env=GH_TOKEN=abcdef", "img"], "abcdef"],
    [["run", "-e", "OTHER=x9y8z7q6", "img"], "x9y8z7q6"],
    [["mcp-remote", "https://h/", "--header", "X-Api-Key: abcdef"], "abcdef"],
    [["mcp-remote", "https://h/", "--header", "X-Api-Key:abcdef"], "abcdef"],
    [["mcp-remote", "https://h/", "--header", "Authorization: Bearer abcdef"], "abcdef"],
    [["-t", "tok9abc"], "tok9abc"],
    [["--pat", "abcdef"], "abcdef"],
    [["--password", "correct horse"], "correct horse"],
    [["-c", "server --password abcdef --verbose"], "abcdef"],
    [["--db", "postgres://me:abcdef@h/d"], "abcdef"],
    [["--db=postgres://me:abcdef@h/d"], "abcdef"],
    [["--headers", '{"Authorization": "Bearer abcdef"}'], "abcdef"],
    [["ghp_0123456789abcdefABCDEF"], "ghp_0123456789abcdefABCDEF"],
  ];
  for (const [args, secret] of cases) {
    const { text } = createRedactor(secretsOf({ command: "x", args }));
    assert.equal(text(`<${secret}>`), `<${REDACTED}>`, JSON.stringify(args));
  }
  const plain = [
    ["-y", "@modelcontextprotocol/server-memory@2026.1.14", "-t", "stdio", "--auth-mode", "oauth"],
    ["run", "-p", "8080:80", "-e", "LOG_LEVEL=debug", "ghcr.io/github/github-mcp-server"],
    ["--max-tokens", "40960", "--token-file", "/run/secrets/token", "--author", "jane"],
  ];
  for (const args of plain) assert.deepEqual(secretsOf({ command: "x", args }), []);
});

test("a redactor takes secrets of any length, and is made of no pattern", () => {
  const pem = Array.from({ length: 600 }, (_, i) => btoa(`line ${i} of a certificate bundle`));
  for (
    const [secret, told] of [
      ["k9".repeat(200_000), "k9".repeat(200_000)],
      ["日本語の秘密".repeat(700), "日本語の秘密".repeat(700)],
      [pem.join("\n"), pem[500]!],
      [JSON.stringify({ a: [...pem] }), JSON.stringify({ a: [...pem] })],
      [".*+?^$()|[\\]".repeat(5_000), ".*+?^$()|[\\]".repeat(5_000)],
    ] as const
  ) {
    const { text } = createRedactor(secretsOf({ command: "x", env: { BUNDLE_TOKEN: secret } }));
    assert.equal(text(`<${told}>`), `<${REDACTED}>`);
  }
});
