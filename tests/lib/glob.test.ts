import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MAX_ALTERNATIVES, parseGlob } from "../../src/lib/glob.ts";
import { rounds } from "../support/rounds.ts";

const matches = (pattern: string, text: string) => parseGlob(pattern).matches(text);

test("parseGlob() matches whole texts", () => {
  const cases: readonly [pattern: string, text: string, expected: boolean][] = [
    ["get", "get", true],
    ["get", "get_x", false],
    ["get", "Get", false],
    ["get_*", "get_", true],
    ["get_*", "get_a/b", true],
    ["*", "", true],
    ["**a**", "bab", true],
    ["?", "", false],
    ["g?t", "g🎉t", true],
    ["??", "🎉", false],
    ["*_{read,list}_*", "fs_list_all", true],
    ["*_{read,list}_*", "fs_write_all", false],
    ["{a,{b,c}d}{,x}", "cdx", true],
    ["{a,{b,c}d}{,x}", "cx", false],
    ["demo://{id}", "demo://{id}", true],
    ["demo://{id}", "demo://id", false],
    ["{a{b,c}}", "{ac}", true],
    ["a{b", "a{b", true],
    ["a}b,c", "a}b,c", true],
    [String.raw`\*\{a,b\}`, "*{a,b}", true],
    [String.raw`\*`, "x", false],
    ["a\\", "a\\", true],
    [String.raw`{a\,b,c}`, "a,b", true],
    ["", "", true],
    ["", "a", false],
  ];
  for (const [pattern, text, expected] of cases) {
    assert.equal(matches(pattern, text), expected, `${pattern} ~ ${text}`);
  }
});

test("parseGlob() says whether a pattern is a plain name", () => {
  for (const plain of ["get", "demo://{id}", String.raw`a\*`, ""]) {
    assert.equal(parseGlob(plain).isLiteral, true, plain);
  }
  for (const pattern of ["*", "a?", "{a,b}"]) {
    assert.equal(parseGlob(pattern).isLiteral, false, pattern);
  }
});

test("parseGlob() refuses a pattern that explodes", () => {
  assert.ok(matches("{a,b}".repeat(8), "abababab"));
  assert.throws(() => parseGlob("{a,b}".repeat(9)), RangeError);
  assert.throws(() => parseGlob("{a,b}".repeat(5_000)), RangeError);
  assert.throws(() => parseGlob(`{${"a,".repeat(MAX_ALTERNATIVES)}b}`), RangeError);
  assert.ok(matches("{".repeat(40) + "a,b" + ",c}".repeat(40), "c"));
  assert.throws(
    () => parseGlob("{a,b,c}".repeat(6)),
    new RangeError(
      'Cannot read the pattern "{a,b,c}{a,b,c}{a,b,c}{a,b,c}{a,b,c}{a,b,c}": more than 256 ' +
        "alternatives; expected fewer",
    ),
  );
});

// A few characters, so that texts match by more than luck.
const text = fc.string({ unit: fc.constantFrom("a", "b", "_", "🎉"), maxLength: 8 });
const part = fc.oneof(
  text.map((literal) => ({ glob: literal, regex: literal })),
  fc.constant({ glob: "*", regex: "[\\s\\S]*" }),
  fc.constant({ glob: "?", regex: "[\\s\\S]" }),
  fc.tuple(text, text).map(([a, b]) => ({ glob: `{${a},${b}}`, regex: `(?:${a}|${b})` })),
);
const pattern = fc.array(part, { maxLength: 5 });

test("Glob.matches() agrees with a regular expression", () => {
  fc.assert(
    fc.property(pattern, text, (parts, candidate) => {
      const glob = parts.map((one) => one.glob).join("");
      const regex = new RegExp(`^${parts.map((one) => one.regex).join("")}$`, "u");
      assert.equal(matches(glob, candidate), regex.test(candidate), `${glob} ~ ${candidate}`);
    }),
    { numRuns: rounds(1_000) },
  );
});

test("parseGlob() reads any text, and escaped it is the text", () => {
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 30 }), (any) => {
    parseGlob(any).matches(any);
    const escaped = any.replaceAll(/[\\*?{}]/g, String.raw`\$&`);
    assert.ok(matches(escaped, any));
    assert.ok(parseGlob(escaped).isLiteral);
  }));
});

test("Glob.matches() takes steps in proportion, where a regular expression would take for ever", () => {
  // Backtracking over all stars would take 2^50 steps here, and this test would not end.
  assert.equal(matches("*a".repeat(50) + "b", "a".repeat(2_000)), false);
  assert.equal(matches("{*,?}".repeat(8) + "!", "a".repeat(500)), false);
});
