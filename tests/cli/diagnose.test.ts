import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { type Finding, RULES } from "../../src/cli/diagnose-tool.ts";
import { checkedTools, diagnose } from "../../src/cli/diagnose.ts";
import { DEFAULT_SETTINGS } from "../../src/config/settings.ts";
import { buildSnapshot } from "../../src/gating/gate.ts";
import type { JsonObject } from "../../src/lib/json.ts";
import type { ServerEntry } from "../../src/registry/types.ts";
import { entry, inventory } from "../registry/builders.ts";

const gating = { ...DEFAULT_SETTINGS.gating, mode: "off" } as const;

const OBJECT = { type: "object", properties: {} };

function tool(name: string, rest: JsonObject = {}): JsonObject {
  return { name, description: `Does ${name}`, inputSchema: OBJECT, ...rest };
}

function server(
  name: string,
  tools: readonly JsonObject[],
  rest: Partial<ServerEntry> = {},
): ServerEntry {
  const items = tools.map((one) => ({ key: String(one.name), raw: JSON.stringify(one) }));
  return entry(name, inventory({ tools: { items } }), rest);
}

function findings(...servers: ServerEntry[]): readonly Finding[] {
  const registry = buildSnapshot({ version: 1, servers, gating });
  const started = servers.map(({ name }) => ({ name, error: null, problems: [] }));
  return diagnose(registry, checkedTools(registry), started);
}

/** The rules that a tool with these members breaks. */
function rulesOf(rest: JsonObject): string[] {
  return findings(server("s", [tool("t", rest)])).map(({ level, rule }) => `${level} ${rule}`);
}

const withProperty = (schema: JsonObject, name = "a") => ({
  inputSchema: { type: "object", properties: { [name]: schema } },
});

test("diagnose() has nothing to say of a tool that every client takes", () => {
  assert.deepEqual(rulesOf({}), []);
  assert.deepEqual(rulesOf({ outputSchema: OBJECT, annotations: { readOnlyHint: true } }), []);
});

test("diagnose() finds schemas that clients or models refuse", () => {
  const { inputSchema: _, ...bare } = tool("t");
  assert.deepEqual(findings(server("s", [bare])).map(({ rule }) => rule), ["schema-root"]);
  const broken: readonly (readonly [JsonObject, string])[] = [
    [{ inputSchema: {} }, "error schema-root"],
    [{ inputSchema: { type: "string" } }, "error schema-root"],
    [{ inputSchema: [] }, "error schema-root"],
    [{ inputSchema: null }, "error schema-root"],
    [{ outputSchema: { type: "array" } }, "error schema-root"],
    [withProperty({ type: "text" }), "error schema-invalid"],
    [{ outputSchema: { type: "object", required: "a" } }, "error schema-invalid"],
    [withProperty({ $ref: "#/nowhere" }), "error schema-reference"],
    [withProperty({ $ref: "https://example.com/x" }), "warning schema-remote"],
    [withProperty({ pattern: "(" }), "warning schema-pattern"],
    [{ inputSchema: { ...OBJECT, oneOf: [{}] } }, "warning schema-combined"],
    [{ inputSchema: { ...OBJECT, anyOf: [{}] } }, "warning schema-combined"],
    [{ inputSchema: { ...OBJECT, allOf: [{}] } }, "warning schema-combined"],
    [withProperty({}, "ids[]"), "warning schema-property"],
    [withProperty({}, "x".repeat(65)), "warning schema-property"],
    [withProperty({ type: "array" }), "warning schema-items"],
    [withProperty({ type: ["null", "array"] }), "warning schema-items"],
    [
      { inputSchema: { ...OBJECT, $schema: "https://example.com/own" } },
      "warning schema-dialect",
    ],
  ];
  for (const [rest, rule] of broken) {
    assert.deepEqual(rulesOf(rest), [rule], JSON.stringify(rest));
  }
});

