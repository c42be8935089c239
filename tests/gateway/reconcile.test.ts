import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { ServerConfig } from "../../src/config/types.ts";
import { parseConfig } from "../../src/config/load.ts";
import {
  type ActualServer,
  planReload,
  type ReloadStep,
} from "../../src/gateway/members/members.ts";

function servers(entries: Record<string, unknown>): ReadonlyMap<string, ServerConfig> {
  const text = JSON.stringify({ mcpServers: entries });
  const parsed = parseConfig(text, { file: "f.json", env: { SET: "x" } });
  assert.ok(parsed.ok, JSON.stringify(parsed));
  return parsed.config.servers;
}

function serving(entries: Record<string, unknown>): Map<string, ActualServer> {
  return new Map([...servers(entries)].map(([name, server]) => [name, { serving: server }]));
}

/** `add a, replace b` */
function told(steps: readonly ReloadStep[]): string {
  return steps.map((step) => `${step.do} ${"name" in step ? step.name : step.server.name}`)
    .join(", ");
}

test("planReload() adds, removes, replaces and adjusts, and leaves the rest alone", () => {
  const actual = serving({
    gone: { command: "x" },
    same: { command: "x" },
    other: { command: "x" },
    slower: { command: "x" },
  });
  const desired = new Map(servers({
    fresh: { command: "x" },
    other: { command: "y" },
    slower: { command: "x", timeout: "1m" },
  }));
  desired.set("same", actual.get("same")!.serving);
  assert.equal(
    told(planReload(actual, desired)),
    "remove gone, add fresh, replace other, adjust slower",
  );
});

test("planReload() takes a disabled server for one that is not there", () => {
  const on = { command: "x" };
  const off = { command: "x", disabled: true };
  assert.equal(told(planReload(serving({ a: on }), servers({ a: off }))), "remove a");
  assert.equal(told(planReload(new Map(), servers({ a: off }))), "");
  assert.equal(told(planReload(new Map(), servers({ a: on }))), "add a");
});

test("planReload() replaces a server whose variable went missing, and one whose came back", () => {
  const set = { command: "x", args: ["${SET}"] };
  const unset = { command: "x", args: ["${UNSET}"] };
  assert.equal(told(planReload(serving({ a: set }), servers({ a: unset }))), "replace a");
  assert.equal(told(planReload(serving({ a: unset }), servers({ a: set }))), "replace a");
  assert.equal(
    told(planReload(serving({ a: unset }), servers({ b: set, a: unset }))),
    "add b, adjust a",
  );
});

test("planReload() waits for a successor that is wanted, and gives up one that is not", () => {
  const old = servers({ a: { command: "old" } }).get("a")!;
  const next = servers({ a: { command: "next" } });
  const actual = new Map([["a", { serving: old, coming: next.get("a")! }]]);
  assert.equal(told(planReload(actual, next)), "");
  const renamed = servers({ a: { command: "next", prefix: "never" } });
  assert.equal(told(planReload(actual, renamed)), "adjustComing a");
  assert.equal(told(planReload(actual, new Map([["a", old]]))), "abandon a");
  assert.equal(told(planReload(actual, servers({ a: { command: "old" } }))), "abandon a, adjust a");
  assert.equal(told(planReload(actual, servers({ a: { command: "third" } }))), "replace a");
  assert.equal(told(planReload(actual, new Map())), "remove a");
});

const entries = fc.dictionary(
  fc.constantFrom("a", "b", "c", "d"),
  fc.record({
    command: fc.constantFrom("x", "y"),
    disabled: fc.boolean(),
    prefix: fc.constantFrom("always", "never"),
  }),
);

test("planReload() arrives: performed, there is nothing left to do", () => {
  fc.assert(fc.property(entries, entries, entries, (one, two, three) => {
    let actual = perform(new Map(), planReload(new Map(), servers(one)), false);
    // A successor that has not arrived yet, then one that has.
    actual = perform(actual, planReload(actual, servers(two)), false);
    const wanted = servers(three);
    actual = perform(actual, planReload(actual, wanted), true);
    const enabled = [...wanted.values()].filter((server) => !server.disabled);
    assert.deepEqual([...actual.keys()].sort(), enabled.map(({ name }) => name).sort());
    for (const server of enabled) assert.deepEqual(actual.get(server.name)!.serving, server);
  }));
});

/** What the effects would leave behind; `settle`: successors have taken their places. */
function perform(
  before: ReadonlyMap<string, ActualServer>,
  steps: readonly ReloadStep[],
  settle: boolean,
): Map<string, ActualServer> {
  const after = new Map(before);
  for (const step of steps) {
    if (step.do === "remove") after.delete(step.name);
    else if (step.do === "abandon") {
      after.set(step.name, { serving: after.get(step.name)!.serving });
    } else if (step.do === "add") after.set(step.server.name, { serving: step.server });
    else {
      const there = after.get(step.server.name)!;
      if (step.do === "adjust") {
        assert.equal(there.coming, undefined, "adjusted while another one is coming");
        assert.equal(there.serving.key, step.server.key);
        after.set(step.server.name, { serving: step.server });
      } else after.set(step.server.name, { ...there, coming: step.server });
    }
  }
  if (settle) {
    for (const [name, { serving, coming }] of after) {
      after.set(name, { serving: coming ?? serving });
    }
  }
  return after;
}
