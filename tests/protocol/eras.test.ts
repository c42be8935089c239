import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { editJson } from "../../src/lib/json-edit.ts";
import type { JsonObject } from "../../src/lib/json.ts";
import {
  checkModernHeaders,
  decodeHeaderValue,
  encodeHeaderValue,
  eraOf,
  isModern,
  nameOf,
  negotiateVersion,
  readEnvelope,
} from "../../src/protocol/eras.ts";
import { ErrorCode, RpcError } from "../../src/protocol/errors.ts";
import type { Client } from "../../src/protocol/exchange.ts";
import {
  parseMessage,
  type RequestMessage,
  type ResponseMessage,
} from "../../src/protocol/message.ts";
import { isForeign, methodRule } from "../../src/protocol/methods.ts";
import { requestEdits, responseEdits } from "../../src/protocol/projection.ts";

const META = "io.modelcontextprotocol/";

function modern(method = "tools/list", meta: JsonObject = {}, params: JsonObject = {}) {
  return parseMessage(JSON.stringify({
    jsonrpc: "2.0",
    id: 1,
    method,
    params: {
      ...params,
      _meta: {
        [`${META}protocolVersion`]: "2026-07-28",
        [`${META}clientCapabilities`]: {},
        ...meta,
      },
    },
  })) as RequestMessage;
}

const legacy = parseMessage('{"jsonrpc":"2.0","id":1,"method":"tools/list"}') as RequestMessage;

test("error codes are what the specification and the docs say", () => {
  assert.deepEqual({ ...ErrorCode }, {
    ParseError: -32700,
    InvalidRequest: -32600,
    MethodNotFound: -32601,
    InvalidParams: -32602,
    InternalError: -32603,
    UpstreamUnavailable: -32010,
    UpstreamTimeout: -32011,
    UpstreamProtocol: -32012,
    ShuttingDown: -32013,
    UpstreamBusy: -32014,
    LimitReached: -32015,
    LegacyResourceNotFound: -32002,
    HeaderMismatch: -32020,
    MissingClientCapability: -32021,
    UnsupportedProtocolVersion: -32022,
  });
});

