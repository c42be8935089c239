import assert from "node:assert/strict";
import { test } from "node:test";
import { applyOverrides, DEFAULT_SETTINGS, overridesFromEnv } from "../../src/config/settings.ts";
import { sanitizeServerName } from "../../src/config/names.ts";

test("DEFAULT_SETTINGS is pinned", () => {
  assert.deepEqual(DEFAULT_SETTINGS, {
    host: "127.0.0.1",
    port: 12009,
    prefix: "always",
    separator: "_",
    startupTimeout: 30_000,
    timeout: 300_000,
    startupGrace: 1_000,
    staleGrace: 300_000,
    sessionIdleTimeout: 1_800_000,
    shutdownTimeout: 4_000,
    bodyLimit: 4_194_304,
    pageSize: 0,
    allowedHosts: [],
    allowedOrigins: [],
    logLevel: "info",
    logFormat: "text",
  });
});

test("applyOverrides() lets the later layer win, and undefined nothing", () => {
  const file = { ...DEFAULT_SETTINGS, port: 1, host: "file" };
  const env = { port: 2, host: "env" };
  const flags = { port: 0, host: undefined };
  const settings = applyOverrides(file, env, flags);
  assert.equal(settings.port, 0);
  assert.equal(settings.host, "env");
  assert.deepEqual(file, { ...DEFAULT_SETTINGS, port: 1, host: "file" });
  assert.deepEqual(applyOverrides(file), file);
});

test("overridesFromEnv() reads host and port, empty ones being unset", () => {
  assert.deepEqual(overridesFromEnv({ MCPROXY_HOST: "::1", MCPROXY_PORT: "0" }), {
    ok: true,
    overrides: { host: "::1", port: 0 },
  });
  assert.deepEqual(overridesFromEnv({ MCPROXY_HOST: "", MCPROXY_PORT: "" }), {
    ok: true,
    overrides: {},
  });
});

test("overridesFromEnv() refuses what is no port", () => {
  for (const port of ["abc", "70000", "-1", "1.5", " 80", "0x50"]) {
    const result = overridesFromEnv({ MCPROXY_PORT: port });
    assert.ok(!result.ok, port);
    assert.match(result.issues[0]?.message ?? "", /expected a port number from 0 to 65535/);
  }
});

test("sanitizeServerName() keeps what names may contain and counts code points", () => {
  assert.equal(sanitizeServerName("My-server_1"), "My-server_1");
  assert.equal(sanitizeServerName("a b/c.d"), "a_b_c_d");
  assert.equal(sanitizeServerName("🚀é"), "__");
});
