import assert from "node:assert/strict";
import { test } from "node:test";
import type { ResponseMessage } from "../../src/protocol/message.ts";
import type { Connection } from "../../src/upstream/connection/connection.ts";
import { readInventory } from "../../src/upstream/connection/inventory.ts";

/** A connection to a server that declares no list, and answers each question like this. */
function undeclared(answer: (method: string) => Promise<object>): Connection {
  return {
    era: "legacy",
    transport: "stdio",
    handshake: { era: "legacy", capabilities: {}, capabilitiesText: "{}", serverInfoText: "{}" },
    channel: {
      request: (method: string) => answer(method) as Promise<ResponseMessage>,
    },
  } as unknown as Connection;
}

const TOOLS = { tools: [{ name: "x", inputSchema: { type: "object" } }] };
const listing = (method: string) => {
  if (method !== "tools/list") return Promise.resolve({ error: { code: -32601, message: "no" } });
  const raw = JSON.stringify({ jsonrpc: "2.0", id: 1, result: TOOLS });
  return Promise.resolve({ raw, result: TOOLS });
};
const kinds = new Set(["tools", "prompts", "resources", "templates"] as const);
const options = { previous: undefined, kinds, timeout: 1 };

test("readInventory() keeps what a server listed without declaring it where a question fails once", async () => {
  const { inventory } = await readInventory(undeclared(listing), options);
  assert.equal(inventory.lists.tools.items.length, 1);
  const failing = undeclared(() => Promise.reject(new Error("timed out")));
  const again = await readInventory(failing, { ...options, previous: inventory });
  assert.equal(again.inventory.lists.tools.items.length, 1);
  assert.deepEqual(again.problems, ["Cannot list tools: timed out"]);
});
