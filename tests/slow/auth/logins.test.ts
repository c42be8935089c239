/** Tokens for servers from a real identity provider, which takes each refresh token once. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { decodeJwt } from "jose";
import { GrantFile } from "../../../src/upstream/oauth/grants.ts";
import { Logins } from "../../../src/upstream/oauth/logins.ts";
import type { HttpTarget, LoginConfig } from "../../../src/config/types.ts";
import { APP, CLIENT, IdentityProvider } from "./identity-provider.ts";

const SPENDER = fileURLToPath(new URL("./spender.ts", import.meta.url));
const RESOURCE = "http://127.0.0.1:12009/mcp";
const ROUNDS = 12;
const key = { server: "it", principal: "" };

async function house(context: TestContext) {
  const provider = await IdentityProvider.start();
  const directory = await mkdtemp(join(tmpdir(), "mcproxy-logins-"));
  context.after(async () => {
    await provider.stop();
    await rm(directory, { recursive: true, force: true });
  });
  return { provider, directory, file: new GrantFile(directory) };
}

function target(login: LoginConfig): HttpTarget {
  return { kind: "http", url: RESOURCE, transport: "http", headers: {}, login };
}

/** How often it was asked for a token. */
const asked = ({ asked }: IdentityProvider) => asked.filter((path) => path === "/token").length;

async function grantOf(provider: IdentityProvider, now: number) {
  return {
    ...key,
    url: RESOURCE,
    issuer: provider.issuer,
    tokenEndpoint: `${provider.issuer}/token`,
    client: { id: APP.id, auth: "none" } as const,
    resource: RESOURCE,
    accessToken: "of-the-login",
    issuedAt: now,
    expiresAt: now + 1_000,
    refreshToken: await provider.login(RESOURCE),
  };
}

function spender(directory: string) {
  const isDeno = "deno" in process.versions;
  const child = spawn(
    process.execPath,
    [...(isDeno ? ["run", "-A", "--no-check"] : []), SPENDER, directory, RESOURCE],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    at: async (time: number): Promise<readonly string[]> => {
      child.stdin.write(`${time}\n`);
      const { value, done } = await lines.next();
      assert.ok(!done, "the process has ended");
      return JSON.parse(value) as string[];
    },
    end: async () => {
      child.stdin.end();
      if (child.exitCode === null) await once(child, "exit");
    },
  };
}

test("three processes with five calls each refresh once at each expiry, and no token is used twice", async (context) => {
  const { provider, directory, file } = await house(context);
  let now = Date.now();
  await file.put(await grantOf(provider, now));
  const processes = [1, 2, 3].map(() => spender(directory));
  try {
    const seen = new Set<string>();
    for (let round = 1; round <= ROUNDS; round++) {
      now += 7_200_000;
      const told = await Promise.all(processes.map((one) => one.at(now)));
      const headers = new Set(told.flat());
      assert.equal(headers.size, 1, [...headers].join("; "));
      const [header = ""] = headers;
      assert.match(header, /^Bearer ey/);
      assert.equal(decodeJwt(header.slice("Bearer ".length)).aud, RESOURCE);
      seen.add(header);
      assert.equal(asked(provider), round);
    }
    assert.equal(seen.size, ROUNDS);
  } finally {
    await Promise.all(processes.map((one) => one.end()));
  }
});

test("a refresh token that is used twice ends the login, which another one brings back", async (context) => {
  const { provider, file } = await house(context);
  let now = Date.now();
  const first = await grantOf(provider, now);
  await file.put(first);
  const logins = new Logins({ file, now: () => now });
  context.after(() => logins.close());
  const it = logins.of("it", target({ type: "oauth" }));
  now += 7_200_000;
  assert.match((await it.header())!, /^Bearer ey/);
  // Somebody has stolen the first one.
  const response = await fetch(`${provider.issuer}/token`, {
    method: "POST",
    body: new URLSearchParams({
      grant_type: "refresh_token",
      refresh_token: first.refreshToken,
      client_id: APP.id,
    }),
  });
  assert.equal(response.status, 400);
  await response.body?.cancel();
  now += 7_200_000;
  await assert.rejects(async () => await it.header(), /refused its login on .* \(invalid_grant\)/);
  assert.equal((await file.find(key))?.dead?.reason, "invalid_grant");
  await file.put(await grantOf(provider, now + 1));
  await logins.look();
  now += 7_200_000;
  assert.match((await it.header())!, /^Bearer ey/);
});

test("a login that is ended is of no use any more, whoever has its tokens", async (context) => {
  const { provider, file } = await house(context);
  const now = Date.now();
  const grant = await grantOf(provider, now);
  await file.put(grant);
  const logins = new Logins({ file, now: () => now });
  assert.equal(await logins.forget(key, target({ type: "oauth" })), true);
  assert.deepEqual(await file.read(), []);
  // Somebody has a copy of it.
  await file.put(grant);
  const it = logins.of("it", target({ type: "oauth" }));
  context.after(() => logins.close());
  await assert.rejects(
    async () => await it.refused(await it.header(), "Bearer"),
    /refused its login on .* \(invalid_grant\)/,
  );
});

test("the gateway has tokens of its own, with a secret that is right", async (context) => {
  const { provider } = await house(context);
  const logins = new Logins();
  const login = {
    type: "client-credentials",
    issuer: provider.issuer,
    clientId: CLIENT.id,
    clientSecret: CLIENT.secret,
    scope: "mcp:use",
  } as const;
  const it = logins.of("it", target(login));
  const all = await Promise.all(Array.from({ length: 5 }, () => it.header()));
  assert.equal(new Set(all).size, 1);
  const { aud, scope } = decodeJwt(all[0]!.slice("Bearer ".length));
  assert.deepEqual([aud, scope], [RESOURCE, "mcp:use"]);
  assert.equal(asked(provider), 1);
  const wrong = logins.of("it", target({ ...login, clientSecret: "wrong" }));
  await assert.rejects(async () => await wrong.header(), /gets no token: .*"invalid_client"/);
});
