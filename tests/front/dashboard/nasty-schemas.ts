/** Schemas as servers send them that generate, that are old, that are wrong, or that mean harm. */

// deno-lint-ignore no-explicit-any
type Schema = any;

function nested(depth: number): Schema {
  let schema: Schema = { type: "string" };
  for (let at = 0; at < depth; at++) schema = { type: "object", properties: { a: schema } };
  return schema;
}

const many = Object.fromEntries(
  Array.from({ length: 5_000 }, (_, at) => [`p${at}`, { type: "string" }]),
);

export const NASTY: readonly { readonly name: string; readonly schema: Schema }[] = [
  { name: "true", schema: true },
  { name: "false", schema: false },
  { name: "nothing", schema: {} },
  { name: "no schema at all", schema: ["type", "object"] },
  { name: "itself", schema: { $ref: "#" } },
  {
    name: "a tree, required without end",
    schema: {
      type: "object",
      properties: {
        name: { type: "string" },
        left: { $ref: "#" },
        children: { type: "array", items: { $ref: "#" } },
      },
      required: ["left"],
    },
  },
  {
    name: "references in a circle",
    schema: {
      $ref: "#/$defs/a",
      $defs: { a: { $ref: "#/$defs/b" }, b: { allOf: [{ $ref: "#/$defs/a" }] } },
    },
  },
  {
    name: "references that double",
    schema: { type: "object", allOf: [{ $ref: "#" }, { $ref: "#" }] },
  },
  {
    name: "references to anchors, ids, encoded names and nowhere",
    schema: {
      type: "object",
      properties: {
        a: { $ref: "#here" },
        b: { $ref: "https://example.com/there" },
        c: { $ref: "#/$defs/a~1b%20c" },
        d: { $ref: "https://elsewhere.example/schema.json" },
        e: { $ref: "#/$defs/%ZZ/none" },
        f: { $ref: 12 },
      },
      $defs: {
        x: { $anchor: "here", type: "integer" },
        y: { $id: "https://example.com/there", enum: ["1", 1, true] },
        "a/b c": { type: ["boolean", "null"] },
      },
    },
  },
  {
    name: "variants at the root, which only require",
    schema: {
      type: "object",
      properties: { id: { type: "string" }, name: { type: "string" } },
      anyOf: [{ required: ["id"] }, { required: ["name"] }],
    },
  },
  {
    name: "variants of themselves",
    schema: { oneOf: [{ $ref: "#" }, { type: "string" }, { anyOf: [{ $ref: "#" }] }] },
  },
  {
    name: "names that objects have",
    schema: {
      type: "object",
      properties: JSON.parse(
        '{"__proto__":{"type":"string"},"constructor":{"type":"number"},"toString":{},"":{"type":"null"}}',
      ),
      required: ["hasOwnProperty", "__proto__"],
    },
  },
  {
    name: "members of the wrong type",
    schema: {
      type: 12,
      properties: [1, 2],
      required: "path",
      enum: "none",
      anyOf: "none",
      oneOf: {},
      allOf: {},
      items: 7,
      format: {},
      pattern: [],
      title: {},
      minimum: "a",
    },
  },
  {
    name: "members of members of the wrong type",
    schema: {
      type: "object",
      properties: {
        path: null,
        head: { type: [null, 5], enum: [], enumNames: 3 },
        tail: {
          type: "string",
          minLength: -1,
          maxLength: "x",
          pattern: "((((",
          format: "toString",
        },
        edits: { anyOf: [null, true, false, 5] },
      },
    },
  },
  {
    name: "nullable in every way",
    schema: {
      type: "object",
      properties: {
        count: { type: "integer", nullable: true },
        message: { anyOf: [{ type: "string" }, { type: "null" }], default: null, title: "Message" },
        location: { enum: ["here", null] },
        entities: { oneOf: [{ const: null }, { type: "array", items: { type: "number" } }] },
      },
    },
  },
  {
    name: "tuples, maps and conditions",
    schema: {
      type: "object",
      properties: {
        pair: { type: "array", prefixItems: [{ type: "string" }, { type: "number" }] },
        old: { type: "array", items: [{ type: "string" }] },
        map: { type: "object", additionalProperties: { type: "integer" } },
        some: { type: "object", patternProperties: { "^x-": {} }, properties: { a: {} } },
      },
      if: { properties: { map: { const: {} } } },
      then: { required: ["pair"] },
      unevaluatedProperties: false,
    },
  },
  {
    name: "draft 4",
    schema: {
      $schema: "http://json-schema.org/draft-04/schema#",
      id: "x",
      type: "object",
      properties: {
        count: { type: "number", minimum: 0, exclusiveMinimum: true, multipleOf: 0.1 },
      },
      definitions: { a: {} },
    },
  },
  {
    name: "a pattern that takes for ever",
    schema: {
      type: "object",
      properties: { message: { type: "string", pattern: "^(a+)+$" }, path: { pattern: "(a|a)*b" } },
    },
  },
  { name: "five thousand members", schema: { type: "object", properties: many } },
  { name: "two thousand levels", schema: nested(2_000) },
  {
    name: "five thousand variants and choices",
    schema: {
      type: "object",
      properties: {
        path: { anyOf: Object.values(many).map((_, at) => ({ const: at })) },
        head: { oneOf: Object.values(many) },
        tail: { enum: Object.keys(many) },
      },
    },
  },
  {
    name: "fixed values and pydantic's way",
    schema: {
      type: "object",
      properties: {
        kind: { const: { deep: [1] } },
        color: { allOf: [{ $ref: "#/$defs/Color" }], default: "red", description: "<b>x</b>" },
        items: { type: "array", items: { anyOf: [{ $ref: "#/$defs/Color" }, { type: "object" }] } },
      },
      $defs: { Color: { title: "Color", enum: ["red", "green"], type: "string" } },
      required: ["kind"],
    },
  },
];
