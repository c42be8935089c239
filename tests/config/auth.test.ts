/** What `auth` may say, and that an issue about it never shows what was found. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { formatIssue } from "../../src/config/issue.ts";
import { parseConfig } from "../../src/config/load.ts";
import { collectSecrets } from "../../src/config/secrets.ts";
import { loadOptions } from "../../src/config/schema.ts";
import { keyMark, mayEnter } from "../../src/config/types.ts";

await loadOptions("auth");

const HASH = "0123456789abcdef".repeat(4);
const publicUrl = "https://mcp.example.com";
const issuer = "https://id.example.com";

function parse(auth: unknown, more: Readonly<Record<string, unknown>> = { publicUrl }) {
  const text = JSON.stringify({ mcpServers: {}, ...more, auth });
  return parseConfig(text, { file: "f.json", env: { KEY_HASH: `sha256:${HASH}` } });
}

function authOf(auth: unknown) {
  const result = parse(auth);
  assert.ok(result.ok, JSON.stringify(result));
  return result.config.settings.auth;
}

/** The issues, as a person reads them. */
function issuesOf(auth: unknown, more?: Readonly<Record<string, unknown>>): string {
  const result = parse(auth, more);
  assert.ok(!result.ok, JSON.stringify(auth));
  return result.issues.map(formatIssue).join("\n");
}

test("auth.keys are hashes by name, with an expiry where one is wanted", () => {
  const day = Date.parse("2027-03-31T00:00:00Z");
  const keys = {
    "laptop.1": `sha256:${HASH.toUpperCase()}`,
    ci: { hash: "${KEY_HASH}", expires: "2027-03-31" },
    cd: { hash: `sha256:${HASH}`, expires: "2027-03-31T12:00:00Z" },
  };
  assert.deepEqual(authOf({ keys })?.keys, [
    { name: "laptop.1", hash: HASH, expires: undefined },
    { name: "ci", hash: HASH, expires: day + 24 * 3_600_000 },
    { name: "cd", hash: HASH, expires: day + 12 * 3_600_000 },
  ]);
  // Whoever takes the last one out wants nobody in, and no invalid file.
  assert.deepEqual(authOf({ keys: {} }), { keys: [] });
});

test("an issue about a key says how to get a hash, and never what was found", () => {
  const secret = "mcproxy_k3yk3yk3yk3yk3yk3yk3yk3yk3yk3yk3yk3yk3yk3";
  const wrong = [secret, `sha256:${HASH}0`, `md5:${HASH}`, `sha256:${secret}`, ""];
  for (const found of wrong) {
    for (const key of [found, { hash: found }]) {
      const said = issuesOf({ keys: { ci: key } });
      assert.match(said, /f\.json:1:\d+ auth\.keys\.ci/);
      assert.match(said, /mcproxy keys add NAME.*mcproxy keys hash/);
      assert.ok(found === "" || !said.includes(found), said);
    }
  }
  const dates = ["2027-02-30", "tomorrow", "2027-3-1", "2027-03-31T25:00:00Z", "31.03.2027", 5];
  for (const expires of dates) {
    const said = issuesOf({ keys: { ci: { hash: `sha256:${HASH}`, expires } } });
    assert.match(said, /auth\.keys\.ci\.expires: .*a date such as "2027-03-31"/);
  }
  for (const name of ["", "a b", "key:x", "ä", "a/b", "x".repeat(65)]) {
    assert.match(issuesOf({ keys: { [name]: `sha256:${HASH}` } }), /letters, digits and \. _ -/);
  }
  assert.match(issuesOf({ keys: { ci: { hsh: 1 } } }), /hash/);
});

test("auth that lets in by nothing is an issue", () => {
  for (const auth of [{}, [], true, "mcproxy_x", { key: {} }]) issuesOf(auth);
  assert.match(issuesOf({}), /at least one of "keys", "issuers" and "proxy"/);
});

