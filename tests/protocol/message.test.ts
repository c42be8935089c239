import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  errorResponse,
  idKey,
  idTextOf,
  InvalidMessage,
  notification,
  parseMessage,
  parseMessages,
  request,
  type RequestMessage,
  resultResponse,
} from "../../src/protocol/message.ts";
import { RpcError, toRpcError } from "../../src/protocol/errors.ts";

test("parseMessage() tells requests, notifications and responses apart", () => {
  const asked = parseMessage('{"jsonrpc":"2.0","id":1,"method":"ping","params":{}}');
  assert.equal(asked.kind, "request");
  assert.equal(parseMessage('{"jsonrpc":"2.0","method":"x"}').kind, "notification");
  const answered = parseMessage('{"jsonrpc":"2.0","id":"a","result":{"x":1}}');
  assert.equal(answered.kind, "response");
  assert.equal(
    parseMessage('{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"m"}}').kind,
    "response",
  );
});

test("parseMessage() leaves out what is null beside what is said, and nothing else", () => {
  const cases = [
    ['{"jsonrpc":"2.0","id":1,"error":null,"result":{"n":1.0}}', '"id":1,"result":{"n":1.0}}'],
    ['{"jsonrpc":"2.0","result":null,"id":1,"error":{"code":2}}', '"id":1,"error":{"code":2}}'],
    ['{"jsonrpc":"2.0","id":1,"method":"ping","params":null}', '"id":1,"method":"ping"}'],
    ['{"jsonrpc":"2.0","id":1,"method":null,"result":{}}', '"id":1,"result":{}}'],
    ['{"jsonrpc":"2.0","method":"x","params":null}', '"method":"x"}'],
    ['{"jsonrpc":"2.0","id":1,"result":{"error":null}}', '"id":1,"result":{"error":null}}'],
    // Servers of the SDK leave a call unanswered that has one of these.
    [
      '{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":null,"n":1.0}}',
      '"id":1,"method":"x","params":{"n":1.0}}',
    ],
    [
      '{"jsonrpc":"2.0","id":1,"method":"x","params":{"arguments":null,"_meta":{"progressToken":null,"a":null}}}',
      '"id":1,"method":"x","params":{"_meta":{"a":null}}}',
    ],
    [
      '{"jsonrpc":"2.0","id":1,"method":"x","params":{"arguments":{"_meta":null}}}',
      '"id":1,"method":"x","params":{"arguments":{"_meta":null}}}',
    ],
    [
      '{"jsonrpc":"2.0","method":"x","params":{"total":null,"message":null,"progress":1.0}}',
      '"method":"x","params":{"progress":1.0}}',
    ],
    [
      '{"jsonrpc":"2.0","method":"x","params":{"logger":null,"data":null,"reason":null}}',
      '"method":"x","params":{"data":null}}',
    ],
    [
      '{"jsonrpc":"2.0","method":"x","params":{"_meta":{"a":1},"_meta":null}}',
      '"method":"x","params":{}}',
    ],
  ] as const;
  for (const [text, rest] of cases) {
    assert.equal(parseMessage(text).raw, `{"jsonrpc":"2.0",${rest}`);
    assert.deepEqual(parseMessages(`[${text}]`).messages, [parseMessage(text)]);
  }
});

const refused: readonly (readonly [string, number, string])[] = [
  ["", -32700, "null"],
  ["{", -32700, "null"],
  ["1", -32600, "null"],
  ["null", -32600, "null"],
  ['{"id":7,"method":"m"}', -32600, "7"],
  ['{"jsonrpc":"1.0","id":"x","method":"m"}', -32600, '"x"'],
  ['{"jsonrpc":"2.0","id":7,"method":5}', -32600, "7"],
  ['{"jsonrpc":"2.0","id":7,"method":"m","params":[1]}', -32600, "7"],
  ['{"jsonrpc":"2.0","id":null,"method":"m"}', -32600, "null"],
  ['{"jsonrpc":"2.0","id":{},"method":"m"}', -32600, "null"],
  ['{"jsonrpc":"2.0","id":12345678901234567890,"method":5}', -32600, "12345678901234567890"],
  ['{"jsonrpc":"2.0","id":7}', -32600, "7"],
  ['{"jsonrpc":"2.0","id":7,"result":null}', -32600, "7"],
  ['{"jsonrpc":"2.0","id":7,"result":{},"error":{}}', -32600, "7"],
  ['{"jsonrpc":"2.0","id":7,"result":null,"error":null}', -32600, "7"],
  ["[]", -32600, "null"],
];
for (const [text, code, idText] of refused) {
  test(`parseMessages() refuses ${text === "" ? "an empty body" : text}`, () => {
    assert.throws(() => parseMessages(text), (error) => {
      assert.ok(error instanceof InvalidMessage);
      assert.deepEqual([error.code, error.idText], [code, idText]);
      return true;
    });
  });
}

test("parseMessages() keeps a broken element of a batch in its place", () => {
  const { batch, messages } = parseMessages(
    '[{"jsonrpc":"2.0","id":1,"method":"a"}, 5 ,{"jsonrpc":"2.0","method":"b"}]',
  );
  assert.equal(batch, true);
  const [first, second, third] = messages;
  assert.ok(
    !(first instanceof InvalidMessage) && first?.raw === '{"jsonrpc":"2.0","id":1,"method":"a"}',
  );
  assert.ok(second instanceof InvalidMessage);
  assert.ok(!(third instanceof InvalidMessage) && third?.kind === "notification");
});

test("idTextOf() gives the id back digit for digit", () => {
  for (const id of ['"a\\"b"', "7", "-0.5", "12345678901234567890", "1e400"]) {
    const message = parseMessage(`{"jsonrpc":"2.0","id":${id},"method":"m"}`) as RequestMessage;
    const text = idTextOf(message);
    assert.ok(text === id || JSON.parse(text) === JSON.parse(id), `${id} became ${text}`);
    if (!Number.isSafeInteger(message.id)) assert.equal(text, id);
  }
});

test('idKey() tells 1 from "1"', () => {
  assert.notEqual(idKey(1), idKey("1"));
});

test("parseMessages() throws nothing but InvalidMessage, whatever comes in", () => {
  const texts = fc.oneof(
    fc.string(),
    fc.json(),
    fc.jsonValue().map((v) => `{"jsonrpc":"2.0","id":${JSON.stringify(v)}}`),
  );
  fc.assert(fc.property(texts, (text) => {
    try {
      parseMessages(text);
    } catch (error) {
      assert.ok(error instanceof InvalidMessage);
    }
  }));
});

test("the message builders write what parseMessage() reads", () => {
  assert.deepEqual(JSON.parse(resultResponse("7", '{"a":1}')), {
    jsonrpc: "2.0",
    id: 7,
    result: { a: 1 },
  });
  assert.deepEqual(JSON.parse(errorResponse('"x"', new RpcError(-32001, "no", { a: 1 }))), {
    jsonrpc: "2.0",
    id: "x",
    error: { code: -32001, message: "no", data: { a: 1 } },
  });
  assert.equal(notification("n"), '{"jsonrpc":"2.0","method":"n"}');
  assert.equal(
    request("1", "m", '{"x":1}'),
    '{"jsonrpc":"2.0","id":1,"method":"m","params":{"x":1}}',
  );
});

test("toRpcError() tells a client nothing about an error of ours", () => {
  const told = toRpcError(new Error("secret path"));
  assert.equal(told.code, -32603);
  assert.doesNotMatch(told.message, /secret/);
});
