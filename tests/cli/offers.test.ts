import assert from "node:assert/strict";
import { test } from "node:test";
import { mayExpose } from "../../src/cli/local.ts";
import { eachKind, matchOffers, offersOf, type ParsedLists } from "../../src/cli/offers.ts";
import type { ServerConfig } from "../../src/config/types.ts";
import type { JsonObject } from "../../src/lib/json.ts";
import { registryOf, serverOf } from "../gating/builders.ts";

function lists(change: Partial<ParsedLists>): ParsedLists {
  return { ...eachKind(() => []), ...change };
}

test("matchOffers() finds the exposed name of each item by everything else", () => {
  const echo = { name: "echo", description: "says it" };
  const sum = { name: "sum", description: "adds" };
  const [a, b] = matchOffers(
    [
      { server: "a", lists: lists({ tools: [echo, sum] }) },
      { server: "b", lists: lists({ tools: [echo] }) },
    ],
    lists({
      tools: [{ ...echo, name: "a_echo" }, { ...sum, name: "a_sum" }, { ...echo, name: "b_echo" }],
    }),
  );
  assert.deepEqual(a?.tools.map(({ own, exposed }) => [own, exposed]), [
    ["echo", "a_echo"],
    ["sum", "a_sum"],
  ]);
  // Alike in everything but the name: the order of the servers decides.
  assert.deepEqual(b?.tools.map(({ own, exposed }) => [own, exposed]), [["echo", "b_echo"]]);
});

test("matchOffers() does not depend on the order of members", () => {
  const [only] = matchOffers(
    [{
      server: "s",
      lists: lists({ resources: [{ uri: "x://1", name: "one", mimeType: "a/b" }] }),
    }],
    lists({ resources: [{ mimeType: "a/b", name: "one", uri: "s+x://1" }] }),
  );
  assert.deepEqual(only?.resources, [
    { exposed: "s+x://1", own: "x://1", title: null, description: null },
  ]);
});

test("matchOffers() finds a tool that is described otherwise by its usual name", () => {
  const own = { name: "echo", description: "new" };
  const [only] = matchOffers(
    [{ server: "a", lists: lists({ tools: [own] }) }],
    lists({ tools: [{ name: "a_echo", description: "old" }] }),
    (text) => text.length,
  );
  assert.deepEqual(only?.tools, [{
    exposed: "a_echo",
    own: "echo",
    title: null,
    description: "new",
    // What clients get of it.
    tokens: JSON.stringify({ name: "a_echo", description: "old" }).length,
  }]);
});

test("matchOffers() does not guess", () => {
  const [only] = matchOffers(
    [{ server: "b", lists: lists({ tools: [{ name: "echo", description: "new" }] }) }],
    lists({ tools: [{ name: "a_echo", description: "old" }, { name: "echo" }] }),
  );
  assert.equal(only?.tools[0]?.exposed, null);
  assert.equal(only?.tools[0]?.tokens, undefined);
});

test("offersOf() counts tools as the list of all has them, and no others", () => {
  const tool = (name: string, more: JsonObject = {}) => ({ name, inputSchema: {}, ...more });
  const ui = { _meta: { ui: { visibility: ["app"] } } };
  const registry = registryOf([
    serverOf("a", [tool("echo", { description: "Says it." }), tool("button", ui)], {
      shape: { tools: { overrides: [{ match: "echo", description: "Says it again." }] } },
    }),
  ]);
  const { tools } = offersOf("a", registry, (text) => text.length);
  assert.deepEqual(tools.map(({ exposed, tokens }) => [exposed, tokens]), [
    [
      "a_echo",
      '{"name":"a_echo","description":"Says it again.","input_schema":{}}'.length,
    ],
    [null, undefined],
  ]);
});

function server(change: Partial<ServerConfig>): ServerConfig {
  const target = { kind: "stdio", command: "x", args: [], env: {} } as const;
  return {
    name: "files",
    disabled: false,
    target,
    instances: [target],
    drainTimeout: 1,
    healthInterval: 0,
    healthThreshold: 1,
    lazy: false,
    maxQueue: 1,
    protocol: "auto",
    startupTimeout: 1,
    timeout: 1,
    prefix: "always",
    separator: "_",
    sharing: "auto",
    key: "k",
    ...change,
  };
}

test("mayExpose() rules out only what cannot be", () => {
  assert.equal(mayExpose(server({}), "files_read"), true);
  assert.equal(mayExpose(server({}), "memory_read"), false);
  assert.equal(mayExpose(server({ name: "my files" }), "my_files_read"), true);
  assert.equal(mayExpose(server({ prefix: "never" }), "memory_read"), true);
  assert.equal(mayExpose(server({ prefix: "conflict" }), "memory_read"), true);
  assert.equal(mayExpose(server({ name: "n".repeat(60) }), "memory_read"), true);
});
