import assert from "node:assert/strict";
import { test } from "node:test";
import { type Vector, VectorStore } from "../../../src/gating/meaning/vectors.ts";

const vector = (...numbers: number[]): Vector => Float32Array.from(numbers);
const X = vector(1, 0);
const Y = vector(0, 1);
const keys = (store: VectorStore) => [...store.entries()].map(([key]) => key);
/** Two numbers and their key. */
const EACH = 2 * 4 + 26;

test("accepts() forgets vectors of a file when the endpoint gives others", () => {
  const store = new VectorStore();
  store.load([["a", X], ["b", Y], ["odd", vector(1)]]);
  assert.deepEqual(keys(store), ["a", "b"]);
  assert.equal(store.accepts(3), true);
  assert.equal(store.size, 0);
});

test("accepts() holds an endpoint to the size it has given", () => {
  const store = new VectorStore();
  store.load([["a", X]]);
  assert.equal(store.accepts(2), true);
  assert.equal(store.accepts(3), false);
  assert.deepEqual(keys(store), ["a"]);
});

test("add() drops what was not wanted for longest where there is no room", () => {
  const store = new VectorStore(3 * EACH);
  assert.equal(store.room, undefined);
  store.accepts(2);
  assert.equal(store.room, 3);
  for (const key of ["a", "b", "c"]) store.add(key, X);
  store.touch(["a", "unknown"]);
  store.add("d", Y);
  assert.deepEqual(keys(store), ["c", "a", "d"]);
});

test("load() keeps what came from the endpoint, and only what fits", () => {
  const store = new VectorStore(2 * EACH);
  store.accepts(2);
  store.add("a", X);
  store.load([["a", Y], ["b", Y], ["c", Y]]);
  assert.deepEqual(keys(store), ["b", "c"]);
});
