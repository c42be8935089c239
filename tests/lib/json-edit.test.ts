import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  editJson,
  type JsonEdit,
  rawAt,
  rawElements,
  rawMembers,
  withoutLineBreaks,
} from "../../src/lib/json-edit.ts";
import type { Json, JsonObject } from "../../src/lib/json.ts";
import { rounds } from "../support/rounds.ts";

test("editJson() replaces a value and leaves every other character", () => {
  const text = '{ "id" : 7, "big": 12345678901234567890, "s": "a\\"}{" }';
  assert.equal(
    editJson(text, [{ path: ["id"], value: '"x"' }]),
    '{ "id" : "x", "big": 12345678901234567890, "s": "a\\"}{" }',
  );
});

test("editJson() edits several depths at once and creates missing parents", () => {
  const text = '{"id":1,"params":{"name":"a_b","arguments":{"n":1e400}}}';
  assert.equal(
    editJson(text, [
      { path: ["id"], value: "9" },
      { path: ["params", "name"], value: '"b"' },
      { path: ["params", "_meta", "progressToken"], value: "9" },
      { path: ["params", "_meta", "x"], value: "{}" },
    ]),
    '{"id":9,"params":{"_meta":{"progressToken":9,"x":{}},"name":"b","arguments":{"n":1e400}}}',
  );
});

test("editJson() deletes first, middle, last and only members", () => {
  const gone = (key: string): JsonEdit => ({ path: [key], value: undefined });
  assert.equal(editJson('{"a":1, "b":2, "c":3}', [gone("a")]), '{"b":2, "c":3}');
  assert.equal(editJson('{"a":1, "b":2, "c":3}', [gone("b")]), '{"a":1, "c":3}');
  assert.equal(editJson('{ "a":1, "b":2 }', [gone("a"), gone("b")]), "{ }");
  assert.equal(
    editJson('{"a":1,"b":2}', [gone("a"), { path: ["c"], value: "3" }]),
    '{"c":3,"b":2}',
  );
  assert.equal(
    editJson('{"a":1,"b":2}', [gone("b"), gone("a"), { path: ["c"], value: "3" }]),
    '{"c":3}',
  );
  assert.equal(editJson('{"a":1,"b":2,"c":3}', [gone("c"), gone("b")]), '{"a":1}');
  assert.equal(editJson('{"a":1}', [gone("a")]), "{}");
  assert.equal(editJson('{"a":1}', [gone("z")]), '{"a":1}');
});

test("editJson() leaves one value where a key is repeated", () => {
  assert.equal(
    editJson('{"id":1, "method":"m","id":2,"i\\u0064":3 }', [{ path: ["id"], value: "5" }]),
    '{"method":"m","i\\u0064":5 }',
  );
  const deep = "[".repeat(20_000) + "]".repeat(20_000);
  assert.equal(
    editJson(`{"p":{"n":1,"n":${deep}}}`, [{ path: ["p", "n"], value: undefined }]),
    '{"p":{}}',
  );
});

test("editJson() understands escaped keys", () => {
  assert.equal(editJson('{"\\u0069d":1}', [{ path: ["id"], value: "2" }]), '{"\\u0069d":2}');
});

test("rawAt() and rawElements() return the text as it stands", () => {
  assert.equal(rawAt('{"a":{"b": [1, 2.50] }}', ["a", "b"]), "[1, 2.50]");
  assert.equal(rawAt('{"a":1}', ["a", "b"]), undefined);
  assert.deepEqual(rawElements(' [ {"x":"]"}, 1.0 ,"a,b", [] ] '), [
    '{"x":"]"}',
    "1.0",
    '"a,b"',
    "[]",
  ]);
  assert.deepEqual(rawElements("[1, [2], 3]", 2), ["1", "[2]"]);
  assert.deepEqual(rawElements("[]"), []);
  assert.equal(rawElements("{}"), undefined);
});

test("oneLine() joins lines without touching strings", () => {
  assert.deepEqual(JSON.parse(withoutLineBreaks('{\r\n "a": "x\\ny"\n}')), { a: "x\ny" });
});

