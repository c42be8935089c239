/** Limits, and what the door tells, as clients meet them over HTTP. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { loadOptions } from "../../../src/config/schema.ts";
import type { CallRecord, Fact } from "../../../src/gateway/events.ts";
import { holdTime } from "../../support/time.ts";
import { House, inScope, keysOf, messagesOf } from "./house.ts";

await loadOptions("limits");

const KEYS = { keys: keysOf("alice", "bob", "nobody") };
const LIMIT = /^Limit of 1 call a minute reached; try again in 60 s$/;

/** The facts of a house, as they come. */
function factsOf(house: House, ...kinds: ("call" | "limited" | "denied" | "authFailed")[]): Fact[] {
  const facts: Fact[] = [];
  for (const kind of kinds) house.gateway.events.on(kind, (fact) => void facts.push(fact));
  return facts;
}

test(
  "beyond a limit a tool answers with a result, all else with 429, in both eras and for one alone",
  inScope(async (scope) => {
    using _ = holdTime();
    const house = await House.open(scope, { auth: KEYS, limits: { calls: "1/m" } });
    const call = { name: "a_echo", arguments: {} };
    for (let at = 0; at < 5; at++) {
      const [told] = await messagesOf(
        await house.modern("/mcp", "tools/call", call, { as: "alice" }),
      );
      assert.equal(told.result.content[0].text, "echoed");
    }
    const session = await house.session("/mcp", "alice");
    const asks = [
      (method: string, params: object, as: string) => house.modern("/mcp", method, params, { as }),
      (method: string, params: object, as: string) =>
        house.legacy("/mcp", session, method, params, { as }),
    ];
    for (const ask of asks) {
      const full = await ask("tools/call", call, "alice");
      assert.equal(full.status, 200);
      const { result } = await full.json();
      assert.match(result.content[0].text, LIMIT);
      assert.equal(result.isError, true);
      for (
        const [method, params] of [
          ["resources/read", { uri: "f://a" }],
          ["prompts/get", { name: "p" }],
        ] as const
      ) {
        const headers = "uri" in params ? { "mcp-name": params.uri } : {};
        const refused = ask === asks[0]
          ? await house.modern("/mcp", method, params, { as: "alice", headers })
          : await ask(method, params, "alice");
        assert.deepEqual([refused.status, refused.headers.get("retry-after")], [429, "60"], method);
        assert.match(refused.headers.get("content-type")!, /json/);
        const { error, id } = await refused.json();
        assert.deepEqual([error.code, typeof id], [-32015, "number"]);
        assert.match(error.message, LIMIT);
      }
      assert.equal((await ask("tools/list", {}, "alice")).status, 200);
    }
    const other = await house.modern("/mcp", "tools/call", call, { as: "bob" });
    assert.equal((await other.json()).result.content[0].text, "echoed");
  }),
);

test(
  "what execute_tool calls is one call, of the tool",
  inScope(async (scope) => {
    using _ = holdTime();
    const house = await House.open(scope, { gating: "on", limits: { calls: "1/m" } });
    const facts = factsOf(house, "call", "limited");
    const call = { name: "execute_tool", arguments: { tool_id: "a_echo", arguments: {} } };
    for (let at = 0; at < 6; at++) await (await house.modern("/mcp", "tools/call", call)).text();
    assert.deepEqual(facts.map(({ kind }) => kind), [...Array(5).fill("call"), "limited", "call"]);
    assert.equal((facts[6] as CallRecord).outcome, "refused");
    const { name, server, endpoint, outcome } = facts[0] as CallRecord;
    assert.deepEqual([name, server, endpoint, outcome], ["a_echo", "a", "*", "ok"]);
  }),
);

test(
  "a call in flight counts until it has ended, however it ends",
  inScope(async (scope) => {
    const house = await House.open(scope, { limits: { concurrent: 1 } });
    const session = await house.session("/mcp");
    const slow = house.legacy("/mcp", session, "tools/call", { name: "a_slow", arguments: {} });
    await house.heard.waitFor((line) => line === "tools/call slow");
    const echo = async () => {
      const call = { name: "b_echo", arguments: {} };
      const [told] = await messagesOf(await house.modern("/mcp", "tools/call", call));
      return told.result.content[0].text;
    };
    assert.equal(await echo(), "Limit of 1 call at a time reached; try again in 1 s");
    for (const one of house.gateway.sessions) one.close("the test ends it");
    await (await slow).text();
    assert.deepEqual([await echo(), await echo()], ["echoed", "echoed"]);
  }),
);

test(
  "the door tells of wrong credentials, and of what somebody is not given; of a missing one nothing",
  inScope(async (scope) => {
    const access = { "key:alice": "pa", "key:bob": "*" };
    const house = await House.open(scope, { auth: KEYS, access });
    const facts = factsOf(house, "denied", "authFailed");
    const ask = async (path: string, as?: string) => (await house.ask(path, { as })).status;
    assert.equal(await ask("/api/status"), 401);
    assert.equal(await ask("/api/status", "bob"), 200);
    assert.equal(await ask("/health", "alice"), 200);
    assert.equal(facts.length, 0);
    assert.equal(await ask("/api/status", "mallory"), 401);
    assert.equal(await ask("/api/status", "alice"), 403);
    assert.equal(await ask("/profiles/pb/mcp", "alice"), 404);
    assert.equal(await ask("/mcp", "nobody"), 403);
    // Once each, also where most requests come by the short way.
    assert.equal((await house.modern("/servers/a/mcp", "ping", {}, { as: "alice" })).status, 404);
    assert.equal((await house.modern("/servers/a/mcp", "ping", {}, { as: "nobody" })).status, 403);
    const said = facts.map((fact) =>
      fact.kind === "denied"
        ? `${fact.principal.who} ${fact.path} ${fact.status}`
        : fact.kind === "authFailed" && fact.why
    );
    assert.deepEqual(said, [
      "invalid",
      "key:alice /api/status 403",
      "key:alice /profiles/pb/mcp 404",
      "key:nobody /mcp 403",
      "key:alice /servers/a/mcp 404",
      "key:nobody /servers/a/mcp 403",
    ]);
  }),
);
