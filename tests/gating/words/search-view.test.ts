import assert from "node:assert/strict";
import { test } from "node:test";
import type { ServerShape } from "../../../src/config/types.ts";
import { buildRegistry } from "../../../src/registry/build.ts";
import type { Registry, View } from "../../../src/registry/types.ts";
import { indexOf, prepareIndex } from "../../../src/gating/words/search.ts";
import { entry, inventory, item } from "../../registry/builders.ts";

const described = (name: string, description: string) =>
  item("tools", name, `"description": ${JSON.stringify(description)}`);

const mail = inventory({
  tools: {
    items: [described("send", "Sends a letter"), described("drop", "Throws a letter away")],
  },
}, {
  serverInfo: '{"name":"carrier-pigeon-mcp","title":"Postman"}',
  instructions: "All about correspondence.",
});
const files = inventory({ tools: ["read"] });
const shape: ServerShape = {
  alias: "post",
  tags: ["office"],
  tools: {
    rename: { send: "dispatch" },
    overrides: [{ match: "drop", description: "Shreds paper" }],
    tags: [{ match: "drop", tags: ["danger"] }],
  },
};
const entries = [entry("mail", mail, { shape }), entry("files", files)];
const PROFILE = { name: "p", servers: ["mail"], tools: { exclude: ["drop"] } };
const build = (previous?: Registry, servers = entries) =>
  buildRegistry({
    version: 1,
    servers,
    profiles: [PROFILE],
  }, previous);
const found = (
  { entries }: Registry,
  view: View,
  query: string,
  tags?: readonly string[],
) => {
  const rules = [{ match: "files_*", tags: ["disk"] }];
  return indexOf(view, entries, rules).search(query, { tags }).hits
    .map(({ document: { id, server, name } }) => `${id} = ${server.name}/${name}`);
};

test("indexOf() finds tools as the view shows them, and says what they are upstream", () => {
  const registry = build();
  const { aggregate } = registry;
  const send = "post_dispatch = mail/send";
  const drop = "post_drop = mail/drop";
  for (const query of ["dispatch", "post_dispatch", "letter"]) {
    assert.deepEqual(found(registry, aggregate, query)[0], send, query);
  }
  assert.deepEqual(found(registry, aggregate, "shreds"), [drop]);
  assert.deepEqual(found(registry, aggregate, "throws"), []);
  for (const query of ["postman", "pigeon", "correspondence", "post"]) {
    assert.deepEqual(found(registry, aggregate, query).toSorted(), [send, drop], query);
  }
});

test("indexOf() gives tools the tags of their server, of its rules and of the rules for all", () => {
  const registry = build();
  const { aggregate } = registry;
  assert.equal(found(registry, aggregate, "post", ["office"]).length, 2);
  assert.deepEqual(found(registry, aggregate, "post", ["office", "danger"]), [
    "post_drop = mail/drop",
  ]);
  assert.deepEqual(found(registry, aggregate, "read", ["disk"]), ["files_read = files/read"]);
  assert.deepEqual(found(registry, aggregate, "danger"), ["post_drop = mail/drop"]);
});

test("indexOf() has only what the view lists", () => {
  const registry = build();
  const profile = registry.profiles.get("p")!;
  assert.deepEqual(found(registry, profile, "letter paper read"), ["post_dispatch = mail/send"]);
  assert.deepEqual(found(registry, registry.servers.get("files")!, "read letter"), [
    "read = files/read",
  ]);
});

test("indexOf() gives the same index until the view or the tags change", () => {
  const registry = build();
  const index = indexOf(registry.aggregate, registry.entries);
  assert.equal(indexOf(registry.aggregate, registry.entries), index);
  const again = build(registry);
  assert.equal(indexOf(again.aggregate, again.entries), index);
  assert.notEqual(indexOf(registry.servers.get("mail")!, registry.entries), index);
  const tagged = build(registry, [entries[0]!, { ...entries[1]!, shape: { tags: ["new"] } }]);
  const other = indexOf(tagged.aggregate, tagged.entries);
  assert.equal(other.search("read", { tags: ["new"] }).hits.length, 1);
});

test("indexOf() keeps the index of a view while servers change that it has nothing of", () => {
  const registry = build();
  const before = indexOf(registry.profiles.get("p")!, registry.entries);
  const other = entry("files", inventory({ tools: ["read", "write"] }));
  const next = buildRegistry({
    version: 2,
    servers: [entries[0]!, other],
    profiles: [PROFILE],
  }, registry);
  assert.equal(indexOf(next.profiles.get("p")!, next.entries), before);
  assert.equal(indexOf(next.aggregate, next.entries).search("write").hits.length, 1);
});

test("indexOf() reads tools that are hardly any", () => {
  const odd = [
    '{"name":"a","description":7,"inputSchema":{"properties":[1]}}',
    '{"name":"b","inputSchema":{"properties":{"x":null,"y":{"enum":"no"},"z":{"items":[{}]}}}}',
    '{"name":"c","annotations":null,"title":["t"],"inputSchema":true}',
  ].map((raw) => ({ key: JSON.parse(raw).name as string, raw }));
  const registry = build(undefined, [
    entry("odd", inventory({ tools: { items: odd } }, { serverInfo: "null" })),
  ]);
  const index = indexOf(registry.aggregate, registry.entries);
  assert.equal(index.documents.length, 3);
  assert.deepEqual(index.search("odd_b").hits[0]!.document.id, "odd_b");
});

test("prepareIndex() builds in steps what indexOf() then has", () => {
  const many = entry("many", {
    tools: Array.from({ length: 120 }, (_, index) => `tool_${index}`),
  });
  const { aggregate, entries } = build(undefined, [many]);
  let count = 0;
  const steps = prepareIndex(aggregate, entries);
  let step = steps.next();
  for (; !step.done; step = steps.next()) count++;
  assert.ok(count >= 5, `${count} steps`);
  assert.equal(indexOf(aggregate, entries), step.value);
  assert.deepEqual(prepareIndex(aggregate, entries).next(), { done: true, value: step.value });
  const same = indexOf(build(undefined, [many]).aggregate, entries);
  assert.notEqual(same, step.value);
  assert.deepEqual(same.search("tool 7"), step.value.search("tool 7"));
});

test("indexOf() does not wait for steps, and steps leave alone what it has built", () => {
  const { aggregate, entries } = build();
  const steps = prepareIndex(aggregate, entries);
  steps.next();
  const index = indexOf(aggregate, entries);
  for (;;) {
    const { done, value } = steps.next();
    if (!done) continue;
    assert.equal(value, index);
    break;
  }
  assert.equal(indexOf(aggregate, entries), index);
});
