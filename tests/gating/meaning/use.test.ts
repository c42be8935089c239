import assert from "node:assert/strict";
import { test } from "node:test";
import { seal } from "../../../src/lib/own-file.ts";
import {
  addUse,
  countAt,
  decodeUses,
  encodeUses,
  factorOf,
  flat,
  HALF_LIFE,
  merged,
  USE_FORMAT_VERSION,
  useReason,
  type Uses,
} from "../../../src/gating/use.ts";

const NOW = Date.UTC(2026, 10, 20);
const uses = (...entries: readonly (readonly [string, string, number, number])[]): Uses => {
  const all: Uses = new Map();
  for (const [server, tool, count, at] of entries) addUse(all, server, tool, { count, at });
  return all;
};

test("countAt() halves every fortnight, and never grows", () => {
  const use = { count: 8, at: NOW };
  assert.deepEqual(
    [0, HALF_LIFE, 3 * HALF_LIFE, -HALF_LIFE].map((ms) => countAt(use, NOW + ms)),
    [8, 4, 1, 8],
  );
});

test("factorOf() grows from 1 to 1.15", () => {
  const factors = [0, 1, 5, 20, 1e9].map((count) => factorOf(count).toFixed(3));
  assert.deepEqual(factors, ["1.000", "1.025", "1.075", "1.120", "1.150"]);
});

test("reasonOf() says how often, where that is worth a word", () => {
  assert.deepEqual([0, 0.4, 0.5, 1.4, 1.6, 12.2].map(useReason), [
    undefined,
    undefined,
    "used once lately",
    "used once lately",
    "used 2 times lately",
    "used 12 times lately",
  ]);
});

test("addUse() adds what both count at the later time", () => {
  const all = uses(["s", "t", 4, NOW], ["s", "t", 1, NOW + HALF_LIFE]);
  assert.deepEqual(flat(all), [["s", "t", { count: 3, at: NOW + HALF_LIFE }]]);
  addUse(all, "s", "t", { count: 6, at: NOW });
  assert.deepEqual(flat(all), [["s", "t", { count: 6, at: NOW + HALF_LIFE }]]);
});

test("addUse() leaves out names that are no names", () => {
  assert.deepEqual(
    flat(uses(["s", "t".repeat(257), 1, NOW], ["s", "t".repeat(256), 1, NOW])).length,
    1,
  );
});

test("merged() adds both and forgets what was used least, changing neither", () => {
  const one = uses(["s", "a", 1, NOW], ["s", "b", 4, NOW - 4 * HALF_LIFE], ["t", "a", 3, NOW]);
  const other = uses(["s", "a", 1, NOW]);
  const all = merged(one, other, NOW, 2);
  assert.deepEqual(flat(all), [
    ["t", "a", { count: 3, at: NOW }],
    ["s", "a", { count: 2, at: NOW }],
  ]);
  assert.equal(flat(one).length, 3);
  assert.deepEqual(flat(other), [["s", "a", { count: 1, at: NOW }]]);
});

test("decodeUses() gives what encodeUses() was given, nothing of it in the future", async () => {
  const all = uses(["s", "t", 3, NOW], ["s", "__proto__", 1, NOW + 1_000]);
  const decoded = await decodeUses(await encodeUses(all), NOW);
  assert.ok(decoded.ok);
  assert.deepEqual(flat(decoded.value), [
    ["s", "t", { count: 3, at: NOW }],
    ["s", "__proto__", { count: 1, at: NOW }],
  ]);
});

test("decodeUses() says why it does not use a file", async () => {
  const sealed = (text: string) =>
    seal(
      { magic: "mcproxy-use", content: "counts", version: USE_FORMAT_VERSION },
      new TextEncoder().encode(text),
    );
  const file = await encodeUses(uses(["s", "t", 3, NOW]));
  const nonsense = "found content that is no counts";
  assert.deepEqual(await decodeUses(await sealed('[["s","t",1e308,1]]'), NOW), {
    ok: false,
    reason: nonsense,
  });
  const cases: readonly (readonly [Uint8Array<ArrayBuffer>, string])[] = [
    [new Uint8Array(), "found no counts of mcproxy"],
    [file.slice(0, -1), "found damaged or incomplete content"],
    [await sealed("{"), nonsense],
    [await sealed("{}"), nonsense],
    [await sealed("[1]"), nonsense],
    [await sealed('[["s","t",-1,0]]'), nonsense],
    [await sealed('[["s","t",1e999,0]]'), nonsense],
    [await sealed('[["s",1,1,0]]'), nonsense],
  ];
  for (const [bytes, reason] of cases) {
    assert.deepEqual(await decodeUses(bytes, NOW), { ok: false, reason });
  }
});
