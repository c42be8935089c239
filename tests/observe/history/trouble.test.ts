/** A disk that is full, a file that is none of ours, somebody who does not let go: calls go on. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import process from "node:process";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { configureSync, type LogRecord, resetSync } from "@logtape/logtape";
import { scriptArguments } from "../../support/program.ts";
import { callOf, kept, NOON } from "./history-support.ts";

const TEN_MINUTES = 600_000;

/** The warnings of what is done meanwhile. */
async function warnings(work: () => Promise<void>): Promise<string[]> {
  const lines: string[] = [];
  const keep = ({ level, message }: LogRecord) => {
    if (level === "warning") lines.push(message.join(""));
  };
  const loggers = [
    { category: ["mcproxy", "observe"], sinks: ["keep"] },
    { category: ["logtape", "meta"], sinks: [] },
  ];
  configureSync({ sinks: { keep }, loggers, reset: true });
  try {
    await work();
  } finally {
    resetSync();
  }
  return lines;
}

test("garbage is put aside once, and another history begun", async () => {
  await using place = kept();
  writeFileSync(place.path, "garbage ".repeat(2_000));
  const history = place.open();
  const told = await warnings(async () => {
    history.add(callOf());
    await history.flush();
    assert.equal((await history.calls({})).items.length, 1);
  });
  assert.equal(told.length, 1);
  assert.match(
    told[0]!,
    /Cannot read the history in .*: it is .*history\.db\.broken now, and another is begun/,
  );
  assert.match(readFileSync(`${place.path}.broken`, "utf8"), /^garbage/);
});

test("what is damaged while it is in use is put aside, too", async () => {
  await using place = kept();
  const first = place.open();
  for (let i = 0; i < 2_000; i++) first.add(callOf({ at: NOON + i * 10_000 }));
  // To close takes a second at most.
  await first.flush();
  await first.close();
  const bytes = readFileSync(place.path);
  bytes.fill(0x5a, 4096);
  writeFileSync(place.path, bytes);
  const second = place.open();
  const told = await warnings(async () => {
    second.add(callOf());
    assert.deepEqual((await second.calls({})).items, []);
    assert.equal((await second.calls({})).items.length, 1);
  });
  assert.equal(told.length, 1);
});

test("without room nothing is kept: told once, tried again in ten minutes", async () => {
  await using place = kept();
  const history = place.open();
  await history.flush();
  // As a full disk says it.
  await history.ask((store) => store.all("PRAGMA max_page_count = 30"));
  const fill = async () => {
    for (let i = 0; i < 1_000; i++) history.add(callOf({ at: NOON + i * 10_000 }));
    await history.flush();
  };
  const told = await warnings(async () => {
    await fill();
    assert.match(history.trouble ?? "", /full/);
    assert.ok(history.dropped > 0);
    await fill();
    assert.deepEqual((await history.calls({})).items, []);
    assert.equal(await history.traffic("24h"), undefined);
    place.clock.tick(TEN_MINUTES);
    assert.equal(history.trouble, undefined);
    // It is opened anew, and there is room now.
    history.add(callOf({ name: "after" }));
    const { items } = await history.calls({ filter: ({ name }) => name === "after" });
    assert.equal(items.length, 1);
  });
  assert.equal(told.length, 1);
  assert.match(told[0]!, /Cannot keep the history in .*full.*; tried again in 10 minutes/);
});

test("where nothing can be written nothing is kept, and memory is bounded", async () => {
  await using place = kept();
  mkdirSync(place.path); // Even root cannot write into a directory.
  const history = place.open();
  const told = await warnings(async () => {
    await history.flush();
    for (let i = 0; i < 20_000; i++) {
      history.add(callOf({ at: NOON + i * 1_000, name: `tool ${i}`, outcome: "error" }));
    }
    assert.ok(history.dropped >= 18_000 + 14_000, `${history.dropped}`);
    place.clock.tick(TEN_MINUTES - 1);
    assert.notEqual(history.trouble, undefined);
    rmdirSync(place.path);
    place.clock.tick(1);
    await history.flush();
    assert.equal(history.trouble, undefined);
    assert.equal((await history.calls({ limit: 500 })).items.length, 500);
  });
  assert.equal(told.length, 1);
});

