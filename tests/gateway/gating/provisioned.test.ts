import assert from "node:assert/strict";
import { test } from "node:test";
import { newHandle, Provisioned, provisionKey } from "../../../src/gateway/gating/provisioned.ts";

test("Provisioned keeps tools in the order they came, each once, the latest of too many", () => {
  const store = new Provisioned({ clients: 2, tools: 3 });
  assert.deepEqual([store.knows("a"), store.of("a"), store.has("a", "x")], [false, [], false]);
  store.add("a", ["x", "y"]);
  store.add("a", ["x", "z"]);
  assert.deepEqual(store.of("a"), ["x", "y", "z"]);
  store.add("a", ["w"]);
  assert.deepEqual(store.of("a"), ["y", "z", "w"]);
  assert.equal(store.has("a", "x"), false);
  store.forget("a");
  assert.equal(store.knows("a"), false);
});

test("Provisioned forgets the clients that were away longest", () => {
  const store = new Provisioned({ clients: 2, tools: 3 });
  store.add("a", ["x"]);
  store.add("b", ["x"]);
  assert.equal(store.has("a", "x"), true);
  store.add("c", ["x"]);
  assert.deepEqual(["a", "b", "c"].map((key) => store.knows(key)), [true, false, true]);
});

test("provisionKey() is of the session, else of handle and view, else of nothing", () => {
  const session = { session: "c1" };
  assert.equal(provisionKey(session, "*", undefined), provisionKey(session, "p", "h"));
  const modern = { session: undefined };
  assert.equal(provisionKey(modern, "*", undefined), undefined);
  assert.notEqual(provisionKey(modern, "*", "h"), provisionKey(modern, "profiles/p", "h"));
  const keys = [provisionKey(modern, "a", 'b"c'), provisionKey(modern, 'a"b', "c")];
  assert.notEqual(keys[0], keys[1]);
  assert.notEqual(newHandle(), newHandle());
});
