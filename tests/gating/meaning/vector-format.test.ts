import assert from "node:assert/strict";
import { test } from "node:test";
import { seal } from "../../../src/lib/own-file.ts";
import type { Vector } from "../../../src/gating/meaning/vectors.ts";
import {
  decodeVectors,
  encodeVectors,
  VECTOR_FORMAT_VERSION,
} from "../../../src/gating/meaning/kept.ts";

const OWNER = { endpoint: "http://localhost:1/v1", model: "m" };
const unit = (...numbers: number[]): Vector => Float32Array.from(numbers);
const VECTORS: readonly (readonly [string, Vector])[] = [
  ["a".repeat(26), unit(0.6, 0.8, 0)],
  ["b2".repeat(13), unit(0, 0, -1)],
];
const SEAL = { magic: "mcproxy-vectors", content: "vectors", version: VECTOR_FORMAT_VERSION };

test("decodeVectors() gives what encodeVectors() was given", async () => {
  for (const vectors of [VECTORS, []]) {
    const decoded = await decodeVectors(await encodeVectors(OWNER, vectors), OWNER);
    assert.ok(decoded.ok);
    assert.deepEqual([...decoded.value], vectors);
  }
});

test("encodeVectors() takes parts of larger buffers as they are", async () => {
  const part = unit(9, 0, 1, 0, 9).subarray(1, 4);
  const decoded = await decodeVectors(
    await encodeVectors(OWNER, [["c".repeat(26), part]]),
    OWNER,
  );
  assert.ok(decoded.ok);
  assert.deepEqual([...decoded.value.values()], [unit(0, 1, 0)]);
});

test("decodeVectors() says why it does not use a file", async () => {
  const file = await encodeVectors(OWNER, VECTORS);
  const sealed = (text: string, version = VECTOR_FORMAT_VERSION) =>
    seal({ ...SEAL, version }, new TextEncoder().encode(text));
  const head = (head: object) => sealed(`${JSON.stringify({ ...OWNER, ...head })}\n`);
  const changed = (at: number) => file.with(at, file[at]! ^ 1);
  const nonsense = "found content that is no vectors";
  const another = "found the vectors of another model";
  const damaged = "found damaged or incomplete content";
  const notUnit = await encodeVectors(OWNER, [["a".repeat(26), unit(2, 0)]]);
  const badKey = await encodeVectors(OWNER, [["A".repeat(26), unit(1, 0)]]);
  const cases: readonly (readonly [Uint8Array<ArrayBuffer>, string])[] = [
    [new Uint8Array(), "found no vectors of mcproxy"],
    [new Uint8Array(100_000), "found no vectors of mcproxy"],
    [file.slice(0, 40), "found no vectors of mcproxy"],
    [file.slice(0, -1), damaged],
    [changed(file.length - 1), damaged],
    [await sealed("", 99), `found format 99, expected ${VECTOR_FORMAT_VERSION}`],
    [await sealed("no JSON\n"), another],
    [await encodeVectors({ ...OWNER, model: "other" }, VECTORS), another],
    [await encodeVectors({ ...OWNER, endpoint: "http://x/v1" }, VECTORS), another],
    [await head({ count: -1, numbers: 3 }), nonsense],
    [await head({ count: 1, numbers: 3 }), nonsense],
    [await head({ count: 1e9, numbers: 1e9 }), nonsense],
    [await head({ count: "1", numbers: 3 }), nonsense],
    [notUnit, nonsense],
    [badKey, nonsense],
  ];
  for (const [bytes, reason] of cases) {
    const text = new TextDecoder().decode(bytes.slice(0, 200));
    assert.deepEqual(await decodeVectors(bytes, OWNER), { ok: false, reason }, text);
  }
});
