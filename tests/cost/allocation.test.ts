/**
 * What a call costs, as the one figure that no busy machine disturbs: bytes allocated, of which V8
 * keeps count. A budget here is raised by nothing but a change that says what it buys.
 */

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { stdioUpstream } from "../behaviour/world.ts";
import { inDirectory } from "../config/temp.ts";
import { cacheEnv } from "../support/cache.ts";
import { HttpClient } from "../support/clients/http.ts";
import { ON_BUN, scriptArguments } from "../support/program.ts";
import { startProcess, type TestProcess } from "../support/process.ts";

/** Calls before the first look: what is not compiled yet allocates otherwise. */
const WARMUP = 3_000;
/** Calls between two looks, of which there are so many: a busy machine compiles late. */
const CALLS = 1_000;
const LOOKS = 12;

/** Bytes, with what the client's own headers cost. */
const CALL_BUDGET = 14_300;
const LIST_BUDGET = 8_800;

async function allocated(gateway: TestProcess): Promise<number> {
  const { length } = gateway.stdout.items;
  gateway.write("\n");
  return Number(await gateway.stdout.waitFor(() => true, { from: length }));
}

/** Bytes for each request of `method`, in turns of eight, as soon as they are within `budget`. */
async function bytesOf(
  gateway: TestProcess,
  client: HttpClient,
  budget: number,
  method: string,
  params: object,
) {
  const run = async (count: number) => {
    for (let left = count; left > 0; left -= 8) {
      await Promise.all(Array.from({ length: 8 }, () => client.request(method, params)));
    }
  };
  await run(WARMUP);
  let bytes = Infinity;
  for (let look = 0; look < LOOKS && bytes > budget; look++) {
    const before = await allocated(gateway);
    await run(CALLS);
    bytes = (await allocated(gateway) - before) / CALLS;
  }
  return Math.round(bytes);
}

test("a call and a list allocate no more than their budgets", {
  skip: ON_BUN && "JavaScriptCore keeps no count",
  timeout: 120_000,
}, () =>
  inDirectory(async (directory) => {
    const file = join(directory, "mcp-servers.json");
    const one = stdioUpstream({ name: "one", tools: ["echo"] });
    // The budgets are those of a call alone: a history has a benchmark of its own.
    const settings = { port: 0, history: "off" };
    await writeFile(file, JSON.stringify({ mcpServers: { one }, ...settings }));
    const script = fileURLToPath(new URL("./measured.ts", import.meta.url));
    const args = scriptArguments(script, "serve", "--config", file, "--log-level", "warning");
    const gateway = await startProcess(process.execPath, args, {
      env: { ...process.env, ...cacheEnv() },
    });
    try {
      const line = await gateway.stderr.waitFor((text) => text.includes("Listening on"));
      const client = await HttpClient.connect(new URL("/mcp", /http\S+/.exec(line)![0]).href);
      const call = { name: "one_echo", arguments: { message: "hello" } };
      const perCall = await bytesOf(gateway, client, CALL_BUDGET, "tools/call", call);
      const perList = await bytesOf(gateway, client, LIST_BUDGET, "tools/list", {});
      console.log(`bytes: ${perCall} a call, ${perList} a list`);
      assert.ok(perCall <= CALL_BUDGET, `${perCall} bytes a call`);
      assert.ok(perList <= LIST_BUDGET, `${perList} bytes a list`);
    } finally {
      await gateway.kill();
    }
  }));
