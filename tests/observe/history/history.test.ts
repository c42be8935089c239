import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { problemOf } from "../../../src/observe/problems.ts";
import { BOUNDS } from "../../../src/observe/series.ts";
import { callOf, kept, NOON } from "./history-support.ts";

const HOUR = 3_600_000;

test("a call is kept as it was, for this user alone", async () => {
  await using place = kept();
  const history = place.open();
  const full = callOf({
    at: NOON + 0.25,
    session: "x-1",
    code: -32_000,
    outcome: "error",
    via: "execute_tool",
    cached: true,
    traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
    parent: "c9",
    who: "user:anna",
  });
  const plain = callOf({ at: NOON - 1, server: "", name: undefined, attempts: 0 });
  history.add(full);
  history.add(plain);
  const { items, next } = await history.calls({});
  const without = { cached: undefined, name: undefined };
  assert.deepEqual({ ...without, ...items[0] }, { ...full, at: NOON });
  assert.deepEqual({ ...without, ...items[1] }, { ...without, ...plain });
  assert.equal(next, null);
  for (const part of ["", "-wal", "-shm"]) {
    assert.equal(statSync(place.path + part).mode & 0o777, 0o600, part);
  }
});

test("the tables are the ones that are documented", async () => {
  await using place = kept();
  await place.open().flush();
  const database = new DatabaseSync(place.path, { readOnly: true });
  try {
    const all = (sql: string) => database.prepare(sql).all() as { name: string }[];
    const tables = all("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name");
    const columns = tables.map(({ name }) =>
      `${name}(${all(`PRAGMA table_info(${name})`).map((column) => column.name).join(", ")})`
    );
    assert.deepEqual(columns, [
      "alert(rule, subject, since, until, told, text)",
      "body(call, request, result, flags)",
      "call(id, at, process, rid, method, server, name, client, session, endpoint, outcome, code, " +
      "ms, queue_ms, server_ms, bytes_in, bytes_out, via, cached, trace, who, parent)",
      "hour(at, server, name, client, calls, failed, tool_errors, sum_ms, buckets, bytes_out, repeats)",
      "meta(schema)",
      "minute(at, server, calls, failed, sum_ms, buckets)",
      "problem(fingerprint, server, name, code, text, first, last, count, sample_call, state)",
    ]);
    const strict = all("SELECT name FROM pragma_table_list WHERE schema = 'main' AND strict = 0");
    assert.deepEqual(strict.filter(({ name }) => !name.startsWith("sqlite_")), []);
    assert.equal(Object.values(all("PRAGMA auto_vacuum")[0]!)[0], 2);
  } finally {
    database.close();
  }
});

test("pages lead on without gaps, calls of one moment included, and are filtered", async () => {
  await using place = kept();
  const history = place.open();
  for (let i = 0; i < 700; i++) {
    history.add(callOf({ at: NOON + (i >> 2) * 10_000, name: i % 7 === 0 ? "seventh" : "other" }));
  }
  const seen: string[] = [];
  let before: string | undefined;
  do {
    const page = await history.calls({ before, limit: 90 });
    seen.push(...page.items.map(({ id }) => id));
    before = page.next ?? undefined;
  } while (before !== undefined);
  assert.equal(new Set(seen).size, 700);
  assert.equal(seen.length, 700);
  const sevenths = await history.calls({ filter: ({ name }) => name === "seventh", limit: 500 });
  assert.deepEqual([sevenths.items.length, sevenths.next], [100, null]);
  const early = await history.calls({ before: NOON + 10_000, limit: 500 });
  assert.equal(early.items.length, 4);
  assert.deepEqual((await history.calls({ before: "nonsense" })).items, []);
  // A filter that throws is the asker's affair.
  await assert.rejects(
    history.calls({
      filter: () => {
        throw new TypeError("bad filter");
      },
    }),
    /bad filter/,
  );
  assert.equal(history.trouble, undefined);
});

test("calls of an earlier process have longer ids, and inner ones are found by their parents", async () => {
  await using place = kept();
  const first = place.open();
  const outer = callOf({ id: "0001", ms: 50 });
  first.add(outer);
  first.add(callOf({ id: "0002", at: NOON + 5, parent: "0001" }));
  await first.flush();
  await first.close();
  const second = place.open();
  second.add(callOf({ id: "0001", at: NOON + 60_000, name: "later" }));
  const { items } = await second.calls({});
  assert.deepEqual(items.map(({ id, parent }) => [id, parent]), [
    ["0001", undefined],
    ["p0.0002", "p0.0001"],
    ["p0.0001", undefined],
  ]);
  assert.equal((await second.call("0001"))?.name, "later");
  assert.equal((await second.call("p0.0001"))?.name, "tool");
  assert.equal(await second.call("0009"), undefined);
  assert.deepEqual((await second.inner(items[2]!)).map(({ id }) => id), ["p0.0002"]);
  assert.deepEqual(await second.inner(items[0]!), []);
});

