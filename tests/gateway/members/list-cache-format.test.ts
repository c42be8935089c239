import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeLists, encodeLists } from "../../../src/gateway/members/list-cache.ts";
import { nextTurn } from "../../../src/lib/time.ts";
import { EMPTY_INVENTORY, type Inventory, LIST_RULES } from "../../../src/protocol/lists.ts";
import { jsonText } from "../../fuzz/arbitrary.ts";
import { NOW, OFFERS, signed } from "./list-cache-support.ts";
import { rounds } from "../../support/rounds.ts";

const item = (key: string) =>
  fc.tuple(fc.string({ unit: "binary" }), jsonText, fc.constantFrom("", " ", "\n\t")).map(
    ([name, odd, space]) => ({
      key: name,
      raw: `{${space}"x":${odd},"${key}":0, "${key}"${space}:${JSON.stringify(name)}${space}}`,
    }),
  );
const objectText = jsonText.map((text) => `{"x" :${text}}`);
const lists = fc.record(Object.fromEntries(
  LIST_RULES.map(({ kind, key }) => [
    kind,
    fc.record({
      items: fc.array(item(key), { maxLength: 4 }),
      ttlMs: fc.nat(),
      cacheScope: fc.constantFrom("public", "private"),
      isUnread: fc.constant(true),
    }, { requiredKeys: ["items"] }),
  ]),
));
const inventories = fc.record({
  capabilities: objectText,
  serverInfo: objectText,
  era: fc.constantFrom("legacy", "modern"),
  instructions: fc.option(fc.string({ unit: "binary" }), { nil: undefined }),
  lists,
}, { requiredKeys: ["capabilities", "serverInfo", "instructions", "lists"] }) as fc.Arbitrary<
  unknown
> as fc.Arbitrary<Inventory>;

test("decodeLists() gives back every inventory character for character", async () => {
  const owner = { server: "é\ud800/..", id: "0" };
  await fc.assert(
    fc.asyncProperty(inventories, async (inventory) => {
      const bytes = await encodeLists(owner, { inventory, savedAt: 1 });
      const decoded = await decodeLists(bytes, owner);
      // Objects of fast-check have no prototype, which strict equality would take for a difference.
      assert.deepEqual(decoded, { ok: true, value: { inventory: plain(inventory), savedAt: 1 } });
    }),
    { numRuns: rounds(200) },
  );
});

function plain(inventory: Inventory): Inventory {
  const copies = LIST_RULES.map(({ kind }) => {
    const list = inventory.lists[kind];
    return [kind, { ...list, items: list.items.map((one) => ({ ...one })) }];
  });
  return { ...inventory, lists: Object.fromEntries(copies) };
}

test("encodeLists() leaves out a time to live that JSON cannot say", async () => {
  const owner = { server: "a", id: "0" };
  const tools = { items: [], ttlMs: Infinity };
  const endless = { ...EMPTY_INVENTORY, lists: { ...EMPTY_INVENTORY.lists, tools } };
  const bytes = await encodeLists(owner, { inventory: endless, savedAt: 1 });
  const decoded = await decodeLists(bytes, owner);
  assert.deepEqual(decoded, { ok: true, value: { inventory: EMPTY_INVENTORY, savedAt: 1 } });
});

test("encodeLists() leaves others their turn, however much there is to keep", async () => {
  const text = JSON.stringify({ name: '"'.repeat(1_000) });
  let looked = 0;
  const items = Array.from({ length: 5_000 }, (_, index) => ({
    key: `${index}`,
    get raw() {
      looked++;
      return text;
    },
  }));
  const inventory = { ...EMPTY_INVENTORY, lists: { ...EMPTY_INVENTORY.lists, tools: { items } } };
  let isOver = false;
  const over = encodeLists({ server: "a", id: "0" }, { inventory, savedAt: NOW }).finally(() =>
    isOver = true
  );
  let between = 0;
  while (!isOver) {
    await nextTurn();
    if (looked < items.length) between++;
  }
  assert.ok(between > 0, "all at once");
  assert.ok((await over).length > items.length * text.length);
});

