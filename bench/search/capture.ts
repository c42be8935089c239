/**
 * Writes `tests/golden/search/tools.json`: the tools of the servers of `mcp-servers.example.json`, as
 * their installed versions list them. To be run after one of them is updated; the labels in
 * `queries.jsonl` beside it name tools and may have to follow.
 *
 *     deno run -A bench/search/capture.ts
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

const PACKAGES = fileURLToPath(
  new URL("../../node_modules/@modelcontextprotocol/", import.meta.url),
);
const TARGET = new URL("../../tests/golden/search/tools.json", import.meta.url);

const directory = mkdtempSync(join(tmpdir(), "mcproxy-capture-"));
const SERVERS: readonly (readonly [name: string, ...args: string[]])[] = [
  ["everything"],
  ["memory"],
  ["filesystem", directory],
  ["sequential-thinking"],
];

const servers = [];
for (const [name, ...args] of SERVERS) {
  const client = new Client({ name: "capture", version: "1" });
  await client.connect(
    new StdioClientTransport({
      command: "node",
      args: [join(PACKAGES, `server-${name}/dist/index.js`), ...args],
      env: { PATH: process.env.PATH ?? "", MEMORY_FILE_PATH: join(directory, "memory.jsonl") },
      stderr: "ignore",
    }),
  );
  const { tools } = await client.listTools();
  servers.push({
    name,
    serverInfo: client.getServerVersion(),
    instructions: client.getInstructions(),
    tools,
  });
  await client.close();
}
rmSync(directory, { recursive: true });
writeFileSync(TARGET, `${JSON.stringify(servers, undefined, 1)}\n`);
const count = servers.reduce((sum, { tools }) => sum + tools.length, 0);
process.stdout.write(`${count} tools of ${servers.length} servers\n`);
