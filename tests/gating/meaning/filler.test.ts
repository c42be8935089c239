import assert from "node:assert/strict";
import { test } from "node:test";
import { type EmbeddedText, EmbedError } from "../../../src/gating/meaning/embed.ts";
import { Filler } from "../../../src/gating/meaning/semantic.ts";
import { type Vector, VectorStore } from "../../../src/gating/meaning/vectors.ts";
import { FakeClock } from "../../upstream/fakes/clock.ts";

const X: Vector = Float32Array.from([1, 0]);
const texts = (count: number, from = 0): EmbeddedText[] =>
  Array.from(
    { length: count },
    (_, index) => ({ text: `t${from + index}`, key: `k${from + index}` }),
  );

/** A filler, and an endpoint that answers as `answer` says. */
class World {
  answer: (texts: readonly string[]) => readonly Vector[] = (texts) => texts.map(() => X);
  readonly asked: (readonly string[])[] = [];
  readonly said: string[] = [];
  readonly done: number[] = [];
  readonly clock = new FakeClock();
  readonly stop = new AbortController();
  readonly store: VectorStore;
  readonly filler: Filler;

  constructor(mostBytes?: number) {
    this.store = new VectorStore(mostBytes);
    this.filler = new Filler({
      ask: async (texts) => {
        await Promise.resolve();
        this.asked.push(texts);
        const vectors = this.answer(texts);
        this.store.accepts(2);
        return vectors;
      },
      store: this.store,
      clock: this.clock,
      outage: {
        down: (_use, reason) => void this.said.push(reason),
        up: () => {},
      },
      onAdded: () => {},
      onDone: (added) => void this.done.push(added),
      signal: this.stop.signal,
    });
  }
}

test("want() gets what is missing in batches, once", async () => {
  const { filler, store, asked, done } = new World();
  filler.want(texts(70));
  await filler.idle();
  assert.deepEqual(asked.map((batch) => batch.length), [32, 32, 6]);
  assert.equal(store.size, 70);
  filler.want([...texts(70), ...texts(3, 70)]);
  await filler.idle();
  assert.deepEqual(asked[3], ["t70", "t71", "t72"]);
  filler.want(texts(73));
  await filler.idle();
  assert.equal(asked.length, 4);
  assert.deepEqual(done, [70, 3]);
});

test("want() in the middle of the work changes what is still asked for", async () => {
  const world = new World();
  const { filler, asked } = world;
  world.answer = (batch) => {
    filler.want(texts(2, 100));
    world.answer = (texts) => texts.map(() => X);
    return batch.map(() => X);
  };
  filler.want(texts(70));
  await filler.idle();
  assert.deepEqual(asked.map((batch) => batch.length), [32, 2]);
});

test("a failing endpoint is asked again after longer and longer pauses", async () => {
  const world = new World();
  const { filler, store, asked, clock, said } = world;
  let failures = 3;
  world.answer = (batch) => {
    if (failures-- > 0) throw new EmbedError("is broken", { status: 503 });
    return batch.map(() => X);
  };
  filler.want(texts(1));
  await clock.flowUntil(filler.idle());
  assert.equal(store.size, 1);
  assert.equal(asked.length, 4);
  assert.deepEqual(said, Array(3).fill("is broken"));
  assert.ok(clock.now() >= 14_000 && clock.now() < 14_500, `${clock.now()}`);
});

test("an endpoint that takes fewer texts gets fewer; one it never takes is left out", async () => {
  const world = new World();
  const { filler, store, asked, said } = world;
  world.answer = (batch) => {
    if (batch.length > 10 || batch.includes("t5")) throw new EmbedError("refuses", { status: 413 });
    return batch.map(() => X);
  };
  filler.want(texts(40));
  await filler.idle();
  assert.equal(store.size, 39);
  assert.equal(store.get("k5"), undefined);
  assert.deepEqual(said, []);
  assert.ok(asked.length < 20, `${asked.length}`);
  const count = asked.length;
  filler.again();
  await filler.idle();
  assert.equal(asked.length, count);
});

test("an endpoint that refuses everything is failing, and is not asked for each text at once", async () => {
  const world = new World();
  const { filler, asked, clock, said, stop } = world;
  world.answer = () => {
    throw new EmbedError("refuses", { status: 400 });
  };
  filler.want(texts(1_000));
  const work = filler.idle();
  while (said.length === 0) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(asked.length < 18, `${asked.length}`);
  stop.abort();
  await work;
  assert.equal(clock.armed, 0);
});

test("what an endpoint refused while it refused everything is asked for again", async () => {
  const world = new World();
  const { filler, store, clock, said } = world;
  world.answer = (batch) => {
    if (said.length < 3) throw new EmbedError("refuses", { status: 400 });
    return batch.map(() => X);
  };
  filler.want(texts(100));
  await clock.flowUntil(filler.idle());
  assert.equal(store.size, 100);
});

test("two refused texts in a row do not make all others go alone", async () => {
  const world = new World();
  const { filler, store, asked } = world;
  world.answer = (batch) => {
    if (batch.includes("t5") || batch.includes("t6")) {
      throw new EmbedError("refuses", { status: 413 });
    }
    return batch.map(() => X);
  };
  filler.want(texts(500));
  await filler.idle();
  assert.equal(store.size, 498);
  assert.ok(asked.length < 60, `${asked.length}`);
});

test("what does not fit is not asked for", async () => {
  const { filler, store, asked } = new World(50 * (2 * 4 + 26));
  filler.want(texts(100));
  await filler.idle();
  assert.equal(store.size, 50);
  assert.deepEqual(asked.map((batch) => batch.length), [32, 18]);
});

test("a stop ends the work where it is", async () => {
  const world = new World();
  const { filler, asked, stop, done } = world;
  world.answer = () => {
    stop.abort();
    throw stop.signal.reason;
  };
  filler.want(texts(70));
  await filler.idle();
  filler.again();
  await filler.idle();
  assert.equal(asked.length, 1);
  assert.deepEqual(done, []);
});
