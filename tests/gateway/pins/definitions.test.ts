import assert from "node:assert/strict";
import { test } from "node:test";
import {
  definitionsOf,
  judgePins,
  whyWaiting,
  withoutHeld,
} from "../../../src/gateway/pins/definitions.ts";
import type { PinMap } from "../../../src/gateway/pins/pin-file.ts";
import { hasHidden, showHidden } from "../../../src/lib/hidden-text.ts";
import { EMPTY_INVENTORY, type Inventory } from "../../../src/protocol/lists.ts";
import { tool } from "./pin-house.ts";

function inventoryOf(
  tools: readonly (string | { readonly name: string })[],
  more: Partial<Inventory> = {},
): Inventory {
  const items = tools.map((one) => {
    const raw = typeof one === "string" ? one : JSON.stringify(one);
    return { key: JSON.parse(raw).name, raw };
  });
  return { ...EMPTY_INVENTORY, ...more, lists: { ...EMPTY_INVENTORY.lists, tools: { items } } };
}

/** What waits when `after` comes where `before` was pinned. */
async function waiting(before: Inventory, after: Inventory): Promise<PinMap> {
  const held = judgePins(await definitionsOf(before, undefined));
  return judgePins(await definitionsOf(after, held.pinned), held).waiting;
}

test("judgePins() finds every change of what models are told, and none of what they are not", async () => {
  const schema = { type: "object", properties: { a: { type: "string" }, b: { type: "number" } } };
  const plain = { ...tool("add"), inputSchema: schema, annotations: { readOnlyHint: true } };
  const before = inventoryOf([plain], { instructions: "Add." });
  const same = [
    plain,
    { ...plain, _meta: { at: 1 }, icons: [] },
    JSON.stringify(
      {
        annotations: plain.annotations,
        inputSchema: {
          properties: { b: { type: "number" }, a: { type: "string" } },
          type: "object",
        },
        description: plain.description,
        name: plain.name,
      },
      null,
      2,
    ),
  ];
  for (const one of same) {
    const after = inventoryOf([one], { instructions: "Add." });
    assert.deepEqual([...(await waiting(before, after)).keys()], []);
  }
  const others = [
    { ...plain, description: "Does add!" },
    { ...plain, description: "Does add.\u{e0041}" },
    { ...plain, title: "Add" },
    { ...plain, inputSchema: { ...schema, required: ["a"] } },
    { ...plain, outputSchema: { type: "object" } },
    { ...plain, annotations: { readOnlyHint: false } },
    { ...plain, annotations: undefined },
  ];
  for (const one of others) {
    const after = inventoryOf([one], { instructions: "Add." });
    assert.deepEqual([...(await waiting(before, after)).keys()], ["tool add"], JSON.stringify(one));
  }
  const twice = inventoryOf([plain, { ...plain, description: "Another" }]);
  assert.deepEqual([...(await waiting(before, twice)).keys()], ["tool add"]);
  const more = inventoryOf([plain, tool("__proto__")], { instructions: "Subtract." });
  assert.deepEqual([...(await waiting(before, more)).keys()], ["tool __proto__", "instructions"]);
});

test("judgePins() holds names of any length, and definitions of any depth, apart", async () => {
  const deep = (end: string) => {
    const schema = `${'{"items":'.repeat(3_000)}${end}${"}".repeat(3_000)}`;
    return { key: "deep", raw: `{"name":"deep","inputSchema":${schema}}` };
  };
  const of = (end: string, name: string): Inventory => {
    const items = [deep(end), { key: name, raw: JSON.stringify({ name }) }];
    return { ...EMPTY_INVENTORY, lists: { ...EMPTY_INVENTORY.lists, tools: { items } } };
  };
  const long = "n".repeat(5_000);
  const waits = await waiting(of("1", `${long}a`), of("2", `${long}b`));
  assert.equal(waits.size, 2);
  for (const id of waits.keys()) assert.ok(id.length < 300);
});

test("withoutHeld() leaves out of all lists what waits, and keeps the others as they are", async () => {
  const after = inventoryOf([tool("add"), tool("sub", "Else")], { instructions: "Else" });
  const inventory = { ...after, mended: { inventory: after, faults: ["one"] } };
  const waits = await waiting(inventoryOf([tool("add"), tool("sub")]), inventory);
  const shown = withoutHeld(inventory, waits);
  assert.deepEqual(shown.lists.tools.items.map(({ key }) => key), ["add"]);
  assert.deepEqual(shown.mended!.inventory.lists.tools.items.map(({ key }) => key), ["add"]);
  assert.equal(shown.instructions, undefined);
  assert.equal(shown.lists.prompts, inventory.lists.prompts);
  assert.equal(withoutHeld(inventory, new Map()), inventory);
});

