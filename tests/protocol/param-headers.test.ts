import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Json, JsonObject } from "../../src/lib/json.ts";
import { ErrorCode, RpcError } from "../../src/protocol/errors.ts";
import { decodeHeaderValue, encodeHeaderValue } from "../../src/protocol/eras.ts";
import {
  checkParamHeaders,
  headersOf,
  readParamHeaders,
} from "../../src/protocol/param-headers.ts";

const mark = (type: string, name: unknown): JsonObject => ({
  type,
  "x-mcp-header": name as string,
});

const SCHEMA: JsonObject = {
  type: "object",
  properties: {
    region: mark("string", "Region"),
    limit: mark("integer", "LIMIT"),
    dry: mark("boolean", "Dry-Run"),
    deep: { type: "object", properties: { key: mark("string", "Deep") } },
    query: { type: "string" },
  },
};

const DECLARED = readParamHeaders(SCHEMA).declared;

/** The headers of a call; none for a tool whose declarations are invalid. */
function paramHeaders(schema: Json | undefined, args: JsonObject | undefined) {
  const { declared, problem } = readParamHeaders(schema);
  return headersOf(problem === undefined ? declared : [], args);
}

test("paramHeaders() repeats marked arguments, encoded as the specification's table says", () => {
  const args = { region: "us-west1", limit: -7, dry: false, deep: { key: "x" }, query: "q" };
  assert.deepEqual([...paramHeaders(SCHEMA, args)], [
    ["mcp-param-region", "us-west1"],
    ["mcp-param-limit", "-7"],
    ["mcp-param-dry-run", "false"],
    ["mcp-param-deep", "x"],
  ]);
  const table = [
    ["Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="],
    [" padded ", "=?base64?IHBhZGRlZCA=?="],
    ["line1\nline2", "=?base64?bGluZTEKbGluZTI=?="],
    ["=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="],
    ["=?base64?***?=", "=?base64?PT9iYXNlNjQ/KioqPz0=?="],
    ["two words", "two words"],
  ];
  for (const [value, header] of table) {
    const headers = paramHeaders(SCHEMA, { region: value! });
    assert.equal(headers.get("mcp-param-region"), header);
    assert.equal(decodeHeaderValue(header!), value);
  }
});

test("paramHeaders() leaves out what is absent, null, no primitive or no safe integer", () => {
  for (const region of [null, {}, [], undefined]) {
    assert.equal(paramHeaders(SCHEMA, { region }).size, 0);
  }
  assert.equal(paramHeaders(SCHEMA, { limit: 2 ** 53 }).size, 0);
  assert.equal(paramHeaders(SCHEMA, { deep: "x" }).size, 0);
  assert.equal(paramHeaders(SCHEMA, undefined).size, 0);
  assert.equal(paramHeaders(undefined, { region: "x" }).size, 0);
  const inherited = {
    properties: { constructor: mark("string", "C"), toString: mark("string", "T") },
  };
  assert.equal(paramHeaders(inherited, {}).size, 0);
});

test("readParamHeaders() names what makes a tool invalid", () => {
  const below = (schema: JsonObject): JsonObject => ({ properties: { a: schema } });
  const string = mark("string", "A");
  const faults: [JsonObject, RegExp][] = [
    [below(mark("string", "")), /^a: .* must be the name of an HTTP header/],
    [below(mark("string", "My Region")), /name of an HTTP header/],
    [below(mark("string", "Région")), /name of an HTTP header/],
    [below(mark("string", "a\r\nb")), /name of an HTTP header/],
    [below(mark("string", 5)), /name of an HTTP header/],
    [below(mark("object", "A")), /needs a type/],
    [below(mark("null", "A")), /needs a type/],
    [below(mark("number", "A")), /needs a type/],
    [below({ "x-mcp-header": "A" }), /needs a type/],
    [{ properties: { a: string, b: mark("string", "a") } }, /^b: .* a second time/],
    [string, /^the root: .*only below "properties"/],
    [below({ type: "array", items: string }), /^a.<items>: .*only below "properties"/],
    [{ anyOf: [{}, { properties: { b: string } }] }, /only below/],
    [{ $defs: { x: { properties: { b: string } } } }, /only below/],
    [{ if: { properties: { b: string } } }, /only below/],
    [{ patternProperties: { x: string } }, /only below/],
  ];
  for (const [schema, expected] of faults) {
    assert.match(readParamHeaders(schema).problem ?? "", expected, JSON.stringify(schema));
    assert.equal(paramHeaders(schema, { a: "x", b: "y" }).size, 0);
  }
  assert.equal(readParamHeaders(SCHEMA).problem, undefined);
  // A property may be called like a keyword, and a default may look like a schema.
  const innocent = {
    properties: { items: mark("string", "I"), default: { default: { "x-mcp-header": 5 } } },
  };
  assert.equal(readParamHeaders(innocent).problem, undefined);
  let deep: JsonObject = string;
  for (let i = 0; i < 10_000; i++) deep = { not: deep };
  assert.match(readParamHeaders(deep).problem ?? "", /nested too deeply/);
});

test("checkParamHeaders() accepts what paramHeaders() makes, for any arguments", () => {
  const value = fc.oneof(fc.string({ unit: "grapheme" }), fc.integer(), fc.boolean());
  const args = fc.record(
    { region: value, limit: value, dry: value, deep: fc.record({ key: value }) },
    { requiredKeys: [] },
  );
  fc.assert(fc.property(args, (given) => {
    const headers = paramHeaders(SCHEMA, given as JsonObject);
    checkParamHeaders(DECLARED, given as JsonObject, (name) => headers.get(name));
  }));
});

test("checkParamHeaders() refuses a header that is missing, different or not decodable", () => {
  const check = (args: JsonObject, headers: Record<string, string>) => {
    try {
      checkParamHeaders(DECLARED, args, (name) => headers[name]);
      return 0;
    } catch (error) {
      assert.ok(error instanceof RpcError);
      return error.code;
    }
  };
  const wrong = ErrorCode.HeaderMismatch;
  assert.equal(check({ region: "a" }, {}), wrong);
  assert.equal(check({ region: "a" }, { "mcp-param-region": "b" }), wrong);
  assert.equal(check({ region: "a" }, { "mcp-param-region": "=?base64?!!?=" }), wrong);
  assert.equal(check({ region: "ä" }, { "mcp-param-region": encodeHeaderValue("ä") }), 0);
  assert.equal(check({ limit: 42 }, { "mcp-param-limit": "42.0" }), 0);
  assert.equal(check({ limit: 42 }, { "mcp-param-limit": "0x2a" }), wrong);
  assert.equal(check({ region: "42" }, { "mcp-param-region": "42.0" }), wrong);
  // Nothing is expected for what is not there, and what is not declared is nobody's business.
  assert.equal(check({ region: null }, { "mcp-param-region": "b", "mcp-param-other": "x" }), 0);
  const schema = { properties: { score: mark("number", "Score") } };
  const { declared } = readParamHeaders(schema);
  const score = () => checkParamHeaders(declared, { score: 1.5 }, () => "2");
  assert.throws(score, { code: wrong, message: /mcp-param-score says "2"; the body says "1.5"/ });
});
