import assert from "node:assert/strict";
import { test } from "node:test";
import {
  clientFiles,
  CLIENTS,
  isConnection,
  leadsToGateway,
  type Surroundings,
} from "../../../src/cli/clients/clients.ts";

function paths(surroundings: Surroundings): Record<string, string[]> {
  const all: Record<string, string[]> = {};
  for (const { client, path } of clientFiles(CLIENTS, surroundings)) {
    (all[client.name] ??= []).push(path);
  }
  return all;
}

const CLINE = "globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json";

test("clientFiles() on Linux", () => {
  const config = "/home/u/.config";
  assert.deepEqual(paths({ platform: "linux", env: {}, cwd: "/p", home: "/home/u" }), {
    "claude-desktop": [`${config}/Claude/claude_desktop_config.json`],
    "claude-code": ["/home/u/.claude.json", "/p/.mcp.json"],
    cursor: ["/home/u/.cursor/mcp.json", "/p/.cursor/mcp.json"],
    vscode: [
      `${config}/Code/User/mcp.json`,
      `${config}/Code - Insiders/User/mcp.json`,
      `${config}/VSCodium/User/mcp.json`,
      "/p/.vscode/mcp.json",
    ],
    windsurf: ["/home/u/.codeium/windsurf/mcp_config.json"],
    zed: [`${config}/zed/settings.json`, "/p/.zed/settings.json"],
    cline: [
      `${config}/Code/User/${CLINE}`,
      `${config}/Code - Insiders/User/${CLINE}`,
      `${config}/VSCodium/User/${CLINE}`,
      `${config}/Cursor/User/${CLINE}`,
      `${config}/Windsurf/User/${CLINE}`,
      "/home/u/.cline/data/settings/cline_mcp_settings.json",
    ],
    codex: ["/home/u/.codex/config.toml", "/p/.codex/config.toml"],
    gemini: ["/home/u/.gemini/settings.json", "/p/.gemini/settings.json"],
    opencode: [
      `${config}/opencode/opencode.json`,
      `${config}/opencode/opencode.jsonc`,
      "/p/opencode.json",
      "/p/opencode.jsonc",
    ],
  });
});

test("clientFiles() on macOS", () => {
  const found = paths({ platform: "darwin", env: {}, cwd: "/p", home: "/Users/u" });
  const support = "/Users/u/Library/Application Support";
  assert.deepEqual(found["claude-desktop"], [`${support}/Claude/claude_desktop_config.json`]);
  assert.deepEqual(found["claude-code"], ["/Users/u/.claude.json", "/p/.mcp.json"]);
  assert.deepEqual(found["cursor"], ["/Users/u/.cursor/mcp.json", "/p/.cursor/mcp.json"]);
  assert.equal(found["vscode"]?.[0], `${support}/Code/User/mcp.json`);
  assert.deepEqual(found["windsurf"], ["/Users/u/.codeium/windsurf/mcp_config.json"]);
  assert.equal(found["zed"]?.[0], "/Users/u/.config/zed/settings.json");
  assert.equal(found["cline"]?.[0], `${support}/Code/User/${CLINE}`);
  assert.equal(found["codex"]?.[0], "/Users/u/.codex/config.toml");
  assert.equal(found["gemini"]?.[0], "/Users/u/.gemini/settings.json");
});

test("clientFiles() on Windows", () => {
  const home = "C:\\Users\\u";
  const env = { APPDATA: "D:\\Roaming" };
  const found = paths({ platform: "win32", env, cwd: "C:\\p", home });
  assert.deepEqual(found["claude-desktop"], ["D:\\Roaming\\Claude\\claude_desktop_config.json"]);
  assert.deepEqual(found["claude-code"], ["C:\\Users\\u\\.claude.json", "C:\\p\\.mcp.json"]);
  assert.deepEqual(found["cursor"], [
    "C:\\Users\\u\\.cursor\\mcp.json",
    "C:\\p\\.cursor\\mcp.json",
  ]);
  assert.equal(found["vscode"]?.[0], "D:\\Roaming\\Code\\User\\mcp.json");
  assert.deepEqual(found["windsurf"], ["C:\\Users\\u\\.codeium\\windsurf\\mcp_config.json"]);
  assert.equal(found["zed"]?.[0], "D:\\Roaming\\Zed\\settings.json");
  assert.equal(found["cline"]?.[0], `D:\\Roaming\\Code\\User\\${CLINE.replaceAll("/", "\\")}`);
  assert.equal(found["codex"]?.[0], "C:\\Users\\u\\.codex\\config.toml");
  assert.equal(found["gemini"]?.[0], "C:\\Users\\u\\.gemini\\settings.json");
  const plain = paths({ platform: "win32", env: {}, cwd: "C:\\p", home });
  assert.equal(plain["vscode"]?.[0], "C:\\Users\\u\\AppData\\Roaming\\Code\\User\\mcp.json");
});

test("clientFiles() follows the variables of the clients, and names each path once", () => {
  const env = { XDG_CONFIG_HOME: "/x", CODEX_HOME: "/codex", CLAUDE_CONFIG_DIR: "/claude" };
  const found = paths({ platform: "linux", env, cwd: "/home/u", home: "/home/u" });
  assert.equal(found["claude-desktop"]?.[0], "/x/Claude/claude_desktop_config.json");
  assert.equal(found["codex"]?.[0], "/codex/config.toml");
  assert.equal(found["claude-code"]?.[0], "/claude/.claude.json");
  assert.deepEqual(found["cursor"], ["/home/u/.cursor/mcp.json"]);
});

test("leadsToGateway() knows this gateway by any of its names, and no other server", () => {
  const urls = ["http://127.0.0.1:12009/mcp"];
  const ours = [
    { url: "http://localhost:12009/mcp" },
    { serverUrl: "http://[::1]:12009/sse" },
    { httpUrl: "http://127.0.0.1:12009/profiles/dev/mcp" },
    { url: "http://127.0.0.1:12009/gated/mcp" },
    { url: "http://127.0.0.1:12009/ungated/mcp" },
    { url: "http://127.0.0.1:12009/profiles/dev/gated/mcp" },
    { url: "http://127.0.0.1:12009/servers/a/mcp" },
    { command: "npx", args: ["-y", "mcp-remote", "http://localhost:12009/mcp"] },
    { command: "/usr/local/bin/mcproxy", args: ["bridge"] },
    { command: "mcproxy", args: ["--stdio"] },
    { command: "deno", args: ["run", "-A", "/src/mcproxy/main.ts", "bridge"] },
  ];
  const others = [
    { url: "http://127.0.0.1:12010/mcp" },
    { url: "http://example.com:12009/mcp" },
    { url: "http://127.0.0.1:12009/other" },
    { command: "node", args: ["main.js"] },
    { command: "npx", args: ["bridge"] },
    "http://127.0.0.1:12009/mcp",
  ];
  for (const entry of ours) assert.equal(leadsToGateway(entry, urls), true, JSON.stringify(entry));
  for (const entry of others) {
    assert.equal(leadsToGateway(entry, urls), false, JSON.stringify(entry));
  }
});

test("isConnection() is true of what connect writes", () => {
  const command = ["mcproxy"] as const;
  for (const { entry } of CLIENTS) {
    assert.equal(isConnection(entry({ url: "http://h:1/profiles/a/mcp", command })), true);
    assert.equal(isConnection(entry({ url: "http://h:1/gated/mcp", command })), true);
  }
  assert.equal(isConnection({ command: "npx", args: ["x"] }), false);
  assert.equal(isConnection(undefined), false);
});
