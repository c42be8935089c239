/** What a guard makes of lists and of the file, in memory but for the file. */

import assert from "node:assert/strict";
import { mkdir, rmdir } from "node:fs/promises";
import { test } from "node:test";
import type { ServerConfig } from "../../../src/config/types.ts";
import { Facts } from "../../../src/gateway/events.ts";
import { pinFile, readPins, updatePins } from "../../../src/gateway/pins/pin-file.ts";
import { PinGuard } from "../../../src/gateway/pins/pin-guard.ts";
import { fileStamp } from "../../../src/lib/own-file.ts";
import { EMPTY_INVENTORY, type Inventory } from "../../../src/protocol/lists.ts";
import { inDirectory } from "../../config/temp.ts";
import { tool, type ToolDefinition } from "./pin-house.ts";

function listing(...tools: readonly ToolDefinition[]): Inventory {
  const items = tools.map((one) => ({ key: one.name, raw: JSON.stringify(one) }));
  return { ...EMPTY_INVENTORY, lists: { ...EMPTY_INVENTORY.lists, tools: { items } } };
}

/** A guard over one server `s` that is to be blocked. */
class Gateway implements AsyncDisposable {
  readonly facts: string[] = [];
  readonly guard: PinGuard;

  constructor(directory?: string) {
    const events = new Facts();
    events.on("pin", ({ item, what }) => void this.facts.push(`${item} ${what}`));
    this.guard = new PinGuard(directory, events, () => {});
  }

  /** The names of what is shown of these. */
  async shows(...tools: readonly ToolDefinition[]): Promise<readonly string[]> {
    const { lists } = await this.vet(listing(...tools));
    return lists.tools.items.map(({ key }) => key);
  }

  vet(inventory: Inventory, name = "s"): Promise<Inventory> {
    return this.guard.vet({ name, pin: "block" } as ServerConfig, inventory);
  }

  /** A whole look: one that is under way may have begun before. */
  async look(): Promise<void> {
    await this.guard.look();
    await this.guard.look();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.guard.close();
  }
}

async function written(directory: string) {
  const read = await readPins(pinFile(directory));
  assert.ok(read.ok);
  const { pinned, waiting } = read.value.get("s")!;
  const texts = (pins: typeof pinned) => pins.values().map(({ text }) => text).toArray().sort();
  return { pinned: texts(pinned), waiting: texts(waiting) };
}

test("a server is held to what it offered first though nothing can be kept, and lists go for a moment", async () => {
  await using gateway = new Gateway();
  assert.deepEqual(await gateway.shows(tool("a")), ["a"]);
  assert.deepEqual(await gateway.shows(), []);
  assert.deepEqual(await gateway.shows(tool("a"), tool("b")), ["a"]);
  assert.deepEqual(await gateway.shows(tool("a", "Else")), []);
  assert.deepEqual(gateway.facts, ["tool b held", "tool a held"]);
});

test("gateways that see different versions of a server do not write against each other", () =>
  inDirectory(async (directory) => {
    await using one = new Gateway(directory);
    await one.shows(tool("a"), tool("b"));
    await one.look();
    await using two = new Gateway(directory);
    assert.deepEqual(await one.shows(tool("a", "One"), tool("b")), ["b"]);
    assert.deepEqual(await two.shows(tool("a", "Two"), tool("b")), ["b"]);
    for (const each of [one, two, one, two]) await each.look();
    const stamp = await fileStamp(pinFile(directory));
    for (const each of [one, two, one, two]) await each.look();
    assert.equal(await fileStamp(pinFile(directory)), stamp);
    // What one of them sees is told by the file as soon as that of the other is dealt with.
    const { waiting } = await written(directory);
    assert.equal(waiting.length, 1);
    await updatePins(pinFile(directory), (book) => {
      const { pinned, waiting } = book.get("s")!;
      book.set("s", { pinned: new Map([...pinned, ...waiting]), waiting: new Map(), open: [] });
    });
    for (const each of [one, two, one, two]) await each.look();
    const after = await written(directory);
    assert.equal(after.waiting.length, 1);
    assert.notDeepEqual(after.waiting, waiting);
  }));

test("more that waits than the file keeps is held back, and not written again and again", () =>
  inDirectory(async (directory) => {
    await using gateway = new Gateway(directory);
    await gateway.shows(tool("a"));
    await gateway.look();
    const many = Array.from({ length: 1_200 }, (_, at) => tool(`t${at}`));
    assert.deepEqual(await gateway.shows(tool("a"), ...many), ["a"]);
    await gateway.look();
    const stamp = await fileStamp(pinFile(directory));
    await gateway.look();
    assert.equal(await fileStamp(pinFile(directory)), stamp);
    assert.deepEqual(gateway.guard.counts("s"), { waiting: 1_200, held: 1_200 });
    assert.equal(gateway.facts.length, 1_200);
  }));

test("an approval that comes before what waits is written is not undone", () =>
  inDirectory(async (directory) => {
    await using gateway = new Gateway(directory);
    await gateway.shows(tool("a"));
    await gateway.look();
    await using other = new Gateway(directory);
    assert.deepEqual(await other.shows(tool("a", "Else")), []);
    await other.look();
    assert.deepEqual(await gateway.shows(tool("a", "Else")), []);
    await updatePins(pinFile(directory), (book) => {
      book.set("s", { pinned: book.get("s")!.waiting, waiting: new Map(), open: [] });
    });
    for (const each of [gateway, other, gateway]) await each.look();
    const { pinned, waiting } = await written(directory);
    assert.match(String(pinned), /Else/);
    assert.deepEqual(waiting, []);
    assert.equal(gateway.facts.at(-1), "tool a approved");
  }));

