/** Behind a real listener the door knows where a request comes from. */

import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { configFile } from "../../cli/support.ts";
import { Scope } from "../../behaviour/scope.ts";
import { cacheEnv } from "../../support/cache.ts";
import { startServer } from "../../support/server.ts";

async function statusBehind(from: string): Promise<number> {
  await using scope = new Scope();
  const proxy = { header: "x-forwarded-user", from: [from] };
  const file = scope.use(await configFile({ mcpServers: {}, auth: { proxy } }));
  const env = { ...process.env, ...cacheEnv() };
  const server = scope.use(await startServer({ config: file.path, port: 0, env }));
  const url = new URL("/api/status", server.url);
  const told = await fetch(url, { headers: { "x-forwarded-user": "alice" } });
  await told.body?.cancel();
  return told.status;
}

test("what a proxy says counts from its address, and from no other", async () => {
  assert.equal(await statusBehind("127.0.0.1"), 200);
  assert.equal(await statusBehind("10.0.0.1"), 401);
});
