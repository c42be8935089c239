import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { TokenBucket } from "../../src/lib/rate-limit.ts";

test("TokenBucket lets a burst pass, then refuses", () => {
  const bucket = new TokenBucket({ ratePerSecond: 10, burst: 2, now: 0 });
  assert.deepEqual(bucket.take(0), { allowed: true, suppressed: 0 });
  assert.deepEqual(bucket.take(0), { allowed: true, suppressed: 0 });
  assert.deepEqual(bucket.take(0), { allowed: false });
  assert.deepEqual(bucket.take(99), { allowed: false });
});

test("TokenBucket tells once how many it refused before", () => {
  const bucket = new TokenBucket({ ratePerSecond: 10, burst: 1, now: 0 });
  bucket.take(0);
  bucket.take(1);
  bucket.take(2);
  assert.deepEqual(bucket.take(100), { allowed: true, suppressed: 2 });
  assert.deepEqual(bucket.take(200), { allowed: true, suppressed: 0 });
  bucket.take(201);
  assert.equal(bucket.takeSuppressed(), 1);
  assert.equal(bucket.takeSuppressed(), 0);
});

test("TokenBucket never saves up more than its burst", () => {
  const bucket = new TokenBucket({ ratePerSecond: 1000, burst: 3, now: 0 });
  const passed = Array.from({ length: 9 }, () => bucket.take(1e9).allowed).filter(Boolean);
  assert.equal(passed.length, 3);
});

test("TokenBucket survives a clock that jumps back", () => {
  const bucket = new TokenBucket({ ratePerSecond: 1, burst: 1, now: 1000 });
  assert.equal(bucket.take(0).allowed, true);
  assert.equal(bucket.take(500).allowed, false);
  assert.equal(bucket.take(1000).allowed, true);
});

test("TokenBucket rejects options that let nothing pass", () => {
  for (const [ratePerSecond, burst] of [[0, 1], [-1, 1], [1, 0], [NaN, 1]] as const) {
    assert.throws(() => new TokenBucket({ ratePerSecond, burst, now: 0 }), RangeError);
  }
});

test("TokenBucket never exceeds burst plus rate times time, and accounts for all", () => {
  const gaps = fc.array(fc.nat(400), { minLength: 1, maxLength: 300 });
  fc.assert(
    fc.property(gaps, fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 9 }), (
      gaps,
      ratePerSecond,
      burst,
    ) => {
      const bucket = new TokenBucket({ ratePerSecond, burst, now: 0 });
      let [now, passed, reported] = [0, 0, 0];
      for (const gap of gaps) {
        const verdict = bucket.take(now += gap);
        if (!verdict.allowed) continue;
        passed++;
        reported += verdict.suppressed;
      }
      assert.ok(passed <= burst + now * ratePerSecond / 1000 + 1e-6);
      assert.equal(passed + reported + bucket.takeSuppressed(), gaps.length);
    }),
  );
});
