import assert from "node:assert/strict";
import { test } from "node:test";
import type { ProfileConfig, TagRule } from "../../src/config/types.ts";
import { EMPTY_INVENTORY, LIST_RULES } from "../../src/protocol/lists.ts";
import { buildRegistry, changedLists, noticeText } from "../../src/registry/build.ts";
import type { Registry, ServerEntry } from "../../src/registry/types.ts";
import { entry, inventory, list } from "./builders.ts";

const offers = (tool: string) => ({ tools: [`get_${tool}`, `put_${tool}`], prompts: ["p"] });
const a = entry("a", offers("a"), { shape: { tags: ["work"] } });
const b = entry("b", { ...offers("b"), resources: ["r://b"], templates: ["r://{id}"] }, {
  shape: {
    tools: { tags: [{ match: "get_*", tags: ["read"] }] },
    resources: { tags: [{ match: "r://b", tags: ["read"] }] },
  },
});
const c = entry("c", offers("c"), { shape: { alias: "sea" } });

const NO_TAGS: readonly TagRule[] = [];

function build(
  profiles: readonly ProfileConfig[],
  { servers = [a, b, c], tags = NO_TAGS, previous }: {
    readonly servers?: readonly ServerEntry[];
    readonly tags?: readonly TagRule[];
    readonly previous?: Registry;
  } = {},
): Registry {
  return buildRegistry({ version: 1, servers, profiles, tags }, previous);
}

/** The tools of a registry's only profile. */
function toolsOf(profile: Omit<ProfileConfig, "name">, tags: readonly TagRule[] = []) {
  return build([{ name: "x", ...profile }], { tags }).profiles.get("x")!.names("tool");
}

test("buildRegistry() gives a profile of everything the very lists of the aggregate", () => {
  const { aggregate, profiles } = build([{ name: "all" }]);
  const all = profiles.get("all")!;
  assert.equal(all.id, "profiles/all");
  for (const { kind } of LIST_RULES) {
    assert.equal(all.list(kind), aggregate.list(kind));
    assert.equal(all.list(kind, "legacy"), aggregate.list(kind, "legacy"));
  }
  assert.equal(profiles.get("other"), undefined);
});

test("buildRegistry() chooses servers by name, alias, pattern and tag", () => {
  assert.deepEqual(toolsOf({ servers: ["a"] }), ["a_get_a", "a_put_a"]);
  assert.deepEqual(toolsOf({ servers: ["sea"] }), toolsOf({ servers: ["c"] }));
  assert.deepEqual(toolsOf({ servers: ["{c,a}"] }), [
    "a_get_a",
    "a_put_a",
    "sea_get_c",
    "sea_put_c",
  ]);
  assert.deepEqual(toolsOf({ tags: ["work"] }), toolsOf({ servers: ["a"] }));
  assert.deepEqual(toolsOf({ servers: [] }), []);
});

test("buildRegistry() chooses single entries by their tags, whoever gives them", () => {
  assert.deepEqual(toolsOf({ tags: ["read"] }), ["b_get_b"]);
  assert.deepEqual(toolsOf({ servers: ["a"], tags: ["read"] }), ["a_get_a", "a_put_a", "b_get_b"]);
  const rules = [{ match: "sea_get_*", tags: ["read"] }];
  assert.deepEqual(toolsOf({ tags: ["read"] }, rules), ["b_get_b", "sea_get_c"]);
  const view = build([{ name: "x", tags: ["read"] }]).profiles.get("x")!;
  assert.deepEqual(view.names("prompt"), []);
  assert.deepEqual(view.list("templates").count, 0);
  assert.equal(view.resource("r://b")?.server, "b");
  // Of a server that is not chosen as a whole there is what is listed and nothing else.
  assert.equal(view.allows("b", "resource", "r://other"), false);
  assert.equal(view.allows("a", "resource", "r://other"), false);
});

