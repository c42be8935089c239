import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatDuration, MAX_DURATION_MS, parseDuration } from "../../src/lib/time.ts";

test("parseDuration() reads numbers as milliseconds and text by its unit", () => {
  assert.equal(parseDuration(5000), 5000);
  assert.equal(parseDuration(0), 0);
  assert.equal(parseDuration("500ms"), 500);
  assert.equal(parseDuration("30s"), 30_000);
  assert.equal(parseDuration("1.5s"), 1500);
  assert.equal(parseDuration("1.0004s"), 1000);
  assert.equal(parseDuration("5m"), 300_000);
  assert.equal(parseDuration(" 1h "), 3_600_000);
});

test("parseDuration() refuses everything else", () => {
  const bad = ["5", "5 apples", "5 s", "-5s", "5d", "1e3s", "", "s", -1, NaN, Infinity, null, true];
  for (const value of [...bad, undefined, {}, ["5s"]]) {
    assert.equal(parseDuration(value), undefined, String(value));
  }
});

test("parseDuration() stops where timers overflow", () => {
  assert.equal(MAX_DURATION_MS, 2 ** 31 - 1);
  assert.equal(parseDuration(MAX_DURATION_MS), MAX_DURATION_MS);
  assert.equal(parseDuration(MAX_DURATION_MS + 1), undefined);
  assert.equal(parseDuration("597h"), undefined);
});

test("formatDuration() takes the largest unit that fits", () => {
  assert.equal(formatDuration(0), "0ms");
  assert.equal(formatDuration(250), "250ms");
  assert.equal(formatDuration(1500), "1.5s");
  assert.equal(formatDuration(90_000), "90s");
  assert.equal(formatDuration(300_000), "5m");
  assert.equal(formatDuration(7_200_000), "2h");
});

test("formatDuration() is undone by parseDuration()", () => {
  fc.assert(fc.property(fc.nat(MAX_DURATION_MS), (ms) => {
    assert.equal(parseDuration(formatDuration(ms)), ms);
  }));
});