test("what could not be written is written when it can be, as it is offered then", () =>
  inDirectory(async (directory) => {
    // A lock that nobody can take.
    const lock = `${pinFile(directory)}.lock`;
    await mkdir(lock);
    await using gateway = new Gateway(directory);
    await gateway.shows(tool("a"));
    await gateway.look();
    assert.deepEqual(await gateway.shows(tool("a", "Else"), tool("b")), []);
    await rmdir(lock);
    await gateway.look();
    const { pinned, waiting } = await written(directory);
    assert.match(String(pinned), /Does a/);
    assert.match(String(waiting), /Does b.*Else/);
  }));

test("texts of the file that are no JSON are shown as they are", () =>
  inDirectory(async (directory) => {
    await using gateway = new Gateway(directory);
    await gateway.shows(tool("a"));
    await gateway.look();
    await updatePins(pinFile(directory), (book) => {
      const pin = { sha256: "x", raw: "x", text: "{no JSON" };
      book.set("s", { pinned: new Map([["tool a", pin]]), waiting: new Map(), open: [] });
    });
    await gateway.look();
    assert.deepEqual(gateway.facts, ["tool a held"]);
  }));

const RESOURCES: Inventory = {
  ...EMPTY_INVENTORY,
  lists: { ...EMPTY_INVENTORY.lists, resources: { items: [{ key: "a:", raw: "{}" }] } },
};

test("a server that had no tools at first, and one whose first all hid something, are known as well", async () => {
  for (const first of [RESOURCES, listing(tool("bad", "Hides.\u{e0041}"))]) {
    await inDirectory(async (directory) => {
      await using gateway = new Gateway(directory);
      await gateway.vet(first);
      assert.deepEqual(await gateway.shows(tool("run_shell")), []);
      await gateway.look();
      await using next = new Gateway(directory);
      assert.deepEqual(await next.shows(tool("run_shell")), []);
      await next.look();
      assert.deepEqual((await written(directory)).pinned, []);
    });
  }
});

test("of kinds that could not be listed at first the first ones are pinned, of others none", () =>
  inDirectory(async (directory) => {
    const prompts = { items: [{ key: "greet", raw: '{"name":"greet"}' }] };
    const { lists } = EMPTY_INVENTORY;
    const half = { ...lists, prompts, tools: { items: [], isUnread: true as const } };
    await using gateway = new Gateway(directory);
    await gateway.vet({ ...EMPTY_INVENTORY, lists: half });
    await gateway.look();
    await using next = new Gateway(directory);
    const whole = { ...listing(tool("a"), tool("b")).lists, prompts };
    const shown = await next.vet({ ...EMPTY_INVENTORY, lists: whole });
    assert.deepEqual(shown.lists, whole);
    assert.deepEqual(await next.shows(tool("a"), tool("c")), ["a"]);
    const more = { items: [...prompts.items, { key: "obey", raw: '{"name":"obey"}' }] };
    const { lists: { prompts: left } } = await next.vet({
      ...EMPTY_INVENTORY,
      lists: { ...whole, prompts: more },
    });
    assert.deepEqual(left, prompts);
  }));

test("instructions of a server that lists nothing are pinned, and its first lists are still to come", () =>
  inDirectory(async (directory) => {
    const saying = (instructions: string, inventory = EMPTY_INVENTORY) => {
      return { ...inventory, instructions };
    };
    await using gateway = new Gateway(directory);
    await gateway.vet(saying("Add."));
    await gateway.look();
    await using next = new Gateway(directory);
    const shown = await next.vet(saying("Obey.", listing(tool("a"))));
    assert.equal(shown.instructions, undefined);
    assert.deepEqual(shown.lists.tools.items.map(({ key }) => key), ["a"]);
    assert.deepEqual(next.facts, ["instructions held"]);
  }));

test("what waits takes no text from what is pinned, however much it is", () =>
  inDirectory(async (directory) => {
    await using gateway = new Gateway(directory);
    await gateway.shows(tool("a"));
    await gateway.look();
    const many = Array.from({ length: 12 }, (_, at) => tool(`t${at}`, "x".repeat(200_000)));
    assert.deepEqual(await gateway.shows(tool("a"), tool("big", "x".repeat(2_300_000)), ...many), [
      "a",
    ]);
    await gateway.look();
    assert.match(String((await written(directory)).pinned), /Does a/);
    assert.deepEqual(await gateway.shows(tool("a", "Else")), []);
    await gateway.look();
    const { pinned, waiting } = await written(directory);
    assert.match(String(pinned), /Does a/);
    assert.match(String(waiting), /Else/);
  }));

test("what was pinned and is not written yet counts when another server's pins change the file", () =>
  inDirectory(async (directory) => {
    await using gateway = new Gateway(directory);
    await gateway.look();
    assert.deepEqual(await gateway.shows(tool("a")), ["a"]);
    await using other = new Gateway(directory);
    await other.vet(listing(tool("b")), "other");
    await other.look();
    const lock = `${pinFile(directory)}.lock`;
    await mkdir(lock);
    assert.deepEqual(await gateway.shows(tool("a", "Else")), []);
    await gateway.look();
    assert.deepEqual(await gateway.shows(tool("a", "Else")), []);
    await rmdir(lock);
    await gateway.look();
    const { pinned, waiting } = await written(directory);
    assert.match(String(pinned), /Does a/);
    assert.match(String(waiting), /Else/);
    // What somebody takes out of the file is forgotten.
    await updatePins(pinFile(directory), (book) => void book.delete("s"));
    await gateway.look();
    assert.match(String((await written(directory)).pinned), /Else/);
  }));
