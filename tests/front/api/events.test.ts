/** What happens, as a stream: batched, bounded, and over when it has to be. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { recentLines } from "../../../src/log/recent.ts";
import { loadOptions } from "../../../src/config/schema.ts";
import { House, inScope, keysOf } from "../access/house.ts";
import { passTime } from "../../support/time.ts";
import { lineOf } from "./lines.ts";

await loadOptions("alerts");

const FROM = { from: "127.0.0.1" };

// deno-lint-ignore no-explicit-any
type Told = readonly [topic: string, data: any];

/** Reads the events of a stream, one after the other; undefined at its end. */
class Reader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder();
  #rest = "";

  constructor(response: Response) {
    assert.equal(response.status, 200);
    assert.match(response.headers.get("content-type")!, /^text\/event-stream/);
    this.#reader = response.body!.getReader();
  }

  async next(): Promise<Told | undefined> {
    for (;;) {
      const end = this.#rest.indexOf("\n\n");
      if (end < 0) {
        const { value, done } = await this.#reader.read();
        if (done) return undefined;
        this.#rest += this.#decoder.decode(value, { stream: true });
        continue;
      }
      const [, topic, data] = /^event: (\w+)\ndata: (.*)$/.exec(this.#rest.slice(0, end)) ?? [];
      this.#rest = this.#rest.slice(end + 2);
      if (topic !== undefined) return [topic, JSON.parse(data!)];
    }
  }

  cancel(): Promise<void> {
    return this.#reader.cancel();
  }
}

async function listen(house: House, query: string, as?: string): Promise<Reader> {
  return new Reader(await house.ask(`/api/events${query}`, { ...FROM, as }));
}

async function call(house: House, name: string): Promise<void> {
  await (await house.modern("/mcp", "tools/call", { name, arguments: {} })).text();
}

test(
  "the status comes at once, and again when it has changed",
  inScope(async (scope) => {
    const house = await House.open(scope, {});
    const reader = await listen(house, "?topics=status");
    const [topic, data] = (await reader.next())!;
    assert.equal(topic, "status");
    assert.deepEqual(data, {
      sentence: "All two servers answer.",
      attention: [],
      servers: [{ name: "a", state: "ready" }, { name: "b", state: "ready" }],
    });
    house.tick();
    house.gateway.configState.refuse("no good");
    const [, next] = (await reader.next())!;
    assert.match(next.sentence, /was refused/);
    await reader.cancel();
  }),
);

test(
  "alerts are told of as they begin, also to who was there before the first rule",
  inScope(async (scope) => {
    const house = await House.open(scope, {});
    const early = await listen(house, "?topics=alerts");
    const rules = [{ when: "memory", above: 1_048_576 }];
    house.reload({ alerts: { to: [{ command: ["fake"] }], rules } });
    const alerts = (await house.observatory.alerts)!;
    const late = await listen(house, "?topics=alerts");
    await Promise.resolve();
    passTime(120_000);
    alerts.look();
    for (const reader of [early, late]) {
      assert.deepEqual(await reader.next(), ["alerts", { firing: { memory: 1 } }]);
      await reader.cancel();
    }
  }),
);

test(
  "calls come in batches, those that are asked for, with the number of those left out",
  inScope(async (scope) => {
    const house = await House.open(scope, {});
    const reader = await listen(house, "?topics=calls&filter=server:a");
    for (const name of ["a_echo", "b_echo", "a_echo"]) await call(house, name);
    const names: string[] = [];
    while (names.length < 2) {
      const [topic, { items, left }] = (await reader.next())!;
      assert.deepEqual([topic, left], ["calls", 0]);
      names.push(...items.map((one: { name: string }) => one.name));
    }
    assert.deepEqual(names, ["a_echo", "a_echo"]);
    const flood = await listen(house, "?topics=log&q=flood-of-lines");
    for (let count = 0; count < 130; count++) {
      recentLines.add(lineOf(`flood-of-lines ${count}`));
    }
    recentLines.add(lineOf("others"));
    const [topic, { items, left }] = (await flood.next())!;
    assert.deepEqual([topic, items.length, left], ["log", 100, 30]);
    await Promise.all([reader.cancel(), flood.cancel()]);
  }),
);

test(
  "what cannot be told is refused at once",
  inScope(async (scope) => {
    const house = await House.open(scope, {});
    for (const query of ["?topics=status,weather", "?filter=sever:a", "?level=loud"]) {
      const response = await house.ask(`/api/events${query}`, FROM);
      assert.equal(response.status, 400, query);
      assert.match((await response.json()).error, /^invalid_/);
    }
  }),
);

