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

test("a choice said twice, or a name that collides, leaves one server of a client out", async () => {
  const gemini = await run(".gemini/settings.json", {
    mcpServers: {
      odd: { command: "x", includeTools: ["a"], enabledTools: ["b"] },
      good: { command: "x", includeTools: ["a"] },
    },
  });
  assert.deepEqual([...gemini.servers.keys()], ["good"]);
  assert.match(gemini.told, /odd\.enabledTools: found both "includeTools" .*; left out/);
  const claude = await run(".claude.json", {
    mcpServers: {
      "my server": { command: "x" },
      "my_server": { command: "y" },
      "its.name": { comand: "x" },
      "its_name": { command: "y" },
    },
  });
  assert.deepEqual([...claude.servers.keys()], ["my server", "its_name"]);
  assert.match(claude.told, /my_server: servers "my server" and "my_server" both .*; left out/);
  const opencode = await run("opencode.json", {
    mcp: { a: { command: ["x"], enabledTools: [], includeTools: [] }, b: { command: ["x"] } },
  });
  assert.deepEqual([...opencode.servers.keys()], ["b"]);
});

test("settings of a client are not taken for ours of the same name", async () => {
  const mcpServers = { a: { command: "x" } };
  const odd = { timeout: "abc", port: "x", allowCommands: true, inputs: 5, proxy: 1, features: {} };
  for (const name of [".claude.json", ".gemini/settings.json"]) {
    const { servers, told } = await run(name, { ...odd, mcpServers });
    assert.deepEqual([...servers.keys()], ["a"]);
    assert.match(told, /"timeout" and 5 more are settings of its client/);
  }
  const { servers } = await run("opencode.json", {
    logLevel: "ALL",
    timeout: "abc",
    mcp: { a: { command: ["x"] } },
  });
  assert.deepEqual([...servers.keys()], ["a"]);
});

test("the variables of OpenCode are ours", async () => {
  const { servers } = await run("opencode.json", {
    mcp: {
      a: {
        command: ["x", "--key={env:KEY}", "${KEY}", "{a}"],
        environment: { FILE: "{file:./opencode.json}", KEY: "{env:KEY}" },
      },
      b: { type: "remote", url: "https://{env:HOST}/mcp", headers: { X: "Bearer {env:KEY}" } },
      c: { command: ["x", "{env:UNSET}"] },
    },
  }, { KEY: "k", HOST: "b.example" });
  const [a, b] = [...servers.values()].map(({ instances: [target] }) => target);
  assert.ok(a?.kind === "stdio" && b?.kind === "http");
  assert.deepEqual([a.args, a.env["KEY"]], [["--key=k", "k", "{a}"], "k"]);
  assert.match(a.env["FILE"]!, /^\{"mcp":/);
  assert.deepEqual([b.url, { ...b.headers }], ["https://b.example/mcp", { X: "Bearer k" }]);
  const { problem } = servers.get("c")!;
  assert.equal(problem?.path, "mcp.c.command[1]");
  assert.match(problem.message, /"UNSET" is not set/);
});

test("a dollar of Gemini CLI is text where there is no variable", async () => {
  const { servers } = await run(".gemini/settings.json", {
    mcpServers: {
      a: {
        command: "$HOME/x",
        args: ["$1", "$$word", "a$"],
        cwd: "$HOME",
        env: { PW: "pa$word", SAFE: "${UNSET:-$HOME}" },
        description: "costs $word",
      },
      b: { httpUrl: "https://$HOST/mcp", headers: { X: "Bearer $KEY" } },
      c: { url: "https://$HOST/sse", env: {} },
    },
  }, { HOME: "/h", HOST: "b.example", KEY: "k" });
  const all = [...servers.values()];
  assert.deepEqual(all.map(({ problem }) => problem), [undefined, undefined, undefined]);
  const [a, b, c] = all.map(({ instances: [target] }) => target);
  assert.ok(a?.kind === "stdio" && b?.kind === "http" && c?.kind === "http");
  assert.deepEqual([a.command, a.cwd, a.args], ["/h/x", "/h", ["$1", "$$word", "a$"]]);
  assert.deepEqual({ ...a.env }, { PW: "pa$word", SAFE: "$HOME" });
  assert.deepEqual([b.url, b.headers["X"], c.url], [
    "https://b.example/mcp",
    "Bearer k",
    "https://b.example/sse",
  ]);
});

test("what is odd in an OpenCode entry is told in its own words and at its own place", async () => {
  const entry = { command: ["x", "y", 5], environment: { PORT: 8080 } };
  const { told } = await run("opencode.json", { mcp: { a: entry, b: { command: ["x"] } } });
  assert.match(told, /:1:\d+ mcp\.a\.environment\.PORT: found a number, taken as text/);
  assert.match(told, /mcp\.a\.command\[2\]: found a number, expected a string/);
  assert.match(check({ mcp: { a: { command: [5] } } }).told, /mcp\.a\.command\[0\]: found/);
});
