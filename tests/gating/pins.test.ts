import assert from "node:assert/strict";
import { test } from "node:test";
import type { ProfileConfig } from "../../src/config/types.ts";
import { DEFAULT_SETTINGS } from "../../src/config/settings.ts";
import { buildSnapshot, type Snapshot } from "../../src/gating/gate.ts";
import { EMPTY_INVENTORY } from "../../src/protocol/lists.ts";
import { noticeText } from "../../src/registry/build.ts";
import { entry } from "../registry/builders.ts";

const a = entry("a", { tools: ["get", "put"] });
const b = entry("b", { tools: ["get"] });

function noticesOf(
  alwaysVisible: readonly string[],
  profiles: readonly ProfileConfig[] = [],
  servers = [a, b],
): readonly string[] {
  const gating = { ...DEFAULT_SETTINGS.gating, alwaysVisible };
  return buildSnapshot({ version: 1, servers, profiles, gating }).notices.map(noticeText);
}

test("Registry.notices name the patterns of alwaysVisible that match no tool", () => {
  assert.deepEqual(noticesOf(["a_get", "*_put", "c_*", "get", "{a,b}_get"]), [
    'gating.alwaysVisible: "c_*" matches nothing that is offered',
    'gating.alwaysVisible: "get" matches nothing that is offered',
  ]);
  assert.deepEqual(noticesOf(["c_*", "c_*"]), [
    'gating.alwaysVisible: "c_*" matches nothing that is offered',
  ]);
});

test("Registry.notices of alwaysVisible wait until every server is known", () => {
  const unknown = { ...b, inventory: EMPTY_INVENTORY };
  assert.deepEqual(noticesOf(["b_get"], [], [a, unknown]), []);
  assert.deepEqual(noticesOf(["b_put"]).length, 1);
});

test("Registry.notices of alwaysVisible go by the names of the views it is for", () => {
  const plain: ProfileConfig = { name: "plain", prefix: "never", servers: ["a"] };
  const own: ProfileConfig = { ...plain, name: "own", gating: { alwaysVisible: ["put", "a_put"] } };
  // What the aggregate does not have a profile may have, unless it says something of its own.
  assert.deepEqual(noticesOf(["put"], [plain]), []);
  assert.deepEqual(noticesOf(["put"], [own]), [
    'gating.alwaysVisible: "put" matches nothing that is offered',
    'profiles.own.gating.alwaysVisible: "a_put" matches nothing that is offered',
  ]);
  assert.deepEqual(noticesOf([], [{ ...plain, gating: { mode: "on" } }]), []);
});

test("Registry.gates merge a profile's gating over that of all, key by key", () => {
  const gating = { ...DEFAULT_SETTINGS.gating, maxTools: 7, splitByRisk: true };
  const profiles: readonly ProfileConfig[] = [
    { name: "same" },
    { name: "on", gating: { mode: "on", splitByRisk: false } },
    { name: "few", gating: { maxTools: 1 } },
  ];
  const build = (previous?: Snapshot) =>
    buildSnapshot({ version: 1, servers: [a, b], profiles, gating }, previous);
  const registry = build();
  const { aggregate, profiles: gates } = registry.gates;
  assert.equal(aggregate.config, gating);
  assert.equal(gates.get("same")!.config, gating);
  assert.deepEqual(gates.get("on")!.config, { ...gating, mode: "on", splitByRisk: false });
  assert.deepEqual(gates.get("few")!.config, { ...gating, mode: "auto", maxTools: 1 });
  const closed = [aggregate, ...["same", "on", "few"].map((name) => gates.get(name)!)];
  assert.deepEqual(closed.map(({ isClosed }) => isClosed), [false, false, true, true]);
  // Nobody is told of a change that is none.
  const again = build(registry);
  for (const { name } of profiles) assert.equal(again.gates.profiles.get(name), gates.get(name));
  assert.equal(again.gates.aggregate, aggregate);
});
