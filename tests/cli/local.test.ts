import assert from "node:assert/strict";
import { test } from "node:test";
import { mayExpose } from "../../src/cli/local.ts";
import type { ServerConfig } from "../../src/config/types.ts";

function server(change: Partial<ServerConfig>): ServerConfig {
  const target = { kind: "stdio", command: "x", args: [], env: {} } as const;
  return {
    name: "files",
    disabled: false,
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
    pin: "warn",
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
