import assert from "node:assert/strict";
import { test } from "node:test";
import { fuzzDoor } from "./fuzzed.ts";

test("nobody gets in by 1 000 requests that make no sense", async () => {
  const answers = await fuzzDoor(1_000, 1);
  assert.ok(answers.get(401)! > 100 && answers.get(429)! > 100, JSON.stringify([...answers]));
});
