import assert from "node:assert/strict";
import { test } from "node:test";
import { EmbedError, pauseAfterFailures, QueryVectors } from "../../../src/gating/meaning/embed.ts";
import type { Vector } from "../../../src/gating/meaning/vectors.ts";
import { FakeClock } from "../../upstream/fakes/clock.ts";

const X: Vector = Float32Array.from([1, 0]);

/** Queries, the requests they led to, and what was said of the endpoint. */
class World {
  readonly clock = new FakeClock();
  readonly asked: { text: string; answer(vector: Vector): void; fail(reason: string): void }[] = [];
  readonly said: string[] = [];
  readonly queries = new QueryVectors({
    ask: (text) => {
      const { promise, resolve, reject } = Promise.withResolvers<Vector>();
      this.asked.push({
        text,
        answer: resolve,
        fail: (reason) => reject(new EmbedError(reason)),
      });
      return promise;
    },
    timeout: 300,
    clock: this.clock,
    outage: {
      down: (_use, reason) => void this.said.push(reason),
      up: () => void this.said.push("up"),
    },
  });

  /** Fails one query, and makes sure that it was noticed. */
  async fail(text = "fails"): Promise<void> {
    const got = this.queries.get(text);
    this.asked.at(-1)!.fail("is broken");
    assert.equal(await got, undefined);
  }
}

test("get() asks once for a query, however often it comes", async () => {
  const { queries, asked } = new World();
  const both = [queries.get("a"), queries.get("a")];
  asked[0]!.answer(X);
  assert.deepEqual(await Promise.all(both), [X, X]);
  assert.equal(queries.get("a"), X);
  assert.equal(asked.length, 1);
});

test("get() remembers the last 200 queries", async () => {
  const { queries, asked } = new World();
  const ask = async (text: string) => {
    const got = queries.get(text);
    asked.at(-1)!.answer(X);
    await got;
  };
  for (let index = 0; index < 200; index++) await ask(`q${index}`);
  assert.equal(queries.get("q0"), X);
  await ask("one more");
  const count = asked.length;
  assert.equal(queries.get("q0"), X);
  assert.equal(asked.length, count);
  assert.ok(queries.get("q1") instanceof Promise);
  assert.equal(asked.length, count + 1);
});

test("get() gives up in time, and still remembers what comes later", async () => {
  const { queries, asked, clock, said } = new World();
  const got = queries.get("slow");
  clock.tick(300);
  assert.equal(await got, undefined);
  asked[0]!.answer(X);
  await Promise.resolve();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(queries.get("slow"), X);
  assert.deepEqual(said, ["gave no answer within 300 ms"]);
  assert.equal(clock.armed, 0);
});

test("get() does not wait for an endpoint that failed; one query tries whether it is back", async () => {
  const world = new World();
  const { queries, asked, clock, said } = world;
  await world.fail();
  assert.equal(queries.get("b"), undefined);
  clock.tick(1_999);
  assert.equal(queries.get("b"), undefined);
  assert.equal(asked.length, 1);
  clock.tick(1);
  assert.equal(queries.get("b"), undefined);
  assert.equal(queries.get("c"), undefined);
  assert.deepEqual(asked.map(({ text }) => text), ["fails", "b"]);
  asked[1]!.answer(X);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(queries.get("b"), X);
  assert.deepEqual(said, ["is broken", "up"]);
  assert.ok(queries.get("c") instanceof Promise);
});

test("get() tries an endpoint that stays away less and less often", async () => {
  const world = new World();
  const { queries, asked, clock } = world;
  await world.fail();
  const tries: number[] = [];
  for (let at = 0; at < 700_000; at += 1_000) {
    clock.tick(1_000);
    assert.equal(queries.get(`q${at}`), undefined);
    if (asked.length === tries.length + 1) continue;
    tries.push(clock.now() / 1000);
    asked.at(-1)!.fail("is broken");
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(tries, [2, 6, 14, 30, 62, 126, 254, 510]);
});

test("get() takes failures of the same time as one", async () => {
  const { queries, asked, clock, said } = new World();
  const got = ["a", "b", "c", "d"].map((text) => queries.get(text));
  assert.equal(queries.get("one too many"), undefined);
  assert.equal(asked.length, 4);
  clock.tick(300);
  assert.deepEqual(await Promise.all(got), Array(4).fill(undefined));
  assert.equal(said.length, 1);
  for (const { fail } of asked) fail("is broken");
  await new Promise((resolve) => setImmediate(resolve));
  clock.tick(2_000);
  assert.equal(queries.get("e"), undefined);
  assert.equal(asked.length, 5);
});

test("pauseAfter() doubles from two seconds to five minutes", () => {
  assert.deepEqual([1, 2, 3, 8, 9, 1000].map(pauseAfterFailures), [
    2_000,
    4_000,
    8_000,
    256_000,
    300_000,
    300_000,
  ]);
});
