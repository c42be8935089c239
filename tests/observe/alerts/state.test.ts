/** When an alert begins, is over, and is told: by a clock that is turned by hand. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { AlertWatch } from "../../../src/observe/alerts/state.ts";

const MINUTE = 60_000;

function watching(lasting = 0) {
  const watch = new AlertWatch(lasting);
  const at = (minutes: number, value: number, { isQuiet = false, isUnsure = false } = {}) =>
    watch.look({ subject: "s", value, bound: 10, isUnsure, text: "" }, minutes * MINUTE, isQuiet);
  return { watch, at };
}

const NOTHING = { told: undefined };

test("it begins above the bound, and ends at four fifths of it", () => {
  const { at } = watching();
  assert.deepEqual(at(0, 10), NOTHING);
  assert.deepEqual(at(1, 10.1), { changed: "firing", told: "firing" });
  assert.deepEqual(at(2, 8.1), NOTHING);
  assert.deepEqual(at(3, 8), { changed: "resolved", told: "resolved" });
  assert.deepEqual(at(4, 8.1), NOTHING);
});

test("it has to last, and begins anew where it was not", () => {
  const { at } = watching(2 * MINUTE);
  assert.deepEqual(at(0, 11), NOTHING);
  assert.deepEqual(at(1.9, 11), NOTHING);
  assert.deepEqual(at(1.95, 9), NOTHING);
  assert.deepEqual(at(2, 11), NOTHING);
  assert.deepEqual(at(3.9, 11), NOTHING);
  assert.deepEqual(at(4, 11), { changed: "firing", told: "firing" });
});

test("nothing begins while it is quiet, nor by too little", () => {
  const { at } = watching(MINUTE);
  assert.deepEqual(at(0, 11, { isQuiet: true }), NOTHING);
  assert.deepEqual(at(1, 11, { isQuiet: true }), NOTHING);
  assert.deepEqual(at(2, 11, { isUnsure: true }), NOTHING);
  assert.deepEqual(at(3, 11), NOTHING);
  assert.deepEqual(at(4, 11), { changed: "firing", told: "firing" });
  // What has begun goes on, however little there is.
  assert.deepEqual(at(5, 11, { isUnsure: true }), NOTHING);
});

test("after four hours it is told again", () => {
  const { at } = watching();
  assert.equal(at(0, 11).told, "firing");
  assert.deepEqual(at(239, 11), NOTHING);
  assert.deepEqual(at(240, 11), { told: "firing" });
  assert.deepEqual(at(241, 11), NOTHING);
  assert.deepEqual(at(480, 11), { told: "firing" });
});

test("four changes in half an hour are one, until it has calmed down", () => {
  const { at } = watching();
  assert.equal(at(0, 11).told, "firing");
  assert.equal(at(1, 0).told, "resolved");
  assert.equal(at(2, 11).told, "firing");
  assert.deepEqual(at(3, 0), { changed: "resolved", told: "flapping" });
  assert.deepEqual(at(4, 11), { changed: "firing" });
  assert.deepEqual(at(5, 0), { changed: "resolved" });
  assert.deepEqual(at(6, 11), { changed: "firing" });
  assert.deepEqual(at(32, 11), NOTHING);
  assert.deepEqual(at(33, 11), { told: "firing" });
  assert.deepEqual(at(34, 0), { changed: "resolved", told: "resolved" });
});

test("what is watched no more is over", () => {
  const { watch, at } = watching();
  assert.deepEqual(watch.end(0), {});
  at(0, 11);
  assert.deepEqual(watch.end(MINUTE), { changed: "resolved", told: "resolved" });
});