test("hasHidden() knows each kind of hidden character, in text and in JSON", () => {
  const flag = "\u{1f3f4}\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}";
  const fine = [
    "plain\ttext\r\nof lines",
    flag,
    "\u{1f469}\u200d\u{1f52c} \u2764\ufe0f",
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "C:\\bin \\u0001 \\b",
  ];
  for (const text of fine) {
    assert.equal(hasHidden(text.replace(/\\[ub].*/, "")), false, text);
    assert.equal(hasHidden(JSON.stringify(text)), false, text);
    assert.equal(showHidden(text), text);
  }
  const hidden = [
    0xe0001,
    0xe0041,
    0xe007f,
    0x61c,
    0x200e,
    0x200f,
    0x202a,
    0x202e,
    0x2066,
    0x2069,
    0x200b,
    0x2060,
    0x2064,
    0xfeff,
    0xe000,
    0xf8ff,
    0xf0000,
    0x10fffd,
    0xe0100,
    0xe01ef,
    0,
    7,
    8,
    0xb,
    0xc,
    0x1b,
    0x1f,
    0x7f,
    0x80,
    0x85,
    0x9f,
  ];
  for (const code of hidden) {
    const text = `a${String.fromCodePoint(code)}b`;
    assert.ok(hasHidden(text), code.toString(16));
    assert.ok(hasHidden(JSON.stringify({ text })), code.toString(16));
    const shown = `a\\u{${code.toString(16).toUpperCase().padStart(4, "0")}}b`;
    assert.equal(showHidden(text), shown);
  }
  // A word, as if it were a flag.
  for (const word of ["run", "delete", "gbeng7", "usca"]) {
    const tags = word.replace(/./g, (char) => String.fromCodePoint(0xe0000 + char.charCodeAt(0)));
    assert.ok(hasHidden(`\u{1f3f4}${tags}\u{e007f}`), word);
  }
  // Tags that only begin as a flag, and a flag with a message in it.
  assert.ok(hasHidden("\u{1f3f4}\u{e0067}"));
  assert.ok(hasHidden(`\u{1f3f4}${"\u{e0061}".repeat(40)}\u{e007f}`));
  assert.equal(showHidden(`${flag}\u{e0041}`), `${flag}\\u{E0041}`);
});

test("hasHidden() finds escapes whatever stands before them, in any number", () => {
  const parts = ["\\", "\\", '"', "b", "f", "u0000", "n", "\b", "\f", "\0", "\u001b", "\n", "\t"];
  // deno-lint-ignore no-control-regex
  const isHidden = (text: string) => /[\0\x08\x0c\x1b]/.test(text);
  let seed = 7;
  for (let round = 0; round < 3_000; round++) {
    let text = "";
    for (let at = 0; at < 6; at++) {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      text += parts[(seed >> 8) % parts.length];
    }
    assert.equal(hasHidden(JSON.stringify(text)), isHidden(text), JSON.stringify(text));
  }
  // As much as one tool may have; each backslash is looked at once.
  const long = "\\".repeat(950_000);
  assert.equal(hasHidden(JSON.stringify(long)), false);
  assert.equal(hasHidden(JSON.stringify(`${long}\b`)), true);
});

test("judgePins() pins nothing that is too long for anybody to look through, and reads none of it", async () => {
  const raw = JSON.stringify(tool("x", "n".repeat(300_000)));
  for (const one of [raw, raw.replace("}", "")]) {
    const items = [{ key: "x", raw: one }];
    const inventory = { ...EMPTY_INVENTORY, lists: { ...EMPTY_INVENTORY.lists, tools: { items } } };
    const { pinned, waiting } = judgePins(await definitionsOf(inventory));
    assert.deepEqual([pinned.size, [...waiting.keys()]], [0, ["tool x"]]);
    const why = whyWaiting(pinned, "tool x", waiting.get("tool x")!);
    assert.equal(why, "it is new, and too long or too deep to be shown");
  }
});

test("judgePins() pins nothing that is nested too deep, whatever the stack", async () => {
  const of = (depth: number) => {
    const schema = `{"properties":${"[".repeat(depth)}${"]".repeat(depth)}}`;
    const raw = `{"name":"x","description":"\\udb40\\udc41","inputSchema":${schema}}`;
    return inventoryOf([raw]);
  };
  for (const depth of [600, 3_000, 20_000]) {
    const offered = await definitionsOf(of(depth), undefined);
    const held = judgePins(offered);
    const { pinned, waiting } = held;
    assert.deepEqual([pinned.size, waiting.size], [0, 1], String(depth));
    assert.equal(offered.get("tool x")!.text, undefined);
    const why = whyWaiting(undefined, "tool x", offered.get("tool x")!);
    assert.equal(why, "it is new, and too long or too deep to be shown");
    // Approved, it is known again.
    const again = await definitionsOf(of(depth), undefined);
    assert.equal(judgePins(again, { ...held, pinned: offered }).waiting.size, 0);
  }
  assert.match((await definitionsOf(of(490), undefined)).get("tool x")!.text!, /\[\[/);
});
