/** The request for a token, and all that issuers answer to it. */

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { jwtVerify } from "jose";
import type { Grant } from "../../../src/upstream/oauth/grants.ts";
import { requestToken, TokenError } from "../../../src/upstream/oauth/token.ts";
import { challengeIn, wantsBearer } from "../../../src/upstream/transport/challenge.ts";

const issuer = "https://id.example.com";
const tokenEndpoint = `${issuer}/token`;

interface Sent {
  readonly headers: Headers;
  readonly form: URLSearchParams;
}

async function ask(
  answer: unknown,
  { client = { id: "a b", auth: "none" }, status = 200 }: {
    readonly client?: Grant["client"];
    readonly status?: number;
  } = {},
) {
  let sent: Sent | undefined;
  const body = typeof answer === "string" ? answer : JSON.stringify(answer);
  const token = await requestToken({
    issuer,
    tokenEndpoint,
    client,
    params: { grant_type: "refresh_token", resource: undefined },
    fetch: (_, { headers, body: form, method }) => {
      assert.equal(method, "POST");
      sent = { headers: new Headers(headers), form: new URLSearchParams(String(form)) };
      return Promise.resolve(new Response(body, { status }));
    },
    now: () => 1_000_000,
  });
  return { token, ...sent! };
}

const good = { access_token: "t0ken", token_type: "Bearer", expires_in: 60, refresh_token: "r" };

test("answers are read as issuers write them", async () => {
  const lives = [[60, 60], ["60", 60], [null, 0], [undefined, 0], ["x", 0], [-1, 0], [1e300, 3e8]];
  for (const [given, seconds] of lives) {
    const { token } = await ask({ ...good, expires_in: given });
    const life = token.expiresAt === undefined ? 0 : (token.expiresAt - 1_000_000) / 1_000;
    assert.ok(seconds === 3e8 ? life > 3e8 && life < 1e9 : life === seconds, String(given));
  }
  for (const type of ["bearer", "BEARER", undefined, null, ""]) {
    assert.equal((await ask({ ...good, token_type: type })).token.accessToken, "t0ken");
  }
  const bare = { access_token: "t0ken", refresh_token: null, scope: null, expires_in: null };
  assert.deepEqual((await ask(bare, { status: 201 })).token, {
    accessToken: "t0ken",
    issuedAt: 1_000_000,
    expiresAt: undefined,
    refreshToken: undefined,
    scope: undefined,
  });
});

test("whatever else comes is no token, and says so without its own words in full", async () => {
  const wrong: readonly (readonly [unknown, number, RegExp, boolean?])[] = [
    [
      { error: "invalid_grant" },
      400,
      /^https:\/\/id\.example\.com answered "invalid_grant"$/,
      true,
    ],
    [{ ...good, error: "invalid_grant" }, 200, /answered "invalid_grant"/, true],
    [{ error: "invalid_client", error_description: "no\u001b[31m" }, 401, /invalid_client/, true],
    [{ error: "unauthorized_client" }, 400, /unauthorized_client/, true],
    [{ error: "slow_down", error_description: "x".repeat(5_000) }, 400, /slow_down.{0,230}$/],
    ["<html>", 502, /answered HTTP 502/],
    ["", 429, /answered HTTP 429/],
    ["{", 200, /without a token/],
    [[], 200, /without a token/],
    [{ access_token: 5 }, 200, /without a token/],
    [{ access_token: "a b" }, 200, /without a token/],
    [{ access_token: "a\r\nx: y" }, 200, /without a token/],
    [{ ...good, token_type: "DPoP" }, 200, /another type, "DPoP"/],
    [good, 302, /answered HTTP 302/],
    [{ ...good, more: "x".repeat(66_000) }, 200, /without a token/],
  ];
  for (const [answer, status, expected, isFinal = false] of wrong) {
    const error = await ask(answer, { status }).then(() => undefined, (error) => error);
    assert.ok(error instanceof TokenError, JSON.stringify(answer));
    assert.match(error.message, expected);
    assert.equal(error.isFinal, isFinal, error.message);
    // deno-lint-ignore no-control-regex
    assert.doesNotMatch(error.message, /[\x00-\x1f]/);
  }
  await assert.rejects(
    requestToken({
      issuer,
      tokenEndpoint,
      client: { id: "a", auth: "none" },
      params: {},
      fetch: () => Promise.reject(new Error("no way")),
      now: Date.now,
    }),
    /could not be reached: no way/,
  );
});

test("a client shows its secret as the issuer wants it", async () => {
  const secret = "p:w/ü-_.";
  const none = await ask(good);
  assert.equal(none.form.get("client_id"), "a b");
  assert.equal(none.headers.get("accept"), "application/json");
  assert.equal(none.headers.get("content-type"), "application/x-www-form-urlencoded");
  assert.deepEqual([...none.form.keys()], ["grant_type", "client_id"]);
  const post = await ask(good, { client: { id: "a", secret, auth: "post" } });
  assert.equal(post.form.get("client_secret"), secret);
  const basic = await ask(good, { client: { id: "a b", secret, auth: "basic" } });
  assert.equal(
    atob(basic.headers.get("authorization")!.slice("Basic ".length)),
    "a%20b:p%3Aw%2F%C3%BC-_.",
  );
  assert.equal(basic.form.get("client_id"), null);
});

test("a client signs with a key of any kind, as PEM or JWK", async () => {
  const pairs = [
    generateKeyPairSync("ec", { namedCurve: "P-256" }),
    generateKeyPairSync("rsa", { modulusLength: 2048 }),
    generateKeyPairSync("ed25519"),
  ];
  for (const { privateKey, publicKey } of pairs) {
    const pem = privateKey.export({ type: "pkcs8", format: "pem" }) as string;
    const jwk = JSON.stringify({ ...privateKey.export({ format: "jwk" }), kid: "k1" });
    for (const secret of [pem, jwk]) {
      const client = { id: "a", secret, auth: "private_key_jwt" } as const;
      const { form } = await ask(good, { client });
      const verified = await jwtVerify(
        form.get("client_assertion")!,
        publicKey.export({ format: "jwk" }) as never,
        { audience: issuer, issuer: "a", subject: "a", currentDate: new Date(1_000_000) },
      );
      assert.equal(verified.payload.exp, 1_060);
      assert.equal(verified.protectedHeader.kid, secret === jwk ? "k1" : undefined);
      assert.equal(form.get("client_id"), "a");
    }
  }
  const client = { id: "a", secret: "no key", auth: "private_key_jwt" } as const;
  await assert.rejects(ask(good, { client }), /neither PEM nor JWK/);
});

test("a challenge is read in every form", () => {
  const scope = "repo gist";
  assert.deepEqual(challengeIn(`Bearer error="insufficient_scope", scope="${scope}"`), {
    error: "insufficient_scope",
    scope,
  });
  assert.deepEqual(challengeIn("Bearer scope=repo,error=insufficient_scope"), {
    error: "insufficient_scope",
    scope: "repo",
  });
  assert.deepEqual(challengeIn(null), {});
  assert.deepEqual(challengeIn("x".repeat(1e6)), {});
  for (const header of ["Bearer", 'Basic realm="x", Bearer', "bearer realm=x"]) {
    assert.ok(wantsBearer(header), header);
  }
  for (const header of [null, "", 'Basic realm="x"', "Negotiate"]) assert.ok(!wantsBearer(header));
});
