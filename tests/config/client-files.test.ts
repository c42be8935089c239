import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { formatIssue } from "../../src/config/issue.ts";
import { loadConfig, parseConfig } from "../../src/config/load.ts";
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
  const { servers, told } = await run("opencode.json", {
    model: "m",
    mcp: { a: { type: "local", command: ["x", "y"], environment: { A: true } }, b: { url: 5 } },
  });
  assert.deepEqual([...servers.keys()], ["a"]);
  assert.match(told, /"model" is a setting of OpenCode/);
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

/** What is told of a file of ours, and its settings where it is in order. */
function check(content: unknown) {
  const text = JSON.stringify(content);
  const result = parseConfig(text, { file: "mcp-servers.json", env: {} });
  const issues = result.ok ? result.warnings : result.issues;
  const told = issues.map((issue) => formatIssue(issue)).join("\n");
  const { settings, servers } = result.ok ? result.config : {};
  return { settings, servers, told };
}

for (
  const [layout, servers] of [
    ["OpenCode", { mcp: { a: { command: "echo", args: ["x"] } } }],
    ["VS Code's older settings", { mcp: { servers: { a: { command: "echo", args: ["x"] } } } }],
  ] as const
) {
  test(`settings at the top count beside the servers of ${layout}`, () => {
    const { told } = check({ port: 9000, timeout: "bad", ...servers });
    assert.match(told, /timeout: found "bad", expected a duration/);
    const good = check({ port: 9000, timeout: "5s", ...servers });
    assert.deepEqual([good.settings?.port, good.settings?.timeout], [9000, 5000]);
    const [target] = good.servers!.get("a")!.instances;
    assert.ok(target?.kind === "stdio");
    assert.deepEqual(target.args, ["x"]);
  });
}

test("what is no setting of ours beside mcp is told", () => {
  for (const mcp of [{ a: { command: ["echo"] } }, { servers: { a: { command: "echo" } } }]) {
    assert.match(check({ prot: 9000, mcp }).told, /"prot" is a setting of (OpenCode|VS Code) and/);
  }
});

test("an OpenCode entry without a program is none", () => {
  for (const entry of [{ command: [] }, { type: "local", command: [], environment: {} }]) {
    assert.match(check({ mcp: { a: entry } }).told, /mcp\.a: found neither "command" nor "url"/);
  }
});
