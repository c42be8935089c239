import assert from "node:assert/strict";
import { test } from "node:test";
import { type SchemaDraft, Validator } from "@cfworker/json-schema";
import fc from "fast-check";
import type { Json, JsonObject } from "../../src/lib/json.ts";
import { argumentCheck } from "../../src/protocol/argument-check.ts";

const DRAFT_04 = "http://json-schema.org/draft-04/schema#";
const DRAFT_07 = "http://json-schema.org/draft-07/schema#";
const DRAFT_2019 = "https://json-schema.org/draft/2019-09/schema";

/** The mismatches in short: `path problem; expected`. */
function found(schema: Json, args: JsonObject, more?: ReadonlySet<string>): readonly string[] {
  return argumentCheck(schema, more)?.(args).map(({ path, problem, expected }) =>
    `${path} ${problem}${expected === undefined ? "" : `; ${expected}`}`
  ) ?? ["unchecked"];
}

/** A schema of an object with this one property. */
const one = (a: Json): JsonObject => ({ type: "object", properties: { a } });

type Row = readonly [schema: Json, args: JsonObject, expected: readonly string[]];

const MISTAKES: readonly Row[] = [
  [one({ type: "integer" }), { a: "5" }, ['/a got "5"; integer']],
  [one({ type: "integer" }), { a: 1.5 }, ["/a got 1.5; integer"]],
  [one({ type: "integer" }), { a: 1.0 }, []],
  [one({ type: "integer" }), { a: 1e400 }, []],
  [one({ type: ["string", "null"] }), { a: 1 }, ["/a got 1; string or null"]],
  [one({ type: ["string", "null"] }), { a: null }, []],
  [one({ type: "string", nullable: true }), { a: null }, []],
  [one({ type: "string", nullable: true }), { a: 1 }, ["/a got 1; string"]],
  [one({ type: "array" }), { a: {} }, ["/a got an object; array"]],
  [one({ type: "object" }), { a: [1] }, ["/a got an array; object"]],
  [one({ type: "boolean" }), { a: "x".repeat(100) }, [`/a got "${"x".repeat(60)}…"; boolean`]],
  [one({ enum: ["open", "closed"] }), { a: "open" }, []],
  [one({ enum: ["open", "closed"] }), { a: "shut" }, [
    '/a got "shut"; one of "open", "closed"',
  ]],
  [one({ enum: [{ b: [1] }] }), { a: { b: [1] } }, []],
  [one({ enum: [{ b: [1] }] }), { a: { b: [2] } }, ["/a got an object; an object"]],
  [one({ const: 3 }), { a: 4 }, ["/a got 4; 3"]],
  [one({ minimum: 1, maximum: 3 }), { a: 0 }, ["/a got 0; a number from 1"]],
  [one({ minimum: 1, maximum: 3 }), { a: 4 }, ["/a got 4; a number up to 3"]],
  [one({ exclusiveMinimum: 0, exclusiveMaximum: 1 }), { a: 0 }, ["/a got 0; a number above 0"]],
  [one({ exclusiveMinimum: 0, exclusiveMaximum: 1 }), { a: 1 }, ["/a got 1; a number below 1"]],
  [one({ multipleOf: 0.1 }), { a: 0.3 }, []],
  [one({ multipleOf: 2 }), { a: 3 }, ["/a got 3; a multiple of 2"]],
  [one({ minLength: 2, maxLength: 3 }), { a: "ab" }, []],
  [one({ minLength: 2 }), { a: "😀" }, ["/a got 1 characters; at least 2 characters"]],
  [one({ maxLength: 2 }), { a: "😀😀" }, []],
  [one({ maxLength: 2 }), { a: "abc" }, ["/a got 3 characters; at most 2 characters"]],
  [one({ minItems: 1 }), { a: [] }, ["/a got 0; at least 1 items"]],
  [one({ maxItems: 1 }), { a: [1, 2] }, ["/a got 2; at most 1 items"]],
  [one({ minProperties: 1 }), { a: {} }, ["/a got 0; at least 1 members"]],
  [one({ maxProperties: 1 }), { a: { b: 1, c: 2 } }, ["/a got 2; at most 1 members"]],
  [{ type: "object", required: ["a"], properties: { a: { type: "string" } } }, {}, [
    "/a is missing; string",
  ]],
  [{ required: ["a", "b"] }, { a: null }, ["/b is missing"]],
  [{ ...one({ type: "string" }), additionalProperties: false }, { A: 1, zebra: 2 }, [
    '/A is unknown; perhaps "a"',
    "/zebra is unknown",
  ]],
  [{ ...one({}), additionalProperties: { type: "number" } }, { a: "x", b: "y" }, [
    '/b got "y"; number',
  ]],
  [one({ items: { type: "string" } }), { a: ["x", 1, "y", 2] }, [
    "/a/1 got 1; string",
    "/a/3 got 2; string",
  ]],
  [one({ prefixItems: [{ type: "string" }], items: { type: "number" } }), { a: ["x", "y"] }, [
    '/a/1 got "y"; number',
  ]],
  [one({ contains: { type: "number" } }), { a: ["x"] }, [
    '/a 0 items are as "contains" wants them; 1',
  ]],
  [one({ contains: { const: 1 }, minContains: 2 }), { a: [1, 2, 1] }, []],
  [one({ propertyNames: { maxLength: 2 } }), { a: { abc: 1 } }, [
    "/a/abc got 3 characters; at most 2 characters",
  ]],
  [one({ dependentRequired: { b: ["c"] } }), { a: { b: 1 } }, ["/a/c is missing"]],
  [one({ dependentSchemas: { b: { required: ["c"] } } }), { a: { b: 1 } }, ["/a/c is missing"]],
  [one({ allOf: [{ type: "number" }, { minimum: 3 }] }), { a: 2 }, ["/a got 2; a number from 3"]],
  [one({ anyOf: [{ type: "string" }, { type: "null" }] }), { a: 1 }, ["/a got 1; string or null"]],
  // Of the one alternative that takes such values, what is wrong.
  [one({ anyOf: [one({ type: "string" }), { type: "null" }] }), { a: { a: 1 } }, [
    "/a/a got 1; string",
  ]],
  [one({ oneOf: [one({ const: "x" }), one({ const: "y" })] }), { a: { a: "z" } }, [
    '/a fits none of 2 alternatives; a to be "x"; or a to be "y"',
  ]],
  // Overlapping alternatives: many a server takes the first.
  [one({ oneOf: [{ type: "number" }, { type: "integer" }] }), { a: 1 }, []],
  [one({ not: { type: "string" } }), { a: "x" }, [`/a "x" is what the schema's "not" excludes`]],
  [
    { if: { required: ["a"] }, then: { required: ["b"] }, else: { required: ["c"] } },
    { a: 1 },
    ["/b is missing"],
  ],
  [{ if: { required: ["a"] }, then: { required: ["b"] }, else: { required: ["c"] } }, {}, [
    "/c is missing",
  ]],
  [{ ...one({ $ref: "#/$defs/b" }), $defs: { b: { type: "string" } } }, { a: 1 }, [
    "/a got 1; string",
  ]],
  [{ ...one({ $ref: "#b" }), $defs: { b: { $anchor: "b", type: "string" } } }, { a: 1 }, [
    "/a got 1; string",
  ]],
  // A tree.
  [
    { type: "object", properties: { kids: { type: "array", items: { $ref: "#" } } } },
    { kids: [{ kids: [{ kids: 3 }] }] },
    ["/kids/0/kids/0/kids got 3; array"],
  ],
  [one(false), { a: 1 }, ["/a nothing is allowed here"]],
  [one(true), { a: 1 }, []],
  [one({ type: "number" }), JSON.parse('{"__proto__":1,"constructor":2}'), []],
  [
    JSON.parse('{"properties":{"__proto__":{"type":"string"}},"additionalProperties":false}'),
    JSON.parse('{"__proto__":1,"constructor":2}'),
    ["/__proto__ got 1; string", "/constructor is unknown"],
  ],
  [one({ items: { properties: { "x/y~": { type: "null" } } } }), { a: [{ "x/y~": 1 }] }, [
    "/a/0/x~1y~0 got 1; null",
  ]],
];

