import assert from "node:assert/strict";
import { test } from "node:test";
import { fuzzCallback } from "../../cli/login-world.ts";
import { fuzzDoor } from "../../front/auth/fuzzed.ts";

test("nobody gets in by 100 000 requests that make no sense", async () => {
  const all = new Map<number, number>();
  for (let seed = 1; seed <= 10; seed++) {
    for (const [status, count] of await fuzzDoor(10_000, seed)) {
      all.set(status, (all.get(status) ?? 0) + count);
    }
  }
  for (const status of [401, 429, 503]) {
    assert.ok(all.get(status)! > 100, JSON.stringify([...all]));
  }
});

test("of 100 000 answers to a login only the right one is taken", async () => {
  await fuzzCallback(100_000);
});
