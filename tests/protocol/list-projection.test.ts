import assert from "node:assert/strict";
import { test } from "node:test";
import { editJson } from "../../src/lib/json-edit.ts";
import { itemEdits, structuredContentEdits, wrapsOutput } from "../../src/protocol/projection.ts";
import { parseMessage, type ResponseMessage } from "../../src/protocol/message.ts";

const toLegacy = (raw: string) => editJson(raw, itemEdits("tools", { raw }, "modern", "legacy"));
const toModern = (raw: string) => editJson(raw, itemEdits("tools", { raw }, "legacy", "modern"));
const schemaOf = (raw: string) => JSON.parse(toLegacy(raw)).outputSchema;
const structured = (result: string, wrapped: boolean) => {
  const raw = `{"jsonrpc":"2.0","id":1,"result":${result}}`;
  return editJson(raw, structuredContentEdits(parseMessage(raw) as ResponseMessage, wrapped))
    .slice('{"jsonrpc":"2.0","id":1,"result":'.length, -1);
};

test("itemEdits() drops a tool's execution toward modern clients, and nothing else", () => {
  assert.equal(
    toModern('{"name":"x", "execution":{"taskSupport":"optional"},"n":1.0}'),
    '{"name":"x","n":1.0}',
  );
  for (const raw of ['{"name":"execution"}', '{"name":"x","_meta":{"execution":1}, "n":1.0 }']) {
    assert.equal(toModern(raw), raw);
  }
});

test("itemEdits() changes nothing within an era, nor of what is no tool", () => {
  const raw = '{"name":"x","execution":{},"outputSchema":{"type":"array"}}';
  assert.deepEqual(itemEdits("tools", { raw }, "legacy", "legacy"), []);
  assert.deepEqual(itemEdits("tools", { raw }, "modern", "modern"), []);
  assert.deepEqual(itemEdits("prompts", { raw }, "legacy", "modern"), []);
  assert.deepEqual(itemEdits("resources", { raw }, "modern", "legacy"), []);
});

test("itemEdits() wraps an output schema that is no object toward legacy clients", () => {
  assert.equal(
    toLegacy('{"name":"x","outputSchema": {"type":"array","maximum":1e400} ,"n":1.0}'),
    '{"name":"x","outputSchema": {"type":"object","properties":' +
      '{"result":{"type":"array","maximum":1e400}},"required":["result"]} ,"n":1.0}',
  );
  assert.deepEqual(schemaOf('{"outputSchema":{"$schema":"https://x.test/","anyOf":[{}]}}'), {
    $schema: "https://x.test/",
    type: "object",
    properties: { result: { $schema: "https://x.test/", anyOf: [{}] } },
    required: ["result"],
  });
});

test("itemEdits() leaves output schemas that legacy clients know", () => {
  for (
    const raw of [
      '{"name":"x"}',
      '{"outputSchema":{"type":"object","properties":{"a":{"$ref":"#"}}}, "n":1.0}',
      '{"name":"x","outputSchema":true}',
      '{"description":"\\"outputSchema\\" of an array"}',
    ]
  ) {
    assert.equal(toLegacy(raw), raw);
    assert.equal(wrapsOutput(raw), false);
  }
  assert.equal(wrapsOutput('{"outputSchema":{"type":["object","null"]}}'), true);
});

test("itemEdits() lets references to the schema's root follow it", () => {
  const moved = "#/properties/result";
  const inner = schemaOf(JSON.stringify({
    outputSchema: {
      type: "array",
      items: { $ref: "#/$defs/node" },
      $defs: {
        node: { anyOf: [{ $ref: "#" }, { $ref: "https://x.test/#/a" }, { $dynamicRef: "#/a" }] },
        $ref: { properties: { $ref: { $ref: "#anchor" }, const: { $ref: "#/$defs/node" } } },
        data: { const: { $ref: "#" }, enum: [{ $ref: "#" }], default: { $ref: "#" } },
        other: { $id: "https://x.test/o", items: { $ref: "#/a" } },
        anchored: { $id: "#anchor", items: { $ref: "#/a" } },
        recursive: { $recursiveRef: "#" },
      },
      required: ["$ref"],
    },
  })).properties.result;
  assert.deepEqual(inner, {
    type: "array",
    items: { $ref: `${moved}/$defs/node` },
    $defs: {
      node: {
        anyOf: [{ $ref: moved }, { $ref: "https://x.test/#/a" }, { $dynamicRef: `${moved}/a` }],
      },
      $ref: {
        properties: { $ref: { $ref: "#anchor" }, const: { $ref: `${moved}/$defs/node` } },
      },
      data: { const: { $ref: "#" }, enum: [{ $ref: "#" }], default: { $ref: "#" } },
      other: { $id: "https://x.test/o", items: { $ref: "#/a" } },
      anchored: { $id: "#anchor", items: { $ref: `${moved}/a` } },
      recursive: { $ref: moved },
    },
    required: ["$ref"],
  });
  const based = { $id: "https://x.test/s", type: "array", items: { $ref: "#/a" } };
  assert.deepEqual(
    schemaOf(JSON.stringify({ outputSchema: based })).properties.result,
    based,
  );
});

test("structuredContentEdits() wraps what a wrapped schema describes, and every non-object", () => {
  assert.equal(
    structured('{"structuredContent": [1.0,12345678901234567890] ,"content":[]}', true),
    '{"structuredContent": {"result":[1.0,12345678901234567890]} ,"content":[]}',
  );
  assert.equal(
    structured('{"structuredContent":{"a":1}}', true),
    '{"structuredContent":{"result":{"a":1}}}',
  );
  for (const value of ["[]", "null", "7", '"x"', "false"]) {
    assert.equal(
      structured(`{"structuredContent":${value}}`, false),
      `{"structuredContent":{"result":${value}}}`,
    );
  }
});

test("structuredContentEdits() leaves objects of other tools, and results without", () => {
  for (const result of ['{"structuredContent":{"a":1.0}}', '{"content":[]}']) {
    assert.equal(structured(result, false), result);
  }
  assert.equal(structured('{"content":[]}', true), '{"content":[]}');
  const error = parseMessage('{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}');
  assert.deepEqual(structuredContentEdits(error as ResponseMessage, true), []);
});
