import assert from "node:assert/strict";
import { test } from "node:test";
import type { JsonObject } from "../../src/lib/json.ts";
import { estimateTokens } from "../../src/lib/tokens.ts";
import { compactHit, definitionTokens, fullDefinition, hitLine } from "../../src/gating/hit.ts";
import { ListedTool } from "../../src/gating/view.ts";
import { config } from "./builders.ts";

function tool(definition: JsonObject): ListedTool {
  const name = String(definition.name ?? "get");
  const route = { server: "s", name, exposed: `s_${name}` };
  return new ListedTool(route, JSON.stringify({ name, ...definition }));
}

test("compactHit() has the tool's own hints and nothing else of its annotations", () => {
  const annotations = { title: "T", readOnlyHint: true, openWorldHint: "yes", x: 1 };
  const hit = compactHit(tool({ annotations }), config());
  assert.deepEqual(hit.annotations, { readOnlyHint: true });
  assert.deepEqual(Object.keys(compactHit(tool({}), config())), [
    "id",
    "server",
    "name",
    "signature",
    "description",
    "tokens",
  ]);
});

test("compactHit() names the executor only where there are several", () => {
  const split = config({ splitByRisk: true });
  const of = (annotations: JsonObject) => compactHit(tool({ annotations }), split).execute_with;
  assert.equal(of({ readOnlyHint: true }), "execute_read");
  assert.equal(of({ destructiveHint: false }), "execute_write");
  assert.equal(of({}), "execute_destructive");
  assert.equal(compactHit(tool({}), config()).execute_with, undefined);
});

test("compactHit() falls back to the title where there is no description", () => {
  assert.equal(compactHit(tool({ title: "Get it" }), config()).description, "Get it");
  assert.equal(compactHit(tool({ annotations: { title: "Get" } }), config()).description, "Get");
  assert.equal(compactHit(tool({ description: 7 }), config()).description, "");
});

test("hitLine() begins with the id, and says of the risk what the tool says", () => {
  const line = (definition: JsonObject, reason?: string) => {
    const hit = compactHit(tool(definition), config());
    return hitLine({ ...hit, tokens: 9, ...(reason === undefined ? {} : { reason }) });
  };
  assert.equal(line({}), "s_get() [9]");
  assert.equal(
    line({ description: "Gets." }, "used lately"),
    "s_get() — Gets. [9, used lately]",
  );
  assert.equal(line({ annotations: { readOnlyHint: true } }), "s_get() [read, 9]");
  assert.equal(line({ annotations: { destructiveHint: false } }), "s_get() [write, 9]");
  assert.equal(
    line({ annotations: { readOnlyHint: false } }),
    "s_get() [destructive, 9]",
  );
  assert.equal(line({ annotations: { idempotentHint: true } }), "s_get() [9]");
  const other = compactHit(tool({}), config());
  assert.match(hitLine({ ...other, id: "get", server: "home" }), / \[home, \d+\]$/);
  assert.equal(line({ name: "f(\n)" }).split("\n").length, 1);
});

test("fullDefinition() is what a call needs, whatever the tool looks like", () => {
  const inputSchema = { type: "object", properties: { a: { type: "string" } } };
  const $schema = "https://json-schema.org/draft/2020-12/schema";
  const definition = fullDefinition(
    tool({
      description: "D",
      inputSchema: { $schema, ...inputSchema },
      outputSchema: { $schema },
      icons: [],
      execution: {},
      title: "T",
    }),
    config(),
  );
  assert.deepEqual(definition, { id: "s_get", description: "D", inputSchema, outputSchema: {} });
  const bare = fullDefinition(tool({ inputSchema: "none" }), config({ splitByRisk: true }));
  assert.deepEqual(bare, {
    id: "s_get",
    inputSchema: { type: "object" },
    execute_with: "execute_destructive",
  });
});

test("fullDefinition() leaves out schemas that are too deep to be written", () => {
  const depth = 100_000;
  // Not by `tool()`, which writes it.
  const raw = `{"name":"get","description":"D","inputSchema":${'{"items":'.repeat(depth)}{}` +
    `${"}".repeat(depth)},"outputSchema":{"type":"object"}}`;
  const deep = new ListedTool({ server: "s", name: "get", exposed: "s_get" }, raw);
  const definition = fullDefinition(deep, config());
  assert.equal(definition.description, "D");
  assert.deepEqual(definition.outputSchema, { type: "object" });
  const text = JSON.stringify({ tools: [definition] });
  assert.equal(compactHit(deep, config()).tokens, definitionTokens(definition));
  // Not every runtime finds it too deep.
  assert.ok(text.length < 200 || text.includes('"items":{"items":'), text.slice(0, 200));
});

test("definitionTokens() counts what is sent", () => {
  const definition = fullDefinition(tool({ description: "Gets a thing" }), config());
  assert.equal(definitionTokens(definition), estimateTokens(JSON.stringify(definition)));
});
