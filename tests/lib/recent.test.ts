import assert from "node:assert/strict";
import { test } from "node:test";
import { putLast } from "../../src/lib/recent.ts";

test("putLast() keeps those that were put last, each once", () => {
  const map = new Map<string, number>();
  const puts = [["a", 1], ["b", 2], ["a", 3], ["c", 4]] as const;
  const gone = puts.map(([key, value]) => putLast(map, key, value, 2));
  assert.deepEqual(gone, [undefined, undefined, undefined, 2]);
  assert.deepEqual([...map], [["a", 3], ["c", 4]]);
});
