/** Who is shown what: `access` against every kind of endpoint. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { AccessRule, Settings } from "../../src/config/types.ts";
import {
  AGGREGATE,
  type Endpoint,
  profileEndpoint,
  serverEndpoint,
  UNGATED,
  withGating,
} from "../../src/gating/endpoint.ts";
import { accessOf, endpointFor, pathDenial } from "../../src/gateway/access/access.ts";
import { LOCAL, type Principal } from "../../src/protocol/exchange.ts";

const ENDPOINTS: Readonly<Record<string, Endpoint>> = {
  all: AGGREGATE,
  gated: withGating(AGGREGATE, true),
  ungated: UNGATED,
  a: profileEndpoint("a"),
  b: profileEndpoint("b"),
  "b gated": withGating(profileEndpoint("b"), true),
  server: serverEndpoint("s"),
};

const RULES: readonly AccessRule[] = [
  { who: "key:root", gives: ["*"] },
  { who: "bob", gives: ["b"] },
  { who: "group:both", gives: ["b", "a"] },
  { who: "group:a", gives: ["a"] },
  { who: "constructor", gives: ["a"] },
  { who: "key:prometheus", gives: ["/metrics"] },
  { who: "scope:write", gives: ["b"] },
  { who: "scope:read", gives: ["a"] },
  { who: "scope:all", gives: ["*"] },
];

const settings = (access: readonly AccessRule[] | undefined) =>
  ({ access, profiles: [{ name: "a" }, { name: "b" }] }) as unknown as Settings;

const principal = (...names: string[]): Principal => ({ id: "x", who: "x", names });

/** What is shown at each of {@link ENDPOINTS}, by their keys, and at two paths. */
function seen(who: Principal | undefined, access: readonly AccessRule[] | null = RULES) {
  const given = accessOf(who, settings(access ?? undefined));
  const told = (denial: unknown) => {
    const { key, scopes } = denial as { key?: string; scopes?: readonly string[] };
    return key ?? (scopes === undefined ? denial : scopes.join(" "));
  };
  const endpoints = Object.values(ENDPOINTS).map((one) => told(endpointFor(given, one)));
  return [
    ...endpoints,
    ...["/api/status", "/metrics"].map((p) => told(pathDenial(given, p) ?? "ok")),
  ];
}

const ALL = [...Object.values(ENDPOINTS).map(({ key }) => key), "ok", "ok"];
const [A, AG, AU] = ["profiles/a", "profiles/a/gated", "profiles/a/ungated"];
const [B, BG, BU] = ["profiles/b", "profiles/b/gated", "profiles/b/ungated"];
const NO = "refused";
const HID = "hidden";

const CASES: readonly (readonly [string, readonly string[], readonly unknown[]])[] = [
  ["everything", ["key:root"], ALL],
  // A key gets no scopes, so none is asked for.
  ["nothing", ["key:other"], Array(9).fill(NO)],
  ["one profile", ["bob", "key:x"], [B, BG, BU, HID, B, BG, HID, NO, NO]],
  ["both, in the order of profiles", ["group:both", "key:x"], [A, AG, AU, A, B, BG, HID, NO, NO]],
  ["what adds up", ["bob", "group:a", "key:x"], [A, AG, AU, A, B, BG, HID, NO, NO]],
  ["a name like a member of objects", ["constructor", "key:x"], [
    ...[A, AG, AU, A, HID, HID],
    ...[HID, NO, NO],
  ]],
  ["a path alone", ["key:prometheus"], [NO, NO, NO, HID, HID, HID, HID, NO, "ok"]],
  ["a scope, and what others would open", ["x", "scope:read"], [
    ...[A, AG, AU, A, "read write", "read write"],
    ...["read all", "read all", "read all"],
  ]],
  ["no scope yet", ["x"], [
    "write",
    "write",
    "write",
    "read",
    "write",
    "write",
    "all",
    "all",
    "all",
  ]],
];

for (const [title, names, expected] of CASES) {
  test(`endpointFor() shows ${title} to ${names.join(", ")}`, () => {
    assert.deepEqual(seen(principal(...names)), expected);
  });
}

test("whoever gets in may do everything without access, and the gateway's own commands with it", () => {
  assert.deepEqual(seen(undefined), ALL);
  assert.deepEqual(seen(LOCAL), ALL);
  assert.deepEqual(seen(principal("anybody"), null), ALL);
  // It is who he is that counts, not what he is called.
  assert.deepEqual(seen(principal("local", "key:x"), []), Array(9).fill(NO));
});

test("* is for all who got in, and nobody is called so", () => {
  const rules = [{ who: "*", gives: ["a"] }];
  assert.deepEqual(seen(principal("x"), rules), [A, AG, AU, A, HID, HID, HID, NO, NO]);
  assert.deepEqual(seen(principal("*"), [{ who: "y", gives: ["*"] }]), Array(9).fill(NO));
});

test("the order of access means nothing", () => {
  for (const names of CASES.map(([, names]) => names)) {
    const backwards = [...RULES].reverse();
    const given = accessOf(principal(...names), settings(backwards));
    for (const endpoint of Object.values(ENDPOINTS)) {
      const told = endpointFor(given, endpoint);
      const before = endpointFor(accessOf(principal(...names), settings(RULES)), endpoint);
      if (typeof told === "object" && "scopes" in told) assert.ok("scopes" in (before as object));
      else assert.deepEqual(told, before);
    }
  }
});