test("argumentCheck() says where what is wrong and what is expected", () => {
  for (const [schema, args, expected] of MISTAKES) {
    assert.deepEqual(found(schema, args), expected, JSON.stringify([schema, args]));
  }
});

const DIALECTS: readonly Row[] = [
  // Numbers of draft-04 are open by a flag, said or not.
  [{ $schema: DRAFT_04, ...one({ minimum: 0, exclusiveMinimum: true }) }, { a: 0 }, [
    "/a got 0; a number above 0",
  ]],
  [one({ maximum: 0, exclusiveMaximum: true }), { a: 0 }, ["/a got 0; a number below 0"]],
  [{ $schema: DRAFT_04, ...one({ const: 1 }) }, { a: 2 }, []],
  // Lists of items before 2020-12, said or not.
  [{ $schema: DRAFT_07, ...one({ items: [{ type: "string" }] }) }, { a: [1] }, [
    "/a/0 got 1; string",
  ]],
  [one({ items: [{ type: "string" }], additionalItems: false }), { a: ["x", 2] }, [
    "/a/1 nothing is allowed here",
  ]],
  [{ $schema: DRAFT_2019, ...one({ items: [{ type: "string" }] }) }, { a: [1] }, [
    "/a/0 got 1; string",
  ]],
  // Beside a reference nothing counts until 2019-09.
  [
    {
      $schema: DRAFT_07,
      ...one({ $ref: "#/definitions/b", type: "number" }),
      definitions: { b: { type: "string" } },
    },
    { a: "x" },
    [],
  ],
  [
    {
      $schema: DRAFT_2019,
      ...one({ $ref: "#/$defs/b", minLength: 2 }),
      $defs: { b: { type: "string" } },
    },
    { a: "x" },
    ["/a got 1 characters; at least 2 characters"],
  ],
  [{ $schema: DRAFT_07, ...one({ dependencies: { b: ["c"] } }) }, { a: { b: 1 } }, [
    "/a/c is missing",
  ]],
];

