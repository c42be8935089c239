import assert from "node:assert/strict";
import { test } from "node:test";
import { CliError } from "../../src/app/io.ts";
import type { OptionValues } from "../../src/cli/command.ts";
import { hostAndPort, planServe, type ServePlan } from "../../src/app/plan.ts";
import { configFile } from "../cli/support.ts";

async function plan(
  options: OptionValues,
  { config = { mcpServers: {} }, env = {} }: {
    readonly config?: unknown;
    readonly env?: Readonly<Record<string, string>>;
  } = {},
): Promise<ServePlan> {
  const file = await configFile(config);
  try {
    return await planServe({ config: file.path, ...options }, { env, cwd: file.directory });
  } finally {
    await file.close();
  }
}

function address({ config: { settings: { host, port } } }: ServePlan): string {
  return `${host}:${port}`;
}

async function refused(
  options: OptionValues,
  given?: Parameters<typeof plan>[1],
): Promise<CliError> {
  try {
    await plan(options, given);
  } catch (error) {
    assert.ok(error instanceof CliError, String(error));
    return error;
  }
  throw new Error("Cannot see the refusal: the plan was made");
}

test("planServe() prefers flags to environment to file to defaults", async () => {
  const config = { mcpServers: {}, host: "127.0.0.2", port: 2 };
  const env = { MCPROXY_HOST: "127.0.0.3", MCPROXY_PORT: "3" };
  assert.equal(address(await plan({})), "127.0.0.1:12009");
  assert.equal(address(await plan({}, { config })), "127.0.0.2:2");
  assert.equal(address(await plan({}, { config, env })), "127.0.0.3:3");
  assert.equal(
    address(await plan({ host: "127.0.0.4", port: "4" }, { config, env })),
    "127.0.0.4:4",
  );
});

test("planServe() refuses an open address without --no-auth, whoever asks for it", async () => {
  const config = { mcpServers: {}, host: "0.0.0.0" };
  for (
    const error of [
      await refused({ host: "0.0.0.0" }),
      await refused({ host: "192.0.2.1" }),
      await refused({ host: "::" }),
      await refused({}, { config }),
      await refused({}, { env: { MCPROXY_HOST: "0.0.0.0" } }),
    ]
  ) {
    assert.equal(error.exitCode, 2);
    assert.match(error.message, /"host"/);
    assert.match(error.message, /--no-auth/);
  }
  assert.equal(address(await plan({ host: "0.0.0.0", "no-auth": true })), "0.0.0.0:12009");
  assert.equal(address(await plan({ host: "::1" })), "::1:12009");
  assert.equal(address(await plan({ host: "localhost" })), "localhost:12009");
});

test("planServe() lets auth listen for other machines, and takes it from no gateway that does", async () => {
  const auth = { keys: { a: `sha256:${"0a".repeat(32)}` } };
  const open = { mcpServers: {}, host: "0.0.0.0", auth };
  assert.equal(address(await plan({}, { config: open })), "0.0.0.0:12009");
  assert.equal(
    address(await plan({ host: "::" }, { config: { mcpServers: {}, auth } })),
    ":::12009",
  );
  // The file says another address, but the gateway stays where it listens until it is started anew.
  const file = await configFile({ mcpServers: {} });
  const again = (listening: string, options: OptionValues = {}) =>
    planServe({ config: file.path, ...options }, { env: {}, cwd: file.directory }, { listening });
  try {
    assert.equal(address(await again("127.0.0.1", { host: "0.0.0.0" })), "0.0.0.0:12009");
    assert.equal(address(await again("0.0.0.0", { "no-auth": true })), "127.0.0.1:12009");
    await assert.rejects(again("0.0.0.0"), /Cannot listen on "0\.0\.0\.0".*"auth", or --no-auth/);
  } finally {
    await file.close();
  }
});

test("planServe() refuses ports, levels and formats that are none", async () => {
  for (
    const [options, expected] of [
      [{ port: "65536" }, /--port "65536": expected 0 to 65535/],
      [{ port: "http" }, /--port "http"/],
      [{ "log-level": "loud" }, /--log-level "loud": expected trace, debug, info/],
      [{ "log-format": "xml" }, /--log-format "xml": expected text or json/],
    ] as const
  ) {
    const error = await refused(options);
    assert.equal(error.exitCode, 2);
    assert.match(error.message, expected);
  }
});

test("planServe() refuses MCPROXY_PORT that is none as invalid configuration", async () => {
  const error = await refused({}, { env: { MCPROXY_PORT: "many" } });
  assert.equal(error.exitCode, 3);
  assert.match(error.message, /MCPROXY_PORT/);
});

test("planServe() with --stdio listens only where a port is asked for", async () => {
  assert.equal((await plan({})).listen, true);
  assert.equal((await plan({ stdio: true })).listen, false);
  assert.equal(
    (await plan({ stdio: true }, { config: { mcpServers: {}, port: 1 } })).listen,
    false,
  );
  assert.equal((await plan({ stdio: true, port: "0" })).listen, true);
  assert.equal((await plan({ stdio: true }, { env: { MCPROXY_PORT: "0" } })).listen, true);
});

test("planServe() with --stdio alone does not care where it would listen", async () => {
  const config = { mcpServers: {}, host: "0.0.0.0" };
  assert.equal((await plan({ stdio: true }, { config })).listen, false);
});

test("planServe() logs to syslog, with --log to stdout", async () => {
  assert.deepEqual((await plan({})).destination, { kind: "syslog", target: undefined });
  assert.deepEqual((await plan({ log: true })).destination, { kind: "stdout" });
  const syslog = (value: unknown) => plan({}, { config: { mcpServers: {}, syslog: value } });
  assert.deepEqual((await syslog({ udp: "127.0.0.1:514" })).destination, {
    kind: "syslog",
    target: { udp: { host: "127.0.0.1", port: 514 } },
  });
  assert.deepEqual((await syslog({ socket: "/run/log" })).destination, {
    kind: "syslog",
    target: { socket: "/run/log" },
  });
});

test("planServe() takes level and format from the file unless flags say otherwise", async () => {
  const config = { mcpServers: {}, logLevel: "debug", logFormat: "json" };
  const fromFile = await plan({}, { config });
  assert.deepEqual([fromFile.logLevel, fromFile.logFormat], ["debug", "json"]);
  const fromFlags = await plan({ "log-level": "warn", "log-format": "text" }, { config });
  assert.deepEqual([fromFlags.logLevel, fromFlags.logFormat], ["warning", "text"]);
  assert.equal((await plan({ json: true })).logFormat, "json");
});

test("planServe() keeps the listening address out of the secrets", async () => {
  const config = {
    mcpServers: { a: { command: "x", env: { HOST: "127.0.0.1", KEY: "s3cr3t-s3cr3t" } } },
  };
  assert.deepEqual((await plan({}, { config })).secrets, ["s3cr3t-s3cr3t"]);
});

test("hostAndPort() reads names, addresses and literals", () => {
  assert.deepEqual(hostAndPort("log.example:601"), { host: "log.example", port: 601 });
  assert.deepEqual(hostAndPort("log.example"), { host: "log.example" });
  assert.deepEqual(hostAndPort("[2001:db8::1]:514"), { host: "2001:db8::1", port: 514 });
  assert.deepEqual(hostAndPort("[::1]"), { host: "::1" });
});
