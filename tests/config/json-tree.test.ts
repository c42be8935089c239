/**
 * The reader against jsonc-parser, which is what VS Code reads such files with: the same texts are
 * accepted, with the same values at the same places, and a broken one is broken at the same place.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { getNodeValue, type Node, type ParseError, parseTree } from "jsonc-parser";
import { SyntaxFault } from "../../src/config/json-tokens.ts";
import { type JsonNode, type JsonTree, readJson } from "../../src/config/json-tree.ts";

const LIMITS = { maxDepth: 64, maxDuplicates: 20 };

function readOrFault(text: string): JsonTree | SyntaxFault {
  try {
    return readJson(text, LIMITS);
  } catch (error) {
    assert.ok(error instanceof SyntaxFault, String(error));
    return error;
  }
}

function assertSame(text: string): void {
  const errors: ParseError[] = [];
  const expected = parseTree(text, errors, { allowTrailingComma: true });
  const actual = readOrFault(text);
  const [first] = errors;
  if (actual instanceof SyntaxFault) {
    assert.ok(first !== undefined, `accepted by the other: ${JSON.stringify(text)}`);
    assert.equal(actual.offset, first.offset, JSON.stringify(text));
    return;
  }
  // A text without a value is an error there, and an empty tree here.
  if (actual.root === undefined) return assert.equal(expected, undefined);
  assert.equal(first, undefined, `refused by the other: ${JSON.stringify(text)}`);
  assert.ok(expected !== undefined);
  if (actual.duplicates.length > 0) return;
  assert.deepEqual(actual.root.value, getNodeValue(expected));
  assertSamePlaces(actual.root, expected);
}

function assertSamePlaces(actual: JsonNode, expected: Node): void {
  assert.equal(actual.offset, expected.offset);
  const children = expected.children ?? [];
  if (expected.type === "array") {
    assert.equal(actual.items?.length, children.length);
    actual.items?.forEach((item, index) => {
      assert.equal(item.keyOffset, item.offset);
      assertSamePlaces(item, children[index]!);
    });
  } else if (expected.type === "object") {
    assert.deepEqual(
      [...actual.members?.keys() ?? []],
      children.map((property) => property.children?.[0]?.value),
    );
    [...actual.members?.values() ?? []].forEach((member, index) => {
      const [key, value] = children[index]!.children!;
      assert.equal(member.keyOffset, key?.offset);
      assertSamePlaces(member, value!);
    });
  }
}

const space = fc.constantFrom("", "", " ", "\t", "\n", "\r\n", "// c\n", "/* , } */", "\r//\r");
const token = fc.constantFrom(
  ...["{", "}", "[", "]", ",", ":", '"a"', '"b"', '"\\n\\u00e9"', '"\\"', '"', "\\", "/", "//"],
  ...["/*", "*/", "1", "-", "-0.5e+3", "01", "1.", "1e", ".5", "12x", "1e5.2", "true", "nul", "é"],
  ...['"\\u12"', '"\\x"', '"\t"', '"\u2028"', "'a'", "\uFEFF", "\u00A0", "🚀", "\uD800", "\0"],
);

test("readJson() agrees with jsonc-parser about any mixture of tokens", () => {
  const text = fc.array(fc.tuple(token, space), { maxLength: 14 })
    .map((tokens) => tokens.flat().join(""));
  fc.assert(fc.property(text, assertSame), { numRuns: 5000 });
});

test("readJson() agrees with jsonc-parser about JSON with comments, and about it cut or mended", () => {
  const value = fc.jsonValue({ maxDepth: 4, stringUnit: "binary" });
  const edit = fc.record({ at: fc.nat(), cut: fc.nat({ max: 3 }), put: fc.oneof(token, space) });
  const text = fc.tuple(value, fc.constantFrom(0, 2), fc.array(edit, { maxLength: 2 }))
    .map(([data, indent, edits]) =>
      edits.reduce((now, { at, cut, put }) => {
        const place = at % (now.length + 1);
        return now.slice(0, place) + put + now.slice(place + cut);
      }, JSON.stringify(data, null, indent))
    );
  fc.assert(fc.property(text, assertSame), { numRuns: 3000 });
});

test("readJson() tells an open string from a control character in one", () => {
  for (const end of ["", "\n", "\r", "\r\n"]) {
    const fault = readOrFault(`{ "a": "b${end}`);
    assert.ok(fault instanceof SyntaxFault);
    assert.match(fault.message, /does not end in its line/);
    assert.equal(fault.offset, 7);
  }
  for (const control of ["\0", "\t", "\x1f"]) {
    const text = `["${control}"]`;
    assertSame(text);
    const fault = readOrFault(text);
    assert.ok(fault instanceof SyntaxFault);
    assert.match(fault.message, /control character/);
  }
  assertSame('["\x7f\u2028\uFEFF"]');
});

test("readJson() gives the values JSON.parse gives", () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 6 }), (text) => {
      const tree = readJson(text, LIMITS);
      if (tree.duplicates.length > 0) return;
      assert.deepEqual(JSON.parse(JSON.stringify(tree.root?.value)), JSON.parse(text));
    }),
    { numRuns: 500 },
  );
});

test("readJson() takes a trailing comma and a comment wherever VS Code does", () => {
  const { root } = readJson('/**/{"a":[1,/*,*/2,],// c\n"b":{"c":null,},}//', LIMITS);
  assert.equal(JSON.stringify(root?.value), '{"a":[1,2],"b":{"c":null}}');
  for (const text of ["[,]", "[1,,]", "{,}", '{"a":1,,}', '{"a":,}', "{},", "1,"]) {
    assert.ok(readOrFault(text) instanceof SyntaxFault, text);
  }
});

test("readJson() allows exactly as many levels as it is told", () => {
  const nested = (levels: number) => '[{"a":'.repeat(levels / 2) + "1" + "}]".repeat(levels / 2);
  assert.ok(!(readOrFault(nested(64)) instanceof SyntaxFault));
  const fault = readOrFault(nested(66));
  assert.ok(fault instanceof SyntaxFault);
  assert.equal(fault.offset, nested(66).indexOf("1") - '[{"a":'.length);
});

test("readJson() reports each repeated key with its path, and no more than it is told", () => {
  const { duplicates } = readJson('{"a":[{"b":1,"b":2}],\n"a":3}', LIMITS);
  assert.deepEqual(duplicates, [
    { path: ["a", 0, "b"], offset: 13, firstOffset: 7 },
    { path: ["a"], offset: 22, firstOffset: 1 },
  ]);
  const many = readJson(`{${'"a":1,'.repeat(1000)}}`, LIMITS);
  assert.equal(many.duplicates.length, LIMITS.maxDuplicates);
});

test("readJson() reads five megabytes without a long wait for each string", () => {
  const text = JSON.stringify({ a: "x".repeat(2_500_000), b: "\n".repeat(1_000_000) });
  const { root } = readJson(text, LIMITS);
  assert.deepEqual({ ...root?.value as object }, JSON.parse(text));
});