test("auth.issuers need an address, and can be told apart", () => {
  const [one] = authOf({ issuers: [{ issuer, audience: "a", header: "CF-Access" }] })?.issuers ??
    [];
  assert.equal(one?.header, "cf-access");
  assert.deepEqual([one?.audience, one?.scopes], [["a"], []]);
  assert.match(issuesOf({ issuers: [{ issuer }] }, {}), /auth\.issuers: .*set "publicUrl"/);
  const others = (...as: readonly string[]) => ({
    issuers: as.map((as, index) => ({ issuer: `${issuer}/${index}`, ...(as && { as }) })),
  });
  authOf(others("corp/", "home/"));
  for (const as of [["", ""], ["corp/", ""], ["", "corp/"], ["a/", "a/"], ["corp/", "corp/b/"]]) {
    assert.match(issuesOf(others(...as)), /auth\.issuers: .*"as" of its own/);
  }
  assert.match(issuesOf({ issuers: [{ issuer }, { issuer, as: "b/" }] }), /that stand here once/);
  for (const as of ["key:", "group:", "*", 'a"', "a b"]) issuesOf({ issuers: [{ issuer, as }] });
  for (const scopes of [["a b"], ['"'], [""], "a"]) issuesOf({ issuers: [{ issuer, scopes }] });
  for (const wrong of [{}, { issuer: "id" }, { issuer, header: "a b" }, { issuer, audience: [] }]) {
    issuesOf({ issuers: [wrong] });
  }
  const result = parse({ issuers: [{ issuer: "http://id.example.com" }] });
  assert.ok(result.ok && result.warnings.some(({ message }) => message.includes("in the clear")));
});

test("auth.proxy counts from addresses and blocks only", () => {
  const header = "X-Forwarded-User";
  const from = ["127.0.0.1", "10.0.0.0/8", "::1", "fd00::/8"];
  assert.deepEqual(authOf({ proxy: { header, from } })?.proxy, {
    header: "x-forwarded-user",
    from,
  });
  for (
    const from of [[], ["localhost"], ["10.0.0.0/33"], ["::/129"], ["10.0.0.1/"], ["*"], "::1"]
  ) {
    assert.match(issuesOf({ proxy: { header, from } }), /auth\.proxy\.from.*address/);
  }
  issuesOf({ proxy: { header } });
  for (const header of ["Authorization", "x-api-key", "a b", ""]) {
    issuesOf({ proxy: { header, from } });
    issuesOf({ issuers: [{ issuer, header }] });
  }
});

test("the log hides what is secret in the URL of an issuer's keys", () => {
  const jwks = "https://me:hunter22@id.example.com/keys?api_key=s3cr3ts3cr3t";
  const result = parse({ issuers: [{ issuer, jwks }] });
  assert.ok(result.ok);
  assert.deepEqual(collectSecrets(result.config), ["s3cr3ts3cr3t", "hunter22"]);
});

test("whether somebody may still get in is told by who he was", () => {
  const other = "f".repeat(64);
  const auth = authOf({
    keys: {
      ann: `sha256:${HASH}`,
      old: { hash: `sha256:${other}`, expires: "2020-01-01" },
    },
    issuers: [{ issuer }],
  });
  const mark = keyMark(auth, "key:ann");
  assert.equal(mark, HASH.slice(0, 16));
  assert.deepEqual([keyMark(auth, "key:bob"), keyMark(undefined, "key:ann")], [
    undefined,
    undefined,
  ]);
  const proxied = authOf({ proxy: { header: "x-user", from: ["127.0.0.1"] } });
  const rows = [
    // The gateway's own, and its commands'.
    [undefined, "", undefined, true],
    [auth, "local", undefined, true],
    [auth, "key:ann", mark, true],
    [auth, "key:ann", undefined, false],
    [auth, "key:ann", other.slice(0, 16), false],
    [auth, "key:bob", mark, false],
    [auth, "key:old", undefined, false],
    [undefined, "key:ann", mark, false],
    [auth, `${issuer} ann of accounts`, undefined, true],
    [auth, `${issuer}/other ann`, undefined, false],
    [proxied, `${issuer} ann`, undefined, false],
    [auth, "proxy:ann", undefined, false],
    [proxied, "proxy:ann", undefined, true],
    [proxied, "key:ann", mark, false],
  ] as const;
  for (const [auth, principal, mark, may] of rows) {
    assert.equal(mayEnter(auth, principal, mark), may, `${principal} ${mark}`);
  }
});
