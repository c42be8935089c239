/** `auth` of a server that is told who asks by tokens. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { formatIssue } from "../../src/config/issue.ts";
import { parseConfig } from "../../src/config/load.ts";
import { loadOptions } from "../../src/config/schema.ts";
import { collectSecrets } from "../../src/config/secrets.ts";
import type { HttpTarget } from "../../src/config/types.ts";

await loadOptions("auth");

function parse(auth: unknown, more: object = { url: "https://mcp.example.com/mcp" }) {
  const text = JSON.stringify({ mcpServers: { it: { ...more, auth } } });
  return parseConfig(text, { file: "f.json", env: {} });
}

function targetOf(auth: unknown): HttpTarget {
  const result = parse(auth);
  assert.ok(result.ok, JSON.stringify(result));
  return result.config.servers.get("it")!.instances[0] as HttpTarget;
}

function issuesOf(auth: unknown): string {
  const result = parse(auth);
  assert.ok(!result.ok, JSON.stringify(auth));
  return result.issues.map(formatIssue).join("\n");
}

const issuer = "https://id.example.com";
const machine = { type: "client-credentials", issuer, clientId: "gw" };

test("a login is no header, and belongs to what a connection depends on", () => {
  const { headers, login } = targetOf({ type: "oauth", scope: "read write", resource: false });
  assert.deepEqual({ ...headers }, {});
  assert.deepEqual(login, { type: "oauth", scope: "read write", resource: false });
  assert.deepEqual(targetOf({ ...machine, clientSecret: "s3cret-of-gw" }).login, {
    ...machine,
    clientSecret: "s3cret-of-gw",
  });
  const keys = ["a", "b"].map((clientId) => {
    const result = parse({ type: "oauth", clientId });
    return result.ok && result.config.servers.get("it")!.key;
  });
  assert.notEqual(keys[0], keys[1]);
  const basic = targetOf({ type: "bearer", token: "t0ken" });
  assert.equal(basic.login, undefined);
  assert.deepEqual({ ...basic.headers }, { Authorization: "Bearer t0ken" });
});

test("what cannot work is said with what is expected, and no secret is shown", () => {
  const secret = "s3cret-of-gw";
  const cases: readonly (readonly [unknown, RegExp])[] = [
    [{ type: "oauht" }, /"bearer", "basic", "oauth", "client-credentials".*did you mean "oauth"/],
    [{ type: "oauth", clientSecret: secret }, /"clientId" beside "clientSecret"/],
    [{ type: "oauth", clientId: "a", clientUrl: "https://a.example/c" }, /not both/],
    [{ type: "oauth", clientUrl: "http://a.example/c" }, /https, or of http on loopback/],
    [{ type: "oauth", issuer: "http://10.0.0.1" }, /https, or of http on loopback/],
    [{ type: "oauth", redirect: "https://a.example/callback" }, /a URL on loopback/],
    [{ type: "oauth", redirect: "https://127.0.0.1:8765/callback" }, /on loopback, of http, such/],
    [{ type: "oauth", clientId: "a", clientSecret: secret }, /"issuer" beside "clientSecret"/],
    [{ type: "oauth", per: "all" }, /auth\.per: found a string, expected one of "user"/],
    [{ type: "oauth", scope: "a  b" }, /scopes with blanks between/],
    [{ type: "oauth", scope: 'a"' }, /scopes with blanks between/],
    [{ type: "oauth", resource: true }, /a string, or false/],
    [{ type: "oauth", token: "x" }, /unknown key "token"/],
    [{ type: "client-credentials", clientId: "a", clientSecret: secret }, /missing key "issuer"/],
    [{ type: "client-credentials", issuer, clientSecret: secret }, /missing key "clientId"/],
    [machine, /either "clientSecret" or "privateKey"/],
    [{ ...machine, clientSecret: secret, privateKey: secret }, /either "clientSecret" or/],
    [{ ...machine, clientSecret: secret, issuer: "http://id.example.com" }, /https, or of http/],
    [{ ...machine, clientSecret: secret, redirect: "http://127.0.0.1/" }, /unknown key "redirect"/],
  ];
  for (const [auth, expected] of cases) {
    const said = issuesOf(auth);
    assert.match(said, expected, JSON.stringify(auth));
    assert.ok(!said.includes(secret), said);
  }
  assert.equal(
    targetOf({ ...machine, issuer: "http://127.0.0.1:9", clientSecret: "x" }).kind,
    "http",
  );
});

test("secrets of a login are hidden, and a login beside a header is refused", () => {
  for (const key of ["clientSecret", "privateKey"]) {
    const result = parse({ ...machine, [key]: "s3cret-of-gw" });
    assert.ok(result.ok);
    assert.ok(collectSecrets(result.config).includes("s3cret-of-gw"), key);
  }
  const both = parse({ type: "oauth" }, { url: "https://h/mcp", headers: { authorization: "x" } });
  assert.ok(!both.ok && /found both "auth" and the header/.test(formatIssue(both.issues[0]!)));
  const command = parse({ type: "oauth" }, { command: "x" });
  assert.ok(command.ok && /"auth" has no effect/.test(formatIssue(command.warnings[0]!)));
});

test("a login of each user needs users, and their results are not for everybody", () => {
  const text = (more: object, server: object = {}) =>
    JSON.stringify(
      {
        ...more,
        mcpServers: {
          jira: { url: "https://h/mcp", auth: { type: "oauth", per: "user" }, ...server },
        },
      },
      undefined,
      1,
    );
  const saidOf = (...given: Parameters<typeof text>) => {
    const result = parseConfig(text(...given), { file: "f.json", env: {} });
    return result.ok ? [] : result.issues.map(formatIssue);
  };
  const auth = { keys: { laptop: `sha256:${"0".repeat(64)}` } };
  assert.deepEqual(saidOf({ auth }), []);
  assert.deepEqual(saidOf({}), [
    'f.json:7:12 mcpServers.jira.auth.per: without "auth" nobody can be told from anybody else; ' +
    'add "auth" beside "mcpServers"; or leave "per" out, and one login is for all',
  ]);
  // An "auth" that is wrong is there all the same.
  assert.deepEqual(saidOf({ auth: {} }).length, 1);
  const [said = "", ...more] = saidOf({ auth }, {
    cache: { "get_*": { ttl: "1m", public: true }, mine: { ttl: "1m" } },
  });
  assert.match(
    said,
    /jira\.cache\["get_\*"\]\.public: found results for everybody beside "per"; leave it out/,
  );
  assert.deepEqual(more, []);
});
