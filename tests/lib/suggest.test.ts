import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { editDistance, suggest } from "../../src/lib/suggest.ts";

test("editDistance() counts insertions, deletions, replacements and swaps", () => {
  assert.equal(editDistance("", ""), 0);
  assert.equal(editDistance("", "abc"), 3);
  assert.equal(editDistance("comand", "command"), 1);
  assert.equal(editDistance("prot", "port"), 1);
  assert.equal(editDistance("kitten", "sitting"), 3);
});

test("editDistance() is a distance: zero only for equals, symmetric, bounded by the longer", () => {
  fc.assert(fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (a, b) => {
    const distance = editDistance(a, b);
    assert.equal(distance === 0, a === b);
    assert.equal(distance, editDistance(b, a));
    assert.ok(distance <= Math.max(a.length, b.length));
    assert.ok(distance >= Math.abs(a.length - b.length));
  }));
});

test("editDistance() says nothing of what is further than asked for", () => {
  const word = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 12 });
  fc.assert(fc.property(word, word, fc.nat(8), (a, b, most) => {
    const distance = editDistance(a, b);
    assert.equal(editDistance(a, b, most), distance <= most ? distance : Infinity);
  }));
});

test("suggest() allows no more edits than asked for", () => {
  assert.equal(suggest("timeouts_all", ["timeout"], 4), undefined);
  assert.equal(suggest("timeoutsall", ["timeoutsa"], 2), "timeoutsa");
  assert.equal(suggest("timeoutsall", ["timeoutsa"], 1), undefined);
});

test("suggest() finds the nearest candidate", () => {
  const keys = ["command", "args", "env", "cwd", "timeout", "startupTimeout"];
  assert.equal(suggest("comand", keys), "command");
  assert.equal(suggest("timout", keys), "timeout");
  assert.equal(suggest("startup_timeout", keys), "startupTimeout");
  assert.equal(suggest("ENV", keys), "env");
});

test("suggest() takes the beginning of a candidate, unless another is nearer", () => {
  assert.equal(suggest("warn", ["info", "warning"]), "warning");
  assert.equal(suggest("argz", ["arguments", "args"]), "args");
  assert.equal(suggest("wa", ["warning"]), undefined);
});

test("suggest() keeps silent where nothing is near", () => {
  const keys = ["command", "args", "env"];
  assert.equal(suggest("disabledTools", ["disabled"]), undefined);
  assert.equal(suggest("xyz", keys), undefined);
  assert.equal(suggest("", keys), undefined);
  assert.equal(suggest("c".repeat(10_000), keys), undefined);
});
