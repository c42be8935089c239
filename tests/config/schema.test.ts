import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { DOCS_FILE, generateDocs, generateSchema, SCHEMA_FILE } from "../../scripts/schema.ts";
import { serverOptions } from "../../src/config/schema.ts";
import { CLIENT_KEYS } from "../../src/config/client-keys.ts";
import { parseConfig } from "../../src/config/load.ts";

interface JsonSchema {
  readonly description?: string;
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly enum?: readonly unknown[];
  readonly clientKey?: boolean;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly anyOf?: readonly JsonSchema[];
  readonly additionalProperties?: JsonSchema | boolean;
}

const EXAMPLE = new URL("../../mcp-servers.example.json", import.meta.url);

test("generateSchema() gives the file that is committed", async () => {
  const committed = await readFile(SCHEMA_FILE, "utf8");
  assert.equal(committed, generateSchema(), "run: deno run -A scripts/schema.ts");
});

test("generateDocs() leaves the page as it is committed", async () => {
  const page = await readFile(DOCS_FILE, "utf8");
  assert.ok(page.includes("| `logLevel` |"));
  assert.equal(page, generateDocs(page), "run: deno run -A scripts/schema.ts");
});

/** Options whose absence means something that no value says. */
const WITHOUT_DEFAULT = new Set([
  "publicUrl",
  ...["$schema", "mcpServers", "servers", "context_servers", "proxy", "features"],
  ...[
    "command",
    "image",
    "envFile",
    "cwd",
    "url",
    "urls",
    "auth",
    "transport",
    "type",
    "description",
  ],
  ...["idleTimeout", "maxConcurrency", "alias", "instructions", "ttl"],
  ...["auth.type", "auth.token", "auth.credentials", "syslog.socket", "syslog.udp", "syslog.tcp"],
  ...["embeddings", "embeddings.url", "embeddings.model", "embeddings.apiKey"],
  ...["auth.keys", "auth.issuers", "auth.proxy", "auth.proxy.header", "auth.proxy.groups"],
  "auth.proxy.from",
  ...["access", "rate", "limits", "limits.calls", "limits.concurrent", "limits.sessions"],
  ...["audit", "audit.file"],
  ...["otel", "otel.endpoint", "alerts", "alerts.to", "alerts.rules"],
  ...["roots.uri", "roots.name", "risk"],
]);

test("generateSchema() gives every option a description, an example and a default", () => {
  const root = JSON.parse(generateSchema()) as JsonSchema;
  const lacking: string[] = [];
  const settings = new Set(Object.keys(root.properties ?? {}));
  let seen = 0;
  const visit = (schema: JsonSchema, path: string, inServer: boolean): void => {
    for (const [key, option] of Object.entries(schema.properties ?? {})) {
      seen++;
      const place = `${path}${key}`;
      if (!option.description) lacking.push(`${place}: description`);
      if (option.clientKey === true) continue;
      if (option.examples === undefined && option.enum === undefined) {
        lacking.push(`${place}: example`);
      }
      const inherits = inServer && settings.has(key);
      if (!("default" in option) && !inherits && !WITHOUT_DEFAULT.has(place)) {
        lacking.push(`${place}: default`);
      }
      visit(option, `${place}.`, false);
      // Of a setting that has several forms, one may be an object.
      if (path === "" && !inServer) {
        option.anyOf?.forEach((form) => visit(form, `${place}.`, false));
      }
    }
    if (typeof schema.additionalProperties === "object") {
      visit(schema.additionalProperties, "", true);
    }
  };
  visit(root, "", false);
  assert.deepEqual(lacking, []);
  assert.ok(seen > 70, `only ${seen} options`);
  assert.equal(root.properties?.["port"]?.default, 12009);
  assert.equal(root.properties?.["timeout"]?.default, "5m");
  const gating = root.properties?.["gating"];
  assert.deepEqual(gating?.anyOf?.[0]?.enum, ["off", "on", "auto"]);
  assert.equal(gating?.anyOf?.[1]?.properties?.["maxTools"]?.default, 50);
  assert.equal(root.additionalProperties, false);
});

test("generateSchema() has no option of ours among the keys of other clients", () => {
  const ours = Object.keys(serverOptions);
  assert.deepEqual(Object.keys(CLIENT_KEYS).filter((key) => ours.includes(key)), []);
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
  for (const { instances: [target], disabled, problem } of servers) {
    assert.ok(target?.kind === "stdio" && target.command === "npx" && target.args[0] === "-y");
    assert.match(target.args[1] ?? "", /^@modelcontextprotocol\/server-[a-z-]+@2026\.8\.31$/);
    assert.deepEqual([disabled, problem], [false, undefined]);
  }
  const memory = servers[1]?.instances[0];
  assert.ok(memory?.kind === "stdio");
  assert.equal(memory.env["MEMORY_FILE_PATH"], "/tmp/mcproxy-memory.jsonl");
});
