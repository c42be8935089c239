/** The keys of issuers: rotated, gone, slow, empty; and how often anybody asks for them. */

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { inDirectory } from "../../config/temp.ts";
import { bearer, doorOf, FakeIssuer, ISSUER, issuerOf, NOW } from "./support.ts";

const IN = `in as ${ISSUER} u1`;
const invalid = /^401 .*error_description="invalid"/;

async function house(more: Parameters<typeof issuerOf>[0] = { jwks: `${ISSUER}/keys` }) {
  const issuer = new FakeIssuer();
  await issuer.rotate("a");
  return { issuer, ...doorOf({ issuers: [issuerOf(more)] }, issuer) };
}

test("keys are found by the metadata, of whichever kind they are", async () => {
  const { issuer, refused } = await house({});
  const token = bearer(await issuer.sign());
  assert.equal(await refused(token), IN);
  assert.deepEqual(issuer.asked, [
    `${ISSUER}/.well-known/oauth-authorization-server`,
    `${ISSUER}/.well-known/openid-configuration`,
    `${ISSUER}/keys`,
  ]);
  const team = new FakeIssuer(`${ISSUER}/team`);
  const { refused: other } = doorOf({ issuers: [issuerOf({ issuer: team.issuer })] }, team);
  await team.rotate("a");
  assert.equal(await other(bearer(await team.sign())), `in as ${ISSUER}/team u1`);
  assert.deepEqual(team.asked, [
    `${ISSUER}/.well-known/oauth-authorization-server/team`,
    `${ISSUER}/.well-known/openid-configuration/team`,
    `${ISSUER}/team/.well-known/openid-configuration`,
    `${ISSUER}/team/keys`,
  ]);
});

test("keys that cannot be had are no fault of a token", async () => {
  const cases: Record<string, (url: string) => Response | Promise<Response>> = {
    down: () => Promise.reject(new TypeError("connection refused")),
    "an error": () => new Response("", { status: 500 }),
    "led elsewhere": () => Response.redirect("https://evil.example.com/keys"),
    "no JSON": () => new Response("<html>"),
    "an array": () => Response.json([]),
    empty: () => Response.json({ keys: [] }),
    "no set": () => Response.json({ keys: "none" }),
    "of no use": () =>
      Response.json({ keys: [{ kty: "oct", k: "AA" }, null, { kty: "RSA", use: "enc" }] }),
    huge: () => new Response(" ".repeat(300_000)),
    endless: () =>
      new Response(
        new ReadableStream({ pull: (to) => to.enqueue(new Uint8Array(65_536)) }),
      ),
    "another's": () =>
      Response.json({ issuer: "https://evil.example.com", jwks_uri: `${ISSUER}/keys` }),
    "in the clear": () => Response.json({ issuer: ISSUER, jwks_uri: "http://id.example.com/keys" }),
    nowhere: () => Response.json({ issuer: ISSUER }),
  };
  for (const [name, answer] of Object.entries(cases)) {
    for (const more of [{}, { jwks: `${ISSUER}/keys` }]) {
      const { issuer, clock, refused } = await house(more);
      issuer.answer = answer;
      const token = bearer(await issuer.sign());
      assert.equal(await refused(token), "503 5", name);
      const { length } = issuer.asked;
      // Nobody asks again at once, whoever comes.
      for (let i = 0; i < 5; i++) assert.equal(await refused(token), "503 5", name);
      assert.equal(await refused(bearer(await issuer.sign({ sub: "u2" }))), "503 5", name);
      assert.equal(issuer.asked.length, length);
      clock.now += 5_000;
      issuer.answer = undefined;
      assert.equal(await refused(token), IN, name);
    }
  }
});

test("the last good keys do for an hour, and are fetched beside their use", async () => {
  const { issuer, clock, refused } = await house();
  assert.equal(await refused(bearer(await issuer.sign())), IN);
  issuer.answer = () => new Response("", { status: 503 });
  const fresh = async () => {
    const exp = clock.now / 1_000 + 60;
    return await refused(bearer(await issuer.sign({ exp })));
  };
  clock.now = NOW + 599_000;
  assert.equal(await fresh(), IN);
  assert.equal(issuer.asked.length, 1);
  clock.now = NOW + 3_599_000;
  assert.equal(await fresh(), IN);
  await issuer.askedTimes(2);
  clock.now = NOW + 3_604_000;
  assert.equal(await fresh(), "503 5");
  issuer.answer = undefined;
  clock.now += 5_000;
  assert.equal(await fresh(), IN);
});

