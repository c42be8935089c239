/** Who sees and calls what at which path, in both eras, and whose a session is. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { House, inScope, keysOf, messagesOf } from "./house.ts";

const auth = { keys: keysOf("root", "ann", "bob", "both", "none") };
const access = { "key:root": "*", "key:ann": "pa", "key:bob": "pb", "key:both": ["pb", "pa"] };

const PATHS = [
  "/mcp",
  "/gated/mcp",
  "/ungated/mcp",
  "/profiles/pa/mcp",
  "/profiles/pb/mcp",
  "/profiles/pb/gated/mcp",
  "/servers/a/mcp",
];

const META = "meta tools";
/** The tools that are listed, and those that can be called. */
const A = ["a_echo a_slow", "a_echo"];
const B = ["b_echo b_slow", "b_echo"];
const AB = ["a_echo a_slow b_echo b_slow", "a_echo b_echo"];
const OWN = ["echo slow", "echo"];
const [GATED_A, GATED_B, GATED_AB] = [A, B, AB].map(([, callable = ""]) => [META, callable]);
const [HIDDEN, REFUSED] = [["404", ""], ["403", ""]];

/** By who it is, in the order of the paths. */
const SEEN: Readonly<Record<string, readonly unknown[]>> = {
  root: [AB, GATED_AB, AB, A, B, GATED_B, OWN],
  ann: [A, GATED_A, A, A, HIDDEN, HIDDEN, HIDDEN],
  bob: [B, GATED_B, B, HIDDEN, B, GATED_B, HIDDEN],
  both: [A, GATED_A, A, A, B, GATED_B, HIDDEN],
  none: Array(7).fill(REFUSED),
};

/** The names in a list, or what of the answer says why there is none. */
async function seenIn(response: Response): Promise<string> {
  if (response.status !== 200) return `${response.status}`;
  const [{ result }] = await messagesOf(response);
  const names: string[] = result.tools.map(({ name }: { name: string }) => name).sort();
  return names.includes("discover_tools") ? META : names.join(" ");
}

for (const [who, expected] of Object.entries(SEEN)) {
  const title = `${who} sees and calls what access gives, in both eras, gated and not`;
  test(
    title,
    inScope(async (scope) => {
      const house = await House.open(scope, { auth, access });
      for (const [index, path] of PATHS.entries()) {
        const opened = await house.initialize(path, who);
        const session = opened.headers.get("mcp-session-id") ?? undefined;
        const eras = {
          modern: (method: string, params = {}) => house.modern(path, method, params, { as: who }),
          legacy: (method: string, params = {}) =>
            session === undefined
              ? Promise.resolve(opened.clone())
              : house.legacy(path, session, method, params, { as: who }),
        };
        for (const [era, ask] of Object.entries(eras)) {
          const callable: string[] = [];
          for (const name of ["a_echo", "b_echo", ...path.startsWith("/servers") ? ["echo"] : []]) {
            const [told] = await messagesOf(await ask("tools/call", { name, arguments: {} }));
            if (told?.result?.content[0].text === "echoed") callable.push(name);
            // As for a name that nobody has.
            else if (told?.error?.code === -32602) {
              assert.match(told.error.message, /^Unknown tool/);
            }
          }
          const seen = [await seenIn(await ask("tools/list")), callable.join(" ")];
          assert.deepEqual(seen, expected[index], `${era} ${path}`);
        }
      }
    }),
  );
}

test(
  "another's session does not exist, whatever is done with it",
  inScope(async (scope) => {
    const house = await House.open(scope, { auth });
    const mine = await house.session("/mcp", "ann");
    const nobody = "00000000-0000-4000-8000-000000000000";
    const stream = { accept: "text/event-stream" };
    const tries: readonly ((id: string) => Promise<Response>)[] = [
      (id) => house.legacy("/mcp", id, "tools/list", {}, { as: "bob" }),
      (id) => house.legacy("/profiles/pa/mcp", id, "tools/list", {}, { as: "bob" }),
      (id) => house.ask("/mcp", { as: "bob", headers: { ...stream, "mcp-session-id": id } }),
      (id) => house.ask("/mcp", { method: "DELETE", as: "bob", headers: { "mcp-session-id": id } }),
    ];
    for (const [index, attempt] of tries.entries()) {
      const [own, unknown] = [await attempt(mine), await attempt(nobody)];
      assert.deepEqual([own.status, unknown.status], [404, 404], String(index));
      assert.equal(await own.text(), await unknown.text());
    }
    // To begin anew with another's id ends nothing of theirs.
    const begun = await house.legacy("/mcp", mine, "initialize", {
      protocolVersion: "2025-06-18",
      capabilities: {},
      clientInfo: { name: "t", version: "1" },
    }, { as: "bob" });
    assert.notEqual(begun.headers.get("mcp-session-id"), mine);
    assert.equal((await house.legacy("/mcp", mine, "ping", {}, { as: "ann" })).status, 200);
    const ended = await house.ask("/mcp", {
      method: "DELETE",
      as: "ann",
      headers: { "mcp-session-id": mine },
    });
    assert.equal(ended.status, 204);
  }),
);

test(
  "a lasting id is its owner's only, also when nobody has the session in memory",
  inScope(async (scope) => {
    const house = await House.open(scope, { auth });
    const id = await house.session("/mcp", "ann");
    house.gateway.sessions.get(id)!.close("forgotten");
    assert.equal((await house.legacy("/mcp", id, "ping", {}, { as: "bob" })).status, 404);
    assert.equal((await house.legacy("/mcp", id, "ping", {}, { as: "ann" })).status, 200);
    assert.equal(house.gateway.sessions.get(id)!.principal!.id, "key:ann");
  }),
);

test(
  "only whose stream it is can talk into a session of HTTP+SSE",
  inScope(async (scope) => {
    const house = await House.open(scope, { auth, access });
    const accept = { accept: "text/event-stream" };
    const opened = await house.ask("/sse", { as: "ann", headers: accept });
    const reader = opened.body!.getReader();
    scope.defer(() => reader.cancel());
    let text = "";
    while (!text.includes("sessionId=")) {
      text += new TextDecoder().decode((await reader.read()).value);
    }
    const path = /\/messages\?sessionId=\S+/.exec(text)![0];
    const ping = { jsonrpc: "2.0", id: 1, method: "ping" };
    const other = await house.post(path, ping, { as: "bob" });
    const unknown = await house.post("/messages?sessionId=none", ping, { as: "bob" });
    assert.deepEqual([other.status, unknown.status], [404, 404]);
    assert.equal(await other.text(), await unknown.text());
    assert.equal((await house.post(path, ping, { as: "ann" })).status, 202);
    const [session] = house.gateway.sessions;
    assert.equal(session!.endpoint.key, "profiles/pa");
    assert.equal((await house.ask("/profiles/pb/sse", { as: "ann", headers: accept })).status, 404);
  }),
);
