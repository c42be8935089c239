import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { BoundedQueue } from "../../src/lib/bounded-queue.ts";

test("BoundedQueue refuses what exceeds its capacity and keeps the order", () => {
  const queue = new BoundedQueue<number>({ capacity: 2 });
  assert.deepEqual([1, 2, 3].map((item) => queue.push(item)), [true, true, false]);
  assert.deepEqual(queue.peek(5), [1, 2]);
  queue.drop(1);
  assert.equal(queue.push(4), true);
  assert.deepEqual(queue.peek(5), [2, 4]);
  assert.equal(queue.size, 2);
});

test("BoundedQueue refuses what exceeds its weight, but never the only item", () => {
  const queue = new BoundedQueue<string>({ capacity: 9, maxWeight: 5, weigh: (s) => s.length });
  assert.equal(queue.push("longer than all"), true);
  assert.equal(queue.push(""), false);
  queue.drop(1);
  assert.deepEqual(["abc", "de", "f"].map((item) => queue.push(item)), [true, true, false]);
  assert.equal(queue.weight, 5);
});

test("BoundedQueue clear() empties it and counts", () => {
  const queue = new BoundedQueue<number>({ capacity: 3, weigh: () => 2 });
  queue.push(1);
  queue.push(2);
  assert.equal(queue.clear(), 2);
  assert.deepEqual([queue.size, queue.weight, queue.peek(1).length], [0, 0, 0]);
});

test("BoundedQueue rejects a capacity that is no positive integer", () => {
  for (const capacity of [0, -1, 1.5, NaN]) {
    assert.throws(() => new BoundedQueue({ capacity }), RangeError);
  }
});

test("BoundedQueue behaves as an array with limits", () => {
  const step = fc.oneof(
    fc.record({ push: fc.nat(9) }),
    fc.record({ drop: fc.nat(4) }),
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
    const queue = new BoundedQueue<number>({ capacity: 8, maxWeight: 30, weigh: (n) => n });
    const model: number[] = [];
    const sum = () => model.reduce((a, b) => a + b, 0);
    for (const step of steps) {
      if ("push" in step) {
        const fits = model.length < 8 && (model.length === 0 || sum() + step.push <= 30);
        assert.equal(queue.push(step.push), fits);
        if (fits) model.push(step.push);
      } else {
        queue.drop(step.drop);
        model.splice(0, step.drop);
      }
      assert.deepEqual(queue.peek(100), model);
      assert.equal(queue.weight, sum());
      assert.equal(queue.size, model.length);
    }
  }));
});
