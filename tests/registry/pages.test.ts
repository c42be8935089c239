import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LIST_RULES, type ListKind } from "../../src/protocol/lists.ts";
import { ListReply } from "../../src/registry/answers.ts";
import { buildRegistry } from "../../src/registry/build.ts";
import type { ServerEntry, View } from "../../src/registry/types.ts";
import { entry, inventory, list } from "./builders.ts";

const build = (...servers: ServerEntry[]) => buildRegistry({ version: 1, servers });
const field = (kind: ListKind) => LIST_RULES.find((rule) => rule.kind === kind)!.field;
const key = fc.oneof(
  fc.string({ unit: "binary", maxLength: 6 }),
  fc.constantFrom("__proto__", "toString", "", "\ud800", '"', "demo://1"),
);
const keys = fc.uniqueArray(key, { maxLength: 12 });

/** All pages, as texts of entries, and how many there were. */
function walk(view: View, kind: ListKind, size: number) {
  const items: string[] = [];
  let cursor: string | undefined;
  let pages = 0;
  do {
    const page = view.page(kind, "legacy", cursor, size);
    assert.ok(page !== undefined);
    const result = JSON.parse(`{${page.text}}`);
    const sent = new ListReply("7", page, "}}").body();
    assert.deepEqual(
      JSON.parse(typeof sent === "string" ? sent : new TextDecoder().decode(sent)),
      JSON.parse(
        new TextDecoder().decode(
          new TextEncoder().encode(`{"jsonrpc":"2.0","id":7,"result":{${page.text}}}`),
        ),
      ),
    );
    assert.equal(result.nextCursor, page.nextCursor);
    assert.ok(size === 0 || result[field(kind)].length <= size);
    items.push(...result[field(kind)].map((item: unknown) => JSON.stringify(item)));
    cursor = page.nextCursor;
    pages++;
  } while (cursor !== undefined);
  return { items, pages };
}

test("View.page() gives pages that make up the whole list, for any size", () => {
  fc.assert(fc.property(keys, keys, fc.nat({ max: 14 }), (first, second, size) => {
    const { aggregate, servers } = build(
      entry("a", { tools: first, resources: first }),
      entry("b", { tools: second, resources: second, templates: first, prompts: second }),
    );
    for (const view of [aggregate, servers.get("b")!]) {
      for (const { kind } of LIST_RULES) {
        const whole = view.list(kind).items.map((item) => JSON.stringify(JSON.parse(item)));
        const { items, pages } = walk(view, kind, size);
        assert.deepEqual(items, whole);
        assert.equal(pages, size === 0 ? 1 : Math.max(1, Math.ceil(whole.length / size)));
      }
    }
  }));
});

test("View.page() without a limit is the list itself, bytes and all", () => {
  const { aggregate } = build(entry("a", { tools: ["x", "y"] }));
  for (const size of [0, 2, 3]) {
    assert.equal(aggregate.page("tools", "legacy", undefined, size), aggregate.list("tools"));
  }
  const page = aggregate.page("tools", "legacy", undefined, 1)!;
  assert.match(page.text, /^"tools":\[\{.*"a_x"\}? \}\],"nextCursor":"[A-Za-z0-9_-]+"$/);
});

test("View.page() carries the hints of its list", () => {
  const tools = list("tools", ["x", "y"], { ttlMs: 5, cacheScope: "private" });
  const { aggregate } = build(entry("a", inventory({ tools })));
  const page = aggregate.page("tools", "modern", undefined, 1)!;
  assert.deepEqual([page.ttlMs, page.cacheScope], [5, "private"]);
});

test("View.page() goes on behind the last entry a client got, wherever that is now", () => {
  const before = build(entry("b", { tools: ["1", "2", "3", "4"] })).aggregate;
  const cursor = before.page("tools", "legacy", undefined, 2)!.nextCursor;
  const names = (view: View) =>
    JSON.parse(`{${view.page("tools", "legacy", cursor, 0)!.text}}`).tools
      .map(({ name }: { name: string }) => name);
  const after = (...tools: string[]) => build(entry("b", { tools })).aggregate;
  assert.deepEqual(names(before), ["b_3", "b_4"]);
  assert.deepEqual(names(after("0", "1", "2", "3")), ["b_3"]);
  assert.deepEqual(names(after("2", "5", "6")), ["b_5", "b_6"]);
  const joined = build(entry("a", { tools: ["x"] }), entry("b", { tools: ["1", "2", "3"] }));
  assert.deepEqual(names(joined.aggregate), ["b_3"]);
  // The entry has gone: from the place where it was.
  assert.deepEqual(names(after("1", "3", "4")), ["b_3", "b_4"]);
  assert.deepEqual(names(after("5")), []);
  assert.deepEqual(names(after()), []);
});

test("View.page() takes a cursor of one era's list for the other's", () => {
  const tools = {
    items: ["x", "y"].map((name) => ({
      key: name,
      raw: `{"name":"${name}","execution":{}}`,
    })),
  };
  const { aggregate } = build(entry("a", inventory({ tools }, { era: "legacy" })));
  const { nextCursor } = aggregate.page("tools", "legacy", undefined, 1)!;
  assert.equal(
    aggregate.page("tools", "modern", nextCursor, 1)!.text,
    '"tools":[{"name":"a_y"}]',
  );
});

test("View.page() refuses cursors that are not its own", () => {
  const { aggregate, servers } = build(
    entry("a", { tools: ["x", "y"], prompts: ["x", "y"] }),
    entry("b", { tools: ["x", "y"] }),
  );
  const cursor = aggregate.page("tools", "legacy", undefined, 1)!.nextCursor!;
  assert.ok(aggregate.page("tools", "legacy", cursor, 1) !== undefined);
  assert.equal(aggregate.page("prompts", "legacy", cursor, 1), undefined);
  assert.equal(servers.get("a")!.page("tools", "legacy", cursor, 1), undefined);
  const flipped = `${cursor.slice(0, -1)}${cursor.endsWith("A") ? "B" : "A"}`;
  for (const wrong of ["", "x", cursor.slice(1), `${cursor}A`, flipped, null, 1, {}]) {
    assert.equal(aggregate.page("tools", "legacy", wrong, 1), undefined);
  }
});
