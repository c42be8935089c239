/** Real clients of one gateway that is restarted under them, in one way and the other. */

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { Client as ClientV2, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as HttpV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { HttpClient } from "../support/clients/http.ts";
import { requestText, textOf } from "../support/clients/message.ts";
import { StdioClient } from "../support/clients/stdio.ts";
import { Inbox } from "../support/inbox.ts";
import { ON_BUN, ROOT } from "../support/program.ts";
import { Restarted } from "./restarted.ts";
import { Scope } from "./scope.ts";
import { stdioUpstream } from "./world.ts";

const INFO = { name: "real-client", version: "1.0.0" };

/** One client with an open stream. */
interface Guest {
  readonly name: string;
  call(value: number): Promise<string>;
  /** What it heard on its stream; not told of one that goes on trying for it twice only. */
  readonly heard?: Inbox<unknown>;
  close(): Promise<unknown>;
}

/** A busy machine takes longer to start than the SDKs go on trying for their streams. */
const reconnectionOptions = {
  initialReconnectionDelay: 500,
  maxReconnectionDelay: 1_000,
  reconnectionDelayGrowFactor: 1,
  maxRetries: 1_000,
};

async function sdk(version: "v1" | "v2", address: string): Promise<Guest> {
  const name = `SDK ${version}`;
  const url = new URL(address);
  const heard = new Inbox<unknown>(`the stream of ${name}`);
  const push = (one: unknown) => Promise.resolve(heard.push(one));
  let client: Pick<ClientV1, "callTool" | "close">;
  if (version === "v1") {
    const v1 = new ClientV1(INFO);
    await v1.connect(new HttpV1(url, { reconnectionOptions }) as never);
    v1.fallbackNotificationHandler = push;
    client = v1;
  } else {
    const v2 = new ClientV2(INFO, { versionNegotiation: { mode: "legacy" } });
    await v2.connect(new StreamableHTTPClientTransport(url, { reconnectionOptions }));
    v2.fallbackNotificationHandler = push;
    client = v2 as never;
  }
  return {
    name,
    heard,
    call: async (value) => {
      const { content } = await client.callTool({ name: "one_echo", arguments: { value } });
      return (content as { text: string }[])[0]!.text;
    },
    close: () => client.close(),
  };
}

async function mcpRemote(url: string, scope: Scope): Promise<Guest> {
  const home = await mkdtemp(join(tmpdir(), "mcproxy-remote-"));
  scope.defer(() => rm(home, { recursive: true, force: true }));
  const env = { ...process.env, HOME: home, MCP_REMOTE_CONFIG_DIR: home };
  const program = `${ROOT}node_modules/mcp-remote/dist/proxy.js`;
  const client = await StdioClient.spawn("node", [program, url, "--transport", "http-only"], env);
  scope.defer(() => client.process.kill());
  await client.initialize();
  return {
    name: "mcp-remote",
    call: async (value) => {
      const params = { name: "one_echo", arguments: { value } };
      return textOf(await client.request("tools/call", params, { within: 60_000 }));
    },
    close: () => client.close(),
  };
}

/**
 * Restarts a gateway so many times, every fourth time by SIGKILL, under clients with open streams:
 * no call fails that is made when it listens again, streams come back, and who has said goodbye stays
 * gone.
 */
export async function restartUnderClients(rounds: number): Promise<void> {
  await using scope = new Scope();
  const one = stdioUpstream({ name: "one", tools: ["echo"] });
  const gateway = await Restarted.open(scope, ON_BUN ? "bun" : "deno", { mcpServers: { one } });
  await gateway.start();
  const { url } = gateway;
  const guests = [await sdk("v1", url), await sdk("v2", url), await mcpRemote(url, scope)];
  for (const guest of guests) scope.defer(() => guest.close());
  let calls = 0;
  const callAll = () =>
    Promise.all(guests.map(async ({ name, call }) => {
      const value = ++calls;
      assert.equal(await call(value), `{"value":${value}}`, `${name}, call ${value}`);
    }));
  await callAll();
  const gone: HttpClient[] = [];
  for (let round = 1; round <= rounds; round++) {
    const before = guests.map(({ heard }) => heard?.items.length);
    const leaving = await HttpClient.connect(url);
    gone.push(leaving);
    assert.equal((await leaving.delete()).status, 204);
    await gateway.end(round % 4 === 0 ? "SIGKILL" : "SIGTERM");
    await gateway.start();
    await callAll();
    for (const client of gone) assert.equal((await client.post(PING)).status, 404);
    // The streams are back, too: the first they say is that lists may have changed.
    await Promise.all(
      guests.map(({ heard }, i) =>
        heard?.waitFor(() => true, { from: before[i]!, within: 60_000 })
      ),
    );
    await callAll();
  }
}

const PING = requestText(1, "ping");