test("buildRegistry() filters a profile by own, new and prefixed names", () => {
  const include = (...patterns: string[]) => toolsOf({ tools: { include: patterns } });
  assert.deepEqual(include("get_?"), ["a_get_a", "b_get_b", "sea_get_c"]);
  assert.deepEqual(include("sea_*"), ["sea_get_c", "sea_put_c"]);
  assert.deepEqual(toolsOf({ servers: ["a"], tools: { exclude: ["put_*"] } }), ["a_get_a"]);
  const renamed = entry("r", { tools: ["old"] }, { shape: { tools: { rename: { old: "new" } } } });
  for (const pattern of ["old", "new", "r_new"]) {
    const profile = { name: "x", tools: { include: [pattern] } };
    const view = build([profile], { servers: [renamed, c] }).profiles.get("x")!;
    assert.deepEqual(view.names("tool"), ["r_new"], pattern);
  }
  const view = build([{ name: "x", tools: { exclude: ["put_*"] } }]).profiles.get("x")!;
  for (const name of ["b_put_b", "put_b"]) assert.equal(view.tool(name), undefined);
  assert.equal(view.allows("b", "tool", "put_b"), false);
});

test("buildRegistry() leaves a profile no tool that may do more than its risk", () => {
  const item = (key: string, annotations?: object) => ({
    key,
    raw: JSON.stringify({ name: key, ...(annotations && { annotations }) }),
  });
  const tools = {
    items: [
      item("look", { readOnlyHint: true }),
      item("add", { destructiveHint: false }),
      item("drop", { readOnlyHint: false }),
      item("said"),
      item("lies", { readOnlyHint: true }),
    ],
  };
  const given = entry("s", { tools, prompts: ["p"] }, {
    shape: {
      tools: {
        overrides: [
          { match: "said", annotations: { readOnlyHint: true } },
          { match: "lies", annotations: { readOnlyHint: false } },
        ],
      },
    },
  });
  const view = (profile: Omit<ProfileConfig, "name">) =>
    build([{ name: "x", ...profile }], { servers: [given, a] }).profiles.get("x")!;
  assert.deepEqual(view({ risk: "read" }).names("tool"), ["s_look", "s_said"]);
  assert.deepEqual(view({ risk: "write" }).names("tool"), ["s_look", "s_add", "s_said"]);
  const both = view({ risk: "write", tools: { exclude: ["look"] } });
  assert.deepEqual(both.names("tool"), ["s_add", "s_said"]);
  assert.equal(both.tool("s_drop"), undefined);
  assert.equal(both.allows("s", "tool", "drop"), false);
  assert.deepEqual(both.names("prompt"), ["s_p", "a_p"]);
});

test("buildRegistry() never shows in a profile what a server's shape leaves out", () => {
  const shaped = { ...a, shape: { tools: { exclude: ["put_*"] } } };
  const profiles = [{ name: "x", tools: { include: ["*"] } }];
  const view = build(profiles, { servers: [shaped] }).profiles.get("x")!;
  assert.deepEqual(view.names("tool"), ["a_get_a"]);
});

test("buildRegistry() filters resources of a profile, listed or not", () => {
  const profile = { name: "x", resources: { exclude: ["r://secret*"] } };
  const { profiles, aggregate } = build([profile]);
  assert.equal(profiles.get("x")!.resource("r://secret"), undefined);
  assert.equal(profiles.get("x")!.resource("r://open")?.server, "b");
  assert.equal(aggregate.resource("r://secret")?.server, "b");
});

test("buildRegistry() names the tools of a profile among its servers only", () => {
  const conflict = { prefix: "conflict" } as const;
  const servers = [entry("a", { tools: ["x"] }, conflict), entry("b", { tools: ["x"] }, conflict)];
  const profiles = [
    { name: "one", servers: ["a"] },
    { name: "two", prefix: "always", separator: "-" },
  ] as const;
  const registry = build(profiles, { servers });
  assert.deepEqual(registry.aggregate.names("tool"), ["a_x", "b_x"]);
  assert.deepEqual(registry.profiles.get("one")!.names("tool"), ["x"]);
  assert.deepEqual(registry.profiles.get("two")!.names("tool"), ["a-x", "b-x"]);
});

test("buildRegistry() says a profile's instructions before those of its servers", () => {
  const says = (name: string, instructions: string) =>
    entry(name, inventory({ tools: [name] }, { instructions }));
  const servers = [says("a", "Do."), says("b", "Go."), entry("empty")];
  const { profiles } = build([
    { name: "x", servers: ["a"], instructions: " Only read.\n" },
    { name: "y", instructions: "All.", tools: { include: ["b"] } },
    { name: "z", servers: ["empty"] },
  ], { servers });
  assert.equal(profiles.get("x")!.instructions, "Only read.\n\n## a\n\nDo.");
  // Nothing of server "a" is left, so nothing is said about it.
  assert.equal(profiles.get("y")!.instructions, "All.\n\n## b\n\nGo.");
  assert.equal(profiles.get("z")!.instructions, undefined);
});

