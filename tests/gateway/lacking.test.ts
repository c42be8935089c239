import { runtime } from "#runtime";
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Server } from "../../src/app/server.ts";
import { parseConfig } from "../../src/config/load.ts";
import { HttpClient } from "../support/clients/http.ts";
import type { Received } from "../support/clients/message.ts";
import { ModernClient } from "../support/clients/modern.ts";
import type { FakeProgram } from "../support/fake-child.ts";
import { FakeRuntime, listeningWith } from "../support/fake-runtime.ts";

/** Tools by what they need of the client, and how they ask for it. */
const NEEDS: Readonly<Record<string, { readonly method: string; readonly tool: string }>> = {
  sampling: { method: "sampling/createMessage", tool: "ask-model" },
  elicitation: { method: "elicitation/create", tool: "ask-person" },
  roots: { method: "roots/list", tool: "ask-folders" },
};

// deno-lint-ignore no-explicit-any
type Json = any;

const toolsFor = (capabilities: Json) =>
  ["plain", ...Object.keys(NEEDS).filter((need) => need in capabilities).map(toolOf)]
    .map((name) => ({ name, inputSchema: { type: "object" } }));

const toolOf = (need: string) => NEEDS[need]!.tool;

function speaking(answer: (message: Json, say: (message: object) => void) => void): FakeProgram {
  return (process) => {
    const say = (message: object) =>
      process.stdout(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
    process.onInput((lines) => {
      for (const line of lines.split("\n").filter((line) => line !== "")) {
        answer(JSON.parse(line), say);
      }
    });
  };
}

/** Has a tool only for clients that declare what it needs; `unknown` is how it says so. */
function legacyProgram(unknown: (tool: string) => object): FakeProgram {
  return (process) => {
    let declared: Json = {};
    const asked = new Map<string, unknown>();
    speaking(({ id, method, params, result, error }, say) => {
      const text = (text: string, isError = false) =>
        say({ id, result: { content: [{ type: "text", text }], isError } });
      if (method === "initialize") {
        declared = params.capabilities;
        const serverInfo = { name: "picky", version: "1" };
        const protocolVersion = "2025-11-25";
        return say({ id, result: { protocolVersion, capabilities: { tools: {} }, serverInfo } });
      }
      if (method === "tools/list") return say({ id, result: { tools: toolsFor(declared) } });
      if (method === undefined) {
        const call = asked.get(id);
        const content = [{ type: "text", text: error?.message ?? JSON.stringify(result) }];
        return say({ id: call, result: { content, isError: error !== undefined } });
      }
      if (method !== "tools/call") {
        return id !== undefined && say({ id, error: { code: -32601, message: "Unknown" } });
      }
      if (params.name === "plain") return text("Tool box not found", true);
      if (!toolsFor(declared).some(({ name }) => name === params.name)) {
        return say({ id, ...unknown(params.name) });
      }
      const need = Object.keys(NEEDS).find((need) => toolOf(need) === params.name)!;
      asked.set(`q${id}`, id);
      say({ id: `q${id}`, method: NEEDS[need]!.method, params: {} });
    })(process);
  };
}

/** Shows every tool and refuses a call in words of its own, as the era demands. */
const modernProgram = speaking(({ id, method, params }, say) => {
  const declared = params?._meta?.["io.modelcontextprotocol/clientCapabilities"] ?? {};
  const fail = (code: number, message: string, data?: object) =>
    say({ id, error: { code, message, data } });
  const all = { sampling: {}, elicitation: {}, roots: {} };
  const stamp = { resultType: "complete", ttlMs: 0, cacheScope: "public" };
  if (id === undefined || method === "subscriptions/listen") return;
  if (method === "initialize") {
    return fail(-32022, "Unsupported protocol version", { supported: ["2026-07-28"] });
  }
  if (method === "server/discover") {
    const serverInfo = { name: "picky", version: "1" };
    const capabilities = { tools: {} };
    const supportedVersions = ["2026-07-28"];
    return say({ id, result: { ...stamp, supportedVersions, capabilities, serverInfo } });
  }
  if (method === "tools/list") return say({ id, result: { ...stamp, tools: toolsFor(all) } });
  const need = Object.keys(NEEDS).find((need) => toolOf(need) === params?.name);
  if (method !== "tools/call") return fail(-32601, "Unknown");
  if (need === undefined) return fail(-32602, "Tool box not found");
  if (!(need in declared)) {
    const requiredCapabilities = { [need]: {} };
    return fail(-32021, `Tool ${params.name} asks back`, { requiredCapabilities });
  }
  say({ id, result: { resultType: "complete", content: [{ type: "text", text: "done" }] } });
});

/** How those that are told of it say that they have no such tool. */
const UNKNOWN: Readonly<Record<string, (tool: string) => object>> = {
  typescript: (tool) => ({
    result: {
      content: [{ type: "text", text: `MCP error -32602: Tool ${tool} not found` }],
      isError: true,
    },
  }),
  python: (tool) => ({
    result: { content: [{ type: "text", text: `Unknown tool: ${tool}` }], isError: true },
  }),
  go: (tool) => ({ error: { code: -32602, message: `unknown tool "${tool}"` } }),
};

const PROGRAMS: Readonly<Record<string, FakeProgram>> = {
  ...Object.fromEntries(
    Object.entries(UNKNOWN).map(([name, unknown]) => [name, legacyProgram(unknown)]),
  ),
  modern: modernProgram,
};

/** What a client is told, of an error or of a result that is one. */
const wordsOf = ({ json }: Received): string => json.error?.message ?? json.result.content[0].text;

// Hooks outside of this would be those of all files that are run as one.
describe("a tool that a client cannot have", () => {
  let server: Server;

  before(async () => {
    const mcpServers = Object.fromEntries(
      Object.keys(PROGRAMS).map((name) => [name, {
        command: name,
      }]),
    );
    const settings = { port: 0, healthInterval: 0, startupTimeout: "3m" };
    const parsed = parseConfig(JSON.stringify({ ...settings, mcpServers }), { file: "x", env: {} });
    assert.ok(parsed.ok, JSON.stringify(parsed));
    const fake = new FakeRuntime({ programs: PROGRAMS });
    server = await Server.start({
      config: parsed.config,
      runtime: listeningWith(runtime.serve, fake),
      listen: true,
    });
    await server.gateway.settled();
  });

  after(() => server.stop());

  type Call = (server: string, tool: string) => Promise<Received>;

  const legacy = async (capabilities: object, path = "/mcp"): Promise<Call> => {
    const url = new URL(path, server.url!).href;
    const client = await HttpClient.connect(url, { capabilities });
    return (server, tool) =>
      client.request("tools/call", {
        name: path === "/mcp" ? `${server}_${tool}` : tool,
        arguments: {},
      });
  };

  const modern = (capabilities: object): Promise<Call> => {
    const client = new ModernClient(server.url!);
    const key = "io.modelcontextprotocol/clientCapabilities";
    const call: Call = (server, tool) =>
      client.request("tools/call", {
        name: `${server}_${tool}`,
        arguments: {},
        _meta: { [key]: capabilities },
      });
    return Promise.resolve(call);
  };

  for (const upstream of Object.keys(PROGRAMS)) {
    for (const [era, connect] of Object.entries({ legacy, modern })) {
      test(`is refused in one text with the client's name for it, ${era} to ${upstream}`, async () => {
        const unable = await connect({});
        // On the shared connection first; afterwards this server asks in vain there.
        for (const need of ["sampling", "sampling", "elicitation", "roots"]) {
          const name = `"${upstream}_${toolOf(need)}"`;
          const answer = await unable(upstream, toolOf(need));
          const words = wordsOf(answer);
          assert.match(words, new RegExp(`${name} needs a client that supports .*\\b${need}\\b`));
          assert.equal(words.replace(name, "").includes(toolOf(need)), false, words);
          if (era === "modern") {
            assert.equal(answer.json.error.code, -32021);
            assert.ok(need in answer.json.error.data.requiredCapabilities);
          }
        }
        // Whatever else fails is told as it was said.
        assert.equal(wordsOf(await unable(upstream, "plain")), "Tool box not found");
      });
    }
  }

  test("is named as its own endpoint names it", async () => {
    for (const upstream of Object.keys(UNKNOWN)) {
      const unable = await legacy({}, `/servers/${upstream}/mcp`);
      const words = wordsOf(await unable(upstream, "ask-model"));
      assert.match(words, /^"ask-model" needs a client that supports .*\bsampling\b/);
    }
    // What a server says itself, by the name the client has used, passes as it is.
    const unable = await legacy({}, "/servers/modern/mcp");
    assert.equal(wordsOf(await unable("modern", "ask-model")), "Tool ask-model asks back");
  });

  test("is told as what is missing: a client that can do one of three misses the others", async () => {
    const able = await legacy({ sampling: {} });
    const start = '"go_ask-person" needs a client that supports elicitation';
    // Asked in vain, this is known for sure; then the server keeps its tool, and it may be either.
    assert.equal(wordsOf(await able("go", "ask-person")), start);
    const doubt = ", it seems: its server knows none by that name";
    assert.equal(wordsOf(await able("go", "ask-person")), `${start} or roots${doubt}`);
  });

  test("is no reason where the client can do everything", async () => {
    const able = await modern({ sampling: {}, elicitation: { form: {}, url: {} }, roots: {} });
    assert.equal(wordsOf(await able("modern", "ask-model")), "done");
    assert.equal(wordsOf(await able("typescript", "plain")), "Tool box not found");
  });
});