test("argumentCheck() reads each dialect as it is meant", () => {
  for (const [schema, args, expected] of DIALECTS) {
    assert.deepEqual(found(schema, args), expected, JSON.stringify([schema, args]));
  }
});

const LENIENT: readonly (readonly [schema: Json, args: JsonObject])[] = [
  [one({ type: "string", pattern: "^(a+)+$" }), { a: "b" }],
  [one({ type: "string", format: "email" }), { a: "nobody" }],
  [one({ type: "string", format: "of my own" }), { a: "x" }],
  [one({ uniqueItems: true }), { a: [1, 1] }],
  [one({ "x-vendor": 1, unknownKeyword: false }), { a: 1 }],
  // What a pattern lets pass, or excludes, only the server knows.
  [{ patternProperties: { "^x": {} }, additionalProperties: false }, { x1: 1 }],
  [one({ not: { pattern: "^a" } }), { a: "b" }],
  [one({ if: { pattern: "^a" }, then: { minLength: 9 } }), { a: "b" }],
  [one({ oneOf: [{ pattern: "^a" }, { pattern: "^b" }] }), { a: "b" }],
  [one({ contains: { format: "date" }, maxContains: 1 }), { a: ["x", "y"] }],
  [one({ allOf: [{ pattern: "^b" }], unevaluatedProperties: false }), { a: { b: 1 } }],
  [one({ not: { oneOf: [{ type: "number" }, { type: "integer" }] } }), { a: 1 }],
  // References that lead in circles, and to what is no schema.
  [{ $ref: "#" }, { a: 1 }],
  [{ ...one({ $ref: "#/x-defs/b" }), "x-defs": { b: { type: "string" } } }, { a: 1 }],
];

