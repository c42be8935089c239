/** Where somebody comes from is known where there is an audit; when a key was used, where it is. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { loadOptions } from "../../../src/config/schema.ts";
import type { Fact } from "../../../src/gateway/events.ts";
import type { Scope } from "../../behaviour/scope.ts";
import { inDirectory } from "../../config/temp.ts";
import { House, inScope, keysOf } from "./house.ts";

await loadOptions("audit auth access");

const echo = { name: "a_echo", arguments: {} };

/** The addresses in what a gateway tells of calls, sessions and refusals. */
function addressesIn(house: House): (string | undefined)[][] {
  const seen: (string | undefined)[][] = [];
  const note = (fact: Fact) => {
    const address = "client" in fact ? (fact.client as { address?: string }).address : undefined;
    seen.push([fact.kind, address ?? (fact as { address?: string }).address]);
  };
  for (const kind of ["call", "client", "denied", "authFailed"] as const) {
    house.gateway.events.on(kind, note);
  }
  return seen;
}

/** With an audit, or without. */
async function openHouse(scope: Scope, directory: string | undefined, settings: object) {
  const audit = directory === undefined ? {} : { audit: { file: join(directory, "audit.jsonl") } };
  const house = await House.open(scope, { ...settings, ...audit });
  return { house, seen: addressesIn(house) };
}

test("with an audit it is told of calls, sessions and refusals, as it was each time", () =>
  inDirectory((directory) =>
    inScope(async (scope) => {
      const proxy = { header: "x-user", from: ["127.0.0.1"] };
      const auth = { keys: keysOf("ann"), proxy };
      const { house, seen } = await openHouse(scope, directory, { auth, access: { "*": "pa" } });
      const ann = { as: "ann", from: "192.0.2.1" };
      await (await house.modern("/mcp", "tools/call", echo, ann)).text();
      await house.ask("/api/status", ann);
      await house.ask("/mcp", { ...ann, as: "wrong" });
      const said = { "x-forwarded-for": "198.51.100.9, 192.0.2.5" };
      const behind = { from: "127.0.0.1", headers: { ...said, "x-user": "bob" } };
      await (await house.modern("/mcp", "tools/call", echo, behind)).text();
      // Others may write there what they like.
      await (await house.modern("/mcp", "tools/call", echo, { ...ann, headers: said })).text();
      assert.deepEqual(seen.splice(0), [
        ["call", "192.0.2.1"],
        ["denied", "192.0.2.1"],
        ["authFailed", "192.0.2.1"],
        ["call", "192.0.2.5"],
        ["call", "192.0.2.1"],
      ]);
    })()
  ));

test("a session is where its client was last, without auth as well", () =>
  inDirectory((directory) =>
    inScope(async (scope) => {
      const { house, seen } = await openHouse(scope, directory, {});
      const clientInfo = { name: "t", version: "1" };
      const params = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo };
      const from = { from: "192.0.2.1" };
      const begun = await house.legacy("/mcp", undefined, "initialize", params, from);
      await begun.text();
      const session = begun.headers.get("mcp-session-id")!;
      for (const ask of [from, { from: "192.0.2.2" }]) {
        await (await house.legacy("/mcp", session, "tools/call", echo, ask)).text();
      }
      await (await house.modern("/mcp", "tools/call", echo, from)).text();
      assert.deepEqual(seen, [
        ["client", "192.0.2.1"],
        ["call", "192.0.2.1"],
        ["call", "192.0.2.2"],
        ["call", "192.0.2.1"],
      ]);
    })()
  ));

test(
  "nobody asks for it where there is no audit",
  inScope(async (scope) => {
    const { house, seen } = await openHouse(scope, undefined, { auth: { keys: keysOf("ann") } });
    await (await house.modern("/mcp", "tools/call", echo, { as: "ann", from: "192.0.2.1" })).text();
    assert.deepEqual(seen, [["call", undefined]]);
  }),
);

test(
  "when keys were last used is told to who may know it",
  inScope(async (scope) => {
    const auth = { keys: keysOf("ann", "root") };
    const house = await House.open(scope, { auth, access: { "key:ann": "pa", "key:root": "*" } });
    assert.equal((await house.ask("/api/keys")).status, 401);
    assert.equal((await house.ask("/api/keys", { as: "ann" })).status, 403);
    house.reload({ auth: { keys: keysOf("ann", "root", "new") } });
    const told = await house.ask("/api/keys", { as: "root" });
    assert.equal(told.headers.get("cache-control"), "no-store");
    const { keys } = await told.json();
    assert.deepEqual(keys.map(({ name }: { name: string }) => name), ["ann", "root", "new"]);
    const uses = keys.map(({ lastUse }: { lastUse: string | null }) =>
      lastUse === null ? "never" : lastUse.replace(/\d/g, "0")
    );
    const once = "0000-00-00T00:00:00.000Z";
    assert.deepEqual(uses, [once, once, "never"]);
    house.reload({});
    assert.deepEqual(await (await house.ask("/api/keys")).json(), { keys: [] });
  }),
);
