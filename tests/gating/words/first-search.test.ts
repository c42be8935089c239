import assert from "node:assert/strict";
import { test } from "node:test";
import { Finder } from "../../../src/gating/finder.ts";
import { GatingWorld } from "../support.ts";

const tags: readonly never[] = [];
const settings = () => ({ tags }) as never;
const big = (count: number) => ({
  tools: Array.from({ length: count }, (_, i) => ({
    name: `tool_${i}`,
    description: `Does thing number ${i} for whoever has asked for it`,
  })),
});

test("the first search over many tools leaves others their turns, and the work is done once", async () => {
  const { registry } = new GatingWorld({}, { big: big(6_000), small: big(3) });
  const finder = new Finder({ settings });
  const gate = registry.gates.aggregate;
  let turns = 0;
  let isDone = false;
  const turn = () => {
    turns++;
    if (!isDone) setImmediate(turn);
  };
  setImmediate(turn);
  const searches = [1, 2].map(() => finder.find(gate, registry, "thing number 4711", {}));
  assert.ok(searches.every((search) => search instanceof Promise));
  const [one, other] = await Promise.all(searches);
  isDone = true;
  assert.ok(turns > 5, `${turns} turns`);
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
