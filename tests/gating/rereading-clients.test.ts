import assert from "node:assert/strict";
import { test } from "node:test";
import { rereadsLists } from "../../src/gating/provisioned.ts";

test("rereadsLists() knows the clients that act on list_changed", () => {
  const table: readonly (readonly [name: unknown, rereads: boolean])[] = [
    ["Visual Studio Code", true],
    ["Visual Studio Code - Insiders", true],
    ["gemini-cli-mcp-client", true],
    ["Cline", true],
    ["opencode", true],
    ["claude-ai", false],
    ["claude-code", false],
    ["cursor-vscode", false],
    ["codex-mcp-client", false],
    ["Roo Code", false],
    ["", false],
    [undefined, false],
    [7, false],
  ];
  for (const [name, rereads] of table) assert.equal(rereadsLists({ name }), rereads, String(name));
});