test("usage adds up, and its quantiles lie in the bucket of the exact ones", async () => {
  await using place = kept();
  const history = place.open();
  // Fixed and skewed: 0.5 ms to 30 s.
  const durations = Array.from(
    { length: 1_000 },
    (_, i) => 0.5 * 60_000 ** ((i * 7919 % 1_000) / 999),
  );
  for (const [i, ms] of durations.entries()) {
    const outcome = i % 10 === 0 ? "tool_error" : i % 10 === 1 ? "timeout" : "ok";
    history.add(callOf({ at: NOON - (i % 3) * HOUR, ms, outcome, client: `c ${i % 2}` }));
    // Written in parts, as in life.
    if (i % 250 === 0) await history.flush();
  }
  history.add(callOf({ name: "rare", server: "t", at: NOON - 100 * HOUR }));
  const { from, items: [tool, ...more] } = await history.usage({ by: "tool", range: "24h" });
  assert.equal(from, NOON - 24 * HOUR);
  assert.deepEqual(more, []);
  const { p50, p95, ...counts } = tool!;
  assert.deepEqual(counts, {
    ...{ key: "tool", calls: 1_000, failed: 200, toolErrors: 100, bytesOut: 200_000, repeats: 0 },
  });
  durations.sort((a, b) => a - b);
  const bounds = BOUNDS.map((bound) => bound * 1_000);
  for (const [found, exact] of [[p50!, durations[500]!], [p95!, durations[950]!]] as const) {
    const above = bounds.findIndex((bound) => exact <= bound);
    assert.ok(
      found >= (bounds[above - 1] ?? 0) && found <= bounds[above]!,
      `${found} for ${exact}`,
    );
  }
  const servers = await history.usage({ by: "server", range: "7d" });
  assert.deepEqual(servers.items.map(({ key, calls }) => [key, calls]), [["s", 1_000], ["t", 1]]);
  const clients = await history.usage({ by: "client", range: "24h" });
  assert.deepEqual(clients.items.map(({ calls }) => calls), [500, 500]);
});

test("traffic has every step, and what was before", async () => {
  await using place = kept();
  const history = place.open({ now: () => NOON + 30_000 });
  const MINUTE = 60_000;
  for (const minutes of [0, 0, 3, 14, 15, 20, 40]) {
    history.add(callOf({
      at: NOON - minutes * MINUTE,
      ms: minutes,
      server: minutes === 3 ? "t" : "s",
      outcome: minutes === 14 ? "unavailable" : "ok",
    }));
  }
  const quarter = (await history.traffic("15m"))!;
  assert.deepEqual([quarter.from, quarter.to, quarter.step], [
    NOON - 14 * MINUTE,
    NOON + MINUTE,
    MINUTE,
  ]);
  assert.deepEqual([quarter.total.calls, quarter.total.failed, quarter.before.calls], [4, 1, 2]);
  assert.deepEqual(quarter.steps.map(({ calls }) => calls), [1, ...Array(10).fill(0), 1, 0, 0, 2]);
  assert.deepEqual(quarter.servers.get("t")?.spark, [...Array(11).fill(0), 1, 0, 0, 0]);
  const week = (await history.traffic("7d"))!;
  assert.deepEqual([week.steps.length, week.total.calls], [84, 7]);
  const day = (await history.traffic("24h"))!;
  assert.deepEqual([day.steps.length, day.total.calls, day.before.calls], [96, 7, 0]);
});

test("problems are counted, done, opened again, and ignored for good", async () => {
  await using place = kept();
  const history = place.open();
  const fail = (text: string, more = {}) => {
    const call = callOf({ outcome: "tool_error", ...more });
    history.add(call, { problem: problemOf(call, text) });
    return call;
  };
  fail("no row 17", { at: NOON });
  const second = fail("no row 18", { at: NOON + 5 });
  fail("quota exceeded", { at: NOON + 1 });
  const [row, quota, ...more] = await history.problems({});
  assert.deepEqual(more, []);
  const { fingerprint, ...rest } = row!;
  assert.deepEqual(rest, {
    ...{ server: "s", name: "tool", code: null, text: "no row N", first: NOON, last: NOON + 5 },
    ...{ count: 2, sampleCall: `p0.${second.id}`, state: "open" },
  });
  assert.equal((await history.call(rest.sampleCall))?.id, second.id);
  assert.equal(await history.setProblem(fingerprint, "done"), true);
  assert.equal(await history.setProblem(quota!.fingerprint, "ignored"), true);
  assert.equal(await history.setProblem("none", "done"), false);
  assert.deepEqual(await history.problems({ state: "open" }), []);
  fail("no row 19");
  fail("quota exceeded");
  const open = await history.problems({ state: "open" });
  assert.deepEqual(open.map(({ text, count }) => [text, count]), [["no row N", 3]]);
  assert.equal((await history.problems({ state: "ignored" }))[0]?.count, 2);
});

test("alerts and bodies are kept", async () => {
  await using place = kept();
  const history = place.open();
  const alert = { rule: "down", subject: "s", since: NOON, text: "It is away." };
  history.addAlert({ ...alert, until: null, told: null });
  history.addAlert({ ...alert, until: NOON + 9, told: NOON + 1 });
  assert.deepEqual(await history.alerts(), [{ ...alert, until: NOON + 9, told: NOON + 1 }]);
  const call = callOf();
  const body = { request: '{"a":1}', result: "é".repeat(60_000), cut: true, redacted: false };
  await history.addBody(call.id, body);
  history.add(call);
  // Of a call that is not kept.
  await history.addBody("none", body);
  assert.deepEqual(await history.body(call.id), body);
  assert.equal(await history.body("none"), undefined);
});
