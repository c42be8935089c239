import assert from "node:assert/strict";
import { delimiter, join } from "node:path";
import { test } from "node:test";
import { parseCommandLine } from "../../src/cli/args.ts";
import { COMMANDS } from "../../src/cli/commands.ts";
import { planServe } from "../../src/app/plan.ts";
import { inDirectory, writeFiles } from "../config/temp.ts";

/** The plan of a command line in the directory. */
async function plan(line: string, cwd: string, env: Readonly<Record<string, string>> = {}) {
  const { options } = parseCommandLine(line.split(" "), COMMANDS);
  return await planServe(options, { env, cwd });
}

test("planServe() lets flags come before the environment, that before files, those before defaults", () =>
  inDirectory(async (cwd) => {
    await writeFiles(cwd, { "c.json": '{ "port": 1, "logLevel": "error", "mcpServers": {} }' });
    const env = { MCPROXY_PORT: "2", MCPROXY_LOG_LEVEL: "warning" };
    const of = async (line: string, from?: Readonly<Record<string, string>>) => {
      const { config: { settings }, logLevel } = await plan(
        `--config c.json ${line}`.trim(),
        cwd,
        from,
      );
      return [settings.port, logLevel];
    };
    assert.deepEqual(await of("--port 3 --log-level debug", env), [3, "debug"]);
    assert.deepEqual(await of("", env), [2, "warning"]);
    assert.deepEqual(await of(""), [1, "error"]);
    await writeFiles(cwd, { "c.json": '{ "mcpServers": {} }' });
    assert.deepEqual(await of(""), [12009, "info"]);
  }));

test("planServe() merges every --config, and every path of MCP_CONFIG_PATH", () =>
  inDirectory(async (cwd) => {
    await writeFiles(cwd, {
      "mcp_config.json": '{ "port": 1, "mcpServers": { "a": { "command": "base" } } }',
      "mcp_config_dev.yaml": "mcpServers: { a: { command: dev }, b: { command: dev } }",
    });
    const commands = async (line: string, env?: Readonly<Record<string, string>>) => {
      const { config } = await plan(line, cwd, env);
      assert.equal(config.settings.port, 1);
      return [...config.servers.values()].map(({ instances: [target] }) =>
        target?.kind === "stdio" ? target.command : ""
      );
    };
    const paths = ["mcp_config.json", "mcp_config_dev.yaml"];
    const line = paths.map((path) => `--config ${path}`).join(" ");
    assert.deepEqual(await commands(line), ["dev", "dev"]);
    const env = { MCP_CONFIG_PATH: paths.join(delimiter) };
    assert.deepEqual(await commands("--log", env), ["dev", "dev"]);
    assert.deepEqual(await commands("--config mcp_config.json", env), ["base"]);
  }));

test("planServe() takes credentials from the flag, else from MCP_CREDENTIALS_PATH, else the user's", () =>
  inDirectory(async (cwd) => {
    await writeFiles(cwd, {
      "c.json": '{ "mcpServers": { "a": { "command": "${WHO}" } } }',
      "flag.json": '{ "WHO": "flag" }',
      "variable.json": '{ "WHO": "variable" }',
      "xdg/mcproxy/credentials.json": '{ "WHO": "user" }',
    });
    const who = async (line: string, env: Readonly<Record<string, string>>) => {
      const { config } = await plan(`--config c.json ${line}`.trim(), cwd, env);
      const target = config.servers.get("a")?.instances[0];
      return target?.kind === "stdio" ? target.command : "";
    };
    const user = { XDG_CONFIG_HOME: join(cwd, "xdg") };
    const env = { ...user, MCP_CREDENTIALS_PATH: "variable.json" };
    assert.equal(await who("--credentials flag.json", env), "flag");
    assert.equal(await who("", env), "variable");
    assert.equal(await who("", user), "user");
    assert.equal(
      await who("--credentials flag.json", { ...env, WHO: "environment" }),
      "environment",
    );
  }));