test("a file that is removed or replaced while it is in use is opened anew: told once", async () => {
  await using place = kept();
  const history = place.open();
  const names = async () => (await history.calls({})).items.map(({ name }) => name);
  history.add(callOf({ name: "first" }));
  await history.flush();
  const told = await warnings(async () => {
    rmSync(place.path);
    history.add(callOf({ name: "second" }));
    assert.deepEqual(await names(), ["second"]);
    const copy = kept();
    await using _ = copy;
    const other = copy.open({ process: "p0" });
    other.add(callOf({ name: "third" }));
    await other.flush();
    await other.close();
    renameSync(copy.path, place.path);
    history.add(callOf({ name: "fourth", at: NOON - 1 }));
    assert.deepEqual(await names(), ["third", "fourth"]);
    assert.equal(history.trouble, undefined);
  });
  assert.equal(told.length, 1);
  assert.match(told[0]!, /The history in .*history\.db was removed or replaced; it is opened anew/);
});

test("a file of the first days gets the column it lacks", async () => {
  await using place = kept();
  await place.open().flush();
  const database = new DatabaseSync(place.path);
  database.exec("ALTER TABLE alert DROP COLUMN text");
  database.exec("INSERT INTO alert VALUES('down', 's', 1, 2, NULL)");
  database.close();
  const alert = { rule: "down", subject: "t", since: NOON, until: null, told: null, text: "Away." };
  const history = place.open();
  history.addAlert(alert);
  const old = { rule: "down", subject: "s", since: 1, until: 2, told: null, text: "" };
  assert.deepEqual(await history.alerts(), [alert, old]);
});

test("a file of a later format is left alone", async () => {
  await using place = kept();
  await place.open().close();
  const database = new DatabaseSync(place.path);
  database.exec("CREATE TABLE meta(schema INTEGER); INSERT INTO meta VALUES(99)");
  database.close();
  const history = place.open();
  const told = await warnings(async () => {
    history.add(callOf());
    await history.flush();
  });
  assert.match(told.join(), /found format 99, expected 1/);
  assert.equal(existsSync(`${place.path}.broken`), false);
});

test("a file that cannot be written to any more is let go", async () => {
  await using place = kept();
  const history = place.open();
  await history.ask((store) => store.all("PRAGMA query_only = 1"));
  const told = await warnings(async () => {
    history.add(callOf());
    await history.flush();
  });
  assert.match(told.join(), /readonly/);
});

test("who finds somebody else writing tries later, and gives up for a while at last", async () => {
  await using place = kept();
  const history = place.open();
  await history.flush();
  const other = new DatabaseSync(place.path, { timeout: 0 });
  try {
    const told = await warnings(async () => {
      other.exec("BEGIN IMMEDIATE");
      history.add(callOf({ name: "early" }));
      await history.flush();
      assert.equal(history.trouble, undefined);
      other.exec("COMMIT");
      await history.flush();
      assert.equal((await history.calls({})).items.length, 1);
      assert.equal(history.dropped, 0);
    });
    assert.deepEqual(told, []);
    const more = await warnings(async () => {
      other.exec("BEGIN IMMEDIATE");
      history.add(callOf({ name: "late" }));
      for (let i = 0; i < 6; i++) await history.flush();
      assert.match(history.trouble ?? "", /locked/);
      other.exec("COMMIT");
      place.clock.tick(TEN_MINUTES);
      history.add(callOf({ name: "again" }));
      assert.equal((await history.calls({})).items.length, 2);
    });
    assert.equal(more.length, 1);
  } finally {
    other.close();
  }
});

