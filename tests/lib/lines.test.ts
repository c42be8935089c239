import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { LineDecoder } from "../../src/lib/lines.ts";

function decode(chunks: readonly Uint8Array[], limit?: number) {
  const lines: string[] = [];
  const overlong: string[] = [];
  const decoder = new LineDecoder({
    onLine: (line) => lines.push(line),
    onOverlong: (head) => overlong.push(head),
    ...(limit === undefined ? {} : { limit }),
  });
  for (const chunk of chunks) decoder.push(chunk);
  decoder.end();
  return { lines, overlong };
}

const bytes = (text: string) => new TextEncoder().encode(text);

test("LineDecoder cuts at \\n and \\r\\n and skips empty lines", () => {
  assert.deepEqual(decode([bytes('{"a":1}\r\n\n\r\n{"b":2}\n{"c"'), bytes(":3}")]).lines, [
    '{"a":1}',
    '{"b":2}',
    '{"c":3}',
  ]);
});

test("LineDecoder drops an overlong line once, up to its newline, and goes on", () => {
  for (const size of [1, 3, 7, 1000]) {
    const all = bytes(`ok\n${"x".repeat(50)}\nnext\n${"y".repeat(11)}\nlast`);
    const chunks: Uint8Array[] = [];
    for (let at = 0; at < all.length; at += size) chunks.push(all.subarray(at, at + size));
    const { lines, overlong } = decode(chunks, 10);
    assert.deepEqual(lines, ["ok", "next", "last"], `chunks of ${size}`);
    assert.deepEqual(overlong.map((head) => head[0]), ["x", "y"]);
  }
});

test("LineDecoder keeps no more than its limit of a line that never ends", () => {
  let overlong = 0;
  const decoder = new LineDecoder({ limit: 100, onLine: () => {}, onOverlong: () => overlong++ });
  for (let i = 0; i < 1000; i++) decoder.push(bytes("z".repeat(60)));
  assert.equal(overlong, 1);
});

test("LineDecoder asks of each line by its beginning whether it has grown too long", () => {
  const asked = new Set<string>();
  const lines: string[] = [];
  const overlong: string[] = [];
  const decoder = new LineDecoder({
    onLine: (line) => lines.push(line),
    onOverlong: (head) => overlong.push(head),
    isTooLong: (head, size) => {
      asked.add(head);
      return size > 10 && head.startsWith("list");
    },
  });
  const pieces = [
    "list",
    " of ",
    "much",
    " and more\nlist\nte",
    "xt of much",
    " and more\nli",
    "st",
  ];
  for (const piece of pieces) decoder.push(bytes(piece));
  decoder.end();
  assert.deepEqual(lines, ["list", "text of much and more", "list"]);
  assert.deepEqual(overlong, ["list of much"]);
  const text = ["te", "text of much", "text of much and more"];
  assert.deepEqual([...asked], ["list", "list of ", "list of much", ...text, "li"]);
});

test("LineDecoder gives the same lines however the bytes are cut", () => {
  const line = fc.string({ unit: "grapheme" }).map((text) => text.replace(/[\r\n\ufeff]/g, ""));
  fc.assert(fc.property(fc.array(line), fc.array(fc.integer({ min: 1, max: 9 })), (lines, cuts) => {
    const all = bytes(lines.map((each) => `${each}\n`).join(""));
    const chunks: Uint8Array[] = [];
    for (let at = 0, i = 0; at < all.length;) {
      const size = cuts.length === 0 ? all.length : cuts[i++ % cuts.length]!;
      chunks.push(all.subarray(at, at + size));
      at += size;
    }
    const whole = (text: string) => new TextDecoder().decode(bytes(text));
    assert.deepEqual(decode(chunks).lines, lines.filter((each) => each !== "").map(whole));
  }));
});

test("LineDecoder.pushInTurns() leaves others their turn, loses nothing and keeps the order", async () => {
  const all = Array.from({ length: 100 }, (_, index) => `line ${index}`);
  const text = bytes(`${all.join("\n")}\nrest`);
  // The second time each line might be too long, the third time the end comes in between.
  for (const [limit, waits] of [[undefined, true], [100, true], [undefined, false]] as const) {
    const lines: string[] = [];
    const decoder = new LineDecoder({
      onLine: (line) => {
        lines.push(line);
        for (const until = performance.now() + 1; performance.now() < until;);
      },
      onOverlong: () => assert.fail("none is too long"),
      ...(limit === undefined ? {} : { limit }),
    });
    const rest = decoder.pushInTurns(text);
    assert.ok(rest !== undefined);
    assert.ok(lines.length < all.length, "others had no turn");
    if (waits) await rest;
    decoder.end();
    assert.deepEqual(lines, [...all, "rest"]);
    await rest;
    assert.deepEqual(lines, [...all, "rest"]);
  }
  const quick = new LineDecoder({ onLine: () => {}, onOverlong: () => {} });
  assert.equal(quick.pushInTurns(bytes("one\ntwo\n")), undefined);
});
