import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import fc from "fast-check";
import { expandString, expandTree } from "../../src/config/expand.ts";

const ENV = { NAME: "value", EMPTY: "", NESTED: "${NAME}" };

function expand(text: string): string {
  return expandString(text, ENV).value;
}

test("expandString() replaces variables and leaves the rest", () => {
  assert.equal(expand("a ${NAME} b ${NAME}"), "a value b value");
  assert.equal(expand("no variable, $NAME, $, {NAME}"), "no variable, $NAME, $, {NAME}");
});

test("expandString() takes the default where a variable is unset or empty", () => {
  assert.equal(expand("${NONE:-default}"), "default");
  assert.equal(expand("${NONE:-}"), "");
  assert.equal(expand("${EMPTY:-default}"), "default");
  assert.equal(expand("[${EMPTY}]"), "[]");
  assert.equal(expand("${NAME:-default}"), "value");
});

test("expandString() expands variables in a default, and only in one that is taken", () => {
  assert.equal(expand("${NONE:-a ${NAME} b}"), "a value b");
  assert.equal(expand("${A:-${B:-${NAME}}}!"), "value!");
  const untaken = expandString("${NAME:-${NONE}}!", ENV);
  assert.deepEqual([untaken.value, untaken.unset], ["value!", []]);
});

test("expandString() never looks into what a variable contains", () => {
  assert.equal(expand("${NESTED}"), "${NAME}");
});

test("expandString() reads a doubled dollar as a literal", () => {
  assert.equal(expand("$${NAME} ${NAME}"), "${NAME} value");
  assert.equal(expand("${NONE:-$${b} c}"), "${b} c");
});

test("expandString() names what is unset, and leaves it as written", () => {
  const expansion = expandString("${ONE} ${NAME} ${TWO}", ENV);
  assert.equal(expansion.value, "${ONE} value ${TWO}");
  assert.deepEqual(expansion.unset, ["ONE", "TWO"]);
  assert.deepEqual(expansion.used, [{ name: "NAME", value: "value" }]);
});

test("expandString() finds what is no variable, without showing its default", () => {
  for (const text of ["${", "${}", "${env:NAME}", "${NA ME}", "${1A}", "${NAME", "${NAME:+x}"]) {
    assert.equal(expandString(text, ENV).malformed, text);
  }
  assert.equal(expandString("${NONE:-secret", ENV).malformed, "${NONE:-…");
});

test("expandString() does not take inherited members for variables", () => {
  assert.deepEqual(expandString("${toString}${__proto__}", {}).unset, ["toString", "__proto__"]);
});

test("expandString() works on the environment of the process", () => {
  assert.equal(expandString("${PATH}", process.env).value, process.env["PATH"]);
  assert.deepEqual(expandString("${MCPROXY_NOT_SET_X}", process.env).unset, ["MCPROXY_NOT_SET_X"]);
});

test("expandString() survives deep nesting and never throws", () => {
  assert.ok(expandString("${A:-".repeat(100_000), {}).malformed);
  const piece = fc.constantFrom("${", "$${", "}", ":-", "NAME", "NONE", "$", " ");
  fc.assert(fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
    const { value } = expandString(pieces.join(""), ENV);
    assert.equal(typeof value, "string");
  }));
});

test("expandString() leaves text alone that has no variable", () => {
  fc.assert(fc.property(fc.string().filter((text) => !text.includes("${")), (text) => {
    assert.equal(expand(text), text);
  }));
});

test("expandTree() expands every string but keys and literal members", () => {
  const source = { a: ["${NAME}", 1, null], "${NAME}": { b: "${NONE}" }, note: "${NONE}" };
  const { value, unset } = expandTree(source, ENV, (key) => key === "note");
  assert.equal(
    JSON.stringify(value),
    '{"a":["value",1,null],"${NAME}":{"b":"${NONE}"},"note":"${NONE}"}',
  );
  assert.deepEqual(unset, [{ path: ["${NAME}", "b"], name: "NONE" }]);
});

test("expandTree() takes more variables than a call takes arguments", () => {
  const { used } = expandTree(["${NAME}".repeat(300_000)], ENV);
  assert.equal(used.length, 300_000);
});
