import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import fc from "fast-check";
import type { Fetched } from "../../src/config/command.ts";
import type { Env } from "../../src/config/types.ts";
import * as source from "../../src/config/expand.ts";
import { lookupIn, storeOf, type ValueStore, type Wanted } from "../../src/config/values.ts";
import type { FileOrigin } from "../../src/config/document.ts";

const ORIGIN: FileOrigin = {
  file: "f.json",
  directory: "/etc/mcproxy/.vscode",
  workspaceFolder: "/etc/mcproxy",
  inputs: new Map([["with-default", { default: "proposed" }], ["bare", {}]]),
};

function expandString(text: string, env: Env): source.Expansion {
  return source.expandString(text, lookupIn(storeOf(env), ORIGIN));
}

function namesOf(missing: readonly source.MissingValue[]): string[] {
  return missing.map(({ name }) => name);
}

const ENV = { NAME: "value", EMPTY: "", NESTED: "${NAME}" };

const LOOKUP = lookupIn(storeOf(ENV), ORIGIN);

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
  assert.deepEqual([untaken.value, untaken.missing], ["value!", []]);
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
  assert.deepEqual(namesOf(expansion.missing), ["ONE", "TWO"]);
  assert.deepEqual(expansion.used, [{ name: "NAME", value: "value", from: "environment" }]);
});

test("expandString() finds what is no variable, without showing its default", () => {
  for (
    const text of [
      "${",
      "${}",
      "${env:NA-ME}",
      "${config:x}",
      "${NA ME}",
      "${1A}",
      "${NAME",
      "${NAME:+x}",
    ]
  ) {
    assert.equal(expandString(text, ENV).malformed, text);
  }
  assert.equal(expandString("${NONE:-secret", ENV).malformed, "${NONE:-…");
});

test("expandString() does not take inherited members for variables", () => {
  const { missing } = expandString("${toString}${__proto__}", {});
  assert.deepEqual(namesOf(missing), ["toString", "__proto__"]);
});

test("expandString() works on the environment of the process", () => {
  assert.equal(expandString("${PATH}", process.env).value, process.env["PATH"]);
  const { missing } = expandString("${MCPROXY_NOT_SET_X}", process.env);
  assert.deepEqual(namesOf(missing), ["MCPROXY_NOT_SET_X"]);
});

test("expandString() survives deep nesting and never throws", () => {
  assert.ok(expandString("${A:-".repeat(100_000), {}).malformed);
  assert.ok(expandString("${cmd:{}".repeat(500_000), {}).malformed);
  const piece = fc.constantFrom(
    ...["${", "$${", "}", ":-", "NAME", "NONE", "$", " ", "{"],
    ...["file:", "cmd:", "env:", "input:", "workspaceFolder", "/"],
  );
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
  const tree = { a: ["${NAME}", 1, null], "${NAME}": { b: "${NONE}" }, note: "${NONE}" };
  const { value, missing } = source.expandTree(
    tree,
    (key) => key === "note" ? undefined : LOOKUP,
  );
  assert.equal(
    JSON.stringify(value),
    '{"a":["value",1,null],"${NAME}":{"b":"${NONE}"},"note":"${NONE}"}',
  );
  assert.deepEqual(missing.map(({ path, name }) => ({ path, name })), [
    { path: ["${NAME}", "b"], name: "NONE" },
  ]);
});

test("expandTree() takes more variables than a call takes arguments", () => {
  const { used } = source.expandTree(["${NAME}".repeat(300_000)], () => LOOKUP);
  assert.equal(used.length, 300_000);
});

const FETCHED: Readonly<Record<string, Fetched>> = {
  "/run/token": { value: "from-file" },
  "/etc/mcproxy/.vscode/sub/x": { value: "relative" },
  "/home/u/key": { value: "home" },
  "/gone": { why: 'file "/gone" does not exist' },
  "echo ${X:-{}}": { value: "printed" },
};

