import assert from "node:assert/strict";
import { test } from "node:test";
import { Finder } from "../../../src/gating/finder.ts";
import { forgetIndexes, knownIndex } from "../../../src/gating/words/search.ts";
import type { JsonObject } from "../../../src/lib/json.ts";
import { FakeClock } from "../../upstream/fakes/clock.ts";
import { GatingWorld } from "../support.ts";

const tags: readonly never[] = [];
const settings = () => ({ tags }) as never;
const big = (count: number) => ({
  tools: Array.from({ length: count }, (_, i) => ({
    name: `tool_${i}`,
    description: `Does thing number ${i} for whoever has asked for it`,
  })),
});

/** Counts the turns that others have, until it is asked how many there were. */
function countTurns(): () => number {
  let turns = 0;
  let isDone = false;
  const turn = () => {
    turns++;
    if (!isDone) setImmediate(turn);
  };
  setImmediate(turn);
  return () => {
    isDone = true;
    return turns;
  };
}

test("the first search over many tools leaves others their turns, and the work is done once", async () => {
  const { registry } = new GatingWorld({}, { big: big(6_000), small: big(3) });
  const finder = new Finder({ settings });
  const gate = registry.gates.aggregate;
  const turns = countTurns();
  const searches = [1, 2].map(() => finder.find(gate, registry, "thing number 4711", {}));
  assert.ok(searches.every((search) => search instanceof Promise));
  const [one, other] = await Promise.all(searches);
  const count = turns();
  assert.ok(count > 5, `${count} turns`);
  assert.equal(one!.tools[0]!.document.name, "tool_4711");
  assert.deepEqual(other, one);
  const again = finder.find(gate, registry, "thing number 42", {});
  assert.ok(!(again instanceof Promise) && again.tools[0]!.document.name === "tool_42");
  await finder.close();
});

test("the first search over few tools is answered at once", async () => {
  const { registry } = new GatingWorld({}, { small: big(30) });
  const finder = new Finder({ settings });
  const found = finder.find(registry.gates.aggregate, registry, "thing number 7", {});
  assert.ok(!(found instanceof Promise));
  await finder.close();
});

test("an unknown id and a search without words leave others their turns among many tools, too", async () => {
  const world = new GatingWorld({}, { big: big(6_000) });
  await world.call("list_mcp_servers", {});
  for (
    const [name, args] of [
      ["execute_tool", { tool_id: "big_tool_471l" }],
      ["provision_tools", { tool_ids: ["big_tool_471l"] }],
      ["discover_tools", { server: "big" }],
      ["discover_tools", { tags: ["none"] }],
    ] as [string, JsonObject][]
  ) {
    forgetIndexes();
    const turns = countTurns();
    const { text } = await world.call(name, args);
    const count = turns();
    assert.ok(count > 5, `${name}: ${count} turns`);
    assert.match(text, /big_tool_|No tool here has tags/);
  }
  await world.gating.close();
});

test("a view whose index somebody needed is kept ready, however it was needed", async () => {
  const clock = new FakeClock();
  const finder = new Finder({ settings, clock });
  const world = new GatingWorld({}, { some: big(30) });
  await finder.index(world.registry.gates.aggregate.full, world.registry);
  world.change({ some: big(29) });
  const { gates: { aggregate }, entries } = world.registry;
  finder.prepare(world.registry);
  clock.tick(1_000);
  assert.equal(knownIndex(aggregate.full, entries, tags)?.documents.length, 29);
  await finder.close();
});
