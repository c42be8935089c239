import assert from "node:assert/strict";
import { test } from "node:test";
import { valueAt } from "../../src/lib/json.ts";

test("valueAt() follows own keys and indexes", () => {
  const document = { servers: [{ name: "a" }, { name: "b", "": null }], toString: 1 };
  assert.equal(valueAt(document, []), document);
  assert.equal(valueAt(document, ["servers", 1, "name"]), "b");
  assert.equal(valueAt(document, ["servers", "1", "name"]), "b");
  assert.equal(valueAt(document, ["servers", 1, ""]), null);
  assert.equal(valueAt(document, ["toString"]), 1);
});

test("valueAt() finds nothing where nothing stands, nor what is inherited", () => {
  const document = JSON.parse('{"list": [1], "text": "abc", "none": null}');
  for (
    const path of [["x"], ["list", 1], ["text", 0], ["none", "x"], ["constructor"], ["x", "y"]]
  ) {
    assert.equal(valueAt(document, path), undefined, JSON.stringify(path));
  }
  assert.equal(valueAt(undefined, ["x"]), undefined);
});
