import assert from "node:assert/strict";
import { test } from "node:test";
import { Exporter } from "../../../src/observe/otlp/exporter.ts";
import { eventually } from "../../support/inbox.ts";
import { FakeClock } from "../../upstream/fakes/clock.ts";
import { Collector, type Mood } from "./collector.ts";

async function exporting(
  moods: readonly Mood[],
  run: (parts: {
    collector: Collector;
    exporter: Exporter<number>;
    clock: FakeClock;
    dropped: [number, string][];
  }) => Promise<void>,
): Promise<void> {
  await using collector = await Collector.start();
  collector.moods.push(...moods);
  const clock = new FakeClock();
  const dropped: [number, string][] = [];
  const exporter = new Exporter<number>({
    url: new URL(`${collector.url}/v1/traces`),
    headers: { authorization: "Bearer it" },
    encode: (items) => Promise.resolve(JSON.stringify(items)),
    onDropped: (count, why) => dropped.push([count, why]),
    clock,
  });
  try {
    await run({ collector, exporter, clock, dropped });
  } finally {
    await exporter.close();
  }
}

const bodies = ({ sent }: Collector) => sent.items.map(({ body }) => body);

test("what comes is sent together after five seconds, packed, with the headers there are", () =>
  exporting([], async ({ collector, exporter, clock, dropped }) => {
    for (const item of [1, 2, 3]) exporter.push(item);
    clock.tick(4_999);
    assert.deepEqual(bodies(collector), []);
    clock.tick(1);
    await exporter.flush();
    assert.deepEqual(bodies(collector), [[1, 2, 3]]);
    const [{ path, headers }] = collector.sent.items as [typeof collector.sent.items[0]];
    assert.equal(path, "/v1/traces");
    assert.equal(headers["content-type"], "application/json");
    assert.equal(headers["content-encoding"], "gzip");
    assert.equal(headers["authorization"], "Bearer it");
    exporter.push(4);
    clock.tick(5_000);
    await exporter.flush();
    assert.deepEqual([bodies(collector)[1], dropped], [[4], []]);
  }));

test("a batch is sent at once, and nothing of it twice", () =>
  exporting([], async ({ collector, exporter, clock }) => {
    const all = Array.from({ length: 1_100 }, (_, at) => at);
    all.forEach((item) => exporter.push(item));
    await exporter.flush();
    assert.deepEqual(bodies(collector).map(({ length }) => length), [512, 512, 76]);
    assert.deepEqual(bodies(collector).flat(), all);
    assert.equal(clock.armed, 0);
  }));

for (
  const mood of [
    { status: 429, headers: { "retry-after": "7" } },
    { status: 502 },
    { status: 503, body: "<html>" },
    { status: 504 },
    "cut",
  ] as const satisfies readonly Mood[]
) {
  test(`${JSON.stringify(mood)} is tried again, later`, () =>
    exporting([mood, mood], async ({ collector, exporter, clock, dropped }) => {
      exporter.push(1);
      const flushed = exporter.flush();
      const rests = typeof mood === "object" && mood.status === 429
        ? [7_000, 7_000]
        : [1_000, 2_000];
      for (const [at, rest] of rests.entries()) {
        await eventually(() => clock.armed, (armed) => armed === 1, "a rest");
        exporter.push(2);
        clock.tick(rest - 1);
        assert.equal(collector.sent.items.length, at + 1);
        clock.tick(1);
        await collector.sent.waitFor(() => true, { from: at + 1 });
      }
      await flushed;
      assert.deepEqual(bodies(collector), [[1], [1], [1], [2, 2]]);
      assert.deepEqual(dropped, []);
    }));
}

test("a collector that asks for days gets a minute", () =>
  exporting(
    [{ status: 503, headers: { "retry-after": "864000" } }],
    async ({ collector, exporter, clock }) => {
      exporter.push(1);
      const flushed = exporter.flush();
      await eventually(() => clock.armed, (armed) => armed === 1, "a rest");
      clock.tick(60_000);
      await flushed;
      assert.deepEqual(bodies(collector), [[1], [1]]);
    },
  ));

for (const status of [302, 400, 401, 404, 500]) {
  test(`HTTP ${status} is final`, () =>
    exporting(
      [{ status, headers: { location: "/elsewhere" } }],
      async ({ collector, exporter, dropped }) => {
        [1, 2].forEach((item) => exporter.push(item));
        await exporter.flush();
        exporter.push(3);
        await exporter.flush();
        assert.deepEqual(bodies(collector), [[1, 2], [3]]);
        assert.deepEqual(dropped, [[2, `answered with HTTP ${status}`]]);
      },
    ));
}

test("garbage with a good status is taken for an answer", () =>
  exporting([{ status: 200, body: "\u0000garbage" }], async ({ collector, exporter, dropped }) => {
    exporter.push(1);
    await exporter.flush();
    assert.deepEqual([bodies(collector), dropped], [[[1]], []]);
  }));

test("whoever is away for long loses what was first, and so many wait for him", () =>
  exporting(
    Array.from({ length: 6 }, () => ({ status: 503 })),
    async ({ collector, exporter, clock, dropped }) => {
      for (let item = 0; item < 2_050; item++) exporter.push(item);
      assert.deepEqual(dropped, [[1, "more than 2048 wait"], [1, "more than 2048 wait"]]);
      const flushed = exporter.flush();
      for (let tries = 1; tries < 6; tries++) {
        await collector.sent.waitFor(() => true, { from: tries - 1 });
        await eventually(() => clock.armed, (armed) => armed === 1, "a rest");
        clock.tick(60_000);
      }
      await flushed;
      assert.deepEqual(dropped[2], [512, "answered with HTTP 503"]);
      assert.equal(bodies(collector).length, 6 + 3);
      assert.deepEqual(bodies(collector).slice(6).flat().at(0), 512);
    },
  ));

test("what cannot be encoded is dropped, and no more", () =>
  exporting([], async ({ collector, dropped }) => {
    const exporter = new Exporter<bigint>({
      url: new URL(collector.url),
      headers: {},
      encode: (items) => Promise.try(() => JSON.stringify(items)),
      onDropped: (count, why) => dropped.push([count, why]),
    });
    exporter.push(1n);
    await exporter.close();
    assert.equal(dropped[0]![0], 1);
    assert.match(dropped[0]![1], /^cannot be encoded: TypeError/);
  }));

test("at the end what is left is sent, and who is silent is left within a second", async () => {
  await exporting([], async ({ collector, exporter }) => {
    exporter.push(1);
    await exporter.close();
    assert.deepEqual(bodies(collector), [[1]]);
  });
  await exporting(["hang"], async ({ collector, exporter, dropped }) => {
    for (let item = 0; item < 600; item++) exporter.push(item);
    await exporter.close();
    assert.equal(bodies(collector).length, 1);
    assert.deepEqual(dropped.map(([count]) => count), [512, 88]);
  });
  await exporting([{ status: 503 }], async ({ exporter, clock, dropped }) => {
    exporter.push(1);
    const flushed = exporter.flush();
    await eventually(() => clock.armed, (armed) => armed === 1, "a rest");
    await exporter.close();
    await flushed;
    assert.deepEqual(dropped, [[1, "answered with HTTP 503"]]);
  });
});