test("many who ask while somebody else writes end nothing, and old rows go later", async () => {
  await using place = kept();
  const history = place.open({ days: 1 });
  history.add(callOf({ at: NOON - 5 * 86_400_000 }));
  await history.flush();
  const other = new DatabaseSync(place.path, { timeout: 0 });
  try {
    other.exec("BEGIN IMMEDIATE");
    history.add(callOf());
    await Promise.all(Array.from({ length: 20 }, () => history.calls({})));
    assert.equal(history.trouble, undefined);
    place.clock.tick(TEN_MINUTES);
    await history.calls({});
    other.exec("COMMIT");
    await history.flush();
    assert.equal((await history.calls({})).items.length, 2);
    place.clock.tick(TEN_MINUTES);
    await history.calls({});
    assert.equal((await history.calls({})).items.length, 1);
  } finally {
    other.close();
  }
});

test("who asks while it is closed is answered, or gets nothing", async () => {
  await using place = kept();
  const history = place.open();
  for (let at = 0; at < 1_000; at++) history.add(callOf({ at: NOON + at * 1_000 }));
  await history.flush();
  const asked = history.calls({ filter: () => false });
  await new Promise((resolve) => setImmediate(resolve));
  const closing = history.close();
  assert.deepEqual((await asked).items, []);
  await closing;
  assert.equal(await history.ask(() => true), undefined);
});

test("one that is closed while it is opened lets go of its file", async () => {
  await using place = kept();
  const history = place.open();
  const opening = history.flush();
  await new Promise((resolve) => setImmediate(resolve));
  await history.close();
  await opening;
  assert.equal(await history.ask(() => true), undefined);
  // Whoever holds it open keeps its journal.
  assert.equal(existsSync(`${place.path}-wal`), false);
});

test("two gateways keep one history", async () => {
  await using place = kept();
  const histories = [place.open(), place.open()];
  for (let round = 0; round < 20; round++) {
    for (const history of histories) {
      for (let i = 0; i < 20; i++) history.add(callOf({ at: NOON + round * 1_000 }));
    }
    await Promise.all(histories.map((history) => history.flush()));
  }
  for (const history of histories) {
    // Whoever was in the other's way writes now.
    await history.flush();
    await history.flush();
  }
  for (const history of histories) {
    assert.equal(history.trouble, undefined);
    const { items: [server] } = await history.usage({ by: "server", range: "24h" });
    assert.equal(server?.calls, 800);
  }
});

test("a clock that is set back stops nothing", async () => {
  await using place = kept();
  let now = NOON;
  const history = place.open({ now: () => now });
  history.add(callOf({ at: now }));
  await history.flush();
  now -= 40 * 24 * 3_600_000;
  for (let i = 0; i < 10; i++) history.add(callOf({ at: now - i * 1_000 }));
  place.clock.tick(TEN_MINUTES);
  assert.equal((await history.calls({})).items.length, 11);
  assert.equal((await history.traffic("15m"))?.total.calls, 10);
});

test("what is written when the process is killed is whole", async () => {
  await using place = kept();
  const script = fileURLToPath(new URL("flushing.ts", import.meta.url));
  const child = spawn(process.execPath, scriptArguments(script, place.directory), {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  // It has written once, and is in the middle of more.
  await once(child.stdout!, "data");
  child.kill("SIGKILL");
  await ended;
  const history = place.open();
  const { items } = await history.calls({ limit: 500 });
  assert.ok(items.length > 0);
  const [row] = await history.ask((store) => store.all("PRAGMA integrity_check")) ?? [];
  assert.deepEqual({ ...row }, { integrity_check: "ok" });
  const calls = await history.ask((store) => store.all("SELECT count(*) AS n FROM call")[0]?.["n"]);
  const { items: [server] } = await history.usage({ by: "server", range: "24h" });
  // What is counted is written before what is counted.
  assert.ok(server!.calls >= Number(calls), `${server!.calls} counted, ${calls} kept`);
  assert.ok(statSync(place.path).size > 0);
});
