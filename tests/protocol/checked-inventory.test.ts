import assert from "node:assert/strict";
import { test } from "node:test";
import { nextTurn } from "../../src/lib/time.ts";
import type { Json, JsonObject } from "../../src/lib/json.ts";
import type { Era } from "../../src/protocol/eras.ts";
import {
  checkedInventory,
  EMPTY_INVENTORY,
  type Inventory,
  LIST_RULES,
  type ListKind,
} from "../../src/protocol/lists.ts";

/** An inventory with these entries (JSON) in one of its lists. */
function listing(kind: ListKind, raws: readonly string[], more: Partial<Inventory> = {}) {
  const { key } = LIST_RULES.find((rule) => rule.kind === kind)!;
  const items = raws.map((raw) => ({ key: (JSON.parse(raw) as JsonObject)[key] as string, raw }));
  return { ...EMPTY_INVENTORY, lists: { ...EMPTY_INVENTORY.lists, [kind]: { items } }, ...more };
}

/** What is shown among others of one entry, and what is told of it. */
async function shown(kind: ListKind, entry: JsonObject, era: Era = "legacy") {
  const { mended } = await checkedInventory(listing(kind, [JSON.stringify(entry)], { era }));
  const raw = mended === undefined
    ? JSON.stringify(entry)
    : mended.inventory.lists[kind].items[0]?.raw;
  return {
    entry: raw === undefined ? undefined : JSON.parse(raw) as Json,
    faults: mended?.faults.map((fault) => fault.replace(/ \("[^"]*"\)$/, "")) ?? [],
  };
}

const schema = { type: "object" };

const TOOLS: readonly [what: JsonObject, becomes: JsonObject | undefined, told: string][] = [
  [{}, { inputSchema: schema }, `Mended tools: "inputSchema" is missing`],
  [{ inputSchema: null }, { inputSchema: schema }, `Mended tools: "inputSchema" is null`],
  [{ inputSchema: [] }, { inputSchema: schema }, `Mended tools: "inputSchema" is not valid`],
  [{ inputSchema: {} }, { inputSchema: schema }, `Mended tools: "inputSchema.type" is missing`],
  [
    { inputSchema: { type: ["object", "null"] } },
    { inputSchema: schema },
    `Mended tools: "inputSchema.type" is not valid`,
  ],
  [{ inputSchema: "none" }, undefined, `Left out tools: "inputSchema" is not valid`],
  [{ inputSchema: { type: "string" } }, undefined, `Left out tools: "inputSchema" is not valid`],
  [
    { inputSchema: { ...schema, properties: [], required: null } },
    { inputSchema: { ...schema, properties: {} } },
    `Mended tools: "inputSchema.properties" is not valid; Mended tools: "inputSchema.required" is null`,
  ],
  [
    { inputSchema: { ...schema, properties: { "a!": true, b: false, "__proto__": null } } },
    { inputSchema: { ...schema, properties: { "a!": {}, b: { not: {} }, "__proto__": {} } } },
    `Mended tools: "inputSchema.properties" is not valid`,
  ],
  [{ inputSchema: schema, title: null }, { inputSchema: schema }, `Mended tools: "title" is null`],
  [
    { inputSchema: schema, description: 5, outputSchema: null },
    { inputSchema: schema },
    `Mended tools: "description" is not valid; Mended tools: "outputSchema" is null`,
  ],
  [
    { inputSchema: schema, outputSchema: { type: "array" } },
    { inputSchema: schema },
    `Mended tools: "outputSchema" is not valid`,
  ],
  [
    { inputSchema: schema, annotations: { readOnlyHint: null, destructiveHint: true, x: 1 } },
    { inputSchema: schema, annotations: { destructiveHint: true, x: 1 } },
    `Mended tools: "annotations.readOnlyHint" is null`,
  ],
  [
    { inputSchema: schema, _meta: [], execution: { taskSupport: "maybe" } },
    { inputSchema: schema, _meta: {}, execution: {} },
    `Mended tools: "_meta" is not valid; Mended tools: "execution.taskSupport" is not valid`,
  ],
  [
    { inputSchema: schema, icons: [{ src: "a", theme: "blue" }, { mimeType: "b" }, 7] },
    { inputSchema: schema, icons: [{ src: "a" }] },
    `Mended tools: "icons" is not valid`,
  ],
];

test("a tool that is not as the protocol has it is mended where its meaning is plain, else left out", async () => {
  for (const [given, becomes, told] of TOOLS) {
    const { entry, faults } = await shown("tools", { name: "x", ...given });
    assert.deepEqual(entry, becomes && { name: "x", ...becomes }, JSON.stringify(given));
    // In whatever order.
    assert.deepEqual(faults.toSorted(), told.split("; ").toSorted());
  }
});

test("an output schema may be of anything where a modern server says so", async () => {
  const tool = { name: "x", inputSchema: schema, outputSchema: { type: "array" } };
  assert.deepEqual(await shown("tools", tool, "modern"), { entry: tool, faults: [] });
});

test("prompts, resources and templates are mended alike", async () => {
  const cases: readonly [ListKind, JsonObject, JsonObject][] = [
    ["prompts", { name: "p", arguments: null }, { name: "p" }],
    ["prompts", { name: "p", arguments: {} }, { name: "p" }],
    [
      "prompts",
      { name: "p", arguments: [{ name: "a", required: "yes" }, { description: "nameless" }] },
      { name: "p", arguments: [{ name: "a" }] },
    ],
    ["resources", { uri: "a:b", mimeType: null }, { name: "a:b", uri: "a:b" }],
    [
      "resources",
      {
        uri: "a:b",
        name: "r",
        size: "12",
        annotations: { audience: ["user", "robot"], priority: 7, lastModified: "2025-01-12" },
      },
      { uri: "a:b", name: "r", annotations: { audience: ["user"] } },
    ],
    ["templates", { uriTemplate: "a:{b}", name: null }, { uriTemplate: "a:{b}", name: "a:{b}" }],
  ];
  for (const [kind, given, becomes] of cases) {
    const { entry, faults } = await shown(kind, given);
    assert.deepEqual(entry, becomes);
    assert.notDeepEqual(faults, []);
  }
});

test("capabilities are mended for what several servers declare together", async () => {
  const declared = {
    tools: [],
    prompts: { listChanged: "yes" },
    resources: null,
    logging: true,
    completions: "yes",
    tasks: { list: true, requests: null },
    experimental: { a: {}, b: 5 },
    "x-own": 7,
  };
  const { mended } = await checkedInventory({
    ...EMPTY_INVENTORY,
    capabilities: JSON.stringify(declared),
  });
  assert.deepEqual(JSON.parse(mended!.inventory.capabilities), {
    tools: {},
    prompts: {},
    logging: {},
    tasks: { list: {} },
    experimental: { a: {} },
    "x-own": 7,
  });
  assert.ok(mended!.faults.includes('Mended capabilities: "resources" is null'));
});

test("what is sound is the very same object, and what is not keeps all else character for character", async () => {
  const sound =
    `{ "name" : "a", "inputSchema":{"type":"object"}, "x":1e400, "n":12345678901234567890 }`;
  const inventory = listing("tools", [sound]);
  assert.equal(await checkedInventory(inventory), inventory);
  const odd =
    `{ "name" : "b","title":null, "inputSchema":{"maximum":12345678901234567890}, "x":1e400 }`;
  const { mended } = await checkedInventory(listing("tools", [sound, odd]));
  assert.deepEqual(mended!.inventory.lists.tools.items, [
    { key: "a", raw: sound },
    {
      key: "b",
      raw:
        `{ "name" : "b", "inputSchema":{"type":"object","maximum":12345678901234567890}, "x":1e400 }`,
    },
  ]);
});

test("many entries with one fault are one line, and an entry nested too deep is left out", async () => {
  const many = Array.from({ length: 9 }, (_, at) => `{"name":"t${at}"}`);
  const { mended } = await checkedInventory(listing("tools", many));
  assert.deepEqual(mended!.faults, [
    'Mended tools: "inputSchema" is missing ("t0", "t1", "t2", "t3", "t4" and 4 more)',
  ]);
  const deep = "[".repeat(200_000) + "]".repeat(200_000);
  const entry = `{"name":"t","inputSchema":{"type":"object","properties":{"a":true,"b":${deep}}}}`;
  let inventory: Inventory | undefined;
  try {
    inventory = listing("tools", [entry]);
  } catch (error) {
    // Such a text is no message where the runtime cannot even read it.
    assert.ok(error instanceof RangeError || error instanceof SyntaxError);
    return;
  }
  const checked = await checkedInventory(inventory);
  assert.ok(checked.mended === undefined || checked.mended.inventory.lists.tools.items.length < 2);
});

test("very many entries are looked at in turns", async () => {
  const many = Array.from({ length: 20_000 }, (_, at) => `{"name":"t${at}","inputSchema":{}}`);
  let isOver = false;
  const over = checkedInventory(listing("tools", many)).finally(() => isOver = true);
  let turns = 0;
  for (; !isOver; turns++) await nextTurn();
  assert.ok(turns > 1, `${turns} turns`);
  assert.equal((await over).mended?.inventory.lists.tools.items.length, 20_000);
});

test("checkedInventory() tells of mistakes in few and short words, however many and long they are", async () => {
  const long = "x".repeat(100_000);
  const raws = Array.from({ length: 20 }, (_, at) => JSON.stringify({ name: `${at}${long}` }));
  const odd = (length: number) =>
    Object.fromEntries(Array.from({ length }, (_, at) => [`${at}${at === 0 ? long : ""}`, 7]));
  const capabilities = JSON.stringify({
    experimental: odd(5_000),
    extensions: odd(1),
    logging: {},
  });
  const { mended } = await checkedInventory(listing("tools", raws, { capabilities }));
  assert.deepEqual(mended!.faults.map((fault) => fault.replace(/x+/g, "x")), [
    'Mended capabilities: "experimental" is not valid',
    'Mended capabilities: "extensions.0x…" is not valid',
    'Mended tools: "inputSchema" is missing ("0x…", "1x…", "2x…", "3x…", "4x…" and 15 more)',
  ]);
  for (const fault of mended!.faults) assert.ok(fault.length < 1_000, String(fault.length));
  assert.equal(mended!.inventory.capabilities, '{"experimental":{},"extensions":{},"logging":{}}');
  assert.equal(mended!.inventory.lists.tools.items.length, 20);
});
