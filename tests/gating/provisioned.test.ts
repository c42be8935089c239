import assert from "node:assert/strict";
import { test } from "node:test";
import { Provisioned, provisionKey, sessionKey } from "../../src/gating/provisioned.ts";

test("Provisioned keeps tools in the order they came, each once, the latest of too many", () => {
  const store = new Provisioned({ sessions: 2, handles: 2, tools: 3 });
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
  const store = new Provisioned({ sessions: 2, handles: 2, tools: 3 });
  store.add("a", ["x"]);
  store.add("b", ["x"]);
  assert.equal(store.has("a", "x"), true);
  store.add("c", ["x"]);
  assert.deepEqual(["a", "b", "c"].map((key) => store.knows(key)), [true, false, true]);
});

test("Provisioned forgets no session for the sake of handles", () => {
  const store = new Provisioned({ sessions: 2, handles: 2, tools: 3 });
  const [first, second, third] = ["c1", "c2", "c3"].map(sessionKey) as [string, string, string];
  for (const key of [first, second]) store.add(key, ["x"]);
  for (const key of ["a", "b", "c"]) store.add(key, ["x"]);
  assert.deepEqual([first, second, "a", "c"].map((key) => store.knows(key)), [
    true,
    true,
    false,
    true,
  ]);
  store.add(third, ["x"]);
  assert.deepEqual([first, second, "b"].map((key) => store.knows(key)), [false, true, true]);
  store.forget(second);
  assert.equal(store.knows(second), false);
});

test("provisionKey() is of the session, else of handle and view, else of nothing", () => {
  const session = { session: "c1" };
  assert.equal(provisionKey(session, "*", undefined), provisionKey(session, "p", "h"));
  const modern = { session: undefined };
  assert.equal(provisionKey(modern, "*", undefined), undefined);
  assert.notEqual(provisionKey(modern, "*", "h"), provisionKey(modern, "profiles/p", "h"));
  const keys = [provisionKey(modern, "a", 'b"c'), provisionKey(modern, 'a"b', "c")];
  assert.notEqual(keys[0], keys[1]);
});

test("Provisioned forgets handles of who has the most, so that nobody drives out others", () => {
  const store = new Provisioned({ sessions: 2, handles: 5, tools: 3 });
  const keyOf = (id: string, handle: string) => {
    const principal = { id, who: id, names: [] };
    return provisionKey({ session: undefined, principal }, "v", handle)!;
  };
  const [quiet, greedy] = ['b","a', "a"];
  store.add(keyOf(quiet, "1"), ["x"]);
  for (let at = 0; at < 50; at++) store.add(keyOf(greedy, String(at)), ["x"]);
  store.add(keyOf(quiet, "2"), ["x"]);
  const kept = [keyOf(quiet, "1"), keyOf(quiet, "2"), keyOf(greedy, "46"), keyOf(greedy, "47")];
  assert.deepEqual(kept.map((key) => store.knows(key)), [true, true, false, true]);
});

test("Provisioned tells who has a handle without reading the keys of all", () => {
  const store = new Provisioned({ sessions: 2, handles: 100 });
  const principal = { id: "https://id.example.com a b", who: "ann", names: [] };
  const keys = Array.from(
    { length: 300 },
    (_, at) => provisionKey({ session: undefined, principal }, "*", `h${at}`)!,
  );
  const parse = JSON.parse;
  let parsed = 0;
  JSON.parse = (text, ...more) => {
    parsed++;
    return parse(text, ...more);
  };
  try {
    for (const key of keys) store.add(key, ["x"]);
  } finally {
    JSON.parse = parse;
  }
  assert.equal(parsed, 0);
  assert.deepEqual([store.knows(keys[0]!), store.knows(keys[299]!)], [false, true]);
});