test("argumentCheck() leaves to the server what only the server can judge", () => {
  for (const [schema, args] of LENIENT) {
    assert.deepEqual(found(schema, args), [], JSON.stringify([schema, args]));
  }
});

test("argumentCheck() does without schemas that are none, and what they refer to elsewhere", () => {
  const unusable: readonly Json[] = [
    "string",
    [],
    true,
    one({ type: "strnig" }),
    one({ required: true }),
    one({ $ref: "#/nowhere" }),
    one({ $ref: "https://example.com/schema.json" }),
    { $schema: "https://example.com/own-dialect", ...one({ type: "string" }) },
    JSON.parse(`${'{"items":'.repeat(300)}{}${"}".repeat(300)}`),
  ];
  for (const schema of unusable) {
    assert.equal(argumentCheck(schema), undefined, JSON.stringify(schema).slice(0, 200));
  }
  assert.equal(argumentCheck(undefined), undefined);
});

test("argumentCheck() takes names that the schema does not list", () => {
  const schema = { ...one({ type: "string" }), additionalProperties: false, required: ["given"] };
  const more = new Set(["given"]);
  assert.deepEqual(found(schema, { given: 1, other: 2 }, more), ["/other is unknown"]);
  // Of the root only.
  const nested = { ...one({ ...schema, required: [] }), additionalProperties: false };
  assert.deepEqual(found(nested, { given: 1, a: { given: 1 } }, more), ["/a/given is unknown"]);
});

test("argumentCheck() stops at what a model can mend in one go", () => {
  const many = Array.from({ length: 5_000 }, (_, index) => index);
  const schema = one({ items: { type: "string" } });
  assert.equal(found(schema, { a: many }).length, 10);
  // All of what one alternative finds is wrong at once.
  const either = one({ anyOf: [schema, { type: "null" }] });
  assert.equal(found(either, { a: { a: many.slice(0, 500) } }).length, 10);
  const long = one({ enum: Array.from({ length: 20 }, (_, index) => `${index}`.repeat(50)) });
  const [{ expected = "" } = {}] = argumentCheck(long)!({ a: 1 });
  assert.ok(expected.length > 200 && expected.length < 310, expected);
});

