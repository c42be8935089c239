import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { canonicalJson } from "../../src/lib/json.ts";

test("canonicalJson() sorts keys at every level and leaves arrays alone", () => {
  assert.equal(
    canonicalJson({ b: [{ z: 1, a: 2 }, 0], a: null, c: undefined }),
    '{"a":null,"b":[{"a":2,"z":1},0]}',
  );
  assert.equal(canonicalJson(undefined), "null");
});

test("canonicalJson() keeps a key __proto__", () => {
  const value: unknown = Object.assign(Object.create(null), { b: 1 });
  Object.defineProperty(value, "__proto__", { value: 2, enumerable: true });
  assert.equal(canonicalJson(value), '{"__proto__":2,"b":1}');
});

test("canonicalJson() throws for a cycle, not for a value used twice", () => {
  const cycle: Record<string, unknown> = {};
  cycle["self"] = cycle;
  assert.throws(() => canonicalJson(cycle), TypeError);
  const shared = { a: 1 };
  assert.equal(canonicalJson([shared, shared]), '[{"a":1},{"a":1}]');
});

test("canonicalJson() gives one text whatever the order, and loses nothing", () => {
  fc.assert(fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
    const reversed = Object.fromEntries(Object.entries(value).reverse());
    const text = canonicalJson(value);
    assert.equal(canonicalJson(reversed), text);
    assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)));
  }));
});
