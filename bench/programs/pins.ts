/**
 * Times the comparison of 600 tools with what was approved of them: as after a restart, where nothing
 * has changed, and as at first sight. The baseline reads and writes the same definitions once. Prints
 * JSON: milliseconds of processor time, a sample each round.
 */

import process from "node:process";
import { definitionsOf, judgePins } from "../../src/gateway/pins/definitions.ts";
import { EMPTY_INVENTORY, type Inventory } from "../../src/protocol/lists.ts";

const TOOLS = 600;
const ROUNDS = 15;

/** About 1 KB, the mean of real servers. */
const items = Array.from({ length: TOOLS }, (_, at) => {
  const properties = Object.fromEntries(
    Array.from({ length: 8 }, (_, index) => [`argument_${index}`, {
      type: "string",
      description: `What argument ${index} of tool ${at} is good for, in a few words`,
    }]),
  );
  const name = `tool_${at}`;
  const inputSchema = { type: "object", properties };
  return { key: name, raw: JSON.stringify({ name, description: `Does ${at}`, inputSchema }) };
});
const inventory: Inventory = {
  ...EMPTY_INVENTORY,
  lists: { ...EMPTY_INVENTORY.lists, tools: { items } },
};

async function time(work: () => unknown): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}

let sink = 0;
const plain = () => {
  for (const { raw } of items) sink += JSON.stringify(JSON.parse(raw)).length;
};
const first = async () => judgePins(await definitionsOf(inventory));
const held = await first();
const again = async () => {
  const { waiting } = judgePins(await definitionsOf(inventory, held.pinned), held);
  if (waiting.size > 0) throw new Error("Cannot measure: something waits");
};

const samples = { again: [] as number[], first: [] as number[], plain: [] as number[] };
for (let round = -3; round < ROUNDS; round++) {
  const times = { again: await time(again), first: await time(first), plain: await time(plain) };
  if (round < 0) continue;
  for (const side of ["again", "first", "plain"] as const) samples[side].push(times[side]);
}
console.log(JSON.stringify(samples));
if (sink === 0) throw new Error("nothing was measured");
