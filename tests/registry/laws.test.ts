/** What holds for every registry. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { EMPTY_INVENTORY, LIST_RULES } from "../../src/protocol/lists.ts";
import { buildRegistry, changedLists } from "../../src/registry/build.ts";
import type { Registry, ServerEntry } from "../../src/registry/types.ts";
import { entry, item } from "./builders.ts";

// Few and similar words, so that servers collide in every way there is.
const word = fc.oneof(
  fc.constantFrom("a", "b", "a_b", "b_a", "a-b", "A", "__proto__", "toString", "", "🎉"),
  fc.string({ unit: "binary", maxLength: 6 }),
);
const uri = fc.oneof(
  fc.constantFrom("demo://1", "a+demo://1", "ui://x", "ui://a+x", "x", "", "a+", "b+a+demo://1"),
  fc.tuple(word, word).map(([scheme, rest]) => `${scheme}://${rest}`),
);
const template = fc.oneof(
  fc.constantFrom("demo://{id}", "demo://{name}", "{+all}", "a+{+all}", "ui://{x}", "demo://1{?q}"),
  uri,
);
const named = (kind: "tools" | "prompts") =>
  fc.array(
    fc.tuple(word, fc.option(uri)).map(([name, link]) =>
      item(
        kind,
        name,
        link === null ? "" : `"_meta":{"ui":{"resourceUri":${JSON.stringify(link)}}}`,
      )
    ),
    { maxLength: 5 },
  );
const keyed = (kind: "resources" | "templates", key: fc.Arbitrary<string>) =>
  fc.array(key.map((text) => item(kind, text)), { maxLength: 4 });
const server = fc.record({
  name: word,
  prefix: fc.constantFrom("always" as const, "conflict" as const, "never" as const),
  separator: fc.constantFrom("_", "__", "-"),
  tools: named("tools"),
  prompts: named("prompts"),
  resources: keyed("resources", uri),
  templates: keyed("templates", template),
}).map(({ tools, prompts, resources, templates, ...rest }): ServerEntry => ({
  ...rest,
  stale: false,
  inventory: {
    ...EMPTY_INVENTORY,
    lists: {
      tools: { items: tools },
      prompts: { items: prompts },
      resources: { items: resources },
      templates: { items: templates },
    },
  },
}));
const servers = fc.uniqueArray(server, { selector: ({ name }) => name, maxLength: 4 });
const build = (entries: readonly ServerEntry[], previous?: Registry) =>
  buildRegistry({ version: 1, servers: entries }, previous);
const texts = ({ aggregate }: Registry) => LIST_RULES.map(({ kind }) => aggregate.list(kind).text);

test("buildRegistry() gives the same whatever order inventories arrived in", () => {
  const arrivals = servers.chain((entries) =>
    fc.tuple(
      fc.constant(entries),
      fc.shuffledSubarray([...entries.keys()], {
        minLength: entries.length,
        maxLength: entries.length,
      }),
    )
  );
  fc.assert(fc.property(arrivals, ([entries, order]) => {
    const arrived = entries.map((one) =>
      entry(one.name, {}, { ...one, inventory: EMPTY_INVENTORY })
    );
    let registry = build([...arrived]);
    for (const index of order) {
      arrived[index] = entries[index]!;
      const before = registry;
      registry = build([...arrived], before);
      // A client that follows the notifications has the lists of a fresh build.
      const changed = changedLists(before.aggregate, registry.aggregate);
      for (const { kind } of LIST_RULES) {
        const same = before.aggregate.list(kind).text === registry.aggregate.list(kind).text;
        assert.equal(changed.includes(kind), !same);
      }
    }
    const fresh = build(entries);
    assert.deepEqual(texts(registry), texts(fresh));
    assert.deepEqual(registry.conflicts, fresh.conflicts);
    assert.deepEqual(registry.aggregate.names("tool"), fresh.aggregate.names("tool"));
  }));
});

test("View.tool() resolves every listed name to its owner, and no two alike", () => {
  fc.assert(fc.property(servers, (entries) => {
    const { aggregate } = build(entries);
    for (const kind of ["tools", "prompts"] as const) {
      const find = kind === "tools" ? aggregate.tool : aggregate.prompt;
      const offered = entries.flatMap(({ name: owner, inventory }) =>
        [...new Set(inventory.lists[kind].items.map(({ key }) => key))].map((name) => [owner, name])
      );
      const listed = aggregate.list(kind).items.map((raw) => JSON.parse(raw).name as string);
      assert.equal(new Set(listed).size, offered.length);
      assert.deepEqual(listed, aggregate.names(kind === "tools" ? "tool" : "prompt"));
      assert.deepEqual(
        listed.map((name) => find.call(aggregate, name)).map((
          route,
        ) => [route?.server, route?.name]),
        offered,
      );
    }
  }));
});

test("View.resource() reads every listed URI from its owner, and no two alike", () => {
  fc.assert(fc.property(servers, (entries) => {
    const { aggregate } = build(entries);
    for (const [kind, member] of [["resources", "uri"], ["templates", "uriTemplate"]] as const) {
      const offered = entries.flatMap(({ name, inventory }) =>
        [...new Set(inventory.lists[kind].items.map(({ key }) => key))].map((key) => [name, key])
      );
      const listed = aggregate.list(kind).items.map((raw) => JSON.parse(raw)[member] as string);
      assert.equal(new Set(listed).size, offered.length);
      const found = listed.map((text) =>
        kind === "resources" ? aggregate.resource(text) : aggregate.template(text)
      );
      assert.deepEqual(found.map((route) => [route?.server, route?.uri]), offered);
    }
  }));
});

test("View.exposedUri() leads back to the server that named the URI, or to none", () => {
  fc.assert(fc.property(servers, uri, (entries, named) => {
    const { aggregate } = build(entries);
    for (const { name } of entries) {
      const exposed = aggregate.exposedUri(name, named);
      const found = aggregate.resource(exposed);
      if (found === undefined) {
        assert.equal(exposed, named);
        assert.deepEqual(aggregate.ambiguous("resource", exposed), []);
      } else assert.deepEqual(found, { server: name, uri: named });
      if (!aggregate.rewritesUris(name)) assert.equal(exposed, named);
    }
  }));
});

test("View lists refer to UI resources that resolve to the tool's own server", () => {
  fc.assert(fc.property(servers, (entries) => {
    const { aggregate } = build(entries);
    for (const raw of aggregate.list("tools").items) {
      const { name, _meta } = JSON.parse(raw);
      if (_meta === undefined) continue;
      const owner = aggregate.tool(name)!.server;
      assert.equal(aggregate.resource(_meta.ui.resourceUri)?.server, owner);
    }
  }));
});

test("View never throws and never answers for another view's text", () => {
  const text = fc.oneof(word, uri, template, fc.string({ unit: "binary", maxLength: 40 }));
  fc.assert(fc.property(servers, text, (entries, asked) => {
    const { aggregate, servers: direct } = build(entries);
    for (const view of [aggregate, ...direct.values()]) {
      const route = view.tool(asked) ?? view.prompt(asked);
      if (route !== undefined) assert.ok(direct.has(route.server));
      const found = view.resource(asked) ?? view.template(asked);
      if (found !== undefined) assert.ok(direct.has(found.server));
      for (const kind of ["tool", "prompt", "resource"] as const) {
        assert.notEqual(view.ambiguous(kind, asked).length, 1);
      }
    }
  }));
});
