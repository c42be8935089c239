import assert from "node:assert/strict";
import { test } from "node:test";
import { isUnit, readVectors, similarities } from "../../../src/gating/meaning/vectors.ts";

const answer = (...data: unknown[]) => JSON.stringify({ data });

test("readVectors() gives unit vectors in the order of their indexes", () => {
  const read = readVectors(
    answer({ index: 1, embedding: [0, 5] }, { index: 0, embedding: [3, 4] }),
  );
  assert.deepEqual(read.map((vector) => [...vector].map((number) => number.toFixed(3))), [
    ["0.600", "0.800"],
    ["0.000", "1.000"],
  ]);
  assert.ok(read.every(isUnit));
  assert.equal(similarities(read[0]!, [read[1]!])[0]!.toFixed(3), "0.800");
});

test("similarities() are the same wherever a vector stands", () => {
  const random = (seed: number) =>
    Float32Array.from({ length: 37 }, (_, at) => Math.sin(seed * 97 + at * at));
  const others = [0, 1, 2, 3, 4, 0, 5, 1, 6, 2, 3].map(random);
  const found = [...similarities(random(9), others)];
  const alone = others.map((one) => similarities(random(9), [one])[0]);
  assert.deepEqual(found, alone);
  assert.equal(found[0], found[5]);
  assert.deepEqual([...similarities(random(9), [])], []);
});

test("readVectors() takes the order of the list where there are no indexes", () => {
  const read = readVectors(answer({ embedding: [1, 0] }, { embedding: [0, 1] }));
  assert.deepEqual(read.map((vector) => [...vector]), [[1, 0], [0, 1]]);
});

test("readVectors() survives numbers beyond a float", () => {
  const [vector] = readVectors(answer({ index: 0, embedding: [1e30, 1e30] }));
  assert.ok(isUnit(vector!));
});

test("readVectors() says what is wrong with anything else", () => {
  const list = "an embedding that is no list of numbers";
  const number = "an embedding with something that is no number";
  const cases: readonly (readonly [string, string])[] = [
    ["", "something that is no JSON"],
    ["<html>", "something that is no JSON"],
    ["[]", 'something without "data"'],
    ['{"error":{"message":"sk-secret"}}', 'something without "data"'],
    [answer({ index: 0 }), list],
    [answer(null), list],
    [answer({ index: 0, embedding: [] }), list],
    [answer({ index: 0, embedding: "AAAA" }), list],
    [answer({ index: 0, embedding: Array(20_000).fill(1) }), list],
    [answer({ index: 0, embedding: [1, null] }), number],
    ['{"data":[{"index":0,"embedding":[1e999]}]}', number],
    [answer({ index: 0, embedding: [0, 0] }), "an embedding without direction"],
    [answer({ index: 0, embedding: [1e300, 1e300] }), "an embedding without direction"],
    [
      answer({ index: 0, embedding: [1] }, { index: 1, embedding: [1, 2] }),
      "vectors of different sizes",
    ],
    [answer({ index: 1, embedding: [1] }), "an index out of order"],
    [answer({ index: -1, embedding: [1] }), "an index out of order"],
    [
      answer({ index: 0, embedding: [1] }, { index: 0, embedding: [1] }),
      "an index out of order",
    ],
  ];
  for (const [text, message] of cases) {
    assert.throws(() => readVectors(text), { name: "SyntaxError", message }, text.slice(0, 80));
  }
});
