import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { ServerTarget } from "../../src/config/types.ts";
import { call, serverConfig, textOf, withUpstream } from "./support.ts";

function real(name: string, env: Record<string, string> = {}): ServerTarget {
  const script = fileURLToPath(
    new URL(`../../node_modules/@modelcontextprotocol/${name}/dist/index.js`, import.meta.url),
  );
  return { kind: "stdio", command: "node", args: [script], env };
}

test("Upstream runs server-everything: lists, a call, progress, and a clean end", async () => {
  await withUpstream(serverConfig(real("server-everything")), async (upstream) => {
    const { counts, serverInfo, state } = upstream.status();
    assert.equal(state, "ready");
    assert.ok(counts.tools >= 10 && counts.prompts >= 3 && counts.resources >= 5);
    assert.equal(counts.templates, 2);
    assert.match(String(serverInfo.name), /everything/);
    const echo = await upstream.forward(call("echo", { message: "hi" }), []);
    assert.match(textOf(echo.raw), /hi/);
    const long = call(
      "trigger-long-running-operation",
      { duration: 0.2, steps: 4 },
      { token: "tok" },
    );
    await upstream.forward(long, []);
    assert.equal(long.sent.length, 4);
    for (const raw of long.sent) assert.equal(JSON.parse(raw).params.progressToken, "tok");
  });
});

test("Upstream runs server-memory and server-sequential-thinking", async () => {
  const folder = await mkdtemp(join(tmpdir(), "mcproxy-"));
  try {
    const memory = real("server-memory", { MEMORY_FILE_PATH: join(folder, "memory.jsonl") });
    await withUpstream(serverConfig(memory), async (upstream) => {
      assert.ok(upstream.status().counts.tools >= 9);
      const graph = await upstream.forward(call("read_graph"), []);
      assert.deepEqual(JSON.parse(textOf(graph.raw)), { entities: [], relations: [] });
    });
    await withUpstream(serverConfig(real("server-sequential-thinking")), (upstream) => {
      assert.equal(upstream.status().counts.tools, 1);
      return Promise.resolve();
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});
