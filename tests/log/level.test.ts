import assert from "node:assert/strict";
import { test } from "node:test";
import { LOG_LEVELS, parseLevel, priority } from "../../src/log/level.ts";

test("parseLevel() takes what people type, and nothing else", () => {
  assert.deepEqual(["warn", "WARNING", " debug ", "fatal"].map(parseLevel), [
    "warning",
    "warning",
    "debug",
    "fatal",
  ]);
  assert.deepEqual(["", "warn ing", "silly", "constructor"].map(parseLevel), [
    null,
    null,
    null,
    null,
  ]);
});

test("priority() is facility daemon with the severities of RFC 5424, fatal being crit", () => {
  assert.deepEqual(LOG_LEVELS.map(priority), [31, 31, 30, 28, 27, 26]);
});
