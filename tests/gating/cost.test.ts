import assert from "node:assert/strict";
import { test } from "node:test";
import { buildSnapshot, costedTools, registryCost } from "../../src/gating/gate.ts";
import { toolTokens } from "../../src/registry/source.ts";
import { config, registryOf, serverOf } from "./builders.ts";

const ONE = { name: "one", description: "Does one thing.", inputSchema: { type: "object" } };
const TWO = { name: "two", description: "Does another thing.", inputSchema: { type: "object" } };
const SERVERS = [serverOf("a", [ONE, TWO]), serverOf("b", [TWO]), serverOf("c", [])];

/** Every tool 10, so that sums are counts. */
const ten = () => 10;

test("registryCost() adds up all tools, the gated list, and each server", () => {
  const { aggregate, profiles, servers } = registryCost(
    registryOf(SERVERS, config({ alwaysVisible: ["a_one"] })),
    ten,
  );
  assert.deepEqual(aggregate, {
    mode: "auto",
    gated: false,
    maxTools: 50,
    maxTokens: 10_000,
    tools: 3,
    gatedTools: 6,
    tokens: 30,
    gatedTokens: 60,
    // Few tools: their list is cheaper than that of the tools that find them.
    savedTokens: -30,
  });
  assert.deepEqual([...servers], [["a", 20], ["b", 10]]);
  assert.equal(profiles.size, 0);
});

test("registryCost() says what is gated now, of each profile by its own configuration", () => {
  const registry = buildSnapshot({
    version: 1,
    servers: SERVERS,
    gating: config({ maxTools: 2 }),
    profiles: [
      { name: "few", servers: ["b"] },
      { name: "all", gating: { mode: "off" } },
      { name: "forced", servers: ["b"], gating: { mode: "on", splitByRisk: true } },
    ],
  });
  const { aggregate, profiles } = registryCost(registry, ten);
  assert.deepEqual([aggregate.gated, aggregate.tools], [true, 3]);
  assert.deepEqual(
    [...profiles].map(([name, { mode, gated, tools, gatedTools }]) => [
      name,
      mode,
      gated,
      tools,
      gatedTools,
    ]),
    [["few", "auto", false, 1, 5], ["all", "off", false, 3, 5], ["forced", "on", true, 1, 7]],
  );
});

test("registryCost() asks for nothing that costedTools() did not name", () => {
  const registry = registryOf(SERVERS, config({ mode: "on", alwaysVisible: ["b_*"] }));
  const named = new Set(costedTools(registry));
  registryCost(registry, (raw) => {
    assert.ok(named.has(raw), raw);
    return 1;
  });
  assert.equal(named.size, 3 + 5);
});

test("toolTokens() counts what a model is given, by whichever tokenizer", () => {
  const texts: string[] = [];
  const count = (text: string) => texts.push(text);
  toolTokens({ ...ONE, title: "One", outputSchema: { type: "object" }, _meta: { a: 1 } }, count);
  assert.deepEqual(texts, [
    '{"name":"one","description":"Does one thing.","input_schema":{"type":"object"}}',
  ]);
});
