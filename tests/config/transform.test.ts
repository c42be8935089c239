import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import * as v from "valibot";
import {
  compilePattern,
  loadPatterns,
  mentionsPatterns,
  patternProblem,
  serverTransform,
} from "../../src/config/schema-results.ts";
import { ServerSchema, SettingsSchema } from "../../src/config/schema.ts";
import type { ServerTransform } from "../../src/config/types.ts";
import { rounds } from "../support/rounds.ts";

const Schema = v.pick(ServerSchema, ["maxResultBytes", "replace", "cache"]);

/** What the entries make of a server; the issues' messages where they refuse it. */
function read(server: unknown): ServerTransform | undefined | readonly string[] {
  const result = v.safeParse(Schema, server);
  return result.success
    ? serverTransform(result.output)
    : result.issues.map(({ message }) => message);
}

const NOTHING: ServerTransform = { maxResultBytes: [], replace: [], cache: [] };
const NO_LIMIT = [{ tools: "*", bytes: 0 }];

test("serverTransform() gives nothing where no rule does anything", () => {
  assert.equal(read({}), undefined);
  assert.equal(
    read({ maxResultBytes: { "a*": 0 }, replace: [], cache: { "*": { ttl: 0 } } }),
    undefined,
  );
});

test("serverTransform() reads all rules in their order, with defaults", () => {
  assert.deepEqual(read({ maxResultBytes: 1000 }), {
    ...NOTHING,
    maxResultBytes: [{ tools: "*", bytes: 1000 }],
  });
  assert.deepEqual(
    read({
      maxResultBytes: { "b_{x,y}": 500, "a*": 0 },
      replace: [{ pattern: "x", with: "" }, {
        pattern: "y",
        flags: "i",
        with: "$1",
        tools: ["t?"],
        structured: true,
      }],
      cache: { "s_*": { ttl: "10m" }, "*": { ttl: 5000, public: true } },
    }),
    {
      maxResultBytes: [{ tools: "b_{x,y}", bytes: 500 }, { tools: "a*", bytes: 0 }],
      replace: [
        { pattern: "x", flags: "", with: "", tools: ["*"], structured: false },
        { pattern: "y", flags: "i", with: "$1", tools: ["t?"], structured: true },
      ],
      cache: [
        { tools: "s_*", ttl: 600_000, public: false },
        { tools: "*", ttl: 5000, public: true },
      ],
    },
  );
  assert.deepEqual(read({ cache: { a: { ttl: 1 } } }), {
    ...NOTHING,
    maxResultBytes: NO_LIMIT,
    cache: [{ tools: "a", ttl: 1, public: false }],
  });
});

test("a server says what it expects of everything else", () => {
  const cases: readonly [unknown, RegExp][] = [
    [{ maxResultBytes: 10 }, /^a number of bytes from 256, or 0 for no limit/],
    [{ maxResultBytes: "1MB" }, /^a number of bytes from 256/],
    [{ maxResultBytes: { "*": -1 } }, /^a number of bytes from 256/],
    [{ maxResultBytes: [] }, /^a number of bytes from 256/],
    [{ maxResultBytes: { "": 1000 } }, /./],
    [{ replace: { pattern: "x", with: "" } }, /^an array of replacements/],
    [{ replace: [{ pattern: "x" }] }, /^an object with "pattern" and "with"/],
    [{ replace: [{ pattern: "", with: "" }] }, /^a regular expression$/],
    [{ replace: [{ pattern: "(", with: "" }] }, /^a regular expression \(.+\)/],
    [{ replace: [{ pattern: "(?=x)", with: "" }] }, /without look-around and back-references/],
    [{ replace: [{ pattern: "x", flags: "g", with: "" }] }, /^any of "i", "m" and "s"; every/],
    [{ replace: [{ pattern: "x", with: 1 }] }, /^a string/],
    [{ replace: [{ pattern: "x", with: "", tool: "t" }] }, /^an object with "pattern"/],
    [{ cache: { "*": { ttl: "10 minutes" } } }, /^a duration such as/],
    [{ cache: { "*": {} } }, /^an object with "ttl"/],
    [{ cache: { "*": { ttl: 1, scope: "all" } } }, /^an object with "ttl"/],
    [{ cache: { ttl: "10m" } }, /^an object with "ttl"/],
    [{ cache: [] }, /^an object with an entry for each pattern/],
    [
      { cache: { "{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}": { ttl: 1 } } },
      /256 alternatives/,
    ],
    // One of 300 kB would be looked at for minutes.
    [{ cache: { ["{".repeat(300_000)]: { ttl: 1 } } }, /at most 512 characters/],
  ];
  for (const [server, expected] of cases) {
    const found = read(server);
    assert.ok(Array.isArray(found), JSON.stringify(server));
    assert.match(found[0]!, expected, JSON.stringify(server));
  }
});

test("the settings give the cache 16 MiB", () => {
  const Settings = v.pick(SettingsSchema, ["cacheSize"]);
  assert.deepEqual(v.parse(Settings, {}), { cacheSize: 16_777_216 });
  assert.deepEqual(v.parse(Settings, { cacheSize: 0 }), { cacheSize: 0 });
  assert.ok(!v.is(Settings, { cacheSize: -1 }));
});

test("patternProblem() sees with the engine exactly what cannot be compiled", async () => {
  await loadPatterns();
  for (
    const good of ["a", "\\d{3}", "(?<n>x)\\.", "\\\\1", "[\\u00e9-\\u{1f600}]", "\\bsk-\\w+\\b"]
  ) {
    assert.equal(patternProblem(good), undefined, good);
  }
  for (
    const bad of [
      "(",
      "(?<=a)b",
      "(?<!a)b",
      "(?!a)b",
      "(a)\\1",
      "(?<n>a)\\k<n>",
      "a{2000}",
      "[z-a]",
    ]
  ) {
    assert.match(patternProblem(bad) ?? "", /^a regular expression/, bad);
  }
  fc.assert(
    fc.property(
      fc.string({ maxLength: 12, unit: fc.constantFrom(..."ab()[]{}*+?|\\^$.-:<>=!19dk,") }),
      (pattern) => {
        const problem = patternProblem(pattern);
        const compiles = () => compilePattern(pattern, "");
        if (problem === undefined) assert.doesNotThrow(compiles);
        else if (!problem.includes("look-around")) assert.throws(compiles);
      },
    ),
    { numRuns: rounds(2000) },
  );
});

test("mentionsPatterns() finds the key in any format", () => {
  assert.ok(mentionsPatterns('{"replace":[{"pattern":"x"}]}'));
  assert.ok(mentionsPatterns("replace:\n- pattern: x"));
  assert.ok(!mentionsPatterns('{"command":"npx","patterns":1}'));
});