/** Schemas and arguments that are small and would take for ever, or all the memory there is. */
const HOSTILE: Readonly<Record<string, () => readonly [schema: JsonObject, args: JsonObject]>> = {
  "references that double 40 times": () => {
    const $defs: JsonObject = { d40: { type: "string" } };
    for (let index = 0; index < 40; index++) {
      const $ref = `#/$defs/d${index + 1}`;
      $defs[`d${index}`] = { anyOf: [{ $ref }, { $ref }] };
    }
    return [{ ...one({ $ref: "#/$defs/d0" }), $defs }, { a: 1 }];
  },
  "references that double with each level of the arguments": () => {
    const $ref = "#/$defs/t";
    const t = { type: "object", properties: { c: { anyOf: [{ $ref }, { $ref }] } } };
    let a: Json = 5;
    for (let depth = 0; depth < 60; depth++) a = { c: a };
    return [{ ...one({ $ref }), $defs: { t } }, { a }];
  },
  "a schema that is itself, twice": () => [{ allOf: [{ $ref: "#" }, { $ref: "#" }] }, {}],
  "a pattern that backtracks": () => [
    one({ pattern: "^(a+)+$", patternProperties: { "^(a+)+$": {} } }),
    { a: `${"a".repeat(50)}!` },
  ],
  "items that all differ": () => [
    one({ uniqueItems: true, items: { enum: Array.from({ length: 3_000 }, (_, n) => ({ n })) } }),
    { a: Array.from({ length: 3_000 }, (_, n) => ({ n: 2_999 - n })) },
  ],
  "many schemas of many members": () => [
    { allOf: Array.from({ length: 900 }, () => ({ additionalProperties: { type: "number" } })) },
    Object.fromEntries(Array.from({ length: 5_000 }, (_, index) => [`k${index}`, index])),
  ],
  "many lengths of a long text": () => [
    one({ allOf: Array.from({ length: 900 }, () => ({ maxLength: 600_000 })) }),
    { a: "é".repeat(1_000_000) },
  ],
  "many schemas of a long list": () => [
    one({
      allOf: Array.from({ length: 900 }, () => ({
        prefixItems: [{ type: "null" }],
        contains: {},
        minContains: 1e9,
        minItems: 1,
        propertyNames: true,
      })),
    }),
    { a: Array.from({ length: 500_000 }, () => null) },
  ],
  "unknown names beside many known ones": () => [
    {
      properties: Object.fromEntries(
        Array.from(
          { length: 200 },
          (_, index) => [`${"known_property_name_".repeat(3)}${index}`, {}],
        ),
      ),
      anyOf: Array.from({ length: 100 }, () => ({ additionalProperties: false })),
      additionalProperties: false,
    },
    Object.fromEntries(
      Array.from(
        { length: 2_000 },
        (_, index) => [`${"unknown_property_ame_".repeat(2)}${index}`, 1],
      ),
    ),
  ],
  "very deep arguments": () => [
    { type: "object", additionalProperties: { $ref: "#" } },
    JSON.parse(`${'{"a":'.repeat(3_000)}{}${"}".repeat(3_000)}`),
  ],
};

test("argumentCheck() takes no longer for hostile schemas than for some thousand ordinary calls", () => {
  const ordinary = argumentCheck({
    type: "object",
    properties: {
      path: { type: "string", minLength: 1 },
      mode: { enum: ["r", "w"] },
      lines: { type: "array", items: { type: "integer", minimum: 1 } },
      note: { anyOf: [{ type: "string" }, { type: "null" }] },
    },
    required: ["path"],
    additionalProperties: false,
  })!;
  const took = (work: () => void) => {
    const started = performance.now();
    work();
    return performance.now() - started;
  };
  const baseline = took(() => {
    for (let call = 0; call < 10_000; call++) {
      assert.deepEqual(ordinary({ path: "a", mode: "r", lines: [1, 2, 3], note: null }), []);
    }
  });
  for (const [name, make] of Object.entries(HOSTILE)) {
    const [schema, args] = make();
    const check = argumentCheck(schema)!;
    // The best of three: others use the machine, too.
    const best = Math.min(...[1, 2, 3].map(() => took(() => check(args))));
    assert.ok(best < Math.max(50, baseline * 4), `${name}: ${best} ms, ordinary ${baseline} ms`);
  }
});

