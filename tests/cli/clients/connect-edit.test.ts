import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import fc from "fast-check";
import { applyEdits, putProperty, removeProperty } from "../../../src/cli/clients/json-text.ts";
import { parseToml, putTable, removeTable, statementsOf } from "../../../src/cli/clients/toml.ts";
import { parseJsonc } from "../../../src/config/jsonc.ts";
import { canonicalJson } from "../../../src/lib/json.ts";
import { homeWith } from "./clients.ts";
import { run } from "../support.ts";

const PATH = ["mcpServers", "mcproxy"];
const VALUE = { url: "http://127.0.0.1:12009/mcp" };

function put(text: string): string {
  return applyEdits(text, putProperty(text, PATH, VALUE));
}

test("putProperty() keeps comments with what they are about", () => {
  const cases: readonly (readonly [string, string])[] = [
    [
      '{\n  "mcpServers": {\n    "a": {} // of a\n  }\n}\n',
      '{\n  "mcpServers": {\n    "a": {}, // of a\n    "mcproxy": {\n      "url": ' +
      '"http://127.0.0.1:12009/mcp"\n    }\n  }\n}\n',
    ],
    [
      '{\n\t"mcpServers": {\n\t\t"a": {}, /* of a */ // too\n\t\t// last words\n\t},\n}',
      '{\n\t"mcpServers": {\n\t\t"a": {}, /* of a */ // too\n\t\t"mcproxy": {\n\t\t\t"url": ' +
      '"http://127.0.0.1:12009/mcp"\n\t\t},\n\t\t// last words\n\t},\n}',
    ],
    [
      '{"mcpServers": {"a": 1}}',
      '{"mcpServers": {"a": 1, "mcproxy": {"url":"http://127.0.0.1:12009/mcp"}}}',
    ],
    [
      '{"mcpServers": { // none yet\n}}',
      '{"mcpServers": { // none yet\n  "mcproxy": {\n    "url": ' +
      '"http://127.0.0.1:12009/mcp"\n  }\n}}',
    ],
  ];
  for (const [before, after] of cases) assert.equal(put(before), after);
});

test("removeProperty() takes its own lines and its comma, and no comment", () => {
  const cases: readonly (readonly [string, string])[] = [
    ['{"mcpServers":{"mcproxy":1}}', '{"mcpServers":{}}'],
    ['{"mcpServers":{"mcproxy":1,"b":2}}', '{"mcpServers":{"b":2}}'],
    ['{"mcpServers":{"a":1,"mcproxy":2}}', '{"mcpServers":{"a":1}}'],
    [
      '{"mcpServers":{\n "a": 1, // of a\n "mcproxy": 2\n}}',
      '{"mcpServers":{\n "a": 1 // of a\n}}',
    ],
    [
      '{"mcpServers":{\n "a": 1, // of a\n "mcproxy": 2, "b": 3\n}}',
      '{"mcpServers":{\n "a": 1, // of a\n  "b": 3\n}}',
    ],
    [
      '{"mcpServers":{\n "mcproxy": 2 /* mine */, // too\n "b": 3\n}}',
      '{"mcpServers":{\n  /* mine */ // too\n "b": 3\n}}',
    ],
  ];
  for (const [before, after] of cases) {
    assert.equal(applyEdits(before, removeProperty(before, PATH)), after);
  }
});

/** Space between two tokens, with comments that are told apart by their numbers. */
const gap = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom("", " ", "\n", "\n  ", "\r\n\t", "\n\n    ") },
  { weight: 1, arbitrary: fc.nat(999).map((n) => ` /* note-${n} */ `) },
  { weight: 1, arbitrary: fc.nat(999).map((n) => ` // note-${n} }{"",\n`) },
);

const { file } = fc.letrec<{ value: string; object: string; file: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null)).map((one) =>
      JSON.stringify(one)
    ),
    tie("object"),
    fc.tuple(gap, tie("value"), gap).map(([a, value, b]) => `[${a}${value}${b}]`),
  ),
  object: objectOf(fc.tuple(fc.string(), tie("value"))),
  file: fc.tuple(
    fc.array(fc.tuple(fc.string(), tie("value")), { maxLength: 3 }),
    fc.option(objectOf(fc.tuple(fc.string(), tie("value")))),
    fc.array(fc.tuple(fc.string(), tie("value")), { maxLength: 3 }),
  ).chain(([before, section, after]) =>
    objectOf(
      ...[
        ...before,
        ...(section === null ? [] : [["mcpServers", section] as const]),
        ...after,
      ].map(([key, value]) => fc.constant([key, value] as const)),
    )
  ),
}));

