import assert from "node:assert/strict";
import { test } from "node:test";
import { writeFile } from "node:fs/promises";
import { startGateway } from "../support/gateway.ts";

test("A gateway among its own servers is refused with the reason, by each of its URLs", async () => {
  const gateway = await startGateway({ mode: "memory", config: { mcpServers: {} } });
  try {
    const { base } = gateway;
    const mcpServers = {
      own: { url: `${base}/mcp` },
      old: { url: `${base}/sse`, transport: "sse" },
      legacy: { url: `${base}/ungated/mcp`, protocol: "legacy" },
    };
    await writeFile(gateway.configPath, JSON.stringify({ mcpServers }));
    for (const name of Object.keys(mcpServers)) {
      const { lastError } = await gateway.waitForServer(name, (one) => Boolean(one.lastError));
      assert.match(String(lastError), /it is this gateway itself, or has it among its servers/);
    }
  } finally {
    await gateway.stop();
  }
});
