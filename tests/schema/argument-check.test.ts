import assert from "node:assert/strict";
import { test } from "node:test";
import type { Json, JsonObject } from "../../src/lib/json.ts";
import { argumentCheck } from "../../src/schema/arguments.ts";

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
  [one({ type: "integer" }), { a: "five" }, ['/a got "five"; integer']],
  [one({ type: "integer" }), { a: "5.5" }, ['/a got "5.5"; integer']],
  [one({ type: "integer" }), { a: true }, ["/a got true; integer"]],
  [one({ type: "integer" }), { a: 1.5 }, ["/a got 1.5; integer"]],
  [one({ type: "integer" }), { a: 1.0 }, []],
  [one({ type: "integer" }), { a: 1e400 }, []],
  [one({ type: "string" }), { a: 1e400 }, ["/a got Infinity; string"]],
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
  [one({ minLength: 2 }), { a: "a" }, ["/a got 1 characters; at least 2 characters"]],
  // One character to the specification, two to most servers in JavaScript.
  [one({ minLength: 2 }), { a: "😀" }, []],
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
  [
    { ...one({ type: "string" }), required: ["a"], additionalProperties: false },
    { A: 1, zebra: 2 },
    ["/a is missing; string", '/A is unknown; perhaps "a"'],
  ],
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
  [one({ allOf: [{ type: "number" }, { minimum: 3 }] }), { a: 2 }, ["/a got 2; a number from 3"]],
  [one({ anyOf: [{ type: "string" }, { type: "null" }] }), { a: 1 }, ["/a got 1; string or null"]],
  [one({ anyOf: [{ allOf: [false, { type: "string" }] }, { type: "null" }] }), { a: 1 }, [
    "/a got 1; string or null",
  ]],
  // Of the one alternative that takes such values, what is wrong.
  [one({ anyOf: [one({ type: "string" }), { type: "null" }] }), { a: { a: 1 } }, [
    "/a/a got 1; string",
  ]],
  [one({ oneOf: [one({ const: "x" }), one({ const: "y" })] }), { a: { a: "z" } }, [
    '/a fits none of 2 alternatives; a to be "x"; or a to be "y"',
  ]],
  // Overlapping alternatives: many a server takes the first.
  [one({ oneOf: [{ type: "number" }, { type: "integer" }] }), { a: 1 }, []],
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
    ["/__proto__ got 1; string"],
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
  [one({ not: { type: "string" } }), { a: "b" }],
  [one({ if: { type: "string" }, then: { minLength: 9 } }), { a: "b" }],
  [one({ oneOf: [{ pattern: "^a" }, { pattern: "^b" }] }), { a: "b" }],
  [one({ contains: { type: "number" } }), { a: ["x", "y"] }],
  [one({ propertyNames: { maxLength: 1 }, dependentRequired: { bc: ["d"] } }), { a: { bc: 1 } }],
  [one({ allOf: [{ pattern: "^b" }], unevaluatedProperties: false }), { a: { b: 1 } }],
  // References that lead in circles, and to what is no schema.
  [{ $ref: "#" }, { a: 1 }],
  [{ ...one({ $ref: "#/x-defs/b" }), "x-defs": { b: { type: "string" } } }, { a: 1 }],
];

test("argumentCheck() leaves to the server what only the server can judge", () => {
  for (const [schema, args] of LENIENT) {
    assert.deepEqual(found(schema, args), [], JSON.stringify([schema, args]));
  }
});

/** What is not as the schema says and yet is taken, by the kind of server that does. */
const TAKEN: Readonly<Record<string, readonly (readonly [schema: Json, args: JsonObject])[]>> = {
  "pydantic, zod with coerce, typed getters of Go": [
    [one({ type: "integer", minimum: 7 }), { a: "5" }],
    [one({ type: "integer" }), { a: "12345678901234567890" }],
    [one({ type: "number" }), { a: " -1.5e3 " }],
    [one({ type: "number" }), { a: "" }],
    [one({ type: "boolean" }), { a: 1 }],
    [one({ type: "boolean" }), { a: "Yes" }],
    [one({ anyOf: [{ type: "integer" }, { type: "null" }] }), { a: "5" }],
    [one({ type: ["integer", "null"] }), { a: "null" }],
    [one({ items: { type: "integer" } }), { a: ["1", "2"] }],
  ],
  "FastMCP, which reads JSON in texts": [
    [one({ type: "array", items: { type: "string" }, minItems: 1 }), { a: ' ["x"]' }],
    [one({ type: "object", required: ["b"] }), { a: '{"b":1}' }],
  ],
  "those for which null is as good as not given": [
    [one({ type: "string", enum: ["x"] }), { a: null }],
    [{ ...one({ $ref: "#/$defs/b" }), $defs: { b: { type: "string" } } }, { a: null }],
  ],
  "Python functions with defaults of another type, or none": [
    [{ ...one({ type: "string", default: null }), required: ["a"] }, { a: null }],
    [one({ type: "string", default: 1000 }), { a: 5 }],
    [one({ type: "string", default: [] }), { a: [1] }],
  ],
  "generators that require what has a default": [
    [{ ...one({ type: "number", default: 3 }), required: ["a"] }, {}],
  ],
  "zod, which drops what it does not know": [
    [{ ...one({ type: "string" }), additionalProperties: false }, { a: "x", zebra: 1 }],
    // No slip of the pen: what it is like is given, too.
    [{ ...one({ type: "string" }), additionalProperties: false }, { a: "x", A: 1 }],
  ],
};

test("argumentCheck() lets pass what servers convert or pass over", () => {
  for (const [kind, rows] of Object.entries(TAKEN)) {
    for (const [schema, args] of rows) {
      assert.deepEqual(found(schema, args), [], `${kind}: ${JSON.stringify([schema, args])}`);
    }
  }
});

const NOT_TAKEN: readonly Row[] = [
  [{ ...one({ type: "string" }), required: ["a"] }, { a: null }, ["/a got null; string"]],
  [one({ type: "string", default: "x" }), { a: 5 }, ["/a got 5; string"]],
  [one({ type: "array", default: null }), { a: "x" }, ['/a got "x"; array']],
  [one({ type: "number" }), { a: "1".repeat(500) }, [`/a got "${"1".repeat(60)}…"; number`]],
  [one({ type: "boolean" }), { a: 2 }, ["/a got 2; boolean"]],
  [one({ type: "string" }), { a: { default: "x" } }, ["/a got an object; string"]],
  [{ ...one({}), required: ["constructor"] }, {}, ["/constructor is missing"]],
];

test("argumentCheck() refuses what few servers would take", () => {
  for (const [schema, args, expected] of NOT_TAKEN) {
    assert.deepEqual(found(schema, args), expected, JSON.stringify([schema, args]));
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
  const schema = { properties: { giving: {} }, additionalProperties: false };
  const more = new Set(["given"]);
  assert.deepEqual(found(schema, { given: 1 }, more), []);
  // Of the root only.
  assert.deepEqual(found(one(schema), { a: { given: 1 } }, more), [
    '/a/given is unknown; perhaps "giving"',
  ]);
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
