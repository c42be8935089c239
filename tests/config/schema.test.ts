import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { generateSchema, SCHEMA_FILE } from "../../scripts/schema.ts";
import { parseConfig } from "../../src/config/parse.ts";

interface JsonSchema {
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema | boolean;
}

const EXAMPLE = new URL("../../mcp-servers.example.json", import.meta.url);

test("generateSchema() gives the file that is committed", async () => {
  const committed = await readFile(SCHEMA_FILE, "utf8");
  assert.equal(committed, generateSchema(), "run: deno run -A scripts/schema.ts");
});

test("generateSchema() describes every option", () => {
  const root = JSON.parse(generateSchema()) as JsonSchema;
  const undescribed: string[] = [];
  const visit = (schema: JsonSchema, path: string): void => {
    for (const [key, option] of Object.entries(schema.properties ?? {})) {
      if (!option.description) undescribed.push(`${path}${key}`);
      visit(option, `${path}${key}.`);
    }
    if (typeof schema.additionalProperties === "object") {
      visit(schema.additionalProperties, `${path}*.`);
    }
  };
  visit(root, "");
  assert.deepEqual(undescribed, []);
  assert.equal(root.properties?.["port"]?.default, 12009);
  assert.equal(root.properties?.["timeout"]?.default, "5m");
  assert.equal(root.additionalProperties, false);
});

test("parseConfig() accepts the example, without an environment and without a warning", async () => {
  const text = await readFile(EXAMPLE, "utf8");
  const result = parseConfig(text, { file: "mcp-servers.example.json", env: {} });
  assert.ok(result.ok, JSON.stringify(result));
  assert.deepEqual(result.warnings, []);
  const servers = [...result.config.servers.values()];
  assert.deepEqual(servers.map(({ name }) => name), [
    "everything",
    "memory",
    "filesystem",
    "sequential-thinking",
  ]);
  for (const { target, disabled, problem } of servers) {
    assert.ok(target.kind === "stdio" && target.command === "npx" && target.args[0] === "-y");
    assert.match(target.args[1] ?? "", /^@modelcontextprotocol\/server-[a-z-]+@2026\.8\.31$/);
    assert.deepEqual([disabled, problem], [false, undefined]);
  }
  const memory = servers[1]?.target;
  assert.ok(memory?.kind === "stdio");
  assert.equal(memory.env["MEMORY_FILE_PATH"], "/tmp/mcproxy-memory.jsonl");
});
