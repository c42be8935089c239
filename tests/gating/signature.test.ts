import assert from "node:assert/strict";
import { test } from "node:test";
import type { Json } from "../../src/lib/json.ts";
import { signatureOf } from "../../src/gating/hit.ts";

const of = (properties: Json, rest: object = {}) =>
  signatureOf("t", { type: "object", properties, ...rest });

test("signatureOf() writes types as people do", () => {
  const table: readonly (readonly [schema: Json, type: string])[] = [
    [{ type: "integer" }, "int"],
    [{ type: "number" }, "number"],
    [{ type: "string", format: "date" }, "string"],
    [{ type: "boolean" }, "bool"],
    [{ type: "object", properties: { x: {} } }, "object"],
    [{ properties: { x: {} } }, "object"],
    [{ type: "array", items: { type: "string" } }, "string[]"],
    [{ type: "array" }, "any[]"],
    [{ type: "array", items: { type: "array", items: { type: "integer" } } }, "int[][]"],
    [{ type: "array", items: { enum: ["a", "b"] } }, '("a"|"b")[]'],
    [{ type: "string", enum: ["asc", "desc"] }, '"asc"|"desc"'],
    [{ enum: [1, 2, null] }, "1|2|null"],
    [{ const: "x" }, '"x"'],
    [{ type: "string", enum: ["a".repeat(40), "b".repeat(40)] }, "string"],
    [{ type: "integer", enum: Array.from({ length: 1000 }, (_, index) => index) }, "int"],
    [{ type: "string", enum: [] }, "string"],
    [{ type: ["string", "null"] }, "string"],
    [{ type: ["string", "integer"] }, "string|int"],
    [{ anyOf: [{ type: "string" }, { type: "null" }] }, "string"],
    [
      { oneOf: [{ type: "string" }, { type: "array", items: { type: "string" } }] },
      "string|string[]",
    ],
    [{ anyOf: [{}, { type: "string" }] }, "any"],
    [{ $ref: "#/$defs/Order" }, '"up"|"down"'],
    [{ $ref: "#/$defs/nowhere" }, "any"],
    [{ $ref: "https://example.com/x" }, "any"],
    [{ $ref: "#/$defs/loop" }, "any"],
    [{}, "any"],
    [true, "any"],
    ["nonsense", "any"],
    [{ type: 7 }, "any"],
  ];
  const $defs = { Order: { enum: ["up", "down"] }, loop: { $ref: "#/$defs/loop" } };
  for (const [schema, type] of table) {
    assert.equal(of({ p: schema }, { $defs }), `t(p?: ${type})`, JSON.stringify(schema));
  }
});

test("signatureOf() puts what is required first, and ends in … where there is too much", () => {
  const string = { type: "string" };
  assert.equal(
    of({ a: string, b: string, c: string }, { required: ["c", "gone"] }),
    "t(c: string, a?: string, b?: string)",
  );
  const many = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`p${index}`, string]));
  const signature = of(many);
  assert.ok(signature.endsWith("p11?: string, …)"), signature);
});

test("signatureOf() quotes names that could be taken for something else", () => {
  const signature = of({ "a b": {}, "c)\nd": {}, "größe": {}, ["x".repeat(500)]: {} });
  assert.match(signature, /^t\("a b"\?: any, "c\) d"\?: any, größe\?: any, x{64}…\?: any\)$/);
  assert.equal(signatureOf("a\nb", {}), "a b()");
});

test("signatureOf() takes anything for a schema", () => {
  for (const schema of [undefined, null, 3, "x", [], {}, { properties: [] }, { required: "x" }]) {
    assert.equal(signatureOf("t", schema as Json), "t()");
  }
});

test("signatureOf() stays a line, however deep and wide the types", () => {
  let nested: Json = { type: "string" };
  for (let depth = 0; depth < 8; depth++) {
    nested = { anyOf: [{ type: "array", items: nested }, { enum: [`v${depth}`] }, nested] };
  }
  assert.ok(of({ nested }).length < 200);
});
