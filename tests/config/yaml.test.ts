import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseYaml } from "../../src/config/yaml.ts";

function document(text: string) {
  const result = parseYaml(text, "f.yaml");
  assert.ok(result.ok, JSON.stringify(result));
  return result.document;
}

test("parseYaml() points at keys and values, and at the nearest ancestor of what is not there", () => {
  const doc = document("a:\n  b: [1,\n    22]\n");
  assert.deepEqual(doc.position(["a", "b", 1]), { line: 3, column: 5 });
  assert.deepEqual(doc.position(["a", "b"], "key"), { line: 2, column: 3 });
  assert.deepEqual(doc.position(["a", "b"]), { line: 2, column: 6 });
  assert.deepEqual(doc.position(["a", "none", "x"], "key"), { line: 2, column: 3 });
  assert.deepEqual(doc.position([]), { line: 1, column: 1 });
  assert.deepEqual(document("\uFEFFa: 1").position(["a"]), { line: 1, column: 4 });
});

test("parseYaml() points at the anchor for what an alias or a merge brings", () => {
  const doc = document("base: &b { x: 1 }\nuse: *b\nmerged:\n  <<: *b\n  y: 2\n");
  assert.deepEqual(doc.position(["use", "x"]), { line: 1, column: 15 });
  assert.deepEqual(doc.position(["merged", "x"], "key"), { line: 1, column: 12 });
  assert.deepEqual(doc.keys(["merged"]), ["x", "y"]);
});

test("parseYaml() keeps the order of keys, and makes them texts", () => {
  const doc = document("m: { b: 1, 7: 2, __proto__: 3, true: 4, 1.50: 5, null: 6 }");
  assert.deepEqual(doc.keys(["m"]), ["b", "7", "__proto__", "true", "1.50", "null"]);
  const { m } = doc.value as { m: object };
  assert.equal(Object.getPrototypeOf(m), null);
  assert.deepEqual(Object.keys(m).sort(), [...doc.keys(["m"])].sort());
});

test("parseYaml() reads values as YAML 1.2 does", () => {
  const text = 'a: yes\nb: true\nc: 0o17\nd: ~\ne: 2026-11-20\nf: "8"\ng: 12345678901234567890\n';
  assert.deepEqual({ ...document(text).value as object }, {
    a: "yes",
    b: true,
    c: 15,
    d: null,
    e: "2026-11-20",
    f: "8",
    g: 12345678901234567000,
  });
});

test("parseYaml() reads every JSON value as JSON does", () => {
  fc.assert(fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
    const text = JSON.stringify(value);
    const result = parseYaml(text, "f.yaml");
    if (value === null) return;
    assert.ok(result.ok, JSON.stringify(result));
    assert.equal(JSON.stringify(result.document.value), JSON.stringify(JSON.parse(text)));
  }));
});

test("parseYaml() repeats no word of a broken file", () => {
  const broken = [
    "a: 's3cr3t",
    "a: s3cr3t: s3cr3t",
    "a: *s3cr3t",
    "a: !s3cr3t x",
    "a: @s3cr3t",
    "a: [s3cr3t",
    "%s3cr3t\n---\na: 1",
    "s3cr3t\nb: 1",
    "a: &s3cr3t &s3cr3t 1",
    "b:\n  <<: s3cr3t",
    "a: |s3cr3t\n  x",
    'a: "\\s3cr3t"',
  ];
  for (const text of broken) {
    const result = parseYaml(text, "f.yaml");
    assert.ok(!result.ok, text);
    assert.doesNotMatch(JSON.stringify(result.issues), /s3cr3t/, text);
  }
});

test("parseYaml() survives nesting, bombs and a long file", () => {
  const bomb = Array.from({ length: 12 }, (_, index) => {
    const parts = Array.from({ length: 9 }, () => index === 0 ? "x" : `*a${index - 1}`);
    return `a${index}: &a${index} [${parts.join(", ")}]`;
  });
  const hostile = [
    "[".repeat(100_000),
    "- ".repeat(100_000),
    "{a: ".repeat(50_000),
    bomb.join("\n"),
  ];
  for (const text of hostile) {
    const result = parseYaml(text, "f.yaml");
    assert.ok(!result.ok);
    assert.match(result.issues[0]?.message ?? "", /nested levels|aliases|nesting/);
  }
});
