// An aggregator as one writes it with the SDK: a Client for each server, a Server for each session,
// names with the server's before them. Arguments: config file, port.

import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { createMcpExpressApp } from "@modelcontextprotocol/sdk/server/express.js";
import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { CallToolRequestSchema, ListToolsRequestSchema } from "@modelcontextprotocol/sdk/types.js";

const [config, port] = process.argv.slice(2);
const INFO = { name: "sdk-way", version: "1" };

const routes = new Map();
const tools = [];
const { mcpServers } = JSON.parse(readFileSync(config, "utf8"));
await Promise.all(
  Object.entries(mcpServers).map(async ([server, { command, args }]) => {
    const client = new Client(INFO);
    await client.connect(new StdioClientTransport({ command, args }));
    for (const tool of (await client.listTools()).tools) {
      const name = `${server}_${tool.name}`;
      routes.set(name, { client, name: tool.name });
      tools.push({ ...tool, name });
    }
  }),
);

function newServer() {
  const server = new Server(INFO, { capabilities: { tools: {} } });
  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools }));
  server.setRequestHandler(CallToolRequestSchema, ({ params }) => {
    const route = routes.get(params.name);
    if (route === undefined) throw new Error(`Unknown tool ${params.name}`);
    return route.client.callTool({ name: route.name, arguments: params.arguments });
  });
  return server;
}

const transports = new Map();
const app = createMcpExpressApp();
app.all("/mcp", async (request, response) => {
  const id = request.headers["mcp-session-id"];
  let transport = transports.get(id);
  if (transport === undefined && id !== undefined) return void response.status(404).end();
  if (transport === undefined) {
    transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => void transports.set(id, transport),
    });
    transport.onclose = () => transports.delete(transport.sessionId);
    await newServer().connect(transport);
  }
  await transport.handleRequest(request, response, request.body);
});
app.listen(Number(port), "127.0.0.1");
