/** What holds for every shape and every profile. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { KindShape, ProfileConfig, ServerShape } from "../../src/config/types.ts";
import { parseGlob } from "../../src/lib/glob.ts";
import { LIST_RULES } from "../../src/protocol/lists.ts";
import { buildRegistry, changedLists } from "../../src/registry/build.ts";
import type { Registry, ServerEntry } from "../../src/registry/types.ts";
import { shapeInventory } from "../../src/registry/shape.ts";
import { entry, inventory } from "./builders.ts";

// Few and similar words, so that patterns match, and names collide.
const word = fc.constantFrom("a", "b", "a_b", "b_a", "ab", "__proto__", "toString", "🎉", "x*");
const uri = fc.constantFrom("r://a", "r://b", "ui://a", "s://a/b", "x");
const pattern = fc.oneof(
  word,
  fc.constantFrom("*", "a*", "?", "*_*", "{a,b}", "{a,b}_*", "r://*", String.raw`x\*`),
);
const patterns = fc.array(pattern, { maxLength: 3 });
const optional = { requiredKeys: [] };
const filter = fc.record({ include: patterns, exclude: patterns }, optional);
const tags = fc.array(fc.constantFrom("t", "u"), { maxLength: 2 });
const rules = fc.array(fc.record({ match: pattern, tags }), { maxLength: 2 });
const overrides = fc.array(
  fc.record({
    match: pattern,
    title: fc.string(),
    hideParameters: fc.array(word, { maxLength: 2 }),
    fixed: fc.dictionary(word, fc.integer(), { maxKeys: 2 }),
  }, { requiredKeys: ["match"] }),
  { maxLength: 3 },
);
const newName = fc.constantFrom("a", "b", "new", "a_b");
const rename = fc.uniqueArray(fc.tuple(word, newName), { selector: ([own]) => own, maxLength: 4 })
  .map((pairs) =>
    // No two onto the same, as the configuration sees to.
    Object.fromEntries(pairs.filter(([, name], at) => pairs.findIndex((o) => o[1] === name) === at))
  );
const kind = (renames: boolean): fc.Arbitrary<KindShape> =>
  fc.record({
    include: patterns,
    exclude: patterns,
    overrides,
    tags: rules,
    ...(renames && { rename }),
  }, optional);
const shape: fc.Arbitrary<ServerShape> = fc.record(
  { tools: kind(true), prompts: kind(true), resources: kind(false), tags },
  optional,
);
const server = fc.record({
  name: fc.constantFrom("a", "b", "c", "a_b"),
  tools: fc.array(word, { maxLength: 5 }),
  prompts: fc.array(word, { maxLength: 3 }),
  resources: fc.array(uri, { maxLength: 3 }),
  templates: fc.array(fc.constantFrom("r://{id}", "{+x}", "s://a/{y}"), { maxLength: 2 }),
  prefix: fc.constantFrom("always" as const, "conflict" as const, "never" as const),
  shape: fc.option(shape, { nil: undefined }),
}).map(({ name, prefix, shape, ...lists }): ServerEntry =>
  entry(name, inventory(lists), { prefix, shape })
);
const servers = fc.uniqueArray(server, { selector: ({ name }) => name, maxLength: 4 });
const profile: fc.Arbitrary<Omit<ProfileConfig, "name">> = fc.record({
  servers: fc.array(fc.constantFrom("a", "b", "c", "a*", "*"), { maxLength: 2 }),
  tags,
  prefix: fc.constantFrom("always" as const, "never" as const),
  tools: filter,
  prompts: filter,
  resources: filter,
}, optional);
const profiles = fc.array(profile, { maxLength: 3 })
  .map((list) => list.map((one, index) => ({ name: `p${index}`, ...one })));

function build(
  entries: readonly ServerEntry[],
  named: readonly ProfileConfig[] = [],
  previous?: Registry,
): Registry {
  return buildRegistry({ version: 1, servers: entries, profiles: named }, previous);
}

const matchesAny = (globs: readonly string[], text: string) =>
  globs.some((glob) => parseGlob(glob).matches(text));
const isShown = ({ include, exclude = [] }: KindShape = {}, own: string) =>
  (include === undefined || matchesAny(include, own)) && !matchesAny(exclude, own);

test("shapeInventory() without a shape gives the same object, with one the same twice", () => {
  fc.assert(fc.property(server, ({ inventory, shape }) => {
    assert.equal(shapeInventory(inventory, undefined).inventory, inventory);
    assert.equal(shapeInventory(inventory, {}).inventory, inventory);
    const { inventory: once } = shapeInventory(inventory, shape);
    assert.equal(shapeInventory(inventory, shape).inventory, once);
  }));
});

test("shapeInventory() leaves what it does not touch byte for byte, in its order", () => {
  fc.assert(fc.property(server, ({ inventory, shape = {} }) => {
    const { inventory: shaped } = shapeInventory(inventory, shape);
    for (const { kind } of LIST_RULES) {
      const rules = shape[kind === "templates" ? "resources" : kind];
      const expected = inventory.lists[kind].items.filter(({ key }) => isShown(rules, key));
      const found = shaped.lists[kind].items;
      assert.deepEqual(
        found.map(({ key, origin = key }) => origin),
        expected.map(({ key }) => key),
      );
      for (const [index, given] of expected.entries()) {
        const isOverridden = (rules?.overrides ?? []).some(({ match }) =>
          parseGlob(match).matches(given.key)
        );
        const isRenamed = Object.hasOwn(rules?.rename ?? {}, given.key);
        if (!isOverridden && !isRenamed) assert.equal(found[index], given);
        const { key, raw } = found[index]!;
        const member = LIST_RULES.find((rule) => rule.kind === kind)!.key;
        assert.equal(JSON.parse(raw)[member], key);
      }
    }
  }));
});

test("View.tool() leads from every listed name to what the server itself calls it", () => {
  fc.assert(fc.property(servers, profiles, (entries, named) => {
    const { aggregate, profiles } = build(entries, named);
    for (const view of [aggregate, ...profiles.values()]) {
      for (const kind of ["tool", "prompt"] as const) {
        const names = view.names(kind);
        assert.equal(new Set(names).size, names.length);
        const listed = view.list(`${kind}s`).items.map((raw) => JSON.parse(raw).name);
        assert.deepEqual(listed, names);
        for (const name of names) {
          const route = view[kind](name)!;
          assert.equal(route.exposed, name);
          const owner = entries.find((one) => one.name === route.server)!;
          assert.ok(owner.inventory.lists[`${kind}s`].items.some(({ key }) => key === route.name));
          assert.ok(view.allows(route.server, kind, route.name));
        }
      }
    }
  }));
});

test("View finds nothing that a server's shape leaves out, by any name", () => {
  const asked = fc.oneof(word, newName, uri, fc.tuple(word, word).map((both) => both.join("_")));
  fc.assert(fc.property(servers, profiles, asked, (entries, named, name) => {
    const { aggregate, profiles, servers: direct } = build(entries, named);
    const shapeOf = (server: string) => entries.find((one) => one.name === server)!.shape;
    for (const view of [aggregate, ...profiles.values(), ...direct.values()]) {
      for (const kind of ["tool", "prompt"] as const) {
        const route = view[kind](name);
        if (route === undefined) continue;
        assert.ok(isShown(shapeOf(route.server)?.[`${kind}s`], route.name));
      }
      const route = view.resource(name);
      if (route === undefined) continue;
      assert.ok(view.allows(route.server, "resource", route.uri));
      assert.ok(!matchesAny(shapeOf(route.server)?.resources?.exclude ?? [], route.uri));
    }
  }));
});

test("View lists of a profile are a part of the shaped ones, and all of them without a choice", () => {
  fc.assert(fc.property(servers, profiles, (entries, named) => {
    const { aggregate, profiles } = build(entries, [...named, { name: "all" }]);
    for (const { kind } of LIST_RULES) {
      assert.equal(profiles.get("all")!.list(kind), aggregate.list(kind));
    }
    for (const view of profiles.values()) {
      for (const kind of ["tool", "prompt"] as const) {
        for (const name of view.names(kind)) {
          const { server, name: own } = view[kind](name)!;
          assert.ok(aggregate.allows(server, kind, own));
        }
      }
    }
  }));
});

test("buildRegistry() gives profiles that do not depend on what was before", () => {
  fc.assert(fc.property(servers, servers, profiles, (first, second, named) => {
    const before = build(first, named);
    const after = build(second, named, before);
    const fresh = build(second, named);
    assert.deepEqual(after.notices, fresh.notices);
    for (const { name } of named) {
      const [old, now, expected] = [before, after, fresh].map((one) => one.profiles.get(name)!);
      const changed = changedLists(old, now!);
      for (const { kind } of LIST_RULES) {
        assert.equal(now!.list(kind).text, expected!.list(kind).text);
        assert.equal(changed.includes(kind), now!.list(kind).text !== old!.list(kind).text);
      }
    }
  }));
});
