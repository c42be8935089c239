import assert from "node:assert/strict";
import { test } from "node:test";
import { createGuard, objection, type RequestGuardOptions } from "../../src/front/guard.ts";
import { Refusal } from "../../src/front/reply.ts";

const loopback: RequestGuardOptions = {
  boundHost: "127.0.0.1",
  allowedHosts: [],
  allowedOrigins: [],
};
const everywhere: RequestGuardOptions = { ...loopback, boundHost: "0.0.0.0" };

const cases: readonly (readonly [RequestGuardOptions, string | null, string | null, boolean])[] = [
  [loopback, "127.0.0.1:12009", null, true],
  [loopback, "localhost:12009", null, true],
  [loopback, "LOCALHOST", null, true],
  [loopback, "[::1]:12009", null, true],
  [loopback, "evil.example:12009", null, false],
  [loopback, "localhost.evil.example", null, false],
  [loopback, "127.0.0.1.evil.example", null, false],
  [loopback, "192.168.1.5:12009", null, false],
  [loopback, "", null, false],
  [loopback, null, null, false],
  [loopback, "localhost@evil.example", null, false],
  [loopback, "localhost", "http://localhost:5173", true],
  [loopback, "localhost", "https://evil.example", false],
  [loopback, "localhost", "null", false],
  [loopback, "localhost", "file://", false],
  [loopback, "localhost", "http://localhost.evil.example", false],
  [
    { ...loopback, allowedOrigins: ["https://ok.example"] },
    "localhost",
    "https://ok.example",
    true,
  ],
  [{ ...loopback, allowedOrigins: ["*"] }, "localhost", "https://any.example", true],
  [{ ...loopback, allowedHosts: ["mcp.lan"] }, "mcp.lan:80", "http://mcp.lan", true],
  [everywhere, "192.168.1.5:12009", null, true],
  [everywhere, "[fd00::1]:12009", null, true],
  [everywhere, "rebound.example:12009", null, false],
  [{ ...everywhere, boundHost: "box.lan" }, "box.lan:12009", null, true],
];
for (const [options, host, origin, allowed] of cases) {
  test(`objection() ${allowed ? "lets" : "refuses"} Host ${host}, Origin ${origin} on ${options.boundHost}`, () => {
    assert.equal(objection(host, origin, options) === undefined, allowed);
  });
}

test("createGuard() throws 403 with the setting that helps, also from memory", () => {
  const guard = createGuard(loopback);
  for (let i = 0; i < 2; i++) {
    assert.throws(() => guard("evil.example", null), (error) => {
      assert.ok(error instanceof Refusal);
      assert.equal(error.status, 403);
      assert.match(error.message, /"evil\.example".*allowedHosts/);
      return true;
    });
  }
  for (let i = 0; i < 1000; i++) assert.throws(() => guard(`h${i}.example`, null), Refusal);
  guard("localhost", null);
  assert.throws(() => guard("localhost", "null"), Refusal);
  assert.throws(() => guard("null", null), Refusal);
  guard("localhost", null);
});
