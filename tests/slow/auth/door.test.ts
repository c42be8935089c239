/** The door before tokens of a real identity provider, whose keys come over a real wire. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { createDoor } from "../../../src/front/auth/door.ts";
import { Refusal } from "../../../src/front/reply.ts";
import { IdentityProvider } from "./identity-provider.ts";

const publicUrl = "http://127.0.0.1:12009/gateway";

/** What becomes of a token. */
function doorFor(provider: IdentityProvider) {
  // Turned by hand, so that nothing depends on how long a test takes.
  let now = Date.now();
  const settings = { publicUrl, auth: { issuers: [{ issuer: provider.issuer, scopes: [] }] } };
  const door = createDoor({ settings, now: () => now });
  return {
    skip: (ms: number) => now += ms,
    enter: async (token: string, path = "/mcp"): Promise<string> => {
      const headers = { authorization: `Bearer ${token}` };
      try {
        const admission = await door.admit(
          new Request(`${publicUrl}/mcp`, { headers }),
          undefined,
          path,
        );
        const { id, names } = admission.principal;
        return [id, ...names].join("; ");
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        return String(error.status);
      }
    },
  };
}

test("tokens of an identity provider let in, over rotation and outage", async (context) => {
  const provider = await IdentityProvider.start();
  context.after(() => provider.stop());
  const { enter, skip } = doorFor(provider);
  const client = `${provider.issuer} client; client; scope:mcp:use`;

  await context.test("for the gateway, and for the endpoint that is asked", async () => {
    assert.equal(await enter(await provider.token(publicUrl)), client);
    const token = await provider.token(`${publicUrl}/profiles/dev/mcp`, "mcp:use mcp:write");
    assert.equal(await enter(token, "/profiles/dev/mcp"), `${client}; scope:mcp:write`);
    assert.equal(await enter(token), "401");
    assert.equal(await enter(await provider.token("https://other.example.com/mcp")), "401");
    assert.equal(await enter(`${token.slice(0, -4)}AAAA`), "401");
  });

  await context.test("fifty at once ask for the keys once", async () => {
    const { enter } = doorFor(provider);
    const token = await provider.token(publicUrl);
    provider.asked.length = 0;
    const all = await Promise.all(Array.from({ length: 50 }, () => enter(token)));
    assert.deepEqual(new Set(all), new Set([client]));
    assert.equal(provider.asked.filter((path) => path === "/jwks").length, 1);
  });

  await context.test("by new keys, and no more by old ones", async () => {
    const old = await provider.token(publicUrl, "mcp:write");
    await provider.rotate();
    skip(5_000);
    assert.equal(await enter(await provider.token(publicUrl)), client);
    assert.equal(await enter(old), "401");
  });

  await context.test("not while its keys cannot be had", async () => {
    const { enter, skip } = doorFor(provider);
    const token = await provider.token(publicUrl);
    for (const [status, body] of [[500, ""], [200, "{}"], [200, "<html>"], [302, ""]] as const) {
      provider.instead = (_, response) => {
        response.writeHead(status, { location: "/elsewhere" }).end(body);
      };
      assert.equal(await enter(token), "503");
      assert.ok(!provider.asked.includes("/elsewhere"));
      skip(5_000);
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    provider.instead = (request, response) => {
      resolve();
      request.socket.once("close", () => response.destroy());
    };
    // It is asked, and hangs: who comes meanwhile waits for the same answer.
    const waiting = [enter(token), enter(token)];
    await promise;
    provider.instead = (_, response) => response.end();
    provider.hangUp();
    assert.deepEqual(await Promise.all(waiting), ["503", "503"]);
    provider.instead = undefined;
    assert.equal(await enter(token), "503");
    skip(5_000);
    assert.equal(await enter(token), client);
  });
});

test("an identity provider that is gone is no fault of a token", async () => {
  const provider = await IdentityProvider.start();
  const { enter, skip } = doorFor(provider);
  const [first, second] = [await provider.token(publicUrl), await provider.token(publicUrl)];
  assert.match(await enter(first), /client/);
  await provider.stop();
  // By the keys that are there, for an hour.
  assert.match(await enter(second), /client/);
  assert.equal(await doorFor(provider).enter(second), "503");
  skip(3_500_000);
  assert.match(await enter(second), /client/);
  skip(400_000);
  assert.equal(await enter(second), "503");
});
