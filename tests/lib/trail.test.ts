import assert from "node:assert/strict";
import { test } from "node:test";
import { Trail } from "../../src/lib/trail.ts";

test("Trail recognises a request of its own, and one that comes back through others", () => {
  const [a, b, c] = [new Trail(), new Trail(), new Trail()];
  assert.equal(a.admits(null, 0), true);
  assert.equal(a.admits(a.header(0), 0), false);
  // Two, each in the other: one of them is let in, and says so when the other is asked.
  assert.equal(b.admits(a.header(0), 0), true);
  assert.equal(a.admits(b.header(0), 0), false);
  assert.equal(b.admits(a.header(0), 0), true, "and stays let in");
  // Three in a round.
  assert.equal(c.admits(b.header(0), 0), true);
  assert.equal(a.admits(c.header(0), 0), false);
  // Who asks no more is forgotten.
  assert.equal(a.admits(c.header(1_000_000), 1_000_000), true);
});

test("Trail remembers a bounded number, and nothing that is no id", () => {
  const trail = new Trail();
  for (let i = 0; i < 100; i++) {
    assert.equal(trail.admits(new Trail().header(0), 0), true);
    assert.equal(trail.admits(`x\r\ny ${"z".repeat(1_000)} , `, 0), true);
  }
  assert.equal(trail.header(0).split(" ").length, 21);
  assert.match(trail.header(0), /^[0-9a-f -]+$/);
});
