/** What the golden files do not show of recovery, health and instances: bounds and keys. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Config, diffConfig, type ServerConfig } from "../../src/config/types.ts";
import { parseConfig } from "../../src/config/load.ts";
import { collectSecrets } from "../../src/config/secrets.ts";

function parse(entry: Readonly<Record<string, unknown>>): Config {
  const text = JSON.stringify({ mcpServers: { a: entry } });
  const result = parseConfig(text, { file: "f.json", env: {} });
  assert.ok(result.ok, JSON.stringify(result));
  return result.config;
}

function server(entry: Readonly<Record<string, unknown>>): ServerConfig {
  return parse(entry).servers.get("a")!;
}

const FARM = ["http://10.0.0.1/mcp", "http://10.0.0.2/mcp"];

test("parseConfig() makes one target for each instance", () => {
  for (const instances of [1, 2, 64]) {
    const { instances: targets } = server({ command: "x", instances });
    assert.deepEqual(targets, Array.from({ length: instances }, () => targets[0]));
  }
  const { instances } = server({ urls: FARM });
  assert.deepEqual(instances.map((one) => one.kind === "http" && one.url), FARM);
});

test("parseConfig() takes one of several URLs for the same as a URL", () => {
  assert.equal(server({ urls: [FARM[0]] }).key, server({ url: FARM[0] }).key);
  assert.equal(server({ command: "x", instances: 1 }).key, server({ command: "x" }).key);
});

test("ServerConfig.key depends on the instances, on how many and in which order", () => {
  const entries = [
    { command: "x" },
    { command: "x", instances: 2 },
    { command: "x", instances: 3 },
    { urls: FARM },
    { urls: FARM.toReversed() },
    { urls: [FARM[0]] },
  ];
  const keys = new Set(entries.map((entry) => server(entry).key));
  assert.equal(keys.size, entries.length);
});

test("ServerConfig.key does not depend on how a server is watched, drained and bounded", () => {
  const settings = {
    drainTimeout: "1s",
    healthInterval: "5s",
    healthThreshold: 7,
    lazy: true,
    idleTimeout: "1h",
    maxConcurrency: 3,
    maxQueue: 9,
  };
  const plain = parse({ command: "x" });
  for (const [key, value] of Object.entries(settings)) {
    const next = parse({ command: "x", [key]: value });
    assert.equal(next.servers.get("a")!.key, plain.servers.get("a")!.key, key);
    assert.deepEqual(diffConfig(plain, next).changed, ["a"], key);
  }
});

test("collectSecrets() finds what the address of any instance carries", () => {
  const urls = ["http://u:hunter2secret@10.0.0.1/mcp", "http://u:correct-horse@10.0.0.2/mcp"];
  const secrets = [...collectSecrets(parse({ urls }))];
  assert.ok(secrets.some((one) => one.includes("hunter2secret")), secrets.join());
  assert.ok(secrets.some((one) => one.includes("correct-horse")), secrets.join());
});