/** A store with something of everything, and what it was asked for in vain. */
function fullStore(): { readonly store: ValueStore; readonly wanted: Wanted[] } {
  const wanted: Wanted[] = [];
  const store: ValueStore = {
    env: { NAME: "value", EMPTY: "", HOME: "/home/u", INPUT_API_KEY: "typed", DIR: "sub" },
    credentials: new Map([["NAME", "shadowed"], ["EMPTY", "kept"], ["ONLY", "credential"]]),
    allowCommands: true,
    fetch: (one) => {
      const found = FETCHED[one.name];
      if (found === undefined) wanted.push(one);
      return found;
    },
  };
  return { store, wanted };
}

function expandWith(text: string, store: ValueStore): source.Expansion {
  return source.expandString(text, lookupIn(store, ORIGIN));
}

test("expandString() takes ${env:}, and credentials after the environment", () => {
  const { store } = fullStore();
  const value = (text: string) => expandWith(text, store).value;
  assert.equal(value("${env:NAME} ${NAME}"), "value value");
  assert.equal(value("${ONLY}"), "credential");
  assert.equal(value("${EMPTY}"), "kept");
  assert.equal(value("[${env:EMPTY}]"), "[]");
  assert.equal(value("${env:ONLY:-default}"), "default");
  assert.deepEqual(namesOf(expandWith("${env:ONLY}", store).missing), ["ONLY"]);
});

test("expandString() takes files, relative ones and those of the home, with names in their path", () => {
  const { store, wanted } = fullStore();
  const value = (text: string) => expandWith(text, store).value;
  assert.equal(value("Bearer ${file:/run/token}"), "Bearer from-file");
  assert.equal(value("${file:${DIR}/x}"), "relative");
  assert.equal(value("${file:~/key}"), "home");
  assert.equal(value("${file:/gone:-default}"), "default");
  assert.equal(expandWith("${file:/gone}", store).missing[0]?.why, 'file "/gone" does not exist');
  assert.deepEqual(wanted, []);
  assert.equal(expandWith("${file:}", store).malformed, "${file:}");
  expandWith("${file:new}${NAME:-${file:not-asked}}", store);
  assert.deepEqual(wanted.map(({ name }) => name), ["/etc/mcproxy/.vscode/new"]);
});

test("expandString() hands a command over as written, braces and all", () => {
  const { store, wanted } = fullStore();
  assert.equal(expandWith("<${cmd:echo ${X:-{}}}>", store).value, "<printed>");
  assert.equal(expandWith("${cmd:echo {", store).malformed, "${cmd:…");
  assert.equal(expandWith("a ${cmd:{} b ${cmd:{} c", store).value, "a ${cmd:{} b ${cmd:{} c");
  const refused = expandWith("${cmd:id}", { ...store, allowCommands: false });
  assert.match(refused.missing[0]?.remedy ?? "", /"allowCommands": true/);
  assert.deepEqual(wanted, []);
  expandWith("${cmd: id }", store);
  assert.deepEqual(wanted, [{ kind: "cmd", name: "id", directory: ORIGIN.directory }]);
});

test("expandString() asks environment, credentials and default for an input", () => {
  const { store } = fullStore();
  const value = (text: string) => expandWith(text, store).value;
  assert.equal(value("${input:api-key}"), "typed");
  assert.equal(value("${input:ONLY}"), "credential");
  assert.equal(value("${input:with-default}"), "proposed");
  assert.equal(value("${input:bare:-x}"), "x");
  const [missing] = expandWith("${input:bare}", store).missing;
  assert.equal(missing?.why, 'input "bare" has no value');
  assert.match(missing?.remedy ?? "", /INPUT_BARE/);
});

test("expandString() knows the places of editors", () => {
  const { store } = fullStore();
  const text = "${workspaceFolder}${/}${workspaceFolderBasename} ${userHome} ${pathSeparator}";
  const { value, used } = expandWith(text, store);
  assert.equal(value, "/etc/mcproxy/mcproxy /home/u /");
  assert.deepEqual(new Set(used.map(({ from }) => from)), new Set(["place"]));
});
