/** Tokens of issuers: which let in, whom, and what is answered where none does. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { SignJWT } from "jose";
import { bearer, doorOf, FakeIssuer, ISSUER, issuerOf, key, NOW, PUBLIC_URL } from "./support.ts";

const WELL_KNOWN = `${PUBLIC_URL}/.well-known/oauth-protected-resource`;
const METADATA = `resource_metadata="${WELL_KNOWN}/mcp"`;
const MISSING = `401 Bearer ${METADATA}`;
const wrong = (why: string, path = "/mcp") =>
  `401 Bearer resource_metadata="${WELL_KNOWN}${path}", error="invalid_token", ` +
  `error_description="${why}"`;
const inAs = (sub: string) => `in as ${ISSUER} ${sub}`;
const SECONDS = NOW / 1_000;

async function house(more: Parameters<typeof issuerOf>[0] = {}) {
  const issuer = new FakeIssuer();
  await issuer.rotate("a");
  return { issuer, ...doorOf({ issuers: [issuerOf(more)] }, issuer) };
}

test("a token lets in whom it is of, with name, groups and scopes", async () => {
  const { issuer, enter } = await house({ name: "email", groups: "realm.roles", as: "corp/" });
  const token = await issuer.sign({
    email: "alice@example.com",
    realm: { roles: ["dev", "admins", 5] },
    scope: "mcp:use  mcp:write",
    scp: ["more"],
  });
  const admission = await enter(bearer(token));
  assert.deepEqual(admission.principal, {
    id: `${ISSUER} u1`,
    who: "corp/alice@example.com",
    names: [
      "corp/alice@example.com",
      ...["group:corp/dev", "group:corp/admins"],
      ...["scope:corp/mcp:use", "scope:corp/mcp:write", "scope:corp/more"],
    ],
  });
  // Remembered, and until the clock of neither side can say otherwise.
  assert.equal(await enter(bearer(token)), admission);
  assert.ok(admission.holds(NOW + 3_629_999) && !admission.holds(NOW + 3_630_000));
  assert.deepEqual(issuer.asked.length, 3);
});

test("a name counts as far as the issuer stands up for it", async () => {
  const named = async (more: Parameters<typeof issuerOf>[0], claims: Record<string, unknown>) => {
    const { issuer, enter } = await house(more);
    const { principal } = await enter(bearer(await issuer.sign(claims)));
    return [principal.who, ...principal.names];
  };
  assert.deepEqual(await named({}, { email: "a@b" }), ["u1", "u1"]);
  const email = { name: "email" };
  assert.deepEqual(await named(email, { email: "a@b", email_verified: true }), ["a@b", "a@b"]);
  assert.deepEqual(await named(email, { email: "a@b", email_verified: false }), ["u1"]);
  assert.deepEqual(await named(email, { email: "a@b", email_verified: "false" }), ["u1"]);
  assert.deepEqual(await named(email, {}), ["u1"]);
  assert.deepEqual(await named(email, { email: ["a@b"] }), ["u1"]);
  assert.deepEqual(await named(email, { email: "group:admins" }), ["u1"]);
  // Nor does anybody look like somebody else to whoever reads the log.
  const full = `${ISSUER} key:ci`;
  assert.deepEqual(await named({}, { sub: "key:ci", groups: ["admins"] }), [full]);
  assert.deepEqual(await named(email, { email: "local", email_verified: true }), ["u1", "local"]);
  assert.deepEqual(await named(email, { email: "*", sub: "local" }), [`${ISSUER} local`]);
  const long = await Promise.all(
    ["a", "b"].map(async (end) => (await named({}, { sub: "x".repeat(100) + end }))[0]!),
  );
  assert.notEqual(long[0], long[1]);
  assert.match(long[0]!, /^x{100}…[0-9a-f]{12}$/);
  const url = { groups: "https://example.com/groups" };
  assert.deepEqual(await named(url, { "https://example.com/groups": "a b" }), [
    "u1",
    "u1",
    "group:a b",
  ]);
});

test("a token lets in only where, when and from whom it says", async () => {
  const { issuer, refused } = await house();
  const signed = async (...how: Parameters<FakeIssuer["sign"]>) =>
    await refused(bearer(await issuer.sign(...how)));
  assert.equal(await refused({}), MISSING);
  for (
    const aud of [PUBLIC_URL, `${PUBLIC_URL}/`, `${PUBLIC_URL}/mcp`, ["x", `${PUBLIC_URL}/mcp/`]]
  ) {
    assert.equal(await signed({ aud }), inAs("u1"), String(aud));
  }
  assert.equal(await signed({ exp: SECONDS - 29 }), inAs("u1"));
  assert.equal(await signed({ nbf: SECONDS + 29 }), inAs("u1"));
  assert.equal(await signed({}, { typ: "at+jwt" }), inAs("u1"));
  for (const exp of [SECONDS - 30, SECONDS - 99_999]) {
    assert.equal(await signed({ exp }), wrong("expired"));
  }
  const bad: Parameters<FakeIssuer["sign"]>[0][] = [
    ...["https://other.example.com", `${PUBLIC_URL}.evil.com`, `${PUBLIC_URL}/sse`, [], "", "*"]
      .map((aud) => ({ aud })),
    ...["https://evil.example.com", `${ISSUER}/`, "", undefined].map((iss) => ({ iss: iss! })),
    ...["", undefined, 5, null].map((sub) => ({ sub: sub as string })),
    ...[undefined, null, "x"].map((exp) => ({ exp: exp as unknown as number })),
    { nbf: SECONDS + 31 },
  ];
  for (const [index, payload] of bad.entries()) {
    const token = bearer(await issuer.sign(payload));
    const said = await refused(token, { peer: `192.0.2.${index}` });
    assert.equal(said, wrong("invalid"), JSON.stringify(payload));
  }
  for (const typ of ["logout+jwt", "dpop+jwt", "application/secevent+jwt"]) {
    assert.equal(await signed({}, { typ }), wrong("invalid"));
  }
});

test("a token is good at the endpoint that it is for, and remembered as that", async () => {
  const { issuer, refused } = await house();
  const token = bearer(await issuer.sign({ aud: `${PUBLIC_URL}/profiles/dev/mcp` }));
  const path = "/profiles/dev/mcp";
  assert.equal(await refused(token), wrong("invalid"));
  assert.equal(await refused(token, { path }), inAs("u1"));
  const old = bearer(await issuer.sign({ aud: `${PUBLIC_URL}/profiles/dev/sse` }));
  assert.equal(await refused(old, { path: "/messages" }), inAs("u1"));
  assert.equal(await refused(token, { path: "/messages" }), wrong("invalid", "/messages"));
  // It is nobody's guess, so it is never too many.
  for (let i = 0; i < 30; i++) assert.equal(await refused(token), wrong("invalid"));
  assert.equal(await refused(token, { path }), inAs("u1"));
});

test("old tokens, however they are spelled and accompanied, take no turns of others", async () => {
  const { issuer, clock, enter, refused } = await house();
  const old = await issuer.sign({ exp: SECONDS - 99, more: "x".repeat(4_000) });
  for (let i = 1; i < 120; i++) {
    const authorization = `${i % 2 ? "bearer" : "BEARER"}${" ".repeat(i)}${old}`;
    assert.equal(await refused({ authorization }), wrong("expired"));
  }
  // Another one is genuine as well, and not what is looked at first.
  const [head, payload] = (await issuer.sign()).split(".");
  const told = new Map<string, number>();
  for (let i = 100; i < 220; i++) {
    const answer = await refused({ ...bearer(old), "x-api-key": `${head}.${payload}.A${i}` });
    told.set(answer, (told.get(answer) ?? 0) + 1);
  }
  assert.deepEqual([...told.keys()], [wrong("expired"), "503 1"]);
  assert.ok(told.get(wrong("expired"))! <= 41);
  const other = { peer: "192.0.2.2" };
  const admission = await enter(bearer(await issuer.sign()), other);
  // Nor is that a guess, so that whoever has a new token there is let in.
  clock.now += 1_000;
  assert.equal(
    (await enter(bearer(await issuer.sign({ jti: "2" })))).principal.id,
    admission.principal.id,
  );
});

test("one key, however it is spelled and accompanied, is remembered once", async () => {
  const issuer = new FakeIssuer();
  await issuer.rotate("a");
  const { enter } = doorOf({ issuers: [issuerOf()], keys: [key("ci", "mcproxy_ci")] }, issuer);
  const token = bearer(await issuer.sign());
  const admission = await enter(token);
  for (let i = 0; i < 1_400; i++) {
    await enter({ authorization: `bearer${" ".repeat(i + 1)}mcproxy_ci` });
    await enter({ authorization: `BEARER${" ".repeat(i + 1)}mcproxy_ci` });
    await enter({ authorization: `Basic ${i}`, "x-api-key": "mcproxy_ci" });
  }
  assert.equal(await enter(token), admission);
});

test("an audience that is configured is the only one", async () => {
  const { issuer, refused } = await house({ audience: ["api://mcp", "other"] });
  const signed = async (aud: string | string[]) =>
    await refused(bearer(await issuer.sign({ aud })));
  assert.equal(await signed("api://mcp"), inAs("u1"));
  assert.equal(await signed(["x", "other"]), inAs("u1"));
  assert.equal(await signed(PUBLIC_URL), wrong("invalid"));
  assert.equal(await signed("api://mcp/"), wrong("invalid"));
});

test("nothing that anybody could sign lets in", async () => {
  const { issuer, refused } = await house();
  const [head, payload, signature] = (await issuer.sign()).split(".");
  const encoded = (value: unknown) => btoa(JSON.stringify(value)).replace(/=+$/, "");
  const secret = new TextEncoder().encode(JSON.stringify(issuer.keys[0]));
  const hmac = await new SignJWT({ iss: ISSUER, sub: "u1", aud: PUBLIC_URL, exp: SECONDS + 60 })
    .setProtectedHeader({ alg: "HS256", kid: "a" }).sign(secret);
  const other = new FakeIssuer();
  await other.rotate("a");
  const forged = [
    `${encoded({ alg: "none" })}.${payload}.`,
    `${encoded({ alg: "none" })}.${payload}.${signature}`,
    `${encoded({ alg: "none", kid: "a" })}.${payload}.AA`,
    hmac,
    await other.sign(),
    `${head}.${encoded({ iss: ISSUER, sub: "admin", aud: PUBLIC_URL, exp: 9e9 })}.${signature}`,
    `${head}.${payload}.`,
    `${head}.${payload}`,
    `${head}.${payload}.${signature}.`,
    `${encoded({ alg: "ES256", kid: "a", crit: ["x"], x: 1 })}.${payload}.${signature}`,
    `${encoded({ alg: "ES256", jwk: other.keys[0] })}.${payload}.${signature}`,
    `${encoded({ alg: "ES256", jku: "https://evil.example.com/" })}.${payload}.${signature}`,
  ];
  for (const token of forged) assert.equal(await refused(bearer(token)), wrong("invalid"), token);
  assert.ok(issuer.asked.every((url) => url.startsWith(ISSUER)));
});

test("an issuer has its own header where it says so, and others their tokens in theirs", async () => {
  const [issuer, signing] = [new FakeIssuer(), new FakeIssuer("https://access.example.com/team")];
  await issuer.rotate("a");
  await signing.rotate("a");
  const fetch = issuer.fetch;
  const both = Object.assign(issuer, {
    fetch: (url: string) => url.startsWith(ISSUER) ? fetch(url) : signing.fetch(url),
  });
  const header = "cf-access-jwt-assertion";
  const { door, enter, refused } = doorOf({
    issuers: [
      issuerOf({ as: "a/", scopes: ["mcp:use", "offline_access"] }),
      { issuer: signing.issuer, as: "b/", audience: ["team"], header, scopes: ["no"] },
    ],
  }, both);
  const metadata = `401 Bearer ${METADATA}, scope="mcp:use offline_access"`;
  assert.equal(await refused({}), metadata);
  const token = await signing.sign({ aud: "team" });
  const by = await enter({ [header]: token });
  assert.deepEqual(by.principal.names, ["b/u1"]);
  assert.equal(await enter({ [header]: token }), by);
  assert.match(await refused(bearer(token)), /error="invalid_token"/);
  assert.match(await refused({ [header]: await issuer.sign() }), /error="invalid_token"/);
  assert.match(await refused({ [header]: token, ...bearer("x") }), /error="invalid_token"/);
  const first = await enter({ [header]: token, ...bearer(await issuer.sign()) });
  assert.deepEqual(first.principal.names, ["a/u1"]);

  // Clients are sent to those only that they can get a token from.
  const document = {
    resource: `${PUBLIC_URL}/profiles/dev/mcp`,
    authorization_servers: [ISSUER],
    scopes_supported: ["mcp:use"],
    bearer_methods_supported: ["header"],
    resource_name: "mcproxy",
  };
  const response = door.metadata("/profiles/dev/mcp")!;
  assert.deepEqual(await response.json(), document);
  assert.equal(response.headers.get("access-control-allow-origin"), "*");
  assert.equal(response.headers.get("cache-control"), "public, max-age=300");
  assert.equal((await door.metadata("")!.json()).resource, PUBLIC_URL);
  assert.equal((await door.metadata("/")!.json()).resource, PUBLIC_URL);

  const lacks = door.lacksScope(["a/mcp:write", "b/x", "bare", 'a"b', "c d"], '/x"\r\ny')
    .toResponse();
  assert.equal(lacks.status, 403);
  assert.equal(
    lacks.headers.get("www-authenticate"),
    'Bearer error="insufficient_scope", scope="mcp:write x bare", ' +
      `resource_metadata="${PUBLIC_URL}/.well-known/oauth-protected-resource/x%22%0D%0Ay"`,
  );
});

test("the address may have a path, which comes before that of an endpoint", async () => {
  const { door } = doorOf({ issuers: [issuerOf()] });
  door.reload({ auth: { issuers: [issuerOf()] }, publicUrl: `${PUBLIC_URL}/gateway/` });
  assert.equal((await door.metadata("/mcp")!.json()).resource, `${PUBLIC_URL}/gateway/mcp`);
  assert.equal((await door.metadata("")!.json()).resource, `${PUBLIC_URL}/gateway`);
});

test("an issuer that is changed or taken out lets nobody stay, one that is not does", async () => {
  const { issuer, door, enter, refused } = await house();
  const token = bearer(await issuer.sign());
  const admission = await enter(token);
  door.reload({ auth: { issuers: [issuerOf()], keys: [] }, publicUrl: PUBLIC_URL });
  assert.equal(await enter(token), admission);
  door.reload({ auth: { issuers: [issuerOf({ as: "x/" })] }, publicUrl: PUBLIC_URL });
  assert.ok(!admission.holds(NOW));
  assert.deepEqual((await enter(token)).principal.names, ["x/u1"]);
  door.reload({ auth: { issuers: [issuerOf()] }, publicUrl: "https://else.example.com" });
  assert.match(await refused(token), /error="invalid_token"/);
  door.reload({ auth: { keys: [] }, publicUrl: PUBLIC_URL });
  assert.match(await refused(token), /realm="mcproxy", error="invalid_token"/);
});
