import assert from "node:assert/strict";
import { test } from "node:test";
import { playRounds } from "./principals-house.ts";

test("two principals hear, find and resume nothing of each other, whatever the order", async () => {
  const tried = await playRounds({ first: 1, count: 40, steps: 40 });
  for (const kind of ["session", "task", "stored", "handle", "state"]) {
    assert.ok(tried[`guess ${kind}`]! > 0 && tried[`own ${kind}`]! > 0, JSON.stringify(tried));
  }
});
