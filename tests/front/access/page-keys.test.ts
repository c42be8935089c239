/** The keys that pages are opened with: who gets one, what it opens, and when it ends. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { digestOf } from "../../../src/front/auth/admission.ts";
import { issuePageKey, type PageKeys } from "../../../src/front/auth/page-keys.ts";
import { createRedactor } from "../../../src/lib/secrets.ts";
import type { Admission } from "../../../src/protocol/exchange.ts";
import type { Scope } from "../../behaviour/scope.ts";
import { type Ask, House, inScope, keysOf } from "./house.ts";

const PATH = "/api/ui-key";
const AUTH = { keys: keysOf("root", "ann", "watch") };
const ACCESS = { "key:root": "*", "key:ann": "pa", "key:watch": [PATH, "/api/keys"] };

const open = (scope: Scope, settings: object = {}) =>
  House.open(scope, settings, undefined, { localKey: "mcproxy_local" });

const issue = (house: House, ask: Ask = {}) => house.ask(PATH, { method: "POST", ...ask });

async function keyFor(house: House, ask: Ask): Promise<string> {
  const response = await issue(house, ask);
  assert.equal(response.status, 200, await response.clone().text());
  assert.equal(response.headers.get("cache-control"), "no-store");
  assert.equal(response.headers.get("access-control-allow-origin"), null);
  const { key, expiresAt } = await response.json();
  assert.match(key, /^mcproxy_[\w-]{43}$/);
  assert.equal(createRedactor().text(`#key=${key}`), "#key=[redacted]");
  assert.ok(expiresAt > Date.now() + 11 * 3_600_000, String(expiresAt));
  return key;
}

const bearer = (key: string) => ({ headers: { authorization: `Bearer ${key}` } });

test(
  "with auth it is for who may do everything, and lets in as whoever has asked",
  inScope(async (scope) => {
    const house = await open(scope, { auth: AUTH, access: ACCESS });
    assert.equal((await issue(house)).status, 401);
    assert.equal((await issue(house, { as: "ann" })).status, 403);
    // A path is given to be read, not to be let in by.
    assert.equal((await issue(house, { as: "watch" })).status, 403);
    assert.equal((await house.ask(PATH, { as: "root" })).status, 405);

    const key = await keyFor(house, { as: "root" });
    assert.equal((await house.ask("/api/keys", bearer(key))).status, 200);
    assert.equal((await house.ask("/api/keys", bearer(`${key}x`))).status, 401);
    // It is no key of the configuration.
    const { keys } = await (await house.ask("/api/keys", bearer(key))).json();
    assert.deepEqual(keys.map(({ name }: { name: string }) => name), ["root", "ann", "watch"]);
    assert.equal(
      (await house.ask("/api/keys", bearer(await keyFor(house, bearer(key))))).status,
      200,
    );

    // The commands of this machine may do everything.
    const local = await keyFor(house, bearer("mcproxy_local"));
    house.reload({ auth: { keys: keysOf("ann") }, access: ACCESS });
    assert.equal((await house.ask("/api/keys", bearer(key))).status, 401);
    assert.equal((await house.ask("/api/keys", bearer(local))).status, 200);
  }),
);

test(
  "there is none where there is no page, and it is said why",
  inScope(async (scope) => {
    const house = await open(scope, { dashboard: "off" });
    const response = await issue(house, bearer("mcproxy_local"));
    assert.equal(response.status, 404);
    assert.match((await response.json()).message, /There is no dashboard/);
  }),
);

test(
  "without auth it takes the key of the listener, and is what changes something takes then",
  inScope(async (scope) => {
    const house = await open(scope);
    for (const path of [PATH, `${PATH}/`, "/api/%75i-key"]) {
      assert.equal((await house.ask(path, { method: "POST" })).status, 401, path);
    }
    const put = (ask: Ask) => house.ask("/api/grants/a", { method: "PUT", ...ask });
    assert.equal((await put({})).status, 401);
    const key = await keyFor(house, bearer("mcproxy_local"));
    // There is no login to this server.
    assert.equal((await put(bearer(key))).status, 404);
    house.reload({ bodyLimit: 1_000_000 });
    assert.equal((await put(bearer(key))).status, 404);
  }),
);

test(
  "whoever is let in by a configuration that is gone is not let in by a later one",
  inScope(async (scope) => {
    const house = await open(scope, { auth: AUTH, access: ACCESS });
    const key = await keyFor(house, { as: "root" });
    house.reload({});
    house.reload({ auth: { keys: keysOf("ann") }, access: ACCESS });
    await house.ask("/livez");
    assert.equal((await house.ask("/api/keys", bearer(key))).status, 401);
  }),
);

test("a page's key ends after twelve hours, with what it was asked by, and when there are many", () => {
  const keys: PageKeys = new Map();
  let ends = Infinity;
  const asked: Admission = {
    principal: { id: "key:x", who: "key:x", names: ["key:x"] },
    holds: (now) => now < ends,
  };
  const first = issuePageKey(keys, asked, 0);
  assert.equal(first.expiresAt, 43_200_000);
  const pass = keys.get(digestOf(first.key))!;
  assert.equal(pass.principal, asked.principal);
  assert.deepEqual([pass.holds(43_199_999), pass.holds(43_200_000)], [true, false]);
  ends = 1_000;
  assert.deepEqual([pass.holds(999), pass.holds(1_000)], [true, false]);
  for (let at = 0; at < 5_000; at++) issuePageKey(keys, asked, 0);
  assert.ok(keys.size <= 4_096, String(keys.size));
  assert.equal(keys.has(digestOf(first.key)), false);
});
