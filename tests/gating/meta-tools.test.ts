import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import type { JsonObject } from "../../src/lib/json.ts";
import {
  gatedInstructions,
  isExecutor,
  isMetaTool,
  META_TOOLS,
  metaToolTexts,
} from "../../src/gating/meta-tools.ts";
import { toolTokens } from "../../src/registry/source.ts";

const WHOLE = metaToolTexts({ splitByRisk: false });
const SPLIT = metaToolTexts({ splitByRisk: true });
const read = (texts: readonly string[]): readonly JsonObject[] => texts.map((it) => JSON.parse(it));

test("metaToolTexts() have these names in this order", () => {
  const searching = ["discover_tools", "provision_tools", "list_provisioned_tools"];
  assert.deepEqual(read(WHOLE).map(({ name }) => name), [
    ...searching,
    "execute_tool",
    "list_mcp_servers",
  ]);
  assert.deepEqual(read(SPLIT).map(({ name }) => name), [
    ...searching,
    "execute_read",
    "execute_write",
    "execute_destructive",
    "list_mcp_servers",
  ]);
});

test("metaToolTexts() are pinned: a changed letter is a change for every client", () => {
  const hash = (texts: readonly string[]) =>
    createHash("sha256").update(texts.join("\n")).digest("hex").slice(0, 12);
  const all = [
    WHOLE,
    SPLIT,
    [false, true].map((splitByRisk) => gatedInstructions({ splitByRisk })),
  ];
  // Change these only together with a line in the changelog.
  assert.deepEqual(all.map(hash), ["8748741a4275", "2de12402bb7e", "e65cf75fae9c"]);
  assert.equal(metaToolTexts({ splitByRisk: false }), WHOLE, "the same array each time");
});

test("metaToolTexts() are cheap, and say what a call of each may do", () => {
  const tokens = (texts: readonly string[]) =>
    read(texts).reduce((sum, tool) => sum + toolTokens(tool), 0);
  assert.ok(tokens(WHOLE) <= 500, `${tokens(WHOLE)} tokens`);
  assert.ok(tokens(SPLIT) <= 700, `${tokens(SPLIT)} tokens`);
  for (const { name, inputSchema, annotations } of read([...WHOLE, ...SPLIT])) {
    const { type, properties, required = [] } = inputSchema as JsonObject;
    assert.equal(type, "object");
    for (const key of required as string[]) assert.ok(key in (properties as JsonObject), key);
    const { readOnlyHint, destructiveHint } = annotations as JsonObject;
    const isReading = !isExecutor(name as "execute_tool") || name === "execute_read";
    assert.equal(readOnlyHint, isReading, String(name));
    assert.equal(destructiveHint, isReading ? undefined : name !== "execute_write", String(name));
  }
});

test("texts about execution name the tools that there are", () => {
  for (const [texts, splitByRisk] of [[WHOLE, false], [SPLIT, true]] as const) {
    const about = [...texts, gatedInstructions({ splitByRisk })].join("\n");
    const listed = read(texts).map(({ name }) => name);
    for (const [named] of about.matchAll(/\bexecute_\w+/g)) {
      assert.ok(listed.includes(named), named);
    }
  }
});

test("isMetaTool() and isExecutor() know the names, and nothing else", () => {
  for (const name of META_TOOLS) {
    assert.equal(isMetaTool(name), true);
    assert.equal(isExecutor(name), name.startsWith("execute_"));
  }
  for (const name of ["discover", "toString", "", undefined, 7, ["execute_tool"]]) {
    assert.equal(isMetaTool(name), false, String(name));
  }
});
