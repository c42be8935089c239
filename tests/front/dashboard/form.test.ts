/** What a form makes of a schema, and of a value: each round trip ends with the same JSON. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import {
  become,
  blank,
  check,
  fieldOf,
  hasSecrets,
  hintOf,
  isObject,
  numberOf,
  numberText,
  othersOf,
  parse,
  resolve,
  set,
  show,
  variantOf,
} from "../../../src/front/dashboard/web/schema.js";
import { NASTY } from "./nasty-schemas.ts";

// deno-lint-ignore no-explicit-any
type Any = any;

interface Server {
  readonly name: string;
  readonly tools: readonly { readonly name: string; readonly inputSchema: Any }[];
}

/** The tools of real servers, as they list them. */
const SERVERS = JSON.parse(
  readFileSync(new URL("../../golden/search/tools.json", import.meta.url), "utf8"),
) as readonly Server[];
const REAL = SERVERS.flatMap(({ name, tools }) =>
  tools.map((tool) => ({ name: `${name} ${tool.name}`, schema: tool.inputSchema }))
);

/** What is left of a value when every field of its form is filled with what it shows. */
function refilled(schema: Any, value: Any, root: Any, depth = 0): Any {
  if (value === undefined) return undefined;
  const field = fieldOf(schema, value, root);
  if (depth > 30) return parse(show(value));
  switch (field.kind) {
    case "text":
      return String(value);
    case "number":
      return numberOf(numberText(value));
    case "boolean":
      return Boolean(value);
    case "null":
      return null;
    case "choice":
      return field.options!.find((one) => show(one.value) === show(value))!.value;
    case "list":
      return value.reduce(
        (list: Any, item: Any, at: number) =>
          set(list, [at], refilled(resolve(schema, root).items, item, root, depth + 1)),
        [],
      );
    case "variants": {
      const variant = field.variants![variantOf(field.variants!, value, root)]!;
      return refilled(variant.value, value, root, depth + 1);
    }
    case "object": {
      const others = Object.fromEntries(othersOf(field, value));
      let filled: Any = { ...others };
      for (const { key, schema: member } of field.members!) {
        if (!Object.hasOwn(value, key)) continue;
        filled = { ...filled, [key]: refilled(member, value[key], root, depth + 1) };
      }
      return filled;
    }
    default:
      return parse(show(value));
  }
}

/** Every object with its members in the same order. */
function sorted(value: Any): Any {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  const entries = Object.entries(value).map(([key, one]) => [key, sorted(one)] as const);
  return Object.fromEntries(entries.sort(([a], [b]) => a < b ? -1 : 1));
}

/** A value that a schema takes, of its first variants. */
function sample(schema: Any, root: Any, depth = 0): Any {
  const field = fieldOf(schema, undefined, root);
  const { kind, options, variants, members, schema: whole } = field;
  if (depth > 4) return blank(schema, root);
  if (kind === "choice") return options!.at(-1)!.value;
  if (kind === "number") return whole.minimum ?? 7;
  if (kind === "boolean") return true;
  if (kind === "text") return whole.format === "uri" ? "https://a.example/" : "näh\n“x”";
  if (kind === "list") return [sample(whole.items, root, depth + 1)];
  if (kind === "variants") return sample(variants!.at(-1)!.value, root, depth + 1);
  if (kind !== "object") return { any: [1, null, { "": "thing" }] };
  return Object.fromEntries(
    members!.map((one) => [one.key, sample(one.schema, root, depth + 1)]),
  );
}

/** Values that fit hardly any schema. */
const ODD = [
  '{"__proto__":{"x":1},"constructor":2,"toString":"3"}',
  '{"a":9007199254740993,"b":1.0,"c":-0,"d":1e400}',
  '{"path":{"not":"text"},"tail":"12","head":"twelve","edits":"none","":[[]]}',
  '{"message":"\\r\\n","count":null,"entities":[null,1,"x",{}]}',
  '{"location":"Atlantis","messageType":["error"],"observations":{}}',
  "{}",
].map((text) => [text, parse(text)] as const);

const every = [...REAL, ...NASTY];

test("there are 30 real schemas and 20 nasty ones", () => {
  assert.ok(REAL.length >= 30, `${REAL.length} real`);
  assert.ok(NASTY.length >= 20, `${NASTY.length} nasty`);
});

for (const { name, schema } of every) {
  test(`round trip: ${name}`, () => {
    const made = sample(schema, schema);
    for (const value of [made, ...ODD.map(([, odd]) => odd)]) {
      const [before, after] = [show(sorted(value)), show(sorted(refilled(schema, value, schema)))];
      assert.equal(after, before);
      check(schema, value);
    }
    assert.equal(refilled(schema, undefined, schema), undefined);
    assert.equal(typeof hintOf(resolve(schema, schema)), "string");
  });
}

test("what fits a real schema is not objected to", () => {
  const wrong = REAL.map(({ name, schema }) => [name, check(schema, sample(schema, schema))]);
  assert.deepEqual(wrong.filter(([, faults]) => faults!.length > 0), []);
});

test("JSON stays as it is written", () => {
  for (const [text, value] of ODD) assert.equal(show(value, 0), text);
});

