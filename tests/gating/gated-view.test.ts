import assert from "node:assert/strict";
import { test } from "node:test";
import { changedLists } from "../../src/registry/build.ts";
import { GatedView } from "../../src/gating/view.ts";
import { metaToolTexts } from "../../src/gating/meta-tools.ts";
import { entry, inventory } from "../registry/builders.ts";
import { config, listed, registryOf, serverOf } from "./builders.ts";

const META = metaToolTexts(config()).map((text) => JSON.parse(text).name);

const ONE = serverOf("one", [{ name: "a" }, { name: "b" }]);
const TWO = serverOf("two", [{ name: "a" }]);

test("a gated list is the meta tools, whatever the servers have", () => {
  const on = config({ mode: "on" });
  let registry = registryOf([], on);
  const { view } = registry.gates.aggregate;
  assert.deepEqual(listed(view), META);
  const text = {
    legacy: view.list("tools", "legacy").text,
    modern: view.list("tools", "modern").text,
  };
  assert.equal(text.legacy, text.modern);
  for (const servers of [[ONE], [ONE, TWO], [TWO], []]) {
    const before = registry;
    registry = registryOf(servers, on, before);
    const now = registry.gates.aggregate.view;
    assert.equal(now.list("tools", "legacy").text, text.legacy);
    assert.equal(now.counts.tools, META.length);
    for (const era of ["legacy", "modern"] as const) {
      assert.deepEqual(changedLists(before.gates.aggregate.view, now, era), []);
      assert.equal(now.list("tools", era), view.list("tools", era), "not even built again");
    }
    assert.equal(now.instructions, view.instructions);
  }
});

test("a gated list has what is always visible, in the order of the full list", () => {
  const registry = registryOf([ONE, TWO], config({ alwaysVisible: ["two_*", "*_b", "none"] }));
  const { view, full } = registry.gates.aggregate;
  assert.deepEqual(listed(view), [...META, "one_b", "two_a"]);
  assert.equal(
    view.list("tools", "legacy").items.at(-1),
    full.list("tools", "legacy").items.at(-1),
  );
  const later = registryOf([ONE], view.config, registry);
  assert.deepEqual(changedLists(view, later.gates.aggregate.view, "modern"), ["tools"]);
});

test("a tool with the name of a meta tool is not listed twice, and stays reachable", () => {
  const clash = serverOf("x", [{ name: "discover_tools" }], { prefix: "never" });
  const registry = registryOf([clash], config({ alwaysVisible: ["*"] }));
  const { view } = registry.gates.aggregate;
  assert.deepEqual(listed(view), META);
  assert.deepEqual(view.toolsWith(["discover_tools"], "legacy"), view.list("tools", "legacy"));
  assert.equal(view.tool("discover_tools")?.server, "x");
});

test("a gated view is the full view in all but its tools", () => {
  const offers = inventory({
    tools: ["t"],
    prompts: ["p"],
    resources: ["r://x"],
    templates: ["r://{x}"],
  });
  const registry = registryOf([entry("s", offers)], config());
  const { view, full } = registry.gates.aggregate;
  for (const kind of ["prompts", "resources", "templates"] as const) {
    assert.equal(view.list(kind, "modern"), full.list(kind, "modern"));
    assert.equal(view.counts[kind], 1);
  }
  assert.deepEqual(view.tool("s_t"), full.tool("s_t"));
  assert.deepEqual(view.capabilitiesFor("legacy"), full.capabilitiesFor("legacy"));
  assert.equal(view.allows("s", "tool", "t"), true);
});

test("GatedView.toolsWith() appends what one client provisioned, in its order", () => {
  const registry = registryOf([ONE, TWO], config({ alwaysVisible: ["one_a"] }));
  const { view } = registry.gates.aggregate;
  const names = (provisioned: readonly string[]) =>
    view.toolsWith(provisioned, "legacy").items.map((raw) => JSON.parse(raw).name);
  assert.deepEqual(names(["two_a", "gone", "one_a", "one_b"]), [
    ...META,
    "one_a",
    "two_a",
    "one_b",
  ]);
  assert.equal(view.toolsWith(["one_a"], "modern"), view.list("tools", "modern"));
  assert.equal(view.toolsWith(["two_a"], "modern"), view.toolsWith(["two_a"], "modern"));
  for (let index = 0; index < 200; index++) names(["two_a", `gone${index}`]);
  assert.deepEqual(names(["two_a"]), [...META, "one_a", "two_a"]);
});

test("GatedView.page() cuts its own list, and cursors are of no other view", () => {
  const registry = registryOf([ONE], config({ alwaysVisible: ["*"] }));
  const { view, full } = registry.gates.aggregate;
  const first = view.page("tools", "legacy", undefined, META.length)!;
  const rest = view.page("tools", "legacy", first.nextCursor, META.length)!;
  assert.match(rest.text, /one_a[^]*one_b/);
  assert.equal(rest.nextCursor, undefined);
  assert.equal(full.page("tools", "legacy", first.nextCursor, META.length), undefined);
});

test("cursors of all but the tools outlive a gate that opens or closes", () => {
  const offers = inventory({ prompts: ["p", "q"], resources: ["r://x", "r://y"] });
  const { view, full } = registryOf([entry("s", offers)], config()).gates.aggregate;
  for (const kind of ["prompts", "resources"] as const) {
    for (const [one, other] of [[full, view], [view, full]] as const) {
      const { nextCursor } = one.page(kind, "legacy", undefined, 1)!;
      assert.equal(
        other.page(kind, "legacy", nextCursor, 1)?.text,
        one.page(kind, "legacy", nextCursor, 1)!.text,
      );
    }
  }
});

test("GatedView.build() gives the same view for the same", () => {
  const { aggregate: full } = registryOf([ONE]);
  const given = { full, config: config(), preface: "Read this." };
  const view = GatedView.build(given);
  assert.equal(GatedView.build({ ...given }, view), view);
  assert.notEqual(GatedView.build({ ...given, preface: undefined }, view), view);
  assert.notEqual(GatedView.build({ ...given, config: config() }, view), view);
  assert.match(view.instructions, /^Read this\.\n\nThe tools of several/);
});
