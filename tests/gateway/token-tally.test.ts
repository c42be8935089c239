import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { test } from "node:test";
import { TokenTally } from "../../src/gateway/token-tally.ts";
import { registryCost } from "../../src/registry/gating/cost.ts";
import { toolTokens } from "../../src/registry/tool-tokens.ts";
import { config, registryOf, serverOf } from "../registry/gating/builders.ts";

const tools = (count: number, word: string) =>
  Array.from({ length: count }, (_, index) => ({
    name: `tool_${index}`,
    description: `Does the ${word} number ${index}. ${"It takes what it is given. ".repeat(20)}`,
    inputSchema: { type: "object", properties: { path: { type: "string" } } },
  }));

const A = serverOf("a", tools(2_500, "thing"));
const B = serverOf("b", tools(10, "other"));

test("TokenTally counts what toolTokens() counts, and each snapshot once", async () => {
  const tally = new TokenTally();
  const registry = registryOf([A, B], config());
  const [first, second] = await Promise.all([tally.of(registry), tally.of(registry)]);
  assert.equal(first, second);
  assert.deepEqual(first, registryCost(registry, (raw) => toolTokens(JSON.parse(raw))));
});

test("TokenTally lets others have a turn while it counts", async () => {
  const tally = new TokenTally();
  let done = false;
  const counted = tally.of(registryOf([A], config())).then(() => done = true);
  let turns = 0;
  for (; !done; turns++) await setImmediate();
  await counted;
  assert.ok(turns > 3, `${turns} turns`);
});

test("TokenTally does not count again what it knows", async () => {
  const tally = new TokenTally();
  const before = registryOf([A], config());
  await tally.of(before);
  const after = registryOf([A, B], config(), before);
  let done = false;
  const counted = tally.of(after).then((cost) => {
    done = true;
    return cost;
  });
  let turns = 0;
  for (; !done; turns++) await setImmediate();
  // Ten tools are done within the first turn.
  assert.ok(turns <= 3, `${turns} turns`);
  const { aggregate, servers } = await counted;
  assert.equal(aggregate.tools, 2_510);
  assert.equal(
    servers.get("b"),
    registryCost(after, (raw) => toolTokens(JSON.parse(raw))).servers.get("b"),
  );
});
