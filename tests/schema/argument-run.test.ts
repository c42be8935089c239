import assert from "node:assert/strict";
import { test } from "node:test";
import type { Json, JsonObject } from "../../src/lib/json.ts";
import { argumentCheck } from "../../src/schema/arguments.ts";
import { processorTime } from "../support/processor-time.ts";

/** A schema of an object with this one property. */
const one = (a: Json): JsonObject => ({ type: "object", properties: { a } });

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
  "a value to compare that is deeper than the stack": () => {
    const deep = () => JSON.parse(`${"[".repeat(40_000)}${"]".repeat(40_000)}`);
    return [one({ enum: [deep()] }), { a: deep() }];
  },
  "one long text for many types": () => [
    one({ anyOf: Array.from({ length: 900 }, () => ({ type: ["number", "boolean", "array"] })) }),
    { a: `${" ".repeat(1_000_000)}x` },
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
        minItems: 1,
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
  "thousands of names relative to a long one": () => [
    {
      $id: `http://a/${"x/".repeat(25_000)}`,
      properties: Object.fromEntries(
        Array.from({ length: 1_500 }, (_, index) => [`p${index}`, { $id: "a", $ref: "#" }]),
      ),
    },
    {},
  ],
  "thousands of schemas below a long name": () => [
    one({
      properties: {
        ["k".repeat(50_000)]: {
          properties: Object.fromEntries(
            Array.from({ length: 4_000 }, (_, index) => [`p${index}`, {}]),
          ),
        },
      },
    }),
    {},
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
  const baseline = processorTime(() => {
    for (let call = 0; call < 10_000; call++) {
      assert.deepEqual(ordinary({ path: "a", mode: "r", lines: [1, 2, 3], note: null }), []);
    }
  });
  for (const [name, make] of Object.entries(HOSTILE)) {
    const [schema, args] = make();
    // The best of three: in one the garbage of others may be collected.
    const took = () => processorTime(() => argumentCheck(schema)!(args));
    const best = Math.min(took(), took(), took());
    // What grows with a power takes a thousand times as long; the factor is for a busy machine.
    assert.ok(best < Math.max(100, baseline * 10), `${name}: ${best} ms, ordinary ${baseline} ms`);
  }
});
