import assert from "node:assert/strict";
import { test } from "node:test";
import type { Era } from "../../src/protocol/eras.ts";
import { buildRegistry, changedLists } from "../../src/registry/build.ts";
import type { Registry, ServerEntry } from "../../src/registry/types.ts";
import { entry, inventory, item } from "./builders.ts";

const build = (servers: readonly ServerEntry[], previous?: Registry) =>
  buildRegistry({ version: 1, servers }, previous);
const server = (name: string, era: Era | undefined, tools: readonly [string, string][]) =>
  entry(
    name,
    inventory(
      {
        tools: { items: tools.map(([key, extra]) => item("tools", key, extra)) },
        prompts: ["p"],
        resources: ["r://1"],
      },
      era === undefined ? {} : { era },
    ),
  );
const TASK = '"execution":{"taskSupport":"optional"}';
const ARRAY = '"outputSchema":{"type":"array"}';
const parsed = (registry: Registry, era?: Era) =>
  registry.aggregate.list("tools", era).items.map((text) => JSON.parse(text));

test("View.list() shows each era its own form of a tool, everything else untouched", () => {
  const registry = build([
    server("old", "legacy", [["t", TASK], ["plain", ""]]),
    server("new", "modern", [["t", ARRAY], ["task", TASK]]),
  ]);
  const wrapped = {
    type: "object",
    properties: { result: { type: "array" } },
    required: ["result"],
  };
  const execution = { taskSupport: "optional" };
  assert.deepEqual(parsed(registry, "legacy"), [
    { "x-n": 1, name: "old_t", execution },
    { "x-n": 1, name: "old_plain" },
    { "x-n": 1, name: "new_t", outputSchema: wrapped },
    { "x-n": 1, name: "new_task", execution },
  ]);
  assert.deepEqual(parsed(registry, "modern"), [
    { "x-n": 1, name: "old_t" },
    { "x-n": 1, name: "old_plain" },
    { "x-n": 1, name: "new_t", outputSchema: { type: "array" } },
    { "x-n": 1, name: "new_task", execution },
  ]);
  assert.equal(
    registry.aggregate.list("tools", "modern").items[0],
    '{ "x-n": 1.0, "name" :"old_t" }',
  );
  const direct = registry.servers.get("new")!;
  assert.equal(direct.list("tools", "modern"), direct.list("tools"));
  assert.deepEqual(JSON.parse(direct.list("tools", "legacy").items[0]!).outputSchema, wrapped);
  assert.equal(direct.list("tools", "legacy").items[1], direct.list("tools").items[1]);
});

test("View.list() is one object for both eras where nothing differs", () => {
  const registry = build([
    server("old", "legacy", [["t", ARRAY]]),
    server("new", "modern", [["t", TASK]]),
    server("unknown", undefined, [["t", `${TASK},${ARRAY}`]]),
  ]);
  for (const view of [registry.aggregate, ...registry.servers.values()]) {
    for (const kind of ["tools", "prompts", "resources", "templates"] as const) {
      assert.equal(view.list(kind, "legacy"), view.list(kind));
      assert.equal(view.list(kind, "modern"), view.list(kind));
    }
  }
});

test("View.wrapsOutput() says which results legacy clients need wrapped", () => {
  const registry = build([
    server("old", "legacy", [["t", ARRAY]]),
    server("new", "modern", [["t", ARRAY], ["plain", ""]]),
  ]);
  const { aggregate } = registry;
  assert.equal(aggregate.wrapsOutput("new", "t"), true);
  assert.equal(aggregate.wrapsOutput("new", "plain"), false);
  assert.equal(aggregate.wrapsOutput("new", "toString"), false);
  assert.equal(aggregate.wrapsOutput("old", "t"), false);
  assert.equal(aggregate.wrapsOutput("gone", "t"), false);
  assert.equal(registry.servers.get("new")!.wrapsOutput("new", "t"), true);
});

test("buildRegistry() keeps an era's list where only another server's differing part is new", () => {
  const old = server("old", "legacy", [["t", TASK]]);
  const before = build([old, server("b", "legacy", [["x", ""]])]);
  const same = build([old, server("b", "legacy", [["x", ""]])], before);
  assert.equal(same.aggregate.list("tools", "modern"), before.aggregate.list("tools", "modern"));
  assert.equal(
    same.servers.get("old")!.list("tools", "modern"),
    before.servers.get("old")!.list("tools", "modern"),
  );
  const after = build([old, server("b", "legacy", [["y", ""]])], same);
  assert.deepEqual(parsed(after, "modern").map(({ name }) => name), ["old_t", "b_y"]);
});

test("buildRegistry() follows a server into another era", () => {
  const old = server("a", "legacy", [["t", `${TASK},${ARRAY}`]]);
  const before = build([old]);
  // The very same lists, read again by a newer release of the server.
  const moved = { ...old, inventory: { ...old.inventory, era: "modern" as const } };
  const after = build([moved], before);
  assert.equal(parsed(after, "modern")[0].execution.taskSupport, "optional");
  assert.equal(parsed(after, "legacy")[0].outputSchema.type, "object");
  assert.equal(after.servers.get("a")!.wrapsOutput("a", "t"), true);
});

test("changedLists() compares what clients of an era receive", () => {
  const before = build([server("a", "legacy", [["t", TASK]])]).aggregate;
  const after = build([server("a", "legacy", [["t", '"execution":{}']])], undefined).aggregate;
  assert.deepEqual(changedLists(before, after), ["tools"]);
  assert.deepEqual(changedLists(before, after, "legacy"), ["tools"]);
  assert.deepEqual(changedLists(before, after, "modern"), []);
});

test("View.list() of the aggregate hides tools that only a UI may call, and routes them", () => {
  const visibility = (value: string) => `"_meta":{"ui":{"visibility":${value}}}`;
  const registry = build([
    server("a", "legacy", [
      ["app", visibility('["app"]')],
      ["both", visibility('["model","app"]')],
      ["nobody", visibility("[]")],
      ["odd", visibility('"app"')],
      ["text", '"description":"\\"visibility\\""'],
      ["plain", TASK],
    ]),
    server("b", "legacy", [["app", visibility('["model"]')]]),
  ]);
  const { aggregate, servers, conflicts } = registry;
  const listed = ["a_both", "a_odd", "a_text", "a_plain", "b_app"];
  for (const era of [undefined, "legacy", "modern"] as const) {
    assert.deepEqual(parsed(registry, era).map(({ name }) => name), listed);
  }
  assert.deepEqual(aggregate.names("tool"), listed);
  assert.equal(aggregate.counts.tools, listed.length);
  assert.deepEqual(aggregate.tool("a_app"), { server: "a", name: "app", exposed: "a_app" });
  assert.equal(aggregate.tool("nobody")?.exposed, "a_nobody");
  assert.deepEqual(conflicts.filter(({ kind }) => kind === "tools"), []);
  // One to one it is the host that hides them.
  assert.equal(servers.get("a")!.list("tools").count, 6);
  assert.equal(servers.get("a")!.names("tool")[0], "app");
});
