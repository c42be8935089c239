import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { cacheEnv } from "../../support/cache.ts";
import { HttpClient } from "../../support/clients/http.ts";
import { errorOf, isNotification, resultOf } from "../../support/clients/message.ts";
import { StdioClient } from "../../support/clients/stdio.ts";
import { type ProcessMode, programCommand } from "../../support/program.ts";
import { waitUntilGone } from "../../support/process.ts";
import { call, callText, listedAfter } from "../helpers.ts";
import type { Suite, Tools } from "../suite.ts";
import { SPECS, stdioUpstream } from "../world.ts";

async function open({ mode, scope }: Tools, ...more: string[]): Promise<StdioClient> {
  const directory = await mkdtemp(join(tmpdir(), "mcproxy-stdio-"));
  scope.defer(() => rm(directory, { recursive: true, force: true }));
  const config = join(directory, "mcp-servers.json");
  const mcpServers = { alpha: stdioUpstream(SPECS.alpha) };
  await writeFile(config, JSON.stringify({ gating: "off", mcpServers }));
  const args = ["--stdio", "--config", config, ...more];
  const { command, args: all } = programCommand(mode as ProcessMode, args);
  const client = await StdioClient.spawn(command, all, { ...process.env, ...cacheEnv() });
  scope.defer(() => client.process.kill());
  return client;
}

/** The process's own stdin and stdout as one client. */
export function stdio({ verifiesProcess }: Suite): void {
  verifiesProcess("fronts.stdio", async (tools) => {
    const client = await open(tools);
    const { protocolVersion, serverInfo } = resultOf(await client.initialize("2025-06-18")).json;
    assert.deepEqual([protocolVersion, serverInfo.name], ["2025-06-18", "mcproxy"]);
    await listedAfter(client, "tools", "alpha_echo", client.messages);
    assert.equal(await callText(client, "alpha_echo", { a: 1 }), '{"a":1}');
    const from = client.messages.items.length;
    await call(client, "alpha_progress", { n: 2 }, { progressToken: "mine" });
    const tokens = client.messages.items.slice(from).filter(
      isNotification("notifications/progress"),
    )
      .map(({ json }) => json.params.progressToken);
    assert.deepEqual(tokens, ["mine", "mine"]);
    assert.equal(errorOf(await client.request("no/such")).code, -32601);
    client.send("this is no JSON");
    const error = await client.messages.waitFor(({ json }) => json?.error?.code === -32700);
    assert.equal(error.json.id, null);
    const pid = Number(await callText(client, "alpha_pid"));
    assert.deepEqual(await client.close(), { code: 0, signal: null });
    // Nothing but messages on stdout.
    assert.deepEqual(client.messages.items.filter(({ json }) => json?.jsonrpc !== "2.0"), []);
    await waitUntilGone(pid);
  });

  verifiesProcess("fronts.stdio.http", async (tools) => {
    const client = await open(tools, "--port", "0");
    await client.initialize();
    const address = /http:\/\/127\.0\.0\.1:\d+\/mcp/;
    const line = await client.process.stderr.waitFor((line) => address.test(line));
    const http = await HttpClient.connect(address.exec(line)![0]);
    assert.equal(resultOf(await http.request("ping")).text, "{}");
    assert.equal(resultOf(await client.request("ping")).text, "{}");
    assert.deepEqual(await client.close(), { code: 0, signal: null });
  });
}
