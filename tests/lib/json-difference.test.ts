import assert from "node:assert/strict";
import { test } from "node:test";
import { jsonDifference } from "../../src/lib/json-difference.ts";

test("jsonDifference() shows every value that differs, by a path that is nobody else's", () => {
  const one = (value: unknown) => JSON.stringify(value);
  assert.deepEqual(jsonDifference(one({ a: 1, b: [1, 2] }), one({ a: 1, b: [1, 3], c: {} })), [
    "- b.1: 2",
    "+ b.1: 3",
    "+ c: {}",
  ]);
  const long = "x".repeat(500);
  const said = (instructions: string) => one({ instructions });
  assert.deepEqual(jsonDifference(said(`${long}one${long}`), said(`${long}two${long}`)), [
    `- instructions: …${"x".repeat(40)}one${"x".repeat(40)}…`,
    `+ instructions: …${"x".repeat(40)}two${"x".repeat(40)}…`,
  ]);
  // A name with a dot in it must not stand in front of what is at that path.
  assert.deepEqual(jsonDifference(undefined, one({ a: { b: "evil" }, "a.b": "good" })), [
    "+ a.b: evil",
    '+ "a.b": good',
  ]);
  assert.deepEqual(jsonDifference(undefined, said("a\nb\u001b[31m\u{e0041}")), [
    "+ instructions: a\\nb\\u{001B}[31m\\u{E0041}",
  ]);
  assert.deepEqual(jsonDifference(one("a"), one("a")), []);
});

test("jsonDifference() tells values of different types apart", () => {
  for (
    const [old, next, lines] of [
      ['{"d":1}', '{"d":"1"}', ["- d: 1", '+ d: "1"']],
      ['{"d":null}', '{"d":"null"}', ["- d: null", '+ d: "null"']],
      ['{"d":["a"]}', '{"d":{"0":"a"}}', ["- d.0: a", '+ d."0": a']],
      ['{"d":[]}', '{"d":"[]"}', ["- d: []", '+ d: "[]"']],
    ] as const
  ) assert.deepEqual(jsonDifference(old, next), lines);
});

test("jsonDifference() of many values that are deep inside takes no more room than they do", () => {
  const deep = (value: number) => {
    const all = Array.from({ length: 5_000 }, () => value).join();
    return `${`{"${"k".repeat(100)}":`.repeat(400)}[${all}]${"}".repeat(400)}`;
  };
  const lines = jsonDifference(deep(1), deep(2));
  assert.equal(lines.length, 2);
  assert.ok(lines.join("").length < deep(1).length, `${lines.join("").length} characters`);
});
