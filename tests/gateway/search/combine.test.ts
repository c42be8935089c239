import assert from "node:assert/strict";
import { test } from "node:test";
import { combine, nearest } from "../../../src/gateway/search/combine.ts";
import type { Hit, ToolDocument } from "../../../src/registry/search.ts";

const server = { name: "s", title: "", description: "" };
const text = { title: "", description: "", parameters: [] };
const tool = (id: string): ToolDocument => ({ id, name: id, server, text, tags: [] });
const hits = (...ids: string[]): Hit[] =>
  ids.map((id, index) => ({ document: tool(id), score: 100 - index }));
const ids = (found: readonly { document: ToolDocument }[]) =>
  found.map(({ document }) => document.id);

test("nearest() sorts by similarity, of equals by id", () => {
  const meant = [["c", 1, 0], ["b", 1, 0], ["a", 0, 1], ["d", 0.6, 0.8]] as const;
  const found = nearest(
    Float32Array.from([1, 0]),
    meant.map(([id, x, y]) => ({ document: tool(id), vector: Float32Array.from([x, y]) })),
    3,
  );
  assert.deepEqual(found.map(({ id }) => id), ["b", "c", "d"]);
});

test("combine() puts first what both rankings have, and says what is left", () => {
  const { hits: found, more } = combine(hits("a", "b", "c"), ["d", "b"].map(tool), 3);
  assert.deepEqual(ids(found), ["b", "a", "d"]);
  assert.equal(more, 1);
  assert.deepEqual(found.map(({ score }) => score.toFixed(5)), ["0.03226", "0.01639", "0.01639"]);
});

test("combine() leaves tools that are named in front", () => {
  const [named, ...others] = hits("z", "b", "c");
  const { hits: found } = combine(
    [{ ...named!, isNamed: true }, ...others],
    ["b", "c"].map(tool),
    8,
  );
  assert.deepEqual(ids(found), ["z", "b", "c"]);
  assert.ok(found[0]!.score > 1 && found[1]!.score < 2 / 61 + 1e-9);
});

test("combine() counts hits by words that it does not look at any more", () => {
  const many = hits(...Array.from({ length: 200 }, (_, index) => `t${index}`));
  const { hits: found, more } = combine(many, ["t199", "new"].map(tool), 8);
  assert.equal(found.length, 8);
  assert.equal(more, 201 - 8);
  const all = combine(many, [], 60);
  assert.deepEqual(ids(all.hits), ids(many.slice(0, 60)));
});

test("combine() of nothing by words is what is meant", () => {
  const { hits: found, more } = combine([], ["a", "b"].map(tool), 1);
  assert.deepEqual([ids(found), more], [["a"], 1]);
});
