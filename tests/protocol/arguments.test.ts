import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { editJson } from "../../src/lib/json-edit.ts";
import { argumentEdits, type ArgumentRules } from "../../src/protocol/arguments.ts";

function rules(
  defaults: Readonly<Record<string, string>>,
  fixed: Readonly<Record<string, string>> = {},
  hidden: readonly string[] = [],
): ArgumentRules {
  return {
    defaults: new Map(Object.entries(defaults)),
    fixed: new Map(Object.entries(fixed)),
    hidden: new Set(hidden),
  };
}

/** What an upstream gets for a call with these arguments. */
function edited(text: string | undefined, of: ArgumentRules): string {
  const placed = argumentEdits(text, of).map(({ path, value }) => ({
    path: ["params", "arguments", ...path],
    value,
  }));
  const args = text === undefined ? "" : `,"arguments":${text}`;
  return editJson(`{"params":{"name":"t"${args}}}`, placed);
}

/** Only the arguments. */
const argumentsOf = (text: string | undefined, of: ArgumentRules): unknown =>
  JSON.parse(edited(text, of)).params.arguments;

test("argumentEdits() gives defaults to calls without the argument only", () => {
  const of = rules({ limit: "20", deep: '{"a":1}' });
  assert.deepEqual(argumentsOf("{}", of), { limit: 20, deep: { a: 1 } });
  assert.deepEqual(argumentsOf(undefined, of), { limit: 20, deep: { a: 1 } });
  assert.deepEqual(argumentsOf('{"limit":null,"deep":0}', of), { limit: null, deep: 0 });
});

test("argumentEdits() puts fixed values above all that a call says", () => {
  const of = rules({ p: "1" }, { p: "2", owner: '"me"' }, ["p"]);
  assert.deepEqual(argumentsOf('{"owner":"you","p":3}', of), { owner: "me", p: 2 });
  assert.deepEqual(argumentsOf('{"owner":"you","owner":"they"}', of), { owner: "me", p: 2 });
  // No object at all is the upstream's to refuse, and still not what gets past a fixed value.
  assert.deepEqual(argumentsOf('["owner"]', of), { p: 2, owner: "me" });
});

test("argumentEdits() leaves out what a client sends for hidden parameters", () => {
  const of = rules({ mode: '"safe"' }, {}, ["debug", "mode"]);
  assert.deepEqual(argumentsOf('{"debug":true,"mode":"fast","q":1}', of), { q: 1, mode: "safe" });
  assert.deepEqual(argumentsOf('{"\\u0064ebug":true}', of), { mode: "safe" });
  assert.deepEqual(argumentsOf("{}", rules({}, {}, ["debug"])), {});
  assert.equal(argumentsOf(undefined, rules({}, {}, ["debug"])), undefined);
});

test("argumentEdits() leaves an argument that is sent twice to no parser's taste", () => {
  const twice = '{"p":1,"p":2}';
  const once = '{"params":{"name":"t","arguments":{"p":2}}}';
  assert.equal(edited(twice, rules({}, { p: "2" })), once);
  assert.equal(edited(twice, rules({ p: "2" }, {}, ["p"])), once);
  assert.deepEqual(argumentsOf(twice, rules({}, {}, ["p"])), {});
  const [edit] = argumentEdits("{}", rules({}, {}, ["p"]));
  const members = '{"arguments":{"p":1},"arguments":{}}';
  assert.equal(editJson(members, [{ ...edit!, path: ["arguments", "p"] }]), '{"arguments":{}}');
});

test("argumentEdits() changes nothing else", () => {
  const text = '{ "big": 12345678901234567890, "p" : 2 , "__proto__": {} }';
  assert.deepEqual(argumentEdits(text, rules({ p: "1" })), []);
  assert.ok(
    edited(text, rules({}, { p: "3" })).includes(
      '{ "big": 12345678901234567890, "p" : 3 , "__proto__": {} }',
    ),
  );
});

test("argumentEdits() gives every call what the rules say, whatever it was", () => {
  const names = ["a", "b", "c", "__proto__", 'q"'];
  const name = fc.constantFrom(...names);
  const values = fc.uniqueArray(
    fc.tuple(name, fc.jsonValue().map((value) => JSON.stringify(value))),
    {
      selector: ([key]) => key,
    },
  ).map((pairs) => new Map(pairs));
  const call = fc.option(
    values.map((pairs) =>
      `{${[...pairs].map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(" , ")}}`
    ),
    { nil: undefined },
  );
  const any = fc.record({
    defaults: values,
    fixed: values,
    hidden: fc.array(name).map((hidden) => new Set(hidden)),
  });
  const has = (value: object, key: string) => Object.hasOwn(value, key);
  fc.assert(fc.property(call, any, (text, of) => {
    const sent: Record<string, unknown> = JSON.parse(text ?? "{}");
    const got: Record<string, unknown> = (argumentsOf(text, of) as Record<string, unknown>) ?? {};
    for (const key of names) {
      const expected = of.fixed.get(key) ??
        (has(sent, key) && !of.hidden.has(key) ? JSON.stringify(sent[key]) : of.defaults.get(key));
      assert.equal(has(got, key), expected !== undefined, key);
      if (expected !== undefined) assert.deepEqual(got[key], JSON.parse(expected));
    }
  }));
});
