import assert from "node:assert/strict";
import { test } from "node:test";
import { FallbackWriter } from "../../src/log/output.ts";
import { pauseAfter, Pump, type PumpOptions } from "../../src/log/pump.ts";
import { entry, FakeWriter, turn } from "./support.ts";
import { within } from "../support/inbox.ts";

interface Item {
  readonly text: string;
}

function pump(writer: FakeWriter, options: Partial<PumpOptions<Item>> = {}): Pump<Item> {
  return new Pump<Item>({
    writer,
    render: ({ text }) => entry(text),
    notice: (dropped) => entry(`dropped ${dropped} log records`),
    ...options,
  });
}

test("Pump writes in order, later than the call", async () => {
  const writer = new FakeWriter();
  const log = pump(writer);
  log.push({ text: "a" });
  log.push({ text: "b" });
  assert.equal(writer.attempts, 0);
  await log.close(1000);
  assert.deepEqual(writer.messages, ["a", "b"]);
  assert.deepEqual(log.stats, { written: 2, dropped: 0 });
  assert.equal(writer.closed, true);
});

test("Pump drops what does not fit while the writer hangs, and says so when it recovers", async () => {
  const writer = new FakeWriter();
  const gate = Promise.withResolvers<void>();
  writer.gate = gate.promise;
  const log = pump(writer, { capacity: 3 });
  for (let i = 0; i < 10; i++) log.push({ text: `${i}` });
  await turn();
  log.push({ text: "too late" });
  assert.deepEqual(log.stats, { written: 0, dropped: 8 });
  gate.resolve();
  await turn();
  assert.deepEqual(writer.messages, ["0", "1", "2", "dropped 8 log records"]);
  log.push({ text: "next" });
  await log.close(1000);
  assert.deepEqual(writer.messages.slice(-1), ["next"]);
});

test("Pump puts the notice where the gap is", async () => {
  const writer = new FakeWriter();
  writer.takes = 1;
  const log = pump(writer, { capacity: 2 });
  const gate = Promise.withResolvers<void>();
  writer.gate = gate.promise;
  for (const text of ["a", "b", "lost"]) log.push({ text });
  await turn();
  // The first write takes one; the place it leaves is used while the second write waits.
  const second = Promise.withResolvers<void>();
  writer.gate = second.promise;
  gate.resolve();
  await turn();
  log.push({ text: "c" });
  second.resolve();
  await log.close(1000);
  assert.equal(writer.messages[0], "a");
  assert.ok(writer.messages.indexOf("dropped 1 log records") > writer.messages.indexOf("b"));
});

test("Pump bounds what waits in characters too", async () => {
  const writer = new FakeWriter();
  writer.gate = new Promise(() => {});
  const log = pump(writer, { maxCharacters: 100 });
  for (let i = 0; i < 5; i++) log.push({ text: "x".repeat(40) });
  await turn();
  assert.equal(log.stats.dropped, 3);
  await log.close(0);
});

test("Pump offers the same entries again after a failure, and tells of an outage once", async () => {
  const writer = new FakeWriter();
  writer.failures = 2;
  let outages = 0;
  const log = pump(writer, { onOutage: () => outages++ });
  log.push({ text: "kept" });
  const { promise, resolve } = Promise.withResolvers<void>();
  const write = writer.write.bind(writer);
  writer.write = async (entries) => {
    const taken = await write(entries);
    resolve();
    return taken;
  };
  // The pause itself does not keep a process alive.
  const alive = setInterval(() => {}, 1000);
  await promise;
  clearInterval(alive);
  assert.deepEqual(writer.messages, ["kept"]);
  assert.deepEqual([writer.attempts, outages], [3, 1]);
  await log.close(1000);
});

test("Pump close() gives up on a writer that hangs, and counts what it held", async () => {
  const writer = new FakeWriter();
  writer.gate = new Promise(() => {});
  const log = pump(writer);
  log.push({ text: "a" });
  log.push({ text: "b" });
  await within(log.close(50), "the end of a log whose writer hangs");
  assert.deepEqual(log.stats, { written: 0, dropped: 2 });
  log.push({ text: "ignored" });
  await log.close(50);
});

test("Pump close() wakes a writer that is backing off for one more attempt", async () => {
  const writer = new FakeWriter();
  writer.failures = 1;
  const outage = Promise.withResolvers<void>();
  const log = pump(writer, { onOutage: () => outage.resolve() });
  log.push({ text: "saved" });
  await outage.promise;
  await log.close(1000);
  assert.deepEqual(writer.messages, ["saved"]);
});

test("pauseAfter() doubles up to half a minute", () => {
  assert.deepEqual([1, 2, 3, 9, 10, 99].map(pauseAfter), [100, 200, 400, 25_600, 30_000, 30_000]);
});

test("FallbackWriter warns once, then uses the fallback, then the primary again", async () => {
  const [primary, fallback] = [new FakeWriter(), new FakeWriter()];
  const make = (retryAfter: number) =>
    new FallbackWriter({
      primary,
      fallback,
      warn: (error) => entry(`no log: ${(error as Error).message}`),
      retryAfter,
    });
  primary.failures = 1;
  const patient = make(60_000);
  await patient.write([entry("a")]);
  await patient.write([entry("b")]);
  assert.deepEqual(fallback.messages, ["no log: down", "a", "b"]);
  assert.equal(primary.attempts, 1);

  fallback.messages.length = 0;
  primary.failures = 2;
  const eager = make(0);
  for (const text of ["a", "b", "c"]) await eager.write([entry(text)]);
  assert.deepEqual(fallback.messages, ["no log: down", "a", "b"]);
  assert.deepEqual(primary.messages, ["c"]);
});
