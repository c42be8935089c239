/** The official SDKs as clients, behind one small face. */

import {
  Client as ClientV2,
  SSEClientTransport,
  StreamableHTTPClientTransport,
} from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport as SseV1 } from "@modelcontextprotocol/sdk/client/sse.js";
import { StdioClientTransport as StdioV1 } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport as HttpV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { cacheEnv } from "../support/cache.ts";

/** What the tests ask of a real client. */
export interface RealClient {
  names(): Promise<Record<"tools" | "prompts" | "resources" | "templates", readonly string[]>>;
  /** The text of the first content item. */
  call(name: string, args: Record<string, unknown>): Promise<string>;
  read(uri: string): Promise<string>;
  get(name: string, args: Record<string, string>): Promise<string>;
  close(): Promise<void>;
}

/** Where a real client connects to. */
export interface Target {
  readonly url: string;
  readonly sseUrl: string;
  /** Commands that serve stdio, by what they are called in a test's name. */
  readonly commands: Readonly<Record<string, Command>>;
}

interface Command {
  readonly command: string;
  readonly args: readonly string[];
}

/** The SDKs give a server a few variables of their own choice; these are beside them. */
const ENV = cacheEnv();

const INFO = { name: "real-client", version: "1.0.0" };

/** Every real client by name. */
export function realClients(
  { url, sseUrl, commands }: Target,
): ReadonlyMap<string, () => Promise<RealClient>> {
  const clients = new Map<string, () => Promise<RealClient>>([
    ["SDK v1, Streamable HTTP", () => v1(new HttpV1(new URL(url)) as never)],
    ["SDK v1, HTTP+SSE", () => v1(new SseV1(new URL(sseUrl)))],
    ["SDK v2 legacy", () => v2(new StreamableHTTPClientTransport(new URL(url)), "legacy")],
    ["SDK v2 modern", () => v2(new StreamableHTTPClientTransport(new URL(url)), "modern")],
    ["SDK v2, HTTP+SSE", () => v2(new SSEClientTransport(new URL(sseUrl)), "legacy")],
  ]);
  for (const [name, { command, args }] of Object.entries(commands)) {
    const start = { command, args: [...args], env: ENV, stderr: "ignore" as const };
    clients.set(`SDK v1, ${name}`, () => v1(new StdioV1(start)));
    clients.set(`SDK v2, ${name}`, () => v2(new StdioClientTransport(start), "legacy"));
  }
  return clients;
}

async function v1(transport: Parameters<ClientV1["connect"]>[0]): Promise<RealClient> {
  const client = new ClientV1(INFO);
  await client.connect(transport);
  return face(client as never);
}

async function v2(
  transport: Parameters<ClientV2["connect"]>[0],
  era: "legacy" | "modern",
): Promise<RealClient> {
  const mode = era === "legacy" ? "legacy" : { pin: "2026-07-28" };
  const client = new ClientV2(INFO, { versionNegotiation: { mode } });
  await client.connect(transport);
  return face(client);
}

function face(client: ClientV2): RealClient {
  return {
    names: async () => ({
      tools: (await client.listTools()).tools.map(({ name }) => name),
      prompts: (await client.listPrompts()).prompts.map(({ name }) => name),
      resources: (await client.listResources()).resources.map(({ uri }) => uri),
      templates: (await client.listResourceTemplates()).resourceTemplates.map((one) =>
        one.uriTemplate
      ),
    }),
    call: async (name, args) =>
      firstText((await client.callTool({ name, arguments: args })).content),
    read: async (uri) => JSON.stringify((await client.readResource({ uri })).contents),
    get: async (name, args) => {
      return JSON.stringify((await client.getPrompt({ name, arguments: args })).messages);
    },
    close: () => client.close(),
  };
}

function firstText(content: unknown): string {
  const [first] = content as readonly { readonly text?: string }[];
  return first?.text ?? JSON.stringify(first);
}