test("View.capabilitiesFor() a profile is about its servers", () => {
  const logs = entry("logs", inventory({ tools: ["t"] }, { capabilities: '{"logging":{}}' }));
  const { profiles } = build([{ name: "x", servers: ["a"] }, { name: "y", servers: ["logs"] }], {
    servers: [a, logs],
  });
  assert.equal(profiles.get("x")!.capabilities().declared.has("logging"), false);
  assert.equal(profiles.get("y")!.capabilities().declared.has("logging"), true);
  assert.equal(profiles.get("x")!.task("logs+1"), undefined);
});

test("buildRegistry() keeps a profile that a change does not touch", () => {
  const profiles: readonly ProfileConfig[] = [
    { name: "a", servers: ["a"], tools: { exclude: ["put_*"] } },
    { name: "reading", tools: { include: ["get_*"] } },
    { name: "all" },
  ];
  const previous = build(profiles);
  const again = build(profiles, { previous });
  const lists = { ...b.inventory.lists, tools: list("tools", ["get_b", "put_b", "put_new"]) };
  const changed = { ...b, inventory: { ...b.inventory, lists } };
  const after = build(profiles, { previous, servers: [a, changed, c] });
  const view = (registry: Registry, name: string) => registry.profiles.get(name)!;
  for (const { name } of profiles) assert.equal(view(again, name), view(previous, name));
  assert.equal(view(after, "a"), view(previous, "a"));
  // What is new there is filtered away here: the same bytes, and nobody is told of tools.
  assert.equal(view(after, "reading").list("tools"), view(previous, "reading").list("tools"));
  assert.deepEqual(changedLists(view(previous, "reading"), view(after, "reading")), []);
  assert.equal(view(after, "all").list("tools"), after.aggregate.list("tools"));
  assert.deepEqual(changedLists(view(previous, "all"), view(after, "all")), ["tools"]);
});

test("Registry.notices say which patterns of a profile match nothing, once all are known", () => {
  const profiles = [{
    name: "x",
    servers: ["a", "b"],
    tools: { include: ["get_*", "sea_*"], exclude: ["put_z"] },
    resources: { exclude: ["r://b"] },
  }];
  const unknown = { ...b, inventory: EMPTY_INVENTORY, shape: undefined };
  assert.deepEqual(build(profiles, { servers: [a, unknown] }).notices, []);
  assert.deepEqual(build(profiles).notices.map(noticeText), [
    'profiles.x.tools.include: "sea_*" matches nothing that is offered',
    'profiles.x.tools.exclude: "put_z" matches nothing that is offered',
  ]);
});

test("View.page() of a profile takes no cursor of another view", () => {
  const { aggregate, profiles } = build([{ name: "all" }]);
  const { nextCursor } = aggregate.page("tools", "legacy", undefined, 1)!;
  const all = profiles.get("all")!;
  assert.equal(all.page("tools", "legacy", nextCursor, 1), undefined);
  const own = all.page("tools", "legacy", undefined, 1)!.nextCursor;
  assert.equal(all.page("tools", "legacy", own, 1)?.text.includes("a_put_a"), true);
});

test("buildRegistry() chooses anew when the tags or the alias of a server have changed", () => {
  const profiles: readonly ProfileConfig[] = [
    { name: "read", tags: ["read"] },
    { name: "bee", tools: { include: ["bee_*"] } },
  ];
  const previous = build(profiles);
  assert.deepEqual(previous.profiles.get("bee")!.names("tool"), []);
  const shape = { alias: "bee", tools: { tags: [{ match: "put_*", tags: ["read"] }] } };
  const servers = [a, { ...b, shape }, c];
  const after = build(profiles, { previous, servers });
  assert.deepEqual(after.aggregate.names("tool").slice(2, 4), ["bee_get_b", "bee_put_b"]);
  assert.deepEqual(after.profiles.get("read")!.names("tool"), ["bee_put_b"]);
  assert.deepEqual(after.profiles.get("bee")!.names("tool"), ["bee_get_b", "bee_put_b"]);
  const tags = [{ match: "sea_get_c", tags: ["read"] }];
  const ruled = build(profiles, { previous: after, servers, tags });
  assert.deepEqual(ruled.profiles.get("read")!.names("tool"), ["bee_put_b", "sea_get_c"]);
});
