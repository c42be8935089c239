import assert from "node:assert/strict";
import { test } from "node:test";
import type { GatingMode } from "../../src/config/types.ts";
import { exceeds } from "../../src/gating/gate.ts";
import { findTool, listedTools } from "../../src/gating/view.ts";
import { config, registryOf, serverOf } from "./builders.ts";

const tools = (count: number, description = "") =>
  Array.from({ length: count }, (_, index) => ({ name: `t${index}`, description }));

test("exceeds() goes by the number of tools, and by their tokens", () => {
  const viewOf = (count: number, description?: string) =>
    registryOf([serverOf("s", tools(count, description))]).aggregate;
  const one = [...listedTools(viewOf(1)).values()][0]!.tokens;
  const budget = { maxTools: 3, maxTokens: 10_000 };
  assert.equal(exceeds(viewOf(3), budget), false);
  assert.equal(exceeds(viewOf(4), budget), true);
  assert.equal(exceeds(viewOf(3, "word ".repeat(4_000)), budget), true);
  assert.equal(exceeds(viewOf(1), { maxTools: 3, maxTokens: one }), false);
  assert.equal(exceeds(viewOf(1), { maxTools: 3, maxTokens: one - 1 }), true);
  assert.equal(exceeds(viewOf(0), { maxTools: 0, maxTokens: 0 }), false);
});

test("a gate is closed always, never, or beyond the budget", () => {
  const closed = (mode: GatingMode, count: number) =>
    registryOf([serverOf("s", tools(count))], config({ mode, maxTools: 3 })).gates.aggregate
      .isClosed;
  const table: readonly (readonly [GatingMode, few: boolean, many: boolean])[] = [
    ["on", true, true],
    ["off", false, false],
    ["auto", false, true],
  ];
  for (const [mode, few, many] of table) {
    assert.deepEqual([closed(mode, 3), closed(mode, 4)], [few, many], mode);
  }
});

test("a gate is the same object as long as nothing about it changes", () => {
  const gating = config({ maxTools: 3 });
  const servers = [serverOf("s", tools(3))];
  const before = registryOf(servers, gating);
  assert.equal(registryOf(servers, gating, before).gates.aggregate, before.gates.aggregate);
  const grown = registryOf([serverOf("s", tools(4))], gating, before).gates.aggregate;
  assert.equal(grown.isClosed, true);
  assert.equal(grown.view.list("tools"), before.gates.aggregate.view.list("tools"));
});

test("findTool() takes the exposed name, the own one where it is unique, and server:name", () => {
  const ui = { name: "draw", _meta: { ui: { visibility: ["app"] } } };
  const view = registryOf([
    serverOf("a", [{ name: "get" }, { name: "put" }, { name: "x:y" }, ui]),
    serverOf("b", [{ name: "get" }]),
  ]).aggregate;
  const found = (id: string) => findTool(view, id, "modern")?.route.exposed;
  const table: readonly (readonly [id: string, exposed: string | undefined])[] = [
    ["a_get", "a_get"],
    ["put", "a_put"],
    ["get", undefined],
    ["b:get", "b_get"],
    ["a:x:y", view.names("tool").find((name) => name.includes("y"))],
    ["a:none", undefined],
    ["", undefined],
    ["a_draw", undefined],
    ["draw", undefined],
  ];
  for (const [id, exposed] of table) assert.equal(found(id), exposed, id);
});