test("decodeLists() refuses a file cut off anywhere", async () => {
  const owner = { server: "memory", id: "0" };
  const whole = await encodeLists(owner, { inventory: OFFERS, savedAt: NOW });
  for (let length = 0; length < whole.length; length++) {
    const { ok } = await decodeLists(whole.slice(0, length), owner);
    assert.equal(ok, false, `cut at ${length}`);
  }
});

test("decodeLists() refuses a file with any bit flipped", async () => {
  const owner = { server: "memory", id: "0" };
  const whole = await encodeLists(owner, { inventory: OFFERS, savedAt: NOW });
  for (let bit = 0; bit < whole.length * 8; bit++) {
    const damaged = whole.slice();
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    const { ok } = await decodeLists(damaged, owner);
    assert.equal(ok, false, `bit ${bit}`);
  }
});

test("decodeLists() takes no bytes whatever for lists, and rejects for none", async () => {
  const owner = { server: "memory", id: "0" };
  await fc.assert(fc.asyncProperty(fc.uint8Array(), async (bytes) => {
    assert.equal((await decodeLists(new Uint8Array(bytes), owner)).ok, false);
  }));
});

test("decodeLists() refuses what has the right digest and the wrong shape", async () => {
  const owner = { server: "a", id: "0" };
  const empty = { items: [] };
  const lists = { tools: empty, prompts: empty, resources: empty, templates: empty };
  const good = { capabilities: "{}", serverInfo: "{}", lists };
  const decode = async (content: unknown) => {
    const text = typeof content === "string" ? content : JSON.stringify(content);
    return await decodeLists(new TextEncoder().encode(await signed(text)), owner);
  };
  const withInventory = (inventory: unknown) => decode({ ...owner, savedAt: 1, inventory });
  const withTools = (tools: unknown) => withInventory({ ...good, lists: { ...lists, tools } });
  assert.equal((await withInventory(good)).ok, true);
  assert.equal((await withTools({ items: ['{"name":""}'], ttlMs: 0 })).ok, true);

  const wrong = [
    ...["", "null", "[]", "{", "1e400", '"mcproxy"', "[".repeat(100_000)].map(decode),
    ...[{}, null, { ...owner, savedAt: 1 }, { ...owner, inventory: good }].map(decode),
    decode({ ...owner, savedAt: "1", inventory: good }),
    decode({ ...owner, server: "b", savedAt: 1, inventory: good }),
    decode({ ...owner, id: "1", savedAt: 1, inventory: good }),
    ...[[], null, "x", { ...good, lists: [] }, { ...good, lists: {} }].map(withInventory),
    ...["", "[]", "x", 1, null, {}].map((capabilities) => withInventory({ ...good, capabilities })),
    ...["", "null", "{}{}", 1].map((serverInfo) => withInventory({ ...good, serverInfo })),
    ...["", "ancient", 1, null].map((era) => withInventory({ ...good, era })),
    ...[1, null, {}].map((instructions) => withInventory({ ...good, instructions })),
    ...[[], null, {}, { items: {} }, { items: "x" }].map(withTools),
    ...[-1, "1", null, {}].map((ttlMs) => withTools({ items: [], ttlMs })),
    ...["shared", 1, null].map((cacheScope) => withTools({ items: [], cacheScope })),
    ...[null, 1, {}, "", "{", "[]", '"name"', "{}", '{"name":1}', '{"uri":"x"}', '{"name":"x"}}']
      .map((raw) => withTools({ items: ['{"name":"good"}', raw] })),
    ...["__proto__", "constructor"].map((name) =>
      withTools({ items: [`{"${name}":{"name":"x"}}`] })
    ),
  ];
  const decoded = await Promise.all(wrong);
  const accepted = decoded.flatMap(({ ok }, index) => ok ? [index] : []);
  assert.deepEqual(accepted, []);
});
