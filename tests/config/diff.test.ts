import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Config, diffConfig, type Env } from "../../src/config/types.ts";
import { parseConfig } from "../../src/config/load.ts";

function parse(text: string, env: Env = {}): Config {
  const result = parseConfig(text, { file: "f.json", env });
  assert.ok(result.ok, JSON.stringify(result));
  return result.config;
}

test("diffConfig() sorts servers into added, removed, changed and unchanged", () => {
  const old = parse('{"mcpServers":{"a":{"command":"x"},"b":{"command":"x"},"c":{"command":"x"}}}');
  const next = parse(
    '{"mcpServers":{"d":{"command":"x"},"c":{"command":"y"},"a":{"command":"x"}}}',
  );
  assert.deepEqual(diffConfig(old, next), {
    added: ["d"],
    removed: ["b"],
    changed: ["c"],
    unchanged: ["a"],
    settingsChanged: [],
    restartNeeded: [],
  });
});

test("diffConfig() takes order, comments and white space for no change", () => {
  const old = parse(
    '{"port":1,"mcpServers":{"a":{"command":"x","env":{"A":"1","B":"2"}},"b":{"url":"http://h/"}}}',
  );
  const next = parse(`{ // moved
    "mcpServers": { "b": { "url": "http://h/" },
      "a": { "env": { "B": "2", "A": "1" }, "args": [], "command": "x" } }, "port": 1 }`);
  const diff = diffConfig(old, next);
  assert.deepEqual(diff.unchanged, ["a", "b"]);
  assert.deepEqual([...diff.added, ...diff.removed, ...diff.changed, ...diff.settingsChanged], []);
});

test("diffConfig() sees a changed setting in the servers that inherit it, their key kept", () => {
  const old = parse('{"mcpServers":{"a":{"command":"x"},"b":{"command":"x","timeout":"1m"}}}');
  const next = parse(
    '{"timeout":"9m","mcpServers":{"a":{"command":"x"},"b":{"command":"x","timeout":"1m"}}}',
  );
  const diff = diffConfig(old, next);
  assert.deepEqual([diff.changed, diff.unchanged], [["a"], ["b"]]);
  assert.deepEqual(diff.settingsChanged, ["timeout"]);
  assert.equal(old.servers.get("a")?.key, next.servers.get("a")?.key);
});

test("diffConfig() names the settings that need a restart", () => {
  const old = parse('{"mcpServers":{}}');
  const next = parse(
    '{"host":"::1","port":5,"logLevel":"debug","allowedHosts":["h"],"mcpServers":{}}',
  );
  const diff = diffConfig(old, next);
  assert.deepEqual(diff.settingsChanged, ["allowedHosts", "host", "logLevel", "port"]);
  assert.deepEqual(diff.restartNeeded, ["host", "port"]);
});

test("diffConfig() takes gating and embeddings for settings that a running gateway takes on", () => {
  const old = parse('{"gating":"off","mcpServers":{"a":{"command":"x"}}}');
  const next = parse(
    '{"gating":{"mode":"off","maxTools":5},"embeddings":{"url":"http://h","model":"m"},' +
      '"profiles":{"p":{"gating":"on"}},"mcpServers":{"a":{"command":"x"}}}',
  );
  const diff = diffConfig(old, next);
  assert.deepEqual(diff.settingsChanged, ["embeddings", "gating", "profiles"]);
  assert.deepEqual([diff.restartNeeded, diff.unchanged], [[], ["a"]]);
  const same = parse('{"gating":{"maxTokens":10000,"mode":"off"},"mcpServers":{}}');
  assert.deepEqual(diffConfig(old, same).settingsChanged, []);
});

test("diffConfig() sees a variable that was set, not a problem that moved", () => {
  const text = '{"mcpServers":{"a":{"command":"x","env":{"T":"${T}"}}}}';
  assert.deepEqual(diffConfig(parse(text), parse(`\n\n${text}`)).unchanged, ["a"]);
  assert.deepEqual(diffConfig(parse(text), parse(text, { T: "1" })).changed, ["a"]);
});

test("diffConfig() accounts for every server once, and turns around", () => {
  const server = fc.record({ command: fc.constantFrom("x", "y"), disabled: fc.boolean() });
  const config = fc.dictionary(fc.constantFrom("a", "b", "c", "d"), server)
    .map((mcpServers) => parse(JSON.stringify({ mcpServers })));
  fc.assert(fc.property(config, config, (old, next) => {
    const there = diffConfig(old, next);
    const back = diffConfig(next, old);
    assert.deepEqual(
      [...there.added, ...there.changed, ...there.unchanged].sort(),
      [...next.servers.keys()].sort(),
    );
    assert.deepEqual(there.added, back.removed);
    assert.deepEqual(there.changed, back.changed);
    assert.deepEqual(diffConfig(old, old).unchanged, [...old.servers.keys()].sort());
  }));
});
