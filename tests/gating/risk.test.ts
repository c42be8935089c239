import assert from "node:assert/strict";
import { test } from "node:test";
import { executes, type Executor, executorOf, META_TOOLS } from "../../src/gating/meta-tools.ts";
import type { Json } from "../../src/lib/json.ts";
import { type Risk, riskOf } from "../../src/registry/filter.ts";

const RISKS: readonly (readonly [annotations: Json | undefined, Risk])[] = [
  [undefined, "destructive"],
  [null, "destructive"],
  [[], "destructive"],
  ["readOnlyHint", "destructive"],
  [{}, "destructive"],
  [{ title: "x", openWorldHint: false, idempotentHint: true }, "destructive"],
  [{ readOnlyHint: false }, "destructive"],
  [{ destructiveHint: true }, "destructive"],
  [{ destructiveHint: "false" }, "destructive"],
  [{ readOnlyHint: "true" }, "destructive"],
  [{ destructiveHint: false }, "write"],
  [{ readOnlyHint: false, destructiveHint: false }, "write"],
  [{ readOnlyHint: true }, "read"],
  // The hint about destruction means something of tools that write only (server/tools).
  [{ readOnlyHint: true, destructiveHint: true }, "read"],
];

test("riskOf() takes what is not said for the worst", () => {
  for (const [annotations, risk] of RISKS) {
    assert.equal(riskOf(annotations), risk, JSON.stringify(annotations));
  }
});

test("executorOf() is one tool, or one for each risk", () => {
  const risks: readonly Risk[] = ["read", "write", "destructive"];
  const whole = risks.map((risk) => executorOf(risk, { splitByRisk: false }));
  assert.deepEqual(whole, ["execute_tool", "execute_tool", "execute_tool"]);
  const split = risks.map((risk) => executorOf(risk, { splitByRisk: true }));
  assert.deepEqual(split, ["execute_read", "execute_write", "execute_destructive"]);
  for (const name of [...whole, ...split]) assert.ok(META_TOOLS.includes(name));
});

test("executes() allows a risk and every lesser one", () => {
  const allowed: readonly (readonly [Executor, readonly Risk[]])[] = [
    ["execute_read", ["read"]],
    ["execute_write", ["read", "write"]],
    ["execute_destructive", ["read", "write", "destructive"]],
    ["execute_tool", []],
  ];
  for (const [executor, risks] of allowed) {
    const found = (["read", "write", "destructive"] as const)
      .filter((risk) => executes(executor, risk));
    assert.deepEqual(found, risks, executor);
  }
});