function objectOf(
  ...members: readonly fc.Arbitrary<readonly [string, string]>[]
): fc.Arbitrary<string> {
  const [only] = members;
  const all = members.length === 1 && only !== undefined
    ? fc.array(only, { maxLength: 4 })
    : fc.tuple(...members);
  return fc.tuple(all, fc.array(gap, { minLength: 25, maxLength: 25 }), fc.boolean()).map(
    ([list, gaps, trailing]) => {
      const unique = [...new Map(list.map(([key, value]) => [key, value]))];
      const parts = unique.map(([key, value], at) =>
        `${gaps[3 * at]}${JSON.stringify(key)}${gaps[3 * at + 1]}:${gaps[3 * at + 2]}${value}${
          gaps[24 - at]
        }`
      );
      const comma = trailing && parts.length > 0 ? `,${gaps[23]}` : "";
      return `{${parts.join(",")}${comma}${parts.length === 0 ? gaps[0] : ""}}`;
    },
  );
}

function notes(text: string): string[] {
  return [...text.matchAll(/note-\d+/g)].map(([note]) => note).sort();
}

test("putProperty() then removeProperty() change nothing else, whatever the file", () => {
  fc.assert(
    fc.property(file, (text) => {
      const read = (one: string) => {
        const parsed = parseJsonc(one, "mcp.json");
        assert.ok(parsed.ok, one);
        return parsed.document.value as Record<string, Record<string, unknown> | undefined>;
      };
      const { mcpServers: { mcproxy: old, ...kept } = {}, ...own } = read(text);
      const added = put(text);
      const { mcpServers: { mcproxy, ...others } = {}, ...rest } = read(added);
      assert.equal(canonicalJson(mcproxy), canonicalJson(VALUE));
      assert.equal(canonicalJson([others, rest]), canonicalJson([kept, own]));
      const removed = applyEdits(added, removeProperty(added, PATH));
      const { mcpServers, ...after } = read(removed);
      assert.equal(canonicalJson([mcpServers, after]), canonicalJson([kept, own]));
      // A comment within the old entry goes with it.
      if (old === undefined) {
        assert.deepEqual([notes(added), notes(removed)], [notes(text), notes(text)]);
      }
    }),
    { numRuns: 500 },
  );
});

test("connect then connect --undo is the identity, whatever the file", async () => {
  await using home = await homeWith();
  const path = home.file("cursor");
  let count = 0;
  await fc.assert(
    fc.asyncProperty(file, async (text) => {
      await home.write(path, text);
      const connected = await run(["connect", "cursor", "--write"], home.options);
      // A file that has the entry already, or something odd in its place, is left alone.
      if (connected.code === 0) {
        assert.notEqual(await readFile(path, "utf8"), text);
        const undone = await run(["connect", "cursor", "--undo", "--write"], home.options);
        assert.equal(undone.code, 0, undone.stderr);
        count++;
      }
      assert.equal(await readFile(path, "utf8"), text);
    }),
    { numRuns: 60 },
  );
  assert.ok(count > 40, `only ${count} files could be connected`);
});

test("statementsOf() finds headers and keys between strings, arrays and comments", () => {
  const text = [
    "a.b = 1 # [no]",
    'c = """',
    "[not.a.header]",
    '"""',
    "d = [ '#', # [no]",
    "  [1], ]",
    '[x."y z"]',
    "  e = { f = 'g', h = [1] }",
    "[[list]]",
  ].join("\n");
  assert.deepEqual(
    statementsOf(text).map(({ isHeader, path, offset, end }) => [
      isHeader,
      path.join("/"),
      text.slice(offset, end).trimEnd().split("\n").length,
    ]),
    [
      [false, "a/b", 1],
      [false, "c", 3],
      [false, "d", 2],
      [true, "x/y z", 1],
      [false, "x/y z/e", 1],
      [true, "list", 1],
    ],
  );
});

test("putTable() replaces the table, removeTable() takes it out with those below it", () => {
  const path = ["mcp_servers", "mcproxy"];
  const text =
    'a = 1\n[mcp_servers.mcproxy]\nurl = "x" # old\n[mcp_servers.mcproxy.env]\nA = "b"\n' +
    "# about c\n[c]\nd = 2\n";
  assert.equal(applyEdits(text, removeTable(text, path)), "a = 1\n# about c\n[c]\nd = 2\n");
  assert.equal(
    applyEdits(text, putTable(text, path, { url: "y" })),
    'a = 1\n[mcp_servers.mcproxy]\nurl = "y"\n# about c\n[c]\nd = 2\n',
  );
});

test("parseToml() tells where and what, without the text of the file", () => {
  const result = parseToml('a = 1\nsecret = "c4n4ry', "config.toml");
  assert.ok(!result.ok);
  const [issue] = result.issues;
  assert.equal(issue?.line, 2);
  assert.doesNotMatch(JSON.stringify(issue), /c4n4ry/);
});

test("connect refuses a TOML file whose servers are written in one line", async () => {
  await using home = await homeWith();
  const text = 'mcp_servers = { a = { command = "b" } }\n';
  await home.write(home.file("codex"), text);
  const { code, stderr } = await run(["connect", "codex", "--write"], home.options);
  assert.equal(code, 1);
  assert.match(stderr, /cannot be changed without rewriting them.*\nThe file was left as it is/);
  assert.equal(await readFile(home.file("codex"), "utf8"), text);
});
