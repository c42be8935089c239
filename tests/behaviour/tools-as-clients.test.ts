// Programs people use as clients, each as published: the Inspector's CLI and the mcp-remote bridge.

import assert from "node:assert/strict";
import { mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, test } from "node:test";
import { isNotification, resultOf, textOf } from "../support/clients/message.ts";
import { StdioClient } from "../support/clients/stdio.ts";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { within } from "../support/inbox.ts";
import { startProcess } from "../support/process.ts";
import { ON_BUN, ROOT } from "../support/program.ts";
import { Scope } from "./scope.ts";

const MODULES = `${ROOT}node_modules/`;
const scope = new Scope();
after(() => scope[Symbol.asyncDispose]());

interface World {
  readonly gateway: Gateway;
  /** The environment of a client: what it keeps goes to a directory that is removed at the end. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

let started: Promise<World> | undefined;

function start(): Promise<World> {
  return started ??= (async () => {
    const home = await realpath(await mkdtemp(join(tmpdir(), "mcproxy-tools-")));
    scope.defer(() => rm(home, { recursive: true }));
    const server = (name: string) => ({
      command: "node",
      args: [`${MODULES}@modelcontextprotocol/server-${name}/dist/index.js`],
      env: { MEMORY_FILE_PATH: join(home, "memory.jsonl") },
    });
    const gateway = await startGateway({
      mode: ON_BUN ? "bun" : "deno",
      config: { mcpServers: { everything: server("everything"), memory: server("memory") } },
    });
    scope.defer(() => gateway.stop());
    await gateway.ready();
    const env = { ...process.env, HOME: home, MCP_REMOTE_CONFIG_DIR: join(home, "remote") };
    return { gateway, env };
  })();
}

const ERAS = ["legacy", "modern"] as const;
type Era = typeof ERAS[number];

/** The two kinds of endpoint, and how the everything server's names read at each. */
const ENDPOINTS = [
  { path: "/mcp", prefix: "everything_" },
  { path: "/servers/everything/mcp", prefix: "" },
] as const;

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const INSPECTOR = `${MODULES}@modelcontextprotocol/inspector/clients/`;

/** The arguments of the Inspector's CLI for one thing it does. */
async function inspection(path: string, era: Era, args: readonly string[]): Promise<string[]> {
  const { gateway } = await start();
  const where = [`${gateway.base}${path}`, "--transport", "http"];
  return [...where, "--protocol-era", era, "--format", "json", ...args];
}

/** Runs the Inspector to its end, on Bun: it needs a newer Node.js than the gateway's tests do. */
async function inspect(...args: readonly string[]): Promise<Ended> {
  const { env } = await start();
  const running = await startProcess(`${MODULES}bun/bin/bun.exe`, args, { env });
  try {
    running.endInput();
    const { code } = await within(running.exited, `the Inspector's ${args.join(" ")}`);
    return {
      code,
      stdout: running.stdout.items.join("\n"),
      stderr: running.stderr.items.join("\n"),
    };
  } finally {
    await running.kill();
  }
}

/** What its launcher does, for many command lines: loading it is nearly all that a run costs. */
const MANY = `
  const { runCli, handleError } = await import(process.argv[1]);
  for (const args of JSON.parse(process.argv[2])) {
    await runCli(["bun", "inspector", ...args]).catch(handleError);
    console.log("END");
  }
  process.exit(0);
`;

/** The results the Inspector prints. @throws {Error} when it does not end with 0 */
async function inspected(
  path: string,
  era: Era,
  ...all: readonly (readonly string[])[]
  // deno-lint-ignore no-explicit-any
): Promise<any[]> {
  const lines = await Promise.all(all.map((args) => inspection(path, era, args)));
  const cli = `${INSPECTOR}cli/build/index.js`;
  const { code, stdout, stderr } = await inspect("-e", MANY, cli, JSON.stringify(lines));
  assert.equal(code, 0, `${stdout}\n${stderr}`);
  return stdout.split(/^END$/m).slice(0, -1).map((text) => JSON.parse(text).result);
}

const lists = (...kinds: readonly string[]) => kinds.map((kind) => ["--method", `${kind}/list`]);

for (const era of ERAS) {
  for (const { path, prefix } of ENDPOINTS) {
    test(`the Inspector lists and calls as a ${era} client of ${path}`, async () => {
      const aggregated = prefix !== "";
      const call = ["--method", "tools/call", "--tool-name", `${prefix}echo`];
      const all = [...lists("tools", "prompts", "resources"), [
        ...call,
        "--tool-arg",
        "message=hi",
      ]];
      const [ofTools, ofPrompts, ofResources, echo] = await inspected(path, era, ...all);
      const tools: string[] = ofTools.tools.map(({ name }: { name: string }) => name);
      for (const tool of ["echo", "get-sum"]) assert.ok(tools.includes(prefix + tool), `${tools}`);
      assert.equal(tools.includes("memory_read_graph"), aggregated, `${tools}`);
      assert.equal(new Set(tools).size, tools.length, `${tools}`);
      const prompts: string[] = ofPrompts.prompts.map(({ name }: { name: string }) => name);
      assert.ok(prompts.includes(`${prefix}simple-prompt`), `${prompts}`);
      const resources: string[] = ofResources.resources.map(({ uri }: { uri: string }) => uri);
      assert.ok(resources.some((uri) => uri.startsWith("demo://")), `${resources}`);
      assert.equal(resources.includes("memory://knowledge-graph"), aggregated, `${resources}`);
      assert.deepEqual(echo.content, [{ type: "text", text: "Echo: hi" }]);
    });

    test(`the Inspector ends with 5 on a ${era} call of ${path} that fails`, async () => {
      const launcher = `${INSPECTOR}launcher/build/index.js`;
      const call = async (tool: string, ...more: string[]) => {
        const args = ["--method", "tools/call", "--tool-name", tool, ...more];
        return await inspect(launcher, "--cli", ...await inspection(path, era, args));
      };
      const unknown = await call("nope");
      assert.equal(unknown.code, 5, `${unknown.stdout}\n${unknown.stderr}`);
      assert.equal(JSON.parse(unknown.stderr).error.code, "tool_not_found");
      // The first is refused by the Inspector, which read the list; this one by the server.
      const tool = `${prefix}get-resource-reference`;
      const refused = await call(tool, "--tool-arg", "resourceId=-1");
      assert.equal(refused.code, 5, `${refused.stdout}\n${refused.stderr}`);
      const { content, isError } = JSON.parse(refused.stdout).result;
      assert.equal(isError, true);
      assert.match(content[0].text, /^Invalid resourceId: -1/);
    });
  }
}

/** What mcp-remote is told, and what it then says of how it is connected. */
const BRIDGES = [
  { path: "/mcp", args: ["--transport", "http-first"], says: /StreamableHTTPClientTransport/ },
  {
    path: "/mcp",
    args: ["--transport", "http-first", "--protocol", "auto"],
    says: /speaks MCP 2026-07-28/,
  },
  {
    path: "/servers/everything/mcp",
    args: ["--transport", "http-only"],
    says: /StreamableHTTPClientTransport/,
  },
  { path: "/sse", args: ["--transport", "sse-only"], says: /SSEClientTransport/ },
];

for (const { path, args, says } of BRIDGES) {
  test(`mcp-remote ${args.join(" ")} bridges stdio to ${path}`, async () => {
    const { gateway, env } = await start();
    const bridge = `${MODULES}mcp-remote/dist/proxy.js`;
    const client = await StdioClient.spawn("node", [bridge, gateway.base + path, ...args], env);
    try {
      const { json } = resultOf(await client.initialize());
      assert.equal(json.protocolVersion, "2025-11-25");
      await client.process.stderr.waitFor((line) => says.test(line));

      const prefix = path.startsWith("/servers/") ? "" : "everything_";
      const { tools } = resultOf(await client.request("tools/list")).json;
      const names: string[] = tools.map((tool: { name: string }) => tool.name);
      assert.ok(names.includes(`${prefix}echo`), `${names}`);
      assert.equal(names.includes("memory_read_graph"), prefix !== "", `${names}`);

      const call = (name: string, args: unknown, meta: unknown = {}) =>
        client.request("tools/call", { name: prefix + name, arguments: args, _meta: meta });
      assert.equal(textOf(await call("echo", { message: args.join() })), `Echo: ${args.join()}`);

      // What comes before the answer crosses as well, in its order.
      const task = { duration: 0.2, steps: 2 };
      await call("trigger-long-running-operation", task, { progressToken: "steps" });
      const progress = client.messages.items.filter(isNotification("notifications/progress"));
      assert.deepEqual(
        progress.map(({ json }) => [json.params.progressToken, json.params.progress]),
        [["steps", 1], ["steps", 2]],
      );
      assert.equal((await within(client.close(), "the end of mcp-remote")).code, 0);
    } finally {
      await client.process.kill();
    }
  });
}
