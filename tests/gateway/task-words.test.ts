import { runtime } from "#runtime";
import assert from "node:assert/strict";
import { test } from "node:test";
import { Server } from "../../src/app/server.ts";
import { parseConfig } from "../../src/config/load.ts";
import { passTime } from "../support/time.ts";
import { AFTERWORDS } from "../../src/upstream/connection/questions.ts";
import { HttpClient } from "../support/clients/http.ts";
import type { FakeProgram } from "../support/fake-child.ts";
import { FakeRuntime, listeningWith } from "../support/fake-runtime.ts";

const OF_TASK = { _meta: { "io.modelcontextprotocol/related-task": { taskId: "t1" } } };
const TOOL = { inputSchema: { type: "object" } };
const TOOLS = [{ name: "long", ...TOOL, execution: { taskSupport: "optional" } }, {
  name: "plain",
  ...TOOL,
}];
const CAPABILITIES = { tools: {}, logging: {}, tasks: { requests: { tools: { call: {} } } } };

/** Speaks about its task during the next plain call, which tells how its question was answered. */
const program: FakeProgram = (process) => {
  const say = (message: object) =>
    process.stdout(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  let plain: unknown;
  process.onInput((lines) => {
    for (const line of lines.split("\n").filter((line) => line !== "")) {
      const { id, method, params, error } = JSON.parse(line);
      if (method === "initialize") {
        const serverInfo = { name: "t", version: "1" };
        const protocolVersion = "2025-11-25";
        say({ id, result: { protocolVersion, capabilities: CAPABILITIES, serverInfo } });
      } else if (method === "tools/list") say({ id, result: { tools: TOOLS } });
      else if (method === "tools/call" && params.task !== undefined) {
        const at = "2026-01-01T00:00:00Z";
        const times = { createdAt: at, lastUpdatedAt: at, ttl: 60_000 };
        say({ id, result: { task: { taskId: "t1", status: "working", ...times } } });
      } else if (method === "tools/call") {
        plain = id;
        const requestedSchema = { type: "object", properties: {} };
        const question = { message: "What is the password?", requestedSchema, ...OF_TASK };
        const data = { level: "emergency", data: "a word about the task", ...OF_TASK };
        say({ method: "notifications/message", params: data });
        say({ id: "q", method: "elicitation/create", params: question });
      } else if (id === "q") {
        const text = error === undefined ? "was told it" : "was told nothing";
        say({ id: plain, result: { content: [{ type: "text", text }] } });
      } else if (id !== undefined) say({ id, result: {} });
    }
  });
};

test("what a server says of a task reaches the client whose it is, and not the one whose call is the only one", async () => {
  const text = JSON.stringify({ port: 0, healthInterval: 0, mcpServers: { t: { command: "t" } } });
  const parsed = parseConfig(text, { file: "x", env: {} });
  assert.ok(parsed.ok);
  const fake = new FakeRuntime({ programs: { t: program } });
  const server = await Server.start({
    config: parsed.config,
    runtime: listeningWith(runtime.serve, fake),
    listen: true,
  });
  try {
    await server.gateway.settled();
    const url = new URL("/mcp", server.url!).href;
    const options = { capabilities: { elicitation: {} } };
    const [anna, bert] = [
      await HttpClient.connect(url, options),
      await HttpClient.connect(url, options),
    ];
    const heard = await anna.listen();
    const call = (client: HttpClient, name: string, more = {}) =>
      client.request("tools/call", { name: `t_${name}`, arguments: {}, ...more });
    await call(anna, "long", { task: { ttl: 60_000 } });
    passTime(AFTERWORDS);
    const { json } = await call(bert, "plain");
    assert.equal(json.result.content[0].text, "was told nothing");
    await heard.messages.waitFor((message) =>
      message.json.params?.data === "a word about the task"
    );
  } finally {
    await server.stop();
  }
});