test("diagnose() takes an output schema as legacy clients get it", () => {
  const outputSchema = { type: "array", items: { type: "string" } };
  const modern = inventory({
    tools: { items: [{ key: "t", raw: JSON.stringify(tool("t", { outputSchema })) }] },
  }, { era: "modern" });
  assert.deepEqual(findings(entry("s", modern)), []);
});

test("diagnose() names server, tool, what was found and what to do", () => {
  const { server: owner, subject, message, remedy } = findings(
    server("my server", [tool("t", { inputSchema: {} })]),
  )[0]!;
  assert.equal(owner, "my server");
  assert.equal(subject, "my_server_t");
  assert.match(message, /^has an inputSchema without "type", expected "type": "object"/);
  assert.match(remedy!, /add "t" to mcpServers\["my server"\]\.tools\.exclude$/);
});

test("diagnose() tells some problems of a schema, and how many more there are", () => {
  const properties = Object.fromEntries(
    Array.from({ length: 9 }, (_, at) => [`p${at}`, { type: "x" }]),
  );
  const [finding, ...others] = findings(
    server("s", [tool("t", { inputSchema: { type: "object", properties } })]),
  );
  assert.deepEqual(others, []);
  assert.match(finding!.message, /#\/properties\/p2\/type: found "x".*; and 6 more$/);
});

test("diagnose() measures descriptions", () => {
  const long = (length: number) => rulesOf({ description: "d".repeat(length) });
  assert.deepEqual(long(1024), []);
  assert.deepEqual(long(1025), ["note long-description"]);
  assert.deepEqual(long(2048), ["note long-description"]);
  assert.deepEqual(long(2049), ["warning long-description"]);
  assert.deepEqual(long(0), ["note no-description"]);
});

test("diagnose() tells what becomes of names", () => {
  const rules = (name: string, rest: Partial<ServerEntry> = {}) =>
    findings(server("server", [tool(name)], rest)).map(({ level, rule }) => `${level} ${rule}`);
  assert.deepEqual(rules("a".repeat(41)), []);
  assert.deepEqual(rules("a".repeat(42)), ["note name-cut"]);
  assert.deepEqual(rules("a".repeat(42), { prefix: "never" }), []);
  assert.deepEqual(rules("a".repeat(65)), ["warning name-long"]);
  assert.deepEqual(rules("a.b"), ["note name-spelling"]);
  const rename = { "a.b": "good" };
  assert.deepEqual(rules("a.b", { shape: { tools: { rename } } }), []);
});

test("diagnose() tells what the registry decided", () => {
  const twice = findings(server("s", [tool("t"), tool("t")]));
  assert.deepEqual(twice.map(({ level, rule, server }) => [level, rule, server]), [
    ["warning", "duplicate", "s"],
  ]);
  const never = { prefix: "never" } as const;
  const alike = findings(
    server("a", [tool("t", { description: "one" })], never),
    server("b", [tool("t", { description: "other" })], never),
  );
  assert.deepEqual(alike.map(({ level, rule, server }) => [level, rule, server]), [
    ["warning", "name-conflict", null],
  ]);
  const shape = findings(server("s", [tool("t")], { shape: { tools: { exclude: ["x*"] } } }));
  assert.deepEqual(shape.map(({ level, rule, server }) => [level, rule, server]), [
    ["warning", "shape", "s"],
  ]);
});

test("diagnose() finds what several servers offer alike, once for each set of them", () => {
  const tools = ["one", "two", "three", "four"].map((name) => tool(name));
  const found = findings(server("a", tools), server("b", tools), server("c", [tool("one")]));
  assert.deepEqual(
    found.map(({ level, rule, server, subject }) => [level, rule, server, subject]),
    [
      ["note", "same-tool", "a", "a_one"],
      ["note", "same-tool", "a", "a_two"],
    ],
  );
  assert.match(found[0]!.message, /server "b", server "c" offers?.*"a_one" = "b_one" = "c_one"$/);
  assert.match(found[1]!.message, /"a_two" = "b_two", "a_three" = "b_three", "a_four" = "b_four"$/);
  // The order of members is no difference, another schema is.
  const schema = (inputSchema: JsonObject) => [tool("x", { inputSchema })];
  const same = findings(
    server("a", schema({ type: "object", properties: {} })),
    server("b", schema({ properties: {}, type: "object" })),
    server("c", schema({ properties: { a: {} }, type: "object" })),
  );
  assert.equal(same.length, 1);
  assert.doesNotMatch(same[0]!.message, /"c"/);
});

test("diagnose() says when it is too much for clients", () => {
  const many = (count: number) =>
    findings(server("s", Array.from({ length: count }, (_, at) => tool(`t${at}`))));
  assert.deepEqual(many(40), []);
  assert.match(many(41)[0]!.message, /^41 tools: Cursor/);
  assert.match(many(129)[0]!.message, /^129 tools: VS Code/);
  const instructions = "i".repeat(3_000);
  const talkative = entry("s", inventory({}, { instructions }));
  assert.deepEqual(findings(talkative).map(({ rule }) => rule), ["long-instructions"]);
});

test("diagnose() says that too much for clients is gated", () => {
  const servers = [
    server("s", Array.from({ length: 129 }, (_, at) => tool(`t${at}`))),
    entry("t", inventory({}, { instructions: "i".repeat(3_000) })),
  ];
  const open = DEFAULT_SETTINGS.gating;
  const gating = { ...open, mode: "auto" } as const;
  const registry = buildSnapshot({ version: 1, servers, gating });
  const found = diagnose(registry, checkedTools(registry), []);
  assert.deepEqual(
    found.map(({ level, rule, message, remedy }) => [level, rule, message, remedy]),
    [
      [
        "note",
        "many-tools",
        "129 tools, gated at /mcp; for clients of /ungated/mcp: VS Code sends a model at most 128, " +
        "Windsurf takes 100, Cursor shows a model about 40",
        null,
      ],
    ],
  );
  const ungated = buildSnapshot({ version: 1, servers, gating: open });
  const notes = diagnose(ungated, checkedTools(ungated), []).map(({ rule }) => rule);
  assert.deepEqual(notes, ["many-tools", "ungated", "long-instructions"]);
});

test("diagnose() puts errors first, and servers that failed among them", () => {
  const registry = buildSnapshot({ version: 1, servers: [server("s", [tool("a.b")])], gating });
  const found = diagnose(registry, checkedTools(registry), [
    { name: "s", error: null, problems: ["List of tools cut"] },
    { name: "gone", error: "exited with code 1", problems: [] },
  ]);
  assert.deepEqual(found.map(({ level, rule, server }) => [level, rule, server]), [
    ["error", "server-failed", "gone"],
    ["warning", "list", "s"],
    ["note", "name-spelling", "s"],
  ]);
});

test("diagnose() warns of cached results of tools that do not say they only read", () => {
  const tools = [
    tool("reads", { annotations: { readOnlyHint: true } }),
    tool("writes"),
    tool("off"),
  ];
  const registry = buildSnapshot({ version: 1, servers: [server("s", tools)], gating });
  const cache = [
    { tools: "off", ttl: 0, public: false },
    { tools: "*", ttl: 1_000, public: false },
  ];
  const found = diagnose(registry, checkedTools(registry), [
    { name: "s", error: null, problems: [], cache },
  ]).filter(({ rule }) => rule === "cached-writing");
  assert.deepEqual(found.map(({ subject }) => subject), ["s_writes"]);
});

test("docs/check.md explains every rule, and no other", async () => {
  const text = await readFile(new URL("../../docs/check.md", import.meta.url), "utf8");
  const explained = [...text.matchAll(/^\| `([a-z-]+)` +\| (?:error|warning|note)/gm)]
    .map(([, rule]) => rule);
  assert.deepEqual(explained.sort(), [...RULES].sort());
});