test(
  "fifty streams are open at a time, and all end with the gateway",
  inScope(async (scope) => {
    const house = await House.open(scope, {});
    const readers = [];
    for (let count = 0; count < 50; count++) readers.push(await listen(house, ""));
    for (const reader of readers) assert.equal((await reader.next())![0], "status");
    await call(house, "a_echo");
    for (const reader of readers) {
      let told = await reader.next();
      while (told![0] !== "calls") told = await reader.next();
      assert.equal(told![1].items[0].name, "a_echo");
    }
    await house.gateway.drain(0);
    for (const reader of readers) {
      let told = await reader.next();
      while (told !== undefined) told = await reader.next();
    }
  }),
);

test(
  "a stream that is left is heard of no more",
  inScope(async (scope) => {
    const house = await House.open(scope, {});
    // More than there may be at a time.
    for (let count = 0; count < 250; count++) {
      const reader = await listen(house, "?topics=calls");
      await reader.cancel();
    }
    const open = await Promise.all(Array.from({ length: 200 }, () => listen(house, "")));
    const response = await house.ask("/api/events", FROM);
    assert.deepEqual([response.status, (await response.json()).error], [503, "busy"]);
    await Promise.all(open.map((reader) => reader.cancel()));
  }),
);

test(
  "a stream ends when who has it may not see it any more",
  inScope(async (scope) => {
    const settings = { auth: { keys: keysOf("all", "path") } };
    const access = { "key:all": "*", "key:path": "/api/events" };
    const house = await House.open(scope, { ...settings, access });
    const whole = await listen(house, "?topics=status", "all");
    const path = await listen(house, "?topics=status", "path");
    await whole.next();
    await path.next();
    house.tick();
    house.reload({ ...settings, access: { "key:all": "pa", "key:path": "/api/events" } });
    assert.equal(await endOf(whole), undefined);
    house.reload({ ...settings, access: { "key:path": "/api/status" } });
    assert.equal(await endOf(path), undefined);
    house.reload({ ...settings, access: { "key:path": "/api/events" } });
    const again = await listen(house, "?topics=status", "path");
    await again.next();
    house.reload({});
    house.tick();
    assert.equal(await endOf(again), undefined);
    const open = await House.open(scope, {});
    const local = await listen(open, "?topics=status");
    await local.next();
    open.reload({ dashboard: "off" });
    open.tick();
    assert.equal(await endOf(local), undefined);
  }),
);

test(
  "a stream ends with the key of its page, and who has no key any more reads as before",
  inScope(async (scope) => {
    const now = Date.now;
    scope.defer(() => void (Date.now = now));
    let passed = 0;
    Date.now = () => now() + passed;
    const house = await House.open(scope, {}, undefined, { localKey: "mcproxy_l" });
    const local = { headers: { authorization: "Bearer mcproxy_l" } };
    const { key, expiresAt } = await (await house.post("/api/ui-key", {}, local)).json();
    const headers = { authorization: `Bearer ${key}` };
    const record = () => house.post("/api/record", { for: "1s" }, { headers });
    const reader = new Reader(await house.ask("/api/events?topics=status", { ...FROM, headers }));
    await reader.next();
    house.tick();
    assert.equal((await record()).status, 200);
    passed = expiresAt - now();
    house.tick();
    assert.equal(await endOf(reader), undefined);
    assert.equal((await record()).status, 401);
    assert.equal((await house.ask("/api/calls", { ...FROM, headers })).status, 401);
    assert.equal((await house.ask("/api/calls", FROM)).status, 200);
  }),
);

async function endOf(reader: Reader): Promise<undefined> {
  for (let told = await reader.next(); told !== undefined;) told = await reader.next();
}

test(
  "a stream that is not read is over before it takes much room",
  inScope(async (scope) => {
    const house = await House.open(scope, {});
    const [slow, other] = await Promise.all(
      [0, 1].map(() => house.ask("/api/events?topics=log&q=much-to-tell", FROM)),
    );
    const reader = new Reader(other!);
    // Six times as long as JSON.
    const message = `much-to-tell ${"\x01".repeat(900)}`;
    for (let batch = 0; batch < 3; batch++) {
      for (let count = 0; count < 100; count++) recentLines.add(lineOf(message));
      assert.equal((await reader.next())![1].items.length, 100);
    }
    await reader.cancel();
    let bytes = 0;
    for await (const part of slow!.body!) {
      bytes += part.length;
      assert.ok(bytes < 1024 * 1024, `${bytes} bytes`);
    }
    assert.ok(bytes > 512 * 1024, `${bytes} bytes`);
  }),
);

test(
  "a call is written out once for all who are told of it",
  inScope(async (scope) => {
    const house = await House.open(scope, {});
    const readers = await Promise.all([0, 1, 2].map(() => listen(house, "?topics=calls")));
    let count = 0;
    const off = house.observatory.recorder.onCall(({ whole }) => {
      Object.defineProperty(whole, "toJSON", { value: () => (count++, { name: "once" }) });
    });
    await call(house, "a_echo");
    for (const reader of readers) {
      assert.deepEqual((await reader.next())![1], { items: [{ name: "once" }], left: 0 });
      await reader.cancel();
    }
    off();
    assert.equal(count, 1);
  }),
);
