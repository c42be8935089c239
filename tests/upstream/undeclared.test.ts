import assert from "node:assert/strict";
import { test } from "node:test";
import type { ResponseMessage } from "../../src/protocol/message.ts";
import { Catalogue } from "../../src/upstream/catalogue.ts";
import type { Connection } from "../../src/upstream/connection/connection.ts";
import { readInventory } from "../../src/upstream/connection/inventory.ts";
import { FakeClock } from "./fakes/clock.ts";
import { RecordedLog } from "./support.ts";

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
  assert.deepEqual(again.problems.tools, ["Cannot list tools: timed out"]);
});

/** A modern connection over HTTP, where tools of a wrong form are left out. */
function leavingOut(lists: Record<string, unknown>): Connection {
  const capabilities = { tools: {}, prompts: {} };
  const request = (method: string) => {
    const result = { [method.split("/")[0]!]: lists[method] };
    const raw = JSON.stringify({ jsonrpc: "2.0", id: 1, result });
    return Promise.resolve({ raw, result });
  };
  return {
    era: "modern",
    transport: "http",
    handshake: { era: "modern", capabilities, capabilitiesText: "{}", serverInfoText: "{}" },
    channel: { request },
  } as unknown as Connection;
}

const wrong = (name: string) => ({
  name,
  inputSchema: {
    type: "object",
    properties: { a: { type: "string", "x-mcp-header": "no token" } },
  },
});

test("Catalogue keeps what was wrong with lists that are not read again, and tells it once", async () => {
  const lists: Record<string, unknown> = {
    "tools/list": [{ name: "x", inputSchema: { type: "object" } }, wrong("bad")],
    "prompts/list": [{ name: "p" }, 7],
  };
  const connection = leavingOut(lists);
  const [clock, log] = [new FakeClock(), new RecordedLog()];
  let changes = 0;
  const onChange = () => void changes++;
  const catalogue = new Catalogue({ log, clock, timeout: () => 1, onChange });
  const initial = await readInventory(connection, { previous: undefined, timeout: 1 });
  catalogue.follow(connection, initial);
  const left = /^Left out tool "bad": /;
  const skipped = 'Skipped 1 of the prompts: no "name" that is a string';
  assert.equal(catalogue.problems.length, 2);
  assert.match(catalogue.problems[0]!, left);
  assert.equal(catalogue.problems[1], skipped);
  const read = async (kind: "tools" | "prompts") => {
    const before = changes;
    catalogue.mark([kind]);
    await clock.flowUntil((async () => {
      for (let turns = 0; changes === before; turns++) {
        assert.ok(turns < 10_000, `the ${kind} are not read again`);
        await new Promise((next) => setImmediate(next));
      }
    })());
  };
  lists["prompts/list"] = [{ name: "p" }, { name: "q" }];
  await read("prompts");
  assert.equal(catalogue.problems.length, 1);
  assert.match(catalogue.problems[0]!, left);
  lists["tools/list"] = [{ name: "y", inputSchema: { type: "object" } }, wrong("bad")];
  await read("tools");
  assert.match(catalogue.problems.join("\n"), left);
  lists["tools/list"] = [{ name: "z", inputSchema: { type: "object" } }];
  await read("tools");
  assert.deepEqual(catalogue.problems, []);
  assert.equal(log.lines.filter(({ message }) => left.test(message)).length, 1);
});

test("readInventory() tells of few tools that it leaves out, in short, and how many more there are", async () => {
  const tools = Array.from({ length: 1_000 }, (_, at) => wrong(`t${at}${"x".repeat(1_000)}`));
  const connection = leavingOut({ "tools/list": tools, "prompts/list": [] });
  const { problems } = await readInventory(connection, { previous: undefined, timeout: 1 });
  assert.equal(problems.tools!.length, 6);
  assert.equal(problems.tools!.at(-1), "Left out tools: 995 more like these");
  for (const problem of problems.tools!) assert.ok(problem.length < 500);
});

test("readInventory() tells a list that could not be read from one with nothing on it", async () => {
  const lists: Record<string, unknown> = { "tools/list": 7, "prompts/list": [] };
  const connection = leavingOut(lists);
  const once = { previous: undefined, timeout: 1 };
  const { inventory: first } = await readInventory(connection, once);
  assert.deepEqual(first.lists.tools, { items: [], isUnread: true });
  assert.deepEqual(first.lists.prompts, { items: [] });
  lists["tools/list"] = [];
  const { inventory } = await readInventory(connection, { ...once, previous: first });
  assert.deepEqual(inventory.lists.tools, { items: [] });
});
