import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Json, JsonObject } from "../../src/lib/json.ts";
import { checkJsonSchema } from "../../src/schema/check.ts";
import { dialectOf } from "../../src/schema/dialect.ts";

const DRAFT_04 = "http://json-schema.org/draft-04/schema#";
const DRAFT_07 = "http://json-schema.org/draft-07/schema#";
const DRAFT_2019 = "https://json-schema.org/draft/2019-09/schema";
const DRAFT_2020 = "https://json-schema.org/draft/2020-12/schema";

/** What is wrong, as `type pointer`. */
function problems(schema: Json): string[] {
  return checkJsonSchema(schema).map(({ type, pointer }) => `${type} ${pointer}`);
}

const property = (schema: Json, rest: JsonObject = {}): JsonObject => ({
  type: "object",
  properties: { a: schema },
  ...rest,
});

test("dialectOf() knows the dialects with and without the empty fragment", () => {
  assert.equal(dialectOf(DRAFT_07), "draft-07");
  assert.equal(dialectOf(DRAFT_07.slice(0, -1)), "draft-07");
  assert.equal(dialectOf("https://json-schema.org/draft-07/schema"), "draft-07");
  assert.equal(dialectOf(DRAFT_2020), "2020-12");
  assert.equal(dialectOf("https://example.com/schema"), undefined);
});

test("checkJsonSchema() finds nothing wrong with what real servers write", () => {
  const fine: Json[] = [
    true,
    {},
    { type: "object", properties: {}, additionalProperties: false, $schema: DRAFT_07 },
    { type: ["string", "null"], enum: ["a", null], default: "a", format: "uri", "x-ui": 1 },
    property({ anyOf: [{ type: "string", pattern: "^\\d+$" }, { const: 1 }] }),
    property({ exclusiveMinimum: 0, maximum: 1e9, multipleOf: 0.5, minLength: 0 }),
    property({ $ref: "#/$defs/a" }, { $defs: { a: { type: "string" } } }),
    property({ $ref: "#/definitions/a~1b%20c" }, { definitions: { "a/b c": true } }),
    property({ type: "array", items: { $ref: "#" } }),
    property({ type: "array", prefixItems: [{}], items: false }),
    property({ properties: { type: { type: "string" }, required: { $ref: "#/properties/a" } } }),
    // What only looks like a schema.
    property({ const: { $ref: "#/nowhere", type: 5 }, enum: [{ type: 5 }], default: { items: 5 } }),
    property({ $ref: "#here" }, { $defs: { x: { $anchor: "here" } } }),
    property({ $ref: "other" }, {
      $defs: { x: { $id: "https://example.com/other" } },
      $id: "https://example.com/root",
    }),
    property({ $ref: "https://example.com/root#/properties/b" }, {
      $id: "https://example.com/root",
      properties: { a: { $ref: "#/properties/b" }, b: {} },
    }),
  ];
  for (const schema of fine) assert.deepEqual(problems(schema), [], JSON.stringify(schema));
});

test("checkJsonSchema() names the keyword that has not the form it should", () => {
  const wrong: readonly (readonly [string, Json])[] = [
    ["type", "text"],
    ["type", ["string", "string"]],
    ["type", []],
    ["type", 5],
    ["properties", []],
    ["properties", { x: "string" }],
    ["required", true],
    ["required", ["a", "a"]],
    ["enum", "a"],
    ["items", [{}]],
    ["items", "string"],
    ["anyOf", []],
    ["oneOf", {}],
    ["allOf", [1]],
    ["not", 5],
    ["minLength", -1],
    ["maxItems", 1.5],
    ["minimum", "0"],
    ["exclusiveMinimum", true],
    ["multipleOf", 0],
    ["uniqueItems", "yes"],
    ["description", 5],
    ["pattern", 5],
    ["$ref", 5],
    ["$defs", { a: 1 }],
    ["dependentRequired", { a: "b" }],
    ["dependencies", { a: 5 }],
    ["if", 1],
  ];
  for (const [keyword, value] of wrong) {
    const about = `${keyword}: ${JSON.stringify(value)}`;
    const found = problems(property({ [keyword]: value }));
    assert.deepEqual(found, [`invalid #/properties/a/${keyword}`], about);
  }
  assert.deepEqual(problems("x"), ["invalid #"]);
  assert.deepEqual(problems(null), ["invalid #"]);
  const [problem] = checkJsonSchema({ type: "text" });
  assert.match(problem!.message, /^found "text", expected one of array, boolean, /);
});

test("checkJsonSchema() reads a schema in the dialect it says, and then in 2020-12", () => {
  const tuple = (dialect: string) => property({ items: [{}] }, { $schema: dialect });
  assert.deepEqual(problems(tuple(DRAFT_07)), ["dialect #/properties/a/items"]);
  assert.deepEqual(problems(tuple(DRAFT_2019)), ["dialect #/properties/a/items"]);
  assert.deepEqual(problems(tuple(DRAFT_2020)), ["invalid #/properties/a/items"]);
  const exclusive = (dialect: string) =>
    property({ exclusiveMinimum: true, minimum: 0 }, { $schema: dialect });
  assert.deepEqual(problems(exclusive(DRAFT_04)), ["dialect #/properties/a/exclusiveMinimum"]);
  assert.deepEqual(problems(exclusive(DRAFT_07)), ["invalid #/properties/a/exclusiveMinimum"]);
  assert.deepEqual(problems(property({}, { $schema: "https://example.com/s" })), [
    "unknown-dialect #/$schema",
  ]);
});

test("checkJsonSchema() tells references that are lost from those that are elsewhere", () => {
  const lost: readonly (readonly [Json, string])[] = [
    ["#/$defs/none", "dangling"],
    ["#/properties/b", "dangling"],
    ["#none", "dangling"],
    ["#/type", "dangling"],
    ["#/properties/a/__proto__", "dangling"],
    ["https://example.com/schema.json", "remote"],
    ["other.json#/a", "remote"],
  ];
  for (const [$ref, type] of lost) {
    assert.deepEqual(problems(property({ $ref })), [`${type} #/properties/a/$ref`], String($ref));
  }
});

test("checkJsonSchema() compiles patterns, with and without the flag", () => {
  assert.deepEqual(problems({ pattern: "(?P<name>x)" }), ["pattern #/pattern"]);
  assert.deepEqual(problems({ pattern: "[\\w-.]+" }), []);
  assert.deepEqual(problems({ pattern: "\\p{L}" }), []);
});

test("checkJsonSchema() takes any JSON, of any depth", () => {
  fc.assert(fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
    checkJsonSchema({ type: "object", properties: { a: value as Json }, items: value as Json });
  }));
  let deep: Json = {};
  for (let level = 0; level < 20_000; level++) deep = { not: deep };
  assert.deepEqual(checkJsonSchema(deep).map(({ type }) => type), ["deep"]);
});
