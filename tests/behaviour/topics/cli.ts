import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { resultOf } from "../../support/clients/message.ts";
import { StdioClient } from "../../support/clients/stdio.ts";
import { startHttpFake } from "../../support/fakes/http-server.ts";
import { type ProcessMode, programCommand, runProgram } from "../../support/program.ts";
import { callText, listKeys } from "../helpers.ts";
import type { Suite, Tools } from "../suite.ts";
import { stdioUpstream } from "../world.ts";

/** A config file of the test's own, gone after it. */
async function file({ scope }: Tools, text: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "mcproxy-cli-"));
  scope.defer(() => rm(directory, { recursive: true }));
  const path = join(directory, "mcp-servers.json");
  await writeFile(path, text);
  return path;
}

function run(tools: Tools, ...args: string[]) {
  return runProgram(tools.mode as ProcessMode, args);
}

/** The commands, their output and their exit codes. */
export function cli({ verifiesProcess }: Suite): void {
  verifiesProcess("cli.unknown-flag", async (tools) => {
    for (const args of [["--prot", "1"], ["serve", "--confg", "x"], ["check", "--jsn"]]) {
      const { code, stdout, stderr } = await run(tools, ...args);
      assert.deepEqual([code, stdout], [2, ""], args.join(" "));
      assert.match(stderr, /--(port|config|json)\b/);
    }
  });

  verifiesProcess("cli.unknown-command", async (tools) => {
    const { code, stdout, stderr } = await run(tools, "chekc");
    assert.deepEqual([code, stdout], [2, ""]);
    assert.match(stderr, /"?check"?/);
  });

  verifiesProcess("cli.invalid-config", async (tools) => {
    const lines = ["{", '  "mcpServers": {', '    "x": { "comand": "node" }', "  }", "}"];
    const typo = await file(tools, lines.join("\n"));
    for (const args of [["--log", "--config", typo], ["check", "--config", typo]]) {
      const { code, stdout, stderr } = await run(tools, ...args);
      assert.equal(code, 3);
      assert.match(stdout + stderr, /mcp-servers\.json:3:12\b/);
      assert.match(stdout + stderr, /"command"/);
    }
    const broken = await file(tools, '{\n  "mcpServers": {,}\n}');
    const { code, stderr } = await run(tools, "--log", "--config", broken);
    assert.equal(code, 3);
    assert.match(stderr, /mcp-servers\.json:2:18\b/);
  });

  verifiesProcess("cli.missing-config", async (tools) => {
    const { code, stderr } = await run(tools, "--log", "--config", "no/such/file.json");
    assert.equal(code, 3);
    assert.match(stderr, /no\/such\/file\.json/);
  });

  verifiesProcess("cli.port", async (tools) => {
    const { gateway } = await tools.world();
    const port = String(gateway.port);
    const { code, stdout, stderr } = await run(
      tools,
      ...["--log", "--port", port, "--config", gateway.configPath],
    );
    assert.equal(code, 1);
    assert.ok((stdout + stderr).includes(port), stdout + stderr);
  });

  verifiesProcess("cli.check", async (tools) => {
    const startsFile = `${await file(tools, "")}.starts`;
    const good = await file(
      tools,
      JSON.stringify({ mcpServers: { s: stdioUpstream({ startsFile }) } }),
    );
    assert.equal((await run(tools, "check", "--config", good)).code, 0);
    const json = await run(tools, "check", "--config", good, "--json");
    assert.equal(json.code, 0);
    assert.equal(typeof JSON.parse(json.stdout), "object");
    await assert.rejects(readFile(startsFile));
  });

  verifiesProcess("cli.list", async (tools) => {
    const { url } = tools.scope.use(await startHttpFake({ tools: ["echo"], prompts: ["p"] }));
    const config = await file(tools, JSON.stringify({ mcpServers: { s: { url } } }));
    const { code, stdout } = await run(tools, "list", "--config", config, "--json");
    assert.equal(code, 0);
    const text = JSON.stringify(JSON.parse(stdout));
    assert.ok(text.includes('"s_echo"') && text.includes('"s_p"'), text);
    const human = await run(tools, "list", "--config", config);
    assert.match(human.stdout, /s_echo/);
    // Loaded late, and in a binary from within it.
    const exact = await run(tools, "list", "--exact-tokens", "--json", "--config", config);
    assert.equal(JSON.parse(exact.stdout).tokens.tokenizer, "o200k_base");
  });

  verifiesProcess("cli.call", async (tools) => {
    const { gateway, web } = await tools.world();
    const { code, stdout } = await run(
      tools,
      ...["call", "alpha_echo", '{"a":1}', "--config", gateway.configPath],
    );
    assert.equal(code, 0);
    assert.ok(stdout.includes('{"a":1}'), stdout);
    const configPath = await file(tools, JSON.stringify({ mcpServers: { web: { url: web.url } } }));
    const json = await run(tools, ...["call", "web_odd", "{}", "--config", configPath, "--json"]);
    assert.equal(JSON.parse(json.stdout).content[0].type, "hologram");
    assert.match(json.stdout, /12345678901234567890/);
  });

  verifiesProcess("cli.call-error", async (tools) => {
    const { web: { url } } = await tools.world();
    const configPath = await file(tools, JSON.stringify({ mcpServers: { web: { url } } }));
    for (const tool of ["web_fail", "web_rpc_error", "web_nothing"]) {
      const { code } = await run(tools, "call", tool, "{}", "--config", configPath);
      assert.equal(code, 1, tool);
    }
    const usage = await run(tools, "call", "web_echo", "no json", "--config", configPath);
    assert.equal(usage.code, 2);
  });

  verifiesProcess("cli.version", async (tools) => {
    const { code, stdout } = await run(tools, "version");
    assert.equal(code, 0);
    const version = /\d+\.\d+\.\d+/.exec(stdout)?.[0];
    const json = await run(tools, "version", "--json");
    assert.equal(JSON.parse(json.stdout).version, version);
  });

  verifiesProcess("cli.help", async (tools) => {
    const { code, stdout, stderr } = await run(tools, "help");
    assert.deepEqual([code, stderr], [0, ""]);
    for (
      const word of ["serve", "bridge", "check", "list", "call", "status", "schema", "--stdio"]
    ) {
      assert.ok(stdout.includes(word), word);
    }
    assert.equal((await run(tools, "--help")).stdout, stdout);
  });

  verifiesProcess("cli.schema", async (tools) => {
    const { code, stdout } = await run(tools, "schema");
    assert.equal(code, 0);
    assert.equal(typeof JSON.parse(stdout).properties.mcpServers, "object");
  });

  verifiesProcess("cli.bridge", async (tools) => {
    const { gateway } = await tools.world();
    const { command, args } = programCommand(tools.mode as ProcessMode, ["bridge", gateway.url]);
    const client = await StdioClient.spawn(command, args);
    tools.scope.defer(() => client.process.kill());
    const { serverInfo } = resultOf(await client.initialize()).json;
    assert.equal(serverInfo.name, "mcproxy");
    assert.ok((await listKeys(client, "tools")).includes("alpha_echo"));
    assert.equal(await callText(client, "alpha_echo", { a: 1 }), '{"a":1}');
    assert.deepEqual(await client.close(), { code: 0, signal: null });
  });

  verifiesProcess("cli.json-log", async (tools) => {
    const { url } = tools.scope.use(await startHttpFake({ tools: ["echo"] }));
    const gateway = await tools.start(
      { mcpServers: { s: { url } } },
      { args: ["--log-format", "json"] },
    );
    await gateway.ready();
    await gateway.stop();
    const lines = gateway.process!.stdout.items;
    assert.ok(lines.length > 1);
    for (const line of lines) assert.equal(typeof JSON.parse(line), "object", line);
  });
}
