import assert from "node:assert/strict";
import { test } from "node:test";
import { mayExpose } from "../../src/cli/local.ts";
import { eachKind, matchOffers, type ParsedLists } from "../../src/cli/offers.ts";
import type { ServerConfig } from "../../src/config/config.ts";

function lists(change: Partial<ParsedLists>): ParsedLists {
  return { ...eachKind(() => []), ...change };
}

test("matchOffers() finds the exposed name of each item by everything else", () => {
  const echo = { name: "echo", description: "says it" };
  const sum = { name: "sum", description: "adds" };
  const [a, b] = matchOffers(
    [lists({ tools: [echo, sum] }), lists({ tools: [echo] })],
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
    [lists({ resources: [{ uri: "x://1", name: "one", mimeType: "a/b" }] })],
    lists({ resources: [{ mimeType: "a/b", name: "one", uri: "s+x://1" }] }),
  );
  assert.deepEqual(only?.resources, [
    { exposed: "s+x://1", own: "x://1", title: null, description: null },
  ]);
});

test("matchOffers() does not guess", () => {
  const [only] = matchOffers(
    [lists({ tools: [{ name: "echo", description: "new" }] })],
    lists({ tools: [{ name: "a_echo", description: "old" }] }),
  );
  assert.equal(only?.tools[0]?.exposed, null);
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
