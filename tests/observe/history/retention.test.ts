import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { test } from "node:test";
import { eventually } from "../../support/inbox.ts";
import { callOf, kept, NOON } from "./history-support.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const TEN_MINUTES = 600_000;
const COUNT = (table: string) => `SELECT count(*) AS n FROM ${table}`;

test("calls go by age, minutes after two days, hours after four hundred", async () => {
  await using place = kept();
  const history = place.open();
  for (const days of [0, 1, 3, 29, 31, 399, 401]) {
    const call = callOf({ at: NOON - days * DAY });
    history.add(call);
    await history.addBody(call.id, { request: "a", result: "b", cut: false, redacted: false });
  }
  await history.flush();
  const counts = () =>
    history.ask((store) =>
      ["call", "body", "minute", "hour"].map((table) => store.all(COUNT(table))[0]!["n"])
    );
  assert.deepEqual(await counts(), [7, 7, 7, 7]);
  place.clock.tick(TEN_MINUTES);
  assert.deepEqual(await counts(), [4, 4, 2, 6]);
  history.retention = { days: 2, maxSize: 2 ** 26 };
  place.clock.tick(TEN_MINUTES);
  assert.deepEqual(await counts(), [2, 2, 2, 6]);
});

test("beyond its size the oldest calls go, the counts stay, and the file shrinks", async () => {
  await using place = kept();
  const history = place.open({ maxSize: 300_000 });
  const id = "x".repeat(40);
  for (let part = 0; part < 4; part++) {
    for (let i = 0; i < 1_500; i++) {
      history.add(callOf({ id: `${id}${part}-${i}`, at: NOON + (1_500 * part + i) * 10 }));
    }
    await history.flush();
  }
  await history.ask((store) => store.checkpoint(true));
  const before = statSync(place.path).size;
  assert.ok(before > 1_000_000, `${before}`);
  place.clock.tick(TEN_MINUTES);
  const size = await history.ask((store) => store.size);
  assert.ok(size! <= 300_000, `${size}`);
  const { items } = await history.calls({ limit: 500 });
  assert.equal(items[0]?.at, NOON + 59_990);
  assert.equal((await history.usage({ by: "server", range: "24h" })).items[0]?.calls, 6_000);
  await history.close();
  assert.ok(statSync(place.path).size < before / 2, `${statSync(place.path).size}`);
});

test("two hundred calls of a second are kept, failures first, and all are counted", async () => {
  await using place = kept();
  const history = place.open();
  for (let i = 0; i < 5_000; i++) {
    history.add(callOf({ at: NOON + i / 10, outcome: i % 50 === 49 ? "error" : "ok" }));
  }
  const { items } = await history.calls({ limit: 500 });
  assert.equal(items.length, 200);
  assert.equal(items.filter(({ outcome }) => outcome === "error").length, 100);
  assert.equal(history.dropped, 4_800);
  const { items: [tool] } = await history.usage({ by: "tool", range: "24h" });
  assert.deepEqual([tool!.calls, tool!.failed], [5_000, 100]);
});

test("a hundred thousand names of tools and clients cost no more than two thousand", async () => {
  await using place = kept();
  const history = place.open();
  for (let i = 0; i < 100_000; i++) {
    history.add(callOf({ at: NOON + i / 100, name: `tool ${i}`, client: `client ${i}` }));
    if (i % 10_000 === 0) await history.flush();
  }
  for (let i = 0; i < 1_000; i++) {
    history.add(callOf({ server: "", outcome: "refused", name: `none ${i}`, at: NOON + 2_000 }));
    history.add(callOf({ method: "resources/read", name: `file:///${i}`, at: NOON + 2_000 }));
  }
  const rows = await history.ask((store) => store.all(COUNT("hour"))[0]!["n"]);
  assert.ok(Number(rows) <= 2_010, `${rows}`);
  const { items } = await history.usage({ by: "server", range: "24h" });
  assert.deepEqual(items.map(({ key, calls }) => [key, calls]), [["s", 101_000]]);
  const tools = await history.usage({ by: "tool", range: "24h" });
  assert.deepEqual(tools.items[0]?.key, "_other");
});

test("what is pending is written within five seconds, by itself", async () => {
  await using place = kept();
  const [history, other] = [place.open(), place.open()];
  history.add(callOf());
  place.clock.tick(5_000);
  await eventually(() => other.calls({}), ({ items }) => items.length === 1, "the call");
});
