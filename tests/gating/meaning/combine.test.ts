import assert from "node:assert/strict";
import { test } from "node:test";
import { combine, nearest } from "../../../src/gating/meaning/vectors.ts";
import type { ToolDocument } from "../../../src/gating/words/document.ts";
import { buildIndex, type Hit, type SearchResult } from "../../../src/gating/words/index.ts";

const server = { name: "s", title: "", description: "" };
const text = { title: "", description: "", parameters: [] };
const tool = (id: string): ToolDocument => ({ id, name: id, server, text, tags: [] });
const hits = (...ids: string[]): Hit[] =>
  ids.map((id, index) => ({ document: tool(id), score: 100 - index }));
const lexical = (...ids: string[]): SearchResult => ({ hits: hits(...ids), more: 0 });
const meant = (...ids: string[]) => ids.map((id) => ({ document: tool(id) }));
const ids = (found: readonly { document: ToolDocument }[]) =>
  found.map(({ document }) => document.id);

test("nearest() sorts by similarity, of equals by id", () => {
  const tools = [["c", 1, 0], ["b", 1, 0], ["a", 0, 1], ["d", 0.6, 0.8]] as const;
  const found = nearest(
    Float32Array.from([1, 0]),
    tools.map(([id, x, y], index) => ({
      document: tool(id),
      index,
      vector: Float32Array.from([x, y]),
    })),
    3,
  );
  assert.deepEqual(found.map(({ document, index }) => [document.id, index]), [
    ["b", 1],
    ["c", 0],
    ["d", 3],
  ]);
});

test("combine() puts first what both rankings have, and says what is left", () => {
  const { hits: found, more } = combine({ ...lexical("a", "b", "c"), more: 1 }, meant("d", "b"), 3);
  assert.deepEqual(ids(found), ["b", "a", "d"]);
  assert.equal(more, 1);
  assert.deepEqual(found.map(({ score }) => score.toFixed(5)), ["0.03226", "0.01639", "0.01639"]);
});

test("combine() leaves tools that are named in front", () => {
  const [named, ...others] = hits("z", "b", "c");
  const { hits: found } = combine(
    { hits: [{ ...named!, isNamed: true }, ...others], more: 0 },
    meant("b", "c"),
    8,
  );
  assert.deepEqual(ids(found), ["z", "b", "c"]);
  assert.ok(found[0]!.score > 1 && found[1]!.score < 2 / 61 + 1e-9);
});

test("combine() counts what either has found, once", () => {
  const documents = Array.from({ length: 200 }, (_, index) => ({
    ...tool(`t${index}`),
    text: { ...text, description: index < 199 ? "Sends letters" : "Waters plants" },
  }));
  const index = buildIndex(documents);
  const also = [198, 199];
  const first = index.search("letters", { limit: 50, also });
  assert.deepEqual([first.hits.length, first.more], [50, 150]);
  const found = combine(first, also.map((at) => ({ document: documents[at]! })), 8);
  assert.deepEqual([found.hits.length, found.more], [8, 192]);
  const all = index.search("letters", { limit: 60 });
  assert.deepEqual(ids(combine(all, [], 60).hits), ids(all.hits));
});

test("combine() of nothing by words is what is meant", () => {
  const { hits: found, more } = combine({ hits: [], more: 2 }, meant("a", "b"), 1);
  assert.deepEqual([ids(found), more], [["a"], 1]);
});
