import assert from "node:assert/strict";
import { test } from "node:test";
import { fuzzDoor } from "./fuzzed.ts";

test("nobody gets in by 2 000 requests that make no sense", async () => {
  const answers = await fuzzDoor(2_000, 1);
  assert.ok(answers.get(401)! > 200 && answers.get(429)! > 200, JSON.stringify([...answers]));
});