/** Schemas of a few names and depths, so that values of the same kind often hit them. */
const names = fc.constantFrom("a", "b", "c");
const { schema: schemas } = fc.letrec<{ schema: Json }>((tie) => {
  const count = fc.integer({ min: 0, max: 3 });
  const inner = tie("schema");
  const list = fc.array(inner, { minLength: 1, maxLength: 3 });
  const types = fc.constantFrom(
    "string",
    "number",
    "integer",
    "object",
    "array",
    "null",
    "boolean",
  );
  const keywords: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
    type: fc.oneof(types, fc.uniqueArray(types, { minLength: 1, maxLength: 3 })),
    enum: fc.array(fc.constantFrom<Json>("a", 1, null, [], {}, [1], { a: 0 }), { maxLength: 3 }),
    const: fc.constantFrom<Json>("", 0, null, [], {}),
    minimum: count,
    exclusiveMaximum: count,
    minLength: count,
    maxLength: count,
    minItems: count,
    maxItems: count,
    minProperties: count,
    maxProperties: count,
    required: fc.uniqueArray(names, { maxLength: 2 }),
    properties: fc.dictionary(names, inner, { maxKeys: 3 }),
    additionalProperties: inner,
    propertyNames: inner,
    dependentRequired: fc.dictionary(names, fc.uniqueArray(names, { maxLength: 2 })),
    dependentSchemas: fc.dictionary(names, inner, { maxKeys: 2 }),
    prefixItems: list,
    items: inner,
    contains: inner,
    minContains: count,
    maxContains: count,
    uniqueItems: fc.boolean(),
    pattern: fc.constantFrom("^a", "b$"),
    patternProperties: fc.dictionary(fc.constantFrom("^a", "b"), inner, { maxKeys: 1 }),
    unevaluatedProperties: fc.boolean(),
    allOf: list,
    anyOf: list,
    oneOf: list,
    not: inner,
    if: inner,
    then: inner,
    else: inner,
    $ref: fc.constant("#/$defs/d"),
  };
  const single = Object.entries(keywords)
    .map(([keyword, value]) => value.map((given) => ({ [keyword]: given })));
  const several = fc.array(fc.oneof(...single), { minLength: 1, maxLength: 3 })
    .map((parts) => Object.assign({}, ...parts) as Json);
  return { schema: fc.oneof({ maxDepth: 4, withCrossShrink: true }, fc.boolean(), several) };
});

const { value: values } = fc.letrec<{ value: Json; object: JsonObject }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.constantFrom<Json>("", "a", "ab", "b", 0, 1, 2.5, 4, null, true),
    fc.array(tie("value"), { maxLength: 3 }) as fc.Arbitrary<Json>,
    tie("object"),
  ),
  object: fc.dictionary(names, tie("value"), { maxKeys: 3 }) as fc.Arbitrary<JsonObject>,
}));

const documents = fc.record({
  properties: fc.dictionary(names, schemas, { maxKeys: 3 }),
  additionalProperties: schemas,
  $defs: fc.record({ d: schemas }),
}) as fc.Arbitrary<JsonObject>;

const calls = fc.dictionary(names, values, { maxKeys: 3 }) as fc.Arbitrary<JsonObject>;

/** What a validator says that checks everything; `undefined` where a reference has no end. */
function isValid(schema: JsonObject, args: JsonObject, draft: SchemaDraft): boolean | undefined {
  try {
    return new Validator(structuredClone(schema), draft).validate(args).valid;
  } catch {
    return undefined;
  }
}

test("argumentCheck() refuses only what a whole validator refuses", () => {
  let refused = 0;
  fc.assert(
    fc.property(documents, calls, (schema, args) => {
      const mismatches = argumentCheck(schema)?.(args) ?? [];
      if (mismatches.length === 0) return;
      refused++;
      assert.notEqual(isValid(schema, args, "2020-12"), true, JSON.stringify(mismatches));
    }),
    { numRuns: 3_000 },
  );
  assert.ok(refused > 500, `${refused}`);
});

/** Whether a schema has a keyword that is left to the server. */
function isLeft(schema: Json): boolean {
  return /"(oneOf|pattern|patternProperties|uniqueItems|maxContains|unevaluated\w+)":/
    .test(JSON.stringify(schema));
}

test("argumentCheck() refuses all that a whole validator refuses, but for what it leaves out", () => {
  let refused = 0;
  fc.assert(
    fc.property(documents, calls, (schema, args) => {
      if (isLeft(schema) || isValid(schema, args, "2020-12") !== false) return;
      const check = argumentCheck(schema);
      if (check === undefined) return;
      refused++;
      assert.notDeepEqual(check(args), []);
    }),
    { numRuns: 3_000 },
  );
  assert.ok(refused > 100, `${refused}`);
});