test("a key that nobody knows yet is asked for, one that is gone lets in nobody", async () => {
  const { issuer, clock, refused } = await house();
  const old = await issuer.sign({ sub: "old" });
  assert.equal(await refused(bearer(await issuer.sign())), IN);
  await issuer.rotate("b");
  const next = bearer(await issuer.sign({}, { kid: "b" }));
  assert.match(await refused(next), invalid);
  assert.match(await refused(next), invalid);
  assert.equal(issuer.asked.length, 1);
  // That it was wrong is not remembered any longer than nobody asks.
  clock.now += 5_000;
  assert.equal(await refused(next), IN);
  assert.match(await refused(bearer(old)), invalid);
  assert.equal(issuer.asked.length, 2);
  // An issuer that is gone: who knows what the key of this one is.
  clock.now += 5_000;
  issuer.answer = () => Promise.reject(new TypeError("connection refused"));
  await issuer.rotate("c");
  assert.equal(await refused(bearer(await issuer.sign({}, { kid: "c" }))), "503 5");
  // And what is wrong by the keys that are there is wrong.
  const [, payload] = (await issuer.sign({}, { kid: "c" })).split(".");
  const forged = `${btoa('{"alg":"ES256","kid":"b"}').replace(/=+$/, "")}.${payload}.${
    "A".repeat(86)
  }`;
  clock.now += 5_000;
  assert.match(await refused(bearer(forged)), invalid);
});

test("keys without names are tried one by one", async () => {
  const { issuer, refused } = await house();
  for (const kid of ["b", "c"]) await issuer.rotate(kid, { keep: true });
  issuer.keys = issuer.keys.map((key) => ({ ...key as object, kid: undefined }));
  for (const kid of ["a", "b", "c"]) {
    assert.equal(await refused(bearer(await issuer.sign({}, { kid, named: false }))), IN);
    assert.match(await refused(bearer(await issuer.sign({}, { kid }))), invalid);
    assert.match(
      await refused(bearer(await issuer.sign({ exp: 1 }, { kid, named: false }))),
      /expired/,
    );
  }
  const [head, payload] = (await issuer.sign({}, { named: false })).split(".");
  assert.match(await refused(bearer(`${head}.${payload}.${"A".repeat(86)}`)), invalid);
});

test("keys may be in a file", () =>
  inDirectory(async (directory) => {
    const jwks = join(directory, "keys.json");
    const { issuer, clock, refused } = await house({ jwks });
    const token = bearer(await issuer.sign());
    assert.equal(await refused(token), "503 5");
    await writeFile(jwks, JSON.stringify({ keys: issuer.keys }));
    clock.now += 5_000;
    assert.equal(await refused(token), IN);
    assert.deepEqual(issuer.asked, []);
  }));

test("many at once ask once, for keys as for a verdict", async () => {
  const { issuer, refused } = await house();
  const { promise, resolve } = Promise.withResolvers<void>();
  const { keys } = issuer;
  issuer.answer = async () => {
    await promise;
    return Response.json({ keys });
  };
  const tokens = [bearer(await issuer.sign()), bearer(await issuer.sign({ sub: "u2" }))];
  const all = Array.from({ length: 300 }, (_, index) => refused(tokens[index % 2]!));
  resolve();
  assert.deepEqual(new Set(await Promise.all(all)), new Set([IN, `in as ${ISSUER} u2`]));
  assert.equal(issuer.asked.length, 1);
});

test("so many tokens are verified a second, and few for who only has wrong ones", async () => {
  const { issuer, clock, refused } = await house();
  const [head, payload] = (await issuer.sign()).split(".");
  const wrong = (i: number) => bearer(`${head}.${payload}.${String(i).padStart(86, "A")}`);
  const good = bearer(await issuer.sign({ sub: "good" }));
  const answers = [];
  for (let i = 0; i < 60; i++) answers.push(await refused(wrong(i)));
  // 21 before it has failed too often, and twenty since.
  assert.deepEqual(answers.map((text) => text.slice(0, 3)), [
    ...Array(20).fill("401"),
    ...Array(21).fill("429"),
    ...Array(19).fill("503"),
  ]);
  assert.equal(await refused(good, { peer: "192.0.2.2" }), `in as ${ISSUER} good`);
  assert.equal(await refused(good), `in as ${ISSUER} good`);
  clock.now += 1_000;
  assert.equal((await refused(wrong(100))).slice(0, 3), "429");
});