test("negotiateVersion() keeps known legacy versions and offers the latest for others", () => {
  for (const version of ["2024-10-07", "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]) {
    assert.equal(negotiateVersion(version), version);
  }
  for (const other of ["2026-07-28", "1999-01-01", "", 5, null]) {
    assert.equal(negotiateVersion(other), "2025-11-25");
  }
  assert.equal(eraOf("2026-07-28"), "modern");
  assert.equal(eraOf("toString"), undefined);
});

test("isModern() goes by the envelope, then by the version header", () => {
  for (const nothing of [undefined, null, "", "2025-11-25", "tools/list"]) {
    assert.equal(isModern(modern(), nothing), true);
    assert.equal(isModern(legacy, nothing), false);
  }
  assert.equal(isModern(legacy, "2026-07-28"), true);
  assert.equal(isModern(modern("initialize"), null), true);
  const initialize = parseMessage('{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}');
  assert.equal(isModern(initialize, "2026-07-28"), false);
});

test("readEnvelope() names what is missing and which versions there are", () => {
  const code = (request: RequestMessage) => {
    try {
      readEnvelope(request);
      return 0;
    } catch (error) {
      assert.ok(error instanceof RpcError);
      return error.code;
    }
  };
  assert.equal(code(modern()), 0);
  assert.equal(code(legacy), -32602);
  assert.equal(code(modern("x", { [`${META}clientCapabilities`]: 5 })), -32602);
  assert.equal(code(modern("x", { [`${META}clientInfo`]: "me" })), -32602);
  assert.equal(code(modern("x", { [`${META}protocolVersion`]: "2031-01-01" })), -32022);
});

test("readEnvelope() objects to another version in the header before it looks at the version", () => {
  const request = modern("x", { [`${META}protocolVersion`]: "2031-01-01" });
  const code = (header: string) => {
    try {
      readEnvelope(request, () => header);
      return 0;
    } catch (error) {
      assert.ok(error instanceof RpcError);
      return error.code;
    }
  };
  assert.equal(code("2026-07-28"), -32020);
  assert.equal(code("2031-01-01"), -32022);
});

test("checkModernHeaders() wants version, method and name, base64 where needed", () => {
  const call = modern("tools/call", {}, { name: "größe" });
  const check = (headers: Record<string, string>) => {
    try {
      checkModernHeaders(call, readEnvelope(call), (name) => headers[name]);
      return 0;
    } catch (error) {
      assert.ok(error instanceof RpcError);
      return error.code;
    }
  };
  const good = {
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": "tools/call",
    "mcp-name": encodeHeaderValue("größe"),
  };
  assert.equal(check(good), 0);
  for (const name of Object.keys(good)) {
    const { [name as keyof typeof good]: _, ...rest } = good;
    assert.equal(check(rest), -32020, `without ${name}`);
    assert.equal(check({ ...good, [name]: "other" }), -32020, `with another ${name}`);
  }
  assert.equal(check({ ...good, "mcp-name": "=?base64?!!!?=" }), -32020);
});

test("encodeHeaderValue() and decodeHeaderValue() round trip any text", () => {
  assert.equal(encodeHeaderValue("plain_name"), "plain_name");
  assert.equal(encodeHeaderValue(" x"), "=?base64?IHg=?=");
  fc.assert(fc.property(fc.string({ unit: "grapheme" }), (text) => {
    const value = encodeHeaderValue(text);
    assert.match(value, /^[\x20-\x7e\t]*$/);
    assert.equal(decodeHeaderValue(value), text);
  }));
});

test("nameOf() mirrors the member the method is about", () => {
  assert.equal(nameOf("tools/call", { name: "a" }), "a");
  assert.equal(nameOf("resources/read", { uri: "u:x", name: "n" }), "u:x");
  assert.equal(nameOf("tools/list", { name: "a" }), undefined);
  assert.equal(nameOf("constructor", { name: "a" }), undefined);
});

test("methodRule() knows each method in its era only, and no inherited names", () => {
  assert.ok(methodRule("initialize", "legacy"));
  assert.equal(methodRule("initialize", "modern"), undefined);
  assert.equal(methodRule("server/discover", "legacy"), undefined);
  assert.ok(methodRule("tools/call", "modern") && methodRule("tools/call", "legacy"));
  assert.equal(methodRule("toString", "legacy"), undefined);
  assert.equal(methodRule("__proto__", "legacy"), undefined);
  assert.ok(isForeign("ping", "modern") && isForeign("server/discover", "legacy"));
  assert.ok(!isForeign("tools/call", "modern") && !isForeign("skills/list", "modern"));
});

const client = (era: "legacy" | "modern"): Client => ({
  label: "t",
  era,
  protocolVersion: era === "legacy" ? "2025-11-25" : "2026-07-28",
  capabilities: { roots: {} },
  info: { name: "t", version: "1" },
  session: undefined,
  logLevel: undefined,
});

test("requestEdits() adds the envelope toward modern, takes it off toward legacy", () => {
  const toModern = editJson(legacy.raw, requestEdits(client("legacy"), "modern", {}));
  assert.deepEqual(JSON.parse(toModern).params._meta, {
    [`${META}protocolVersion`]: "2026-07-28",
    [`${META}clientCapabilities`]: { roots: {} },
    [`${META}clientInfo`]: { name: "t", version: "1" },
  });
  const toLegacy = editJson(
    modern("tools/call", { progressToken: 5, mine: 1 }).raw,
    requestEdits(client("modern"), "legacy", {}),
  );
  assert.deepEqual(JSON.parse(toLegacy).params._meta, { progressToken: 5, mine: 1 });
  assert.deepEqual(requestEdits(client("modern"), "modern", {}), []);
  assert.deepEqual(requestEdits(client("legacy"), "legacy", {}), []);
});

test("responseEdits() completes results toward modern and strips them toward legacy", () => {
  const edited = (
    text: string,
    method: string,
    from: "legacy" | "modern",
    to: "legacy" | "modern",
  ) => {
    const response = parseMessage(text) as ResponseMessage;
    return JSON.parse(editJson(text, responseEdits(response, method, from, to)));
  };
  const ok = '{"jsonrpc":"2.0","id":1,"result":{"contents":[]}}';
  assert.deepEqual(edited(ok, "resources/read", "legacy", "modern").result, {
    contents: [],
    resultType: "complete",
    ttlMs: 0,
    cacheScope: "private",
  });
  assert.deepEqual(edited(ok, "tools/call", "legacy", "modern").result, {
    contents: [],
    resultType: "complete",
  });
  const rich = '{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","ttlMs":5,"x":1}}';
  assert.deepEqual(edited(rich, "resources/read", "modern", "legacy").result, { x: 1 });
  assert.deepEqual(
    edited(rich, "resources/read", "modern", "modern").result,
    JSON.parse(rich).result,
  );
  const missing = '{"jsonrpc":"2.0","id":1,"error":{"code":-32002,"message":"gone"}}';
  assert.equal(edited(missing, "resources/read", "legacy", "modern").error.code, -32602);
  assert.equal(edited(missing, "resources/read", "legacy", "legacy").error.code, -32002);
});
