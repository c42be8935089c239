import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { formatIssue } from "../../src/config/issue.ts";
import { loadConfig } from "../../src/config/load.ts";
import type { ServerConfig } from "../../src/config/types.ts";
import { inDirectory } from "./temp.ts";

/** What becomes of a file of a client that is run as it is. */
async function run(name: string, content: unknown, env: Record<string, string> = {}) {
  const found: { servers: ReadonlyMap<string, ServerConfig>; told: string }[] = [];
  await inDirectory(async (directory) => {
    const path = join(directory, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, JSON.stringify(content));
    const result = await loadConfig(path, { env });
    assert.ok(result.ok, JSON.stringify(result));
    const told = result.warnings.map((issue) => formatIssue(issue)).join("\n");
    found.push({ servers: result.config.servers, told });
  });
  return found[0]!;
}

test("~/.claude.json runs as it is, its odd entries left out", async () => {
  const { servers, told } = await run(".claude.json", {
    numStartups: 214,
    projects: { "/p": { mcpServers: { other: { command: "y" } } } },
    mcpServers: {
      good: { type: "stdio", command: "x", args: [], env: { PORT: 1 }, alwaysLoad: true },
      odd: { type: "stdio", comand: "x" },
      odder: "x",
    },
  });
  assert.deepEqual([...servers.keys()], ["good"]);
  assert.match(told, /"numStartups" and 1 more are settings of its client/);
  assert.match(told, /odd\.comand: unknown key.*did you mean "command".*; left out/);
  assert.match(told, /odder: found "?x?.*; left out/);
});

test("~/.gemini/settings.json runs as it is, with its variables", async () => {
  const { servers, told } = await run(".gemini/settings.json", {
    theme: "GitHub",
    security: { auth: {} },
    tools: { sandbox: true },
    mcpServers: {
      a: { command: "x", args: ["$TOKEN"], env: { KEY: "$TOKEN", OTHER: "${TOKEN}" } },
      b: { httpUrl: "https://b.example/mcp", trust: true },
    },
  }, { TOKEN: "t" });
  const [a, b] = [...servers.values()].map(({ instances: [target] }) => target);
  assert.ok(a?.kind === "stdio" && b?.kind === "http");
  assert.deepEqual([a.args, { ...a.env }], [["t"], { KEY: "t", OTHER: "t" }]);
  assert.equal(b.url, "https://b.example/mcp");
  assert.match(told, /"theme" and 2 more are settings of its client/);
});

test("opencode.json runs as it is", async () => {
  const { servers } = await run("opencode.json", {
    model: "m",
    mcp: { a: { type: "local", command: ["x", "y"], environment: { A: true } }, b: { url: 5 } },
  });
  assert.deepEqual([...servers.keys()], ["a"]);
  const [target] = servers.get("a")!.instances;
  assert.ok(target?.kind === "stdio");
  assert.deepEqual([target.command, target.args, target.env["A"]], ["x", ["y"], "true"]);
});

test("an odd entry of a configuration of ours is a mistake that is told", async () => {
  await inDirectory(async (directory) => {
    const path = join(directory, "mcp-servers.json");
    await writeFile(path, '{"mcpServers": {"good": {"command": "x"}, "odd": {"comand": "x"}}}');
    assert.equal((await loadConfig(path, { env: {} })).ok, false);
  });
});
