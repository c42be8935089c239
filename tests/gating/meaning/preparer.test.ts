import assert from "node:assert/strict";
import { test } from "node:test";
import { Preparer } from "../../../src/gating/finder.ts";
import type { Snapshot } from "../../../src/gating/gate.ts";
import { FakeClock } from "../../upstream/fakes/clock.ts";

const registry = (version: number) => ({ version }) as Snapshot;

/** A preparer whose steps take `cost` ms each, and what it did. */
function world({ count = 1, cost = 0 } = {}) {
  const clock = new FakeClock();
  const done: string[] = [];
  const errors: unknown[] = [];
  let spent = 0;
  const preparer = new Preparer({
    clock: { now: () => clock.now() + spent, after: (ms, callback) => clock.after(ms, callback) },
    onError: (error) => errors.push(error),
    *steps(registry) {
      const { version } = registry;
      for (let step = 1; step <= count; step++) {
        spent += cost;
        done.push(`${version}.${step}`);
        yield;
      }
    },
  });
  return { clock, done, errors, preparer };
}

test("later() waits until it is quiet, and works for the last snapshot only", () => {
  const { clock, done, preparer } = world();
  for (let version = 1; version <= 10; version++) {
    preparer.later(registry(version));
    clock.tick(100);
  }
  assert.deepEqual(done, []);
  clock.tick(100);
  assert.deepEqual(done, ["10.1"]);
  assert.equal(clock.armed, 0);
});

test("later() does not wait for quiet for ever", () => {
  const { clock, done, preparer } = world();
  for (let version = 1; version <= 30; version++) {
    preparer.later(registry(version));
    clock.tick(100);
  }
  assert.deepEqual(done, ["20.1"]);
});

test("the work leaves the event loop to others after a few milliseconds", () => {
  const { clock, done, preparer } = world({ count: 5, cost: 3 });
  preparer.later(registry(1));
  const turns: number[] = [];
  // Each turn ends with a timer of no time.
  for (clock.tick(199); clock.armed > 0 && turns.length < 10;) {
    clock.after(turns.length === 0 ? 1 : 0, () => turns.push(done.length));
    clock.tick(turns.length === 0 ? 1 : 0);
  }
  assert.deepEqual(done, ["1.1", "1.2", "1.3", "1.4", "1.5"]);
  assert.deepEqual(turns[0], 3);
});

test("a snapshot that comes meanwhile has its turn when the work is done", () => {
  const { clock, done, preparer } = world({ count: 4, cost: 8 });
  preparer.later(registry(1));
  clock.after(200, () => preparer.later(registry(2)));
  clock.tick(200);
  preparer.later(registry(3));
  clock.tick(1_000);
  assert.deepEqual(done, ["1.1", "1.2", "1.3", "1.4", "3.1", "3.2", "3.3", "3.4"]);
});

test("what has been called back is taken back no more: it would keep the index that was built", () => {
  const fake = new FakeClock();
  let late = 0;
  const preparer = new Preparer({
    clock: {
      now: fake.now,
      after(ms, callback) {
        let isOver = false;
        const takeBack = fake.after(ms, () => {
          isOver = true;
          callback();
        });
        return () => {
          if (isOver) late++;
          takeBack();
        };
      },
    },
    onError: (error) => assert.fail(String(error)),
    *steps() {
      yield;
    },
  });
  for (let version = 1; version <= 3; version++) {
    preparer.later(registry(version));
    fake.tick(1_000);
  }
  preparer.close();
  assert.equal(late, 0);
});

test("close() ends the work, and nothing begins after it", () => {
  const { clock, done, preparer } = world();
  preparer.later(registry(1));
  preparer.close();
  preparer.later(registry(2));
  clock.tick(10_000);
  assert.deepEqual(done, []);
  assert.equal(clock.armed, 0);
});

test("work that throws is told of, and does not end the next", () => {
  const { clock, done, errors, preparer } = world();
  const bad = Object.defineProperty({}, "version", {
    get: () => {
      throw new Error("broken");
    },
  }) as Snapshot;
  preparer.later(bad);
  clock.tick(200);
  preparer.later(registry(2));
  clock.tick(200);
  assert.deepEqual(errors.map(String), ["Error: broken"]);
  assert.deepEqual(done, ["2.1"]);
});
