import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { canonicalJson, type Json } from "../../src/lib/json.ts";
import {
  endsInSegment,
  eraOfCapability,
  extensionOf,
  mergeDeclared,
} from "../../src/protocol/extensions.ts";

const json = fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value)) as Json);

test("extensionOf() names the segment that a method belongs to", () => {
  assert.equal(extensionOf("skills/list"), "skills");
  assert.equal(extensionOf("skills"), "skills");
  assert.equal(extensionOf("a/b/c"), "a");
  assert.equal(extensionOf("notifications/skills/changed"), "skills");
  assert.equal(extensionOf("notifications"), "notifications");
  assert.equal(extensionOf("resources/directory/read"), "skills");
  assert.equal(extensionOf(""), "");
});

test("endsInSegment() compares whole segments", () => {
  assert.ok(endsInSegment("io.modelcontextprotocol/skills", "skills"));
  assert.ok(endsInSegment("skills", "skills"));
  assert.ok(!endsInSegment("io.modelcontextprotocol/myskills", "skills"));
  assert.ok(!endsInSegment("skills/other", "skills"));
  assert.ok(!endsInSegment("skills/", ""));
});

test("eraOfCapability() binds the two generations of tasks", () => {
  assert.equal(eraOfCapability(["tasks"]), "legacy");
  assert.equal(eraOfCapability(["extensions", "io.modelcontextprotocol/tasks"]), "modern");
  assert.equal(eraOfCapability(["experimental", "tasks"]), undefined);
  assert.equal(eraOfCapability(["logging"]), undefined);
});

test("mergeDeclared() merges what can be merged, else the first counts", () => {
  assert.deepEqual(
    mergeDeclared([
      { mimeTypes: ["a"], on: false, max: 1, only: {}, deep: { x: 1 }, nil: null },
      { mimeTypes: ["b", "a"], on: true, max: 2, deep: { y: 2 }, nil: 3 },
    ]),
    { mimeTypes: ["a", "b"], on: true, max: 1, only: {}, deep: { x: 1, y: 2 }, nil: 3 },
  );
  assert.deepEqual(mergeDeclared([{ a: 1 }, "x", []]), { a: 1 });
  const merged = mergeDeclared([JSON.parse('{"__proto__":{"a":1}}'), { b: 1 }]);
  assert.equal(JSON.stringify(merged), '{"__proto__":{"a":1},"b":1}');
});

test("mergeDeclared() of equal declarations is the declaration", () => {
  fc.assert(
    fc.property(json, fc.integer({ min: 1, max: 3 }), (value, times) => {
      // From the inside out: what is in two arrays may be the same only without its repetitions.
      const distinct = JSON.parse(
        JSON.stringify(value),
        (_key, member) =>
          Array.isArray(member)
            ? [...new Map(member.map((one) => [canonicalJson(one), one])).values()]
            : member,
      );
      assert.equal(
        canonicalJson(mergeDeclared(Array(times + 1).fill(distinct))),
        canonicalJson(distinct),
      );
      assert.deepEqual(mergeDeclared([value]), value);
    }),
    { examples: [[[[null, false, null], [null, false]], 1]] },
  );
});
