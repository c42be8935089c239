import assert from "node:assert/strict";
import { test } from "node:test";
import { lineIndex } from "../../src/config/document.ts";
import { formatPath } from "../../src/config/issue.ts";
import { parseJsonc } from "../../src/config/jsonc.ts";

function document(text: string) {
  const result = parseJsonc(text, "f.json");
  assert.ok(result.ok, JSON.stringify(result));
  return result.document;
}

test("lineIndex() counts every kind of line end", () => {
  const locate = lineIndex("ab\ncd\r\nef\rgh");
  assert.deepEqual(locate(0), { line: 1, column: 1 });
  assert.deepEqual(locate(4), { line: 2, column: 2 });
  assert.deepEqual(locate(7), { line: 3, column: 1 });
  assert.deepEqual(locate(11), { line: 4, column: 2 });
});

test("position() points at keys and values, and at the nearest ancestor of what is not there", () => {
  const doc = document('{\n  "a": { "b": [1,\n    22] }\n}');
  assert.deepEqual(doc.position(["a", "b", 1]), { line: 3, column: 5 });
  assert.deepEqual(doc.position(["a", "b"], "key"), { line: 2, column: 10 });
  assert.deepEqual(doc.position(["a", "b"]), { line: 2, column: 15 });
  assert.deepEqual(doc.position(["a", "none", "x"], "key"), { line: 2, column: 8 });
  assert.deepEqual(doc.position([]), { line: 1, column: 1 });
});

test("position() is the same with a byte order mark", () => {
  const text = '{ "a": 1 }';
  assert.deepEqual(document(`\uFEFF${text}`).position(["a"]), document(text).position(["a"]));
});

test("keys() keeps the order of the file", () => {
  const doc = document('{ "m": { "b": 1, "7": 2, "__proto__": 3, "1": 4 }, "n": 1 }');
  assert.deepEqual(doc.keys(["m"]), ["b", "7", "__proto__", "1"]);
  assert.deepEqual(doc.keys(["n"]), []);
  assert.deepEqual(doc.keys(["none", "x"]), []);
});

test("parseJsonc() gives objects without a prototype", () => {
  const { value } = document('{ "toString": 1, "__proto__": { "x": 1 } }');
  assert.equal(Object.getPrototypeOf(value), null);
  assert.deepEqual(Object.keys(value as object), ["toString", "__proto__"]);
});

test("parseJsonc() survives a million brackets", () => {
  for (const text of ["[".repeat(1_000_000), '{"a":'.repeat(200_000)]) {
    const result = parseJsonc(text, "f.json");
    assert.ok(!result.ok);
    assert.match(result.issues[0]?.message ?? "", /nested levels/);
  }
});

test("parseJsonc() repeats no word of a broken file", () => {
  const result = parseJsonc(
    '{ "mcpServers": { "a": { "env": { "T": s3cr3t-t0ken } } } }',
    "f.json",
  );
  assert.ok(!result.ok);
  assert.doesNotMatch(JSON.stringify(result.issues), /s3cr3t/);
});

test("formatPath() quotes what is not a plain name", () => {
  assert.equal(formatPath(["mcpServers", "gh", "args", 1]), "mcpServers.gh.args[1]");
  assert.equal(formatPath(["mcpServers", "my server"]), 'mcpServers["my server"]');
  assert.equal(formatPath(["mcpServers", "a.b", ""]), 'mcpServers["a.b"][""]');
  assert.equal(formatPath([]), "");
});
