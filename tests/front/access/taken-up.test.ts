import assert from "node:assert/strict";
import { test } from "node:test";
import { LastingSessions } from "../../../src/gateway/clients/lasting.ts";
import { House, inScope, keysOf } from "./house.ts";

test(
  "who is told that a session is none ends nothing, though it is taken up meanwhile",
  inScope(async (scope) => {
    const house = await House.open(scope, { auth: { keys: keysOf("alice", "bob") } });
    const id = await house.session("/mcp", "alice");
    const ping = () => house.legacy("/mcp", id, "ping", {}, { as: "alice" });
    house.gateway.sessions.reap(Date.now() + 24 * 3_600_000);
    assert.equal(house.gateway.sessions.size, 0);
    const { end } = LastingSessions.prototype;
    scope.defer(() => void (LastingSessions.prototype.end = end));
    LastingSessions.prototype.end = async function (...asked) {
      const isOurs = await end.apply(this, asked);
      assert.equal((await ping()).status, 200);
      return isOurs;
    };
    const headers = { "mcp-session-id": id };
    const told = await house.ask("/mcp", { method: "DELETE", as: "bob", headers });
    assert.equal(told.status, 404);
    assert.equal(house.gateway.sessions.size, 1);
    assert.equal((await ping()).status, 200);
  }),
);
