import assert from "node:assert/strict";
import { test } from "node:test";
import { buildRegistry, changedLists } from "../../src/registry/build.ts";
import { entry, inventory, item } from "./builders.ts";

const offers = { tools: ["x", "y"], prompts: ["p"], resources: ["r://1"] };
const a = entry("a", offers);
const b = entry("b", { tools: ["x"], resources: ["r://2"] });
const before = buildRegistry({ version: 1, servers: [a, b] });

test("buildRegistry() returns the same views for the same objects", () => {
  const after = buildRegistry({ version: 2, servers: [{ ...a, stale: true }, b] }, before);
  assert.equal(after.version, 2);
  assert.equal(after.aggregate, before.aggregate);
  assert.equal(after.servers.get("a"), before.servers.get("a"));
  assert.deepEqual(changedLists(before.aggregate, after.aggregate), []);
  assert.equal(after.entries[0]!.stale, true);
});

test("buildRegistry() rebuilds only what the changed server touches", () => {
  const changed = { ...b, inventory: inventory({ tools: ["x", "z"], resources: ["r://2"] }) };
  const after = buildRegistry({ version: 2, servers: [a, changed] }, before);
  assert.equal(after.servers.get("a"), before.servers.get("a"));
  assert.notEqual(after.servers.get("b"), before.servers.get("b"));
  assert.deepEqual(changedLists(before.aggregate, after.aggregate), ["tools"]);
  assert.deepEqual(changedLists(before.servers.get("b"), after.servers.get("b")!), ["tools"]);
  // New objects with the same text keep the bytes that are already there.
  for (const kind of ["prompts", "resources", "templates"] as const) {
    assert.equal(after.aggregate.list(kind), before.aggregate.list(kind));
  }
  assert.deepEqual(after.aggregate.names("tool"), ["a_x", "a_y", "b_x", "b_z"]);
});

test("buildRegistry() keeps a list's bytes when a refresh brought the same", () => {
  const again = { ...b, inventory: inventory({ tools: ["x"], resources: ["r://2"] }) };
  const after = buildRegistry({ version: 2, servers: [a, again] }, before);
  assert.notEqual(after.aggregate, before.aggregate);
  assert.equal(after.aggregate.list("tools"), before.aggregate.list("tools"));
  assert.equal(after.servers.get("b")!.list("tools"), before.servers.get("b")!.list("tools"));
  assert.deepEqual(changedLists(before.aggregate, after.aggregate), []);
});

test("buildRegistry() shows an entry's new text under its old name", () => {
  const items = [item("tools", "x", '"description":"new"')];
  const edited = { ...b, inventory: inventory({ tools: { items }, resources: ["r://2"] }) };
  const after = buildRegistry({ version: 2, servers: [a, edited] }, before);
  assert.deepEqual(JSON.parse(after.aggregate.list("tools").items[2]!), {
    "x-n": 1,
    name: "b_x",
    description: "new",
  });
  assert.deepEqual(changedLists(before.aggregate, after.aggregate), ["tools"]);
});

test("buildRegistry() changes a tool's UI link when another server lists the same resource", () => {
  const app = { items: [item("tools", "x", '"_meta":{"ui":{"resourceUri":"ui://x"}}')] };
  const one = entry("a", { tools: app });
  const other = entry("b");
  const old = buildRegistry({ version: 1, servers: [one, other] });
  const sharing = { ...other, inventory: inventory({ resources: ["ui://x"] }) };
  const after = buildRegistry({ version: 2, servers: [one, sharing] }, old);
  assert.match(old.aggregate.list("tools").text, /"ui:\/\/x"/);
  assert.match(after.aggregate.list("tools").text, /"ui:\/\/a\+x"/);
  assert.deepEqual(changedLists(old.aggregate, after.aggregate), ["tools", "resources"]);
});

test("buildRegistry() routes anew where only an owner changed", () => {
  const never = { prefix: "never" } as const;
  const old = buildRegistry({ version: 1, servers: [entry("a", offers, never)] });
  const moved = entry("z", a.inventory, never);
  const after = buildRegistry({ version: 2, servers: [moved] }, old);
  assert.equal(after.aggregate.tool("x")?.server, "z");
  assert.equal(after.aggregate.resource("r://1")?.server, "z");
  assert.deepEqual(changedLists(old.aggregate, after.aggregate), []);
});

test("buildRegistry() follows a change of prefix, separator and order", () => {
  const renamed = buildRegistry({ version: 2, servers: [{ ...a, separator: "-" }, b] }, before);
  assert.deepEqual(renamed.aggregate.names("tool"), ["a-x", "a-y", "b_x"]);
  assert.deepEqual(changedLists(before.aggregate, renamed.aggregate), ["tools", "prompts"]);
  const turned = buildRegistry({ version: 2, servers: [b, a] }, before);
  assert.deepEqual(turned.aggregate.names("tool"), ["b_x", "a_x", "a_y"]);
  assert.deepEqual(changedLists(before.aggregate, turned.aggregate), ["tools", "resources"]);
});

test("changedLists() names what a new view has to offer", () => {
  assert.deepEqual(changedLists(undefined, before.servers.get("b")!), ["tools", "resources"]);
  const empty = buildRegistry({ version: 1, servers: [] }).aggregate;
  assert.deepEqual(changedLists(undefined, empty), []);
  assert.deepEqual(changedLists(before.aggregate, empty), ["tools", "prompts", "resources"]);
});

test("buildRegistry() gives snapshots nobody can change", () => {
  assert.ok(Object.isFrozen(before));
  assert.ok(Object.isFrozen(before.aggregate));
  assert.ok(Object.isFrozen(before.servers.get("a")));
  assert.ok(Object.isFrozen(before.aggregate.tool("a_x")));
  assert.ok(Object.isFrozen(before.aggregate.list("tools")));
});
