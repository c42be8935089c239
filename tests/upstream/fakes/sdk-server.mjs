// The SDK's own v2 server with one tool, over stdio in both eras.
import { McpServer } from "@modelcontextprotocol/server";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import process from "node:process";

serveStdio(() => {
  const server = new McpServer({ name: "sdk", version: "1" });
  server.registerTool("hello", { description: "Greets" }, () => ({
    content: [{ type: "text", text: "hello" }],
  }));
  return server;
});
process.stdin.on("end", () => process.exit(0));