/** The plain meaning of an edit, on parsed values. */
function applied(value: JsonObject, edit: JsonEdit): JsonObject {
  const copy = structuredClone(value);
  let at = copy;
  for (const key of edit.path.slice(0, -1)) {
    const next = at[key];
    if (typeof next !== "object" || next === null || Array.isArray(next)) {
      if (edit.value === undefined) return copy;
      at[key] = {};
    }
    at = at[key] as JsonObject;
  }
  const last = edit.path.at(-1)!;
  if (edit.value === undefined) delete at[last];
  else at[last] = JSON.parse(edit.value) as Json;
  return copy;
}

test("editJson() applies several edits that do not contain each other, in any layout", () => {
  const key = fc.constantFrom("a", "b", "c", 'q"\\', "é");
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.jsonValue({ maxDepth: 1 }),
      fc.dictionary(key, tie("value"), { maxKeys: 4, noNullPrototype: true }),
    ),
  }));
  const object = fc.dictionary(key, value, { maxKeys: 5, noNullPrototype: true });
  const edit = fc.record({
    path: fc.array(key, { minLength: 1, maxLength: 3 }),
    value: fc.option(fc.jsonValue({ maxDepth: 2 }).map((v) => JSON.stringify(v)), {
      nil: undefined,
    }),
  });
  const isWithin = (a: readonly string[], b: readonly string[]) => a.every((k, i) => k === b[i]);
  const edits = fc.array(edit, { minLength: 2, maxLength: 6 }).map((all) =>
    all.filter((one, index) =>
      all.every((other, at) =>
        at >= index || !(isWithin(one.path, other.path) || isWithin(other.path, one.path))
      )
    )
  );
  fc.assert(
    fc.property(object, edits, fc.constantFrom(0, 1, 2), (value, changes, indent) => {
      const text = ` ${JSON.stringify(value, null, indent)}\n`;
      const normal = JSON.parse(text) as JsonObject;
      assert.deepEqual(JSON.parse(editJson(text, changes)), changes.reduce(applied, normal));
    }),
    { numRuns: rounds(2000) },
  );
});

test("editJson() means the same as editing the parsed value", () => {
  const key = fc.constantFrom("a", "b", "c", 'q"\\', "é");
  const tree = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.jsonValue({ maxDepth: 1 }),
      fc.dictionary(key, tie("value"), { maxKeys: 4, noNullPrototype: true }),
    ),
  })).value;
  const object = fc.dictionary(key, tree, { maxKeys: 5, noNullPrototype: true });
  const edit = fc.record({
    path: fc.array(key, { minLength: 1, maxLength: 3 }),
    value: fc.option(fc.jsonValue({ maxDepth: 2 }).map((v) => JSON.stringify(v)), {
      nil: undefined,
    }),
  });
  fc.assert(
    fc.property(object, edit, fc.constantFrom(0, 1, 2), (value, change, indent) => {
      const text = JSON.stringify(value, null, indent);
      const normal = JSON.parse(text) as JsonObject;
      assert.deepEqual(JSON.parse(editJson(text, [change])), applied(normal, change));
    }),
    { numRuns: rounds(2000) },
  );
});

test("rawMembers() gives keys and texts, repeated ones too, and nothing for what is no object", () => {
  assert.deepEqual(rawMembers(' { "a" : 1.0 ,"\\u0062":{ "x":[1, 2] }, "a":"}" }'), [
    ["a", "1.0"],
    ["b", '{ "x":[1, 2] }'],
    ["a", '"}"'],
  ]);
  assert.deepEqual(rawMembers("{ }"), []);
  for (const other of ["[]", '"{}"', "1", "null"]) assert.equal(rawMembers(other), undefined);
});

test("rawMembers() agrees with JSON.parse", () => {
  fc.assert(fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.nat(3), (object, space) => {
    const text = JSON.stringify(object, null, space);
    const members = rawMembers(text)!.map(([key, value]) => [key, JSON.parse(value) as Json]);
    assert.deepEqual(members, Object.entries(JSON.parse(text)));
  }));
});
