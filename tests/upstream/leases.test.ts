import assert from "node:assert/strict";
import { test } from "node:test";
import type { Connection } from "../../src/upstream/connection/connection.ts";
import { AFTERWORDS } from "../../src/upstream/connection/questions.ts";
import { ExtraConnection, Leases } from "../../src/upstream/own-connections.ts";
import { FakeClock } from "./fakes/clock.ts";
import { MODERN_CLIENT } from "./support.ts";

const CAN_NOTHING = { ...MODERN_CLIENT, capabilities: {} };
const CAN_SAMPLE = { ...MODERN_CLIENT, capabilities: { sampling: {} } };
const WANTED = new AbortController().signal;

/** So many places, and how many connections were opened for them. */
function open(max: number, timeout = 60_000) {
  const clock = new FakeClock();
  const opened: unknown[] = [];
  const connection = {
    acquire: () => connection,
    release: () => {},
    close: () => Promise.resolve(),
  } as unknown as Connection;
  const leases = new Leases(() => ({ name: "x", timeout }), clock, max, (options) => {
    opened.push(options.identity.capabilities);
    return new ExtraConnection(options, () => Promise.resolve(connection), new Set());
  });
  return { clock, opened, leases };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

test("Leases serve calls in the order in which they came, however many come meanwhile", async () => {
  const { clock, leases } = open(1);
  const served: number[] = [];
  const come = async (n: number) => {
    const line = await leases.acquire(CAN_NOTHING, WANTED);
    served.push(n);
    line.release();
  };
  const calls: Promise<void>[] = [];
  for (let n = 0; n < 20; n++) {
    calls.push(come(n));
    await settled();
    clock.tick(AFTERWORDS / 5);
    await settled();
  }
  while (served.length < 20) {
    clock.tick(AFTERWORDS);
    await settled();
  }
  await Promise.all(calls);
  assert.deepEqual(served, [...served.keys()]);
});

test("Leases let a connection rest before the next client has it, and open another while they may", async () => {
  const { clock, opened, leases } = open(2);
  (await leases.acquire(CAN_NOTHING, WANTED)).release();
  (await leases.acquire(CAN_NOTHING, WANTED)).release();
  assert.equal(opened.length, 2);
  const third = leases.acquire(CAN_NOTHING, WANTED);
  let isServed = false;
  void third.then(() => isServed = true);
  await settled();
  clock.tick(AFTERWORDS - 1);
  await settled();
  assert.equal(isServed, false);
  clock.tick(1);
  (await third).release();
  assert.equal(opened.length, 2);
});

test("Leases never hand to one principal what has served another, however long ago", async () => {
  const { clock, opened, leases } = open(2);
  const of = (id?: string) => ({
    ...CAN_NOTHING,
    ...(id === undefined ? {} : { principal: { id, who: id, names: [] } }),
  });
  for (const id of ["a", "b", undefined, "a", "b"]) {
    (await leases.acquire(of(id), WANTED)).release();
    clock.tick(2 * AFTERWORDS);
  }
  assert.equal(opened.length, 5);
  (await leases.acquire(of("a"), WANTED)).release();
  (await leases.acquire(of("b"), WANTED)).release();
  assert.equal(opened.length, 5, "those are there");
});

test("Leases of one that declared something else make room, and one that is not wanted any more holds up nobody", async () => {
  const { clock, opened, leases } = open(1, 1_000);
  const line = await leases.acquire(CAN_NOTHING, WANTED);
  const gone = new AbortController();
  const calls = [
    leases.acquire(CAN_NOTHING, gone.signal),
    leases.acquire(CAN_SAMPLE, WANTED),
    leases.acquire(CAN_SAMPLE, WANTED),
  ].map((call) => call.then((line) => line, (error: Error) => error.message));
  await settled();
  gone.abort();
  assert.match(String(await calls[0]), /is no longer asked/);
  line.release();
  await calls[1];
  assert.deepEqual(opened, [{}, { sampling: {} }]);
  await settled();
  clock.tick(1_000);
  assert.match(String(await calls[2]), /serves 1 calls of clients without session/);
});

test("Leases are never held by one principal alone: beyond half of them it waits, and others do not", async () => {
  const { clock, leases } = open(4);
  const of = (id: string) => ({ ...CAN_NOTHING, principal: { id, who: id, names: [] } });
  const held = [await leases.acquire(of("a"), WANTED), await leases.acquire(of("a"), WANTED)];
  const served: string[] = [];
  const third = leases.acquire(of("a"), WANTED).then((line) => {
    served.push("a");
    return line;
  });
  const late = assert.rejects(leases.acquire(of("a"), AbortSignal.abort()), /is no longer asked/);
  for (const id of ["b", "b", "c"]) {
    const line = leases.acquire(of(id), WANTED);
    await settled();
    served.push(id);
    if (id === "b") (await line).release();
    else void line.then((one) => one.release());
  }
  assert.deepEqual(served, ["b", "b", "c"]);
  await late;
  for (const line of held) line.release();
  await settled();
  clock.tick(AFTERWORDS);
  (await third).release();
  assert.deepEqual(served, ["b", "b", "c", "a"]);
});
