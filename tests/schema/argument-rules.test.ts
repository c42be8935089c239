import assert from "node:assert/strict";
import { test } from "node:test";
import { type SchemaDraft, Validator } from "@cfworker/json-schema";
import fc from "fast-check";
import type { Json, JsonObject } from "../../src/lib/json.ts";
import { argumentCheck } from "../../src/schema/arguments.ts";

const names = fc.constantFrom("a", "b", "c");

/** Keywords of which the server is left to check at least a part. */
const LEFT =
  /^(?:oneOf|pattern.*|uniqueItems|.*[cC]ontains|unevaluated.*|if|not|propertyNames|dependent.*)$/;

/** Schemas of a few names and depths, so that values of the same kind often hit them. */
const schemas = schemasOf(() => true);

function schemasOf(isMeant: (keyword: string) => boolean): fc.Arbitrary<Json> {
  return fc.letrec<{ schema: Json }>((tie) => {
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
      .filter(([keyword]) => isMeant(keyword))
      .map(([keyword, value]) => value.map((given) => ({ [keyword]: given })));
    const several = fc.array(fc.oneof(...single), { minLength: 1, maxLength: 3 })
      .map((parts) => Object.assign({}, ...parts) as Json);
    return { schema: fc.oneof({ maxDepth: 4, withCrossShrink: true }, fc.boolean(), several) };
  }).schema;
}

function documentsOf(schema: fc.Arbitrary<Json>): fc.Arbitrary<JsonObject> {
  return fc.record({
    properties: fc.dictionary(names, schema, { maxKeys: 3 }),
    additionalProperties: schema,
    $defs: fc.record({ d: schema }),
  }) as fc.Arbitrary<JsonObject>;
}

/** Values that no server converts to another type. */
const UNCONVERTED: readonly Json[] = ["a", "ab", "b", 2, 2.5, 4, true];

function callsWith(plain: readonly Json[]): fc.Arbitrary<JsonObject> {
  const { value } = fc.letrec<{ value: Json }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 3, withCrossShrink: true },
      fc.constantFrom(...plain),
      fc.array(tie("value"), { maxLength: 3 }) as fc.Arbitrary<Json>,
      fc.dictionary(names, tie("value"), { maxKeys: 3 }) as fc.Arbitrary<Json>,
    ),
  }));
  return fc.dictionary(names, value, { maxKeys: 3 }) as fc.Arbitrary<JsonObject>;
}

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
    fc.property(
      documentsOf(schemas),
      callsWith([...UNCONVERTED, "", 0, 1, null]),
      (schema, args) => {
        const mismatches = argumentCheck(schema)?.(args) ?? [];
        if (mismatches.length === 0) return;
        refused++;
        assert.notEqual(isValid(schema, args, "2020-12"), true, JSON.stringify(mismatches));
      },
    ),
    { numRuns: 3_000 },
  );
  assert.ok(refused > 500, `${refused}`);
});

test("argumentCheck() refuses all that a whole validator refuses, but for what it leaves out", () => {
  let refused = 0;
  const whole = documentsOf(schemasOf((keyword) => !LEFT.test(keyword)));
  fc.assert(
    fc.property(whole, callsWith(UNCONVERTED), (schema, args) => {
      const check = argumentCheck(schema);
      // Unknown names are passed over.
      if (check === undefined || JSON.stringify(schema).includes('"additionalProperties":false')) {
        return;
      }
      if (isValid(schema, args, "2020-12") !== false) return;
      refused++;
      assert.notDeepEqual(check(args), []);
    }),
    { numRuns: 3_000 },
  );
  assert.ok(refused > 500, `${refused}`);
});
