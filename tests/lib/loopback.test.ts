import assert from "node:assert/strict";
import { test } from "node:test";
import { isLoopback } from "../../src/lib/text.ts";

test("isLoopback() knows the whole of 127/8 and nothing like it", () => {
  assert.ok(isLoopback("127.8.9.10") && isLoopback("mcp.localhost") && isLoopback("::1"));
  assert.ok(!isLoopback("127.0.0.1.nip.io") && !isLoopback("10.0.0.1") && !isLoopback("0.0.0.0"));
});
