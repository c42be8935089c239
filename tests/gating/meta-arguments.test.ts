import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ArgumentMistake,
  readCount,
  readMetaArguments,
  readString,
  readTexts,
} from "../../src/gating/meta-call.ts";
import type { Json } from "../../src/lib/json.ts";

const MISTAKE = Symbol("mistake");

/** Reads each value; what is refused reads as {@link MISTAKE}. */
function check(read: (value: Json) => unknown, table: readonly (readonly [Json, unknown])[]): void {
  for (const [value, expected] of table) {
    let found: unknown;
    try {
      found = read(value);
    } catch (error) {
      assert.ok(error instanceof ArgumentMistake && error.message.length < 120, String(error));
      found = MISTAKE;
    }
    assert.deepEqual(found, expected, JSON.stringify(value));
  }
}

test("readArguments() takes an object, or the text of one", () => {
  check(readMetaArguments, [
    [{ a: 1 }, { a: 1 }],
    ['{"a":1}', { a: 1 }],
    ["", {}],
    [null, {}],
    ["[1]", MISTAKE],
    ["x".repeat(1_000), MISTAKE],
    [[], MISTAKE],
    [7, MISTAKE],
  ]);
  assert.deepEqual(readMetaArguments(undefined), {});
});

test("readText() takes what has one obvious text", () => {
  check((value) => readString({ value }, "value"), [
    [" a ", "a"],
    ["", undefined],
    ["\n", undefined],
    [null, undefined],
    [7, "7"],
    [true, "true"],
    [["a", "b"], "a b"],
    [[], undefined],
    [{}, MISTAKE],
    [[["a"]], MISTAKE],
  ]);
});

test("readTexts() takes a list, or one text", () => {
  check((value) => readTexts({ value }, "value"), [
    [["a", "b", "a", ""], ["a", "b"]],
    ["a", ["a"]],
    ["a, b", ["a", "b"]],
    ['["a","b"]', ["a", "b"]],
    ["[a", ["[a"]],
    [null, []],
    ["", []],
    [7, ["7"]],
    [{}, MISTAKE],
    [[{}], MISTAKE],
    [[null], MISTAKE],
  ]);
});

test("readCount() takes numbers in any form and keeps to the bounds", () => {
  check((value) => readCount({ value }, "value", { least: 1, most: 50 }), [
    [8, 8],
    ["8", 8],
    [8.9, 8],
    [0, 1],
    [-3, 1],
    [1e300, 50],
    ["1e9", 50],
    [null, undefined],
    ["", undefined],
    ["eight", MISTAKE],
    [true, MISTAKE],
    [[8], MISTAKE],
  ]);
});
