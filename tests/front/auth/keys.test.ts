/** Keys, what a proxy says, and the table of answers where no issuer is configured. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { LOCAL } from "../../../src/protocol/exchange.ts";
import { bearer, doorOf, key, NOW, PUBLIC_URL } from "./support.ts";

const LAPTOP = "mcproxy_laptop-laptop-laptop-laptop-laptop-lapto";
const CI = "mcproxy_ci-ci-ci-ci-ci-ci-ci-ci-ci-ci-ci-ci-ci";
const MISSING = '401 Bearer realm="mcproxy"';
const wrong = (why: string) => `${MISSING}, error="invalid_token", error_description="${why}"`;
const keys = [key("laptop", LAPTOP), key("ci", CI, NOW + 1_000), key("own", "a key of mine")];

test("a key lets in, by either header, as who it is of", async () => {
  const { enter, refused } = doorOf({ keys });
  const { principal } = await enter(bearer(LAPTOP));
  assert.deepEqual(principal, { id: "key:laptop", who: "key:laptop", names: ["key:laptop"] });
  const first = await enter(bearer(LAPTOP));
  for (const header of [`bearer ${LAPTOP}`, `BEARER   ${LAPTOP}`]) {
    assert.equal(await enter({ authorization: header }), first);
  }
  assert.equal(await enter({ "x-api-key": LAPTOP }), first);
  assert.equal(await enter({ "x-api-key": LAPTOP, ...bearer(LAPTOP) }), first);
  assert.equal((await enter({ "x-api-key": "a key of mine" })).principal.id, "key:own");
  // Never from the URL, which has one; nor as another scheme.
  assert.equal(await refused({}), MISSING);
  assert.equal(await refused({ authorization: `Basic ${btoa(`x:${LAPTOP}`)}` }), MISSING);
  assert.equal(await refused({ authorization: LAPTOP }), MISSING);
});

test("it is known when a key was last used, however it was shown", async () => {
  const { door, clock, enter, refused } = doorOf({ keys });
  const uses = () => [...door.keys.passes].map(({ usedAt }) => usedAt);
  assert.deepEqual(uses(), [undefined, undefined, undefined]);
  await enter(bearer(LAPTOP));
  clock.now += 1_000;
  await enter({ "x-api-key": "a key of mine" });
  await refused(bearer("no"));
  assert.deepEqual(uses(), [NOW, undefined, NOW + 1_000]);
  clock.now += 1_000;
  await enter(bearer(LAPTOP));
  door.reload({ auth: { keys }, publicUrl: undefined });
  assert.deepEqual(uses(), [NOW + 2_000, undefined, NOW + 1_000]);
});

test("what is shown must be right, all of it", async () => {
  const { enter, refused } = doorOf({ keys });
  for (const text of ["", LAPTOP.slice(0, -1), `${LAPTOP}x`, LAPTOP.toUpperCase(), "a.b.c", "ä"]) {
    assert.equal(await refused({ authorization: `Bearer ${encodeURI(text)}` }), wrong("invalid"));
  }
  assert.equal(await refused({ ...bearer(LAPTOP), "x-api-key": "mcproxy_x" }), wrong("invalid"));
  assert.equal(await refused({ ...bearer("mcproxy_x"), "x-api-key": LAPTOP }), wrong("invalid"));
  assert.equal(await refused(bearer(`${LAPTOP}, Bearer ${CI}`)), wrong("invalid"));
  assert.equal(await refused(bearer("x".repeat(20_000))), wrong("invalid"));
  const { principal } = await enter({ ...bearer(LAPTOP), "x-api-key": CI });
  assert.equal(principal.id, "key:laptop");
});

test("a key holds until it expires, or is taken out or changed", async () => {
  const { door, clock, enter, refused } = doorOf({ keys });
  const [laptop, ci] = [await enter(bearer(LAPTOP)), await enter(bearer(CI))];
  assert.deepEqual([laptop.holds(NOW), ci.holds(NOW + 999), ci.holds(NOW + 1_000)], [
    true,
    true,
    false,
  ]);
  clock.now += 1_000;
  assert.equal(await refused(bearer(CI)), wrong("expired"));
  // Another expiry is the same key, another hash another one.
  door.reload({ auth: { keys: [key("laptop", LAPTOP), key("ci", CI)] }, publicUrl: PUBLIC_URL });
  assert.equal(await enter(bearer(LAPTOP)), laptop);
  assert.equal(await enter(bearer(CI)), ci);
  assert.ok(ci.holds(clock.now));
  door.reload({ auth: { keys: [key("laptop", "new"), key("other", CI)] }, publicUrl: PUBLIC_URL });
  assert.deepEqual([laptop.holds(clock.now), ci.holds(clock.now)], [false, false]);
  assert.equal(await refused(bearer(LAPTOP)), wrong("invalid"));
  assert.equal((await enter(bearer(CI))).principal.id, "key:other");
  door.reload({ auth: undefined, publicUrl: undefined });
  assert.equal(await refused(bearer(CI)), wrong("invalid"));
});

test("the local key is that of the gateway's own commands, whatever is configured", async () => {
  const { door, enter } = doorOf({ keys }, undefined, "mcproxy_local");
  const admission = await enter(bearer("mcproxy_local"));
  assert.equal(admission.principal, LOCAL);
  door.reload({ auth: { keys: [] }, publicUrl: undefined });
  assert.equal(await enter(bearer("mcproxy_local")), admission);
  assert.ok(admission.holds(NOW * 10));
});

test("there is nothing to be read about OAuth where a key is all that lets in", () => {
  const { door } = doorOf({ keys });
  assert.equal(door.metadata(""), undefined);
  assert.equal(door.metadata("/mcp"), undefined);
});

test("more than twenty wrong credentials a minute are refused as too many, right ones let in", async () => {
  const { clock, enter, refused } = doorOf({ keys });
  for (let i = 0; i < 30; i++) assert.equal(await refused({}), MISSING);
  for (let i = 0; i < 20; i++) assert.equal(await refused(bearer(`no${i}`)), wrong("invalid"));
  clock.now += 20_000;
  assert.equal(await refused(bearer("no")), "429 40");
  assert.equal((await enter(bearer(LAPTOP))).principal.id, "key:laptop");
  assert.equal(await refused({}), MISSING);
  // Whoever has an old one has to hear that it is old.
  assert.equal(await refused(bearer(CI)), wrong("expired"));
  assert.equal(await refused(bearer("no"), { peer: "192.0.2.2" }), wrong("invalid"));
  clock.now += 40_000;
  assert.equal(await refused(bearer("no")), wrong("invalid"));
});

const proxy = {
  header: "x-user",
  groups: "x-groups",
  from: ["127.0.0.1", "10.0.0.0/8", "fd00::/8"],
};

test("a proxy says who asks, and nobody else does", async () => {
  const { door, enter, refused } = doorOf({ proxy, keys });
  const said = { "x-user": "alice@example.com", "x-groups": "dev, admins,," };
  const admission = await enter(said, { peer: "127.0.0.1" });
  assert.deepEqual(admission.principal, {
    id: "proxy:alice@example.com",
    who: "alice@example.com",
    names: ["alice@example.com", "group:dev", "group:admins"],
  });
  assert.equal(await enter(said, { peer: "::ffff:10.1.2.3" }), admission);
  assert.equal((await enter({ "x-user": "bob" }, { peer: "fd00::1%eth0" })).principal.who, "bob");
  for (const peer of ["127.0.0.2", "11.0.0.1", "::1", "::ffff:11.0.0.1", "nonsense", ""]) {
    assert.equal(await refused(said, { peer }), MISSING);
  }
  assert.equal(await refused({ "x-groups": "admins" }, { peer: "127.0.0.1" }), MISSING);
  assert.equal(await refused({ "x-user": "" }, { peer: "127.0.0.1" }), MISSING);
  // A credential that is wrong is no better for what the proxy says, and one that is right counts.
  assert.equal(
    await refused({ ...said, ...bearer("no") }, { peer: "127.0.0.1" }),
    wrong("invalid"),
  );
  const both = await enter({ ...said, ...bearer(LAPTOP) }, { peer: "127.0.0.1" });
  assert.equal(both.principal.id, "key:laptop");
  door.reload({ auth: { proxy, keys: [] }, publicUrl: undefined });
  assert.ok(admission.holds(NOW));
  door.reload({ auth: { proxy: { ...proxy, from: ["127.0.0.1"] } }, publicUrl: undefined });
  assert.ok(!admission.holds(NOW));
});

test("nobody is called what access calls keys, groups, scopes and all", async () => {
  const { enter } = doorOf({ proxy });
  for (const name of ["key:ci", "group:admins", "scope:x", "*"]) {
    const { principal } = await enter({ "x-user": name }, { peer: "127.0.0.1" });
    assert.deepEqual(principal, { id: `proxy:${name}`, who: `proxy:${name}`, names: [] });
  }
  // What the client has added itself stands beside what the proxy says, and is a name nobody has.
  const headers = new Headers([["x-user", "admin"], ["x-user", "alice"]]);
  const { principal } = await enter(Object.fromEntries(headers), { peer: "127.0.0.1" });
  assert.deepEqual(principal.names, ["admin, alice"]);
});

test("behind a proxy, each of its clients has its own failures", async () => {
  const { refused } = doorOf({ proxy, keys });
  const from = (address: string) => ({
    ...bearer("no"),
    "x-forwarded-for": `192.0.2.9, ${address}`,
  });
  for (let i = 0; i < 20; i++) await refused(from("192.0.2.1"), { peer: "127.0.0.1" });
  assert.equal(await refused(from("192.0.2.1"), { peer: "127.0.0.1" }), "429 60");
  assert.equal(await refused(from("192.0.2.2"), { peer: "127.0.0.1" }), wrong("invalid"));
  // Others may write what they like there.
  for (let i = 0; i < 20; i++) await refused(from(`192.0.2.${i}`), { peer: "192.0.2.1" });
  assert.equal(await refused(from("192.0.2.77"), { peer: "192.0.2.1" }), "429 60");
});
