// Real clients, the gateway, real servers: nothing of ours on either side.

import assert from "node:assert/strict";
import { mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { type Gateway, startGateway } from "../support/gateway.ts";
import { eventually, within } from "../support/inbox.ts";
import { BUN, ON_BUN, programCommand, ROOT } from "../support/program.ts";
import { type RealClient, realClients } from "./real-clients.ts";
import { Scope } from "./scope.ts";

const scope = new Scope();
after(() => scope[Symbol.asyncDispose]());

let started: Promise<{ readonly gateway: Gateway; readonly directory: string }> | undefined;

function start() {
  return started ??= (async () => {
    const directory = await realpath(await mkdtemp(join(tmpdir(), "mcproxy-real-")));
    scope.defer(() => rm(directory, { recursive: true }));
    await writeFile(join(directory, "note.txt"), "written by the test");
    // On Bun, which starts them in half the time; the examples have them on Node.js.
    const server = (name: string, ...args: string[]) => ({
      command: BUN,
      args: [`${ROOT}node_modules/@modelcontextprotocol/server-${name}/dist/index.js`, ...args],
    });
    const gateway = await startGateway({
      mode: ON_BUN ? "bun" : "deno",
      config: {
        mcpServers: {
          everything: server("everything"),
          memory: {
            ...server("memory"),
            env: { MEMORY_FILE_PATH: join(directory, "memory.jsonl") },
          },
          filesystem: server("filesystem", directory),
          thinking: server("sequential-thinking"),
        },
      },
    });
    scope.defer(() => gateway.stop());
    await gateway.ready();
    return { gateway, directory };
  })();
}

/** What serves stdio: a bridge to the running gateway, and a gateway of its own. */
function commands(url: string, configPath: string) {
  const mode = ON_BUN ? "bun" : "deno";
  return {
    bridge: programCommand(mode, ["bridge", url]),
    "--stdio": programCommand(mode, ["--stdio", "--config", configPath]),
  };
}

async function connect(name: string): Promise<RealClient> {
  const { gateway } = await start();
  const { url, base, configPath } = gateway;
  const target = { url, sseUrl: `${base}/sse`, commands: commands(url, configPath) };
  return await within(realClients(target).get(name)!(), `the connection of ${name}`);
}

const anywhere = "http://127.0.0.1/";
const names = realClients({ url: anywhere, sseUrl: anywhere, commands: commands("", "") }).keys();

const TOOLS = [
  "everything_echo",
  "memory_read_graph",
  "filesystem_read_text_file",
  "thinking_sequentialthinking",
];

for (const name of names) {
  test(`${name} lists, calls, reads and gets from the four example servers`, async () => {
    const { directory } = await start();
    const client = await connect(name);
    try {
      // A gateway of its own may still be starting its servers.
      const { prompts, resources, templates } = await eventually(
        () => client.names(),
        ({ tools }) => TOOLS.every((tool) => tools.includes(tool)),
        "the tools of all four servers",
      );
      const echo = await client.call("everything_echo", { message: name });
      assert.ok(echo.includes(name), echo);
      const path = join(directory, "note.txt");
      const text = await client.call("filesystem_read_text_file", { path });
      assert.equal(text, "written by the test");
      assert.match(await client.call("memory_read_graph", {}), /entities/);
      const uri = resources.find((uri) => uri.startsWith("demo://"))!;
      assert.ok((await client.read(uri)).includes(uri));
      assert.ok(templates.some((template) => template.startsWith("demo://")));
      const prompt = prompts.find((prompt) => /simple/.test(prompt))!;
      assert.match(await client.get(prompt, {}), /"text"/);
    } finally {
      await client.close();
    }
  });
}