const SAY: Any = {
  type: "object",
  properties: {
    path: { type: "string", minLength: 2 },
    limit: { type: "integer", minimum: 1, maximum: 1000, default: 20 },
    sort: { enum: ["name", "size"] },
    note: { type: ["string", "null"], maxLength: 3 },
    when: { type: "string", format: "date" },
    range: { type: "object", properties: { from: { type: "number" } }, required: ["from"] },
    tags: { type: "array", items: { type: "string" }, minItems: 1, uniqueItems: true },
    token: { type: "string", format: "password" },
  },
  required: ["path"],
  additionalProperties: false,
};

const SAID: readonly (readonly [Any, string])[] = [
  [{}, "path: Required"],
  [{ path: "x" }, "path: At least 2 characters"],
  [{ path: 12 }, "path: Must be a string"],
  [{ path: "xx", limit: 2500 }, "limit: At most 1\u202f000"],
  [{ path: "xx", limit: "12x" }, "limit: Must be an integer"],
  [{ path: "xx", limit: 1.5 }, "limit: Must be an integer"],
  [{ path: "xx", limit: "" }, "limit: Required"],
  [{ path: "xx", sort: "age" }, 'sort: Must be one of "name", "size"'],
  [{ path: "xx", note: null }, ""],
  [{ path: "xx", note: "long" }, "note: At most 3 characters"],
  [{ path: "xx", when: "2026-13-40" }, "when: Must be a date"],
  [{ path: "xx", range: {} }, "range.from: Required"],
  [{ path: "xx", tags: [] }, "tags: At least 1 items"],
  [{ path: "xx", other: 1 }, "other: Not known to this tool"],
  [{ path: "xx", limit: 1, tags: ["a"], range: { from: 0.5 } }, ""],
];

test("errors are said where they are", () => {
  const found = SAID.map(([value]) => {
    const faults = check(SAY, value);
    return faults.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; ");
  });
  assert.deepEqual(found, SAID.map(([, text]) => text));
});

test("a field says type, bounds and default", () => {
  assert.equal(hintOf(SAY.properties.limit), "integer, 1–1\u202f000, default 20");
  assert.equal(hintOf(SAY.properties.tags), "list of strings, from 1 items");
  assert.equal(hintOf(SAY.properties.note), "string or null, up to 3 characters");
});

test("what is untouched is left out, and what is taken away again, too", () => {
  let value: Any = set(undefined, ["range", "from"], 5);
  assert.deepEqual(value, { range: { from: 5 } });
  value = set(value, ["tags", 0], "a");
  value = set(value, ["range", "from"], undefined);
  assert.deepEqual(value, { tags: ["a"] });
  assert.deepEqual(set(value, ["tags", 0], undefined), { tags: [] });
  assert.equal(set(value, ["tags"], undefined), undefined);
  const items = set({ list: [{ a: 1 }] }, ["list", 0, "a"], undefined);
  assert.deepEqual(items, { list: [{}] });
  assert.equal(show(set({}, ["__proto__"], 1), 0), '{"__proto__":1}');
});

test("a variant is found by the value, and brings its fixed members", () => {
  const shape: Any = {
    type: "object",
    properties: { label: { type: "string" } },
    oneOf: [
      {
        properties: { kind: { const: "circle" }, radius: { type: "number" } },
        required: ["kind", "radius"],
      },
      {
        properties: { kind: { const: "square" }, side: { type: "number" } },
        required: ["kind", "side"],
      },
    ],
  };
  const { kind, variants } = fieldOf(shape, undefined, shape);
  assert.equal(kind, "variants");
  assert.deepEqual(variants!.map(({ label }) => label), ['kind: "circle"', 'kind: "square"']);
  assert.equal(variantOf(variants!, { kind: "square", side: 1 }, shape), 1);
  const value = { kind: "circle", radius: 2, label: "one" };
  assert.deepEqual(become(variants![1]!.value, value, shape), { label: "one", kind: "square" });
  assert.deepEqual(check(shape, { label: "x" }).map(({ message }) => message), [
    "Fits none of the variants",
  ]);
});

test("a number of any size stays what was typed", () => {
  for (const text of ["9007199254740993", "1.50", "-0", "1e400", "12"]) {
    assert.equal(show(numberOf(text), 0), text);
    assert.equal(numberText(numberOf(text)), text);
  }
  assert.equal(numberOf("12x"), "12x");
  assert.equal(numberOf("0x10"), "0x10");
});

test("a secret is not for an address", () => {
  assert.ok(hasSecrets(SAY));
  assert.ok(!hasSecrets(SAY.properties.limit));
});

test("a pattern is held against a text only where that ends soon", () => {
  const faults = (pattern: string, text: string) => check({ type: "string", pattern }, text).length;
  const endless = [
    "^((a+))+$",
    "^(a(a+))+$",
    "^(a|a)*$",
    "^(a?){30}a{30}$",
    "^(a{1,9}){1,9}$",
    "^(?:a|aa)+$",
    "^a*a*a*a*a*a*a*b",
    `^${"a?".repeat(30)}${"a".repeat(30)}b$`,
  ];
  for (const pattern of endless) assert.equal(faults(pattern, `${"a".repeat(100)}!`), 0, pattern);
  for (const pattern of ["^a+$", "^https?://", "^[a-f\\d]{8}-[^+*]{4}$", "^(x)+\\.y$"]) {
    assert.equal(faults(pattern, "a!"), 1, pattern);
  }
  // What looks for the pattern's own end must not take long, either.
  assert.equal(faults("*".repeat(1_000_000), "a"), 0);
});

test("a reference as long as a book leads nowhere", () => {
  assert.deepEqual(resolve({ $ref: `#${"/a".repeat(1_000_000)}` }, {}), {});
});
