import assert from "node:assert/strict";
import { test } from "node:test";
import type { Era } from "../../src/protocol/eras.ts";
import { EMPTY_INVENTORY } from "../../src/protocol/lists.ts";
import { discoverResult, initializeResult } from "../../src/registry/answers.ts";
import { buildRegistry } from "../../src/registry/build.ts";
import type { ServerEntry } from "../../src/registry/types.ts";
import { entry, inventory } from "./builders.ts";

const server = (name: string, capabilities: unknown, era?: Era): ServerEntry =>
  entry(
    name,
    inventory({}, {
      capabilities: JSON.stringify(capabilities),
      ...(era === undefined ? {} : { era }),
    }),
  );
const build = (...servers: ServerEntry[]) => buildRegistry({ version: 1, servers });
const LISTS = {
  tools: { listChanged: true },
  prompts: { listChanged: true },
  resources: { listChanged: true },
};
const TASKS = "io.modelcontextprotocol/tasks";

test("View.capabilitiesFor() of the aggregate advertises lists, and nothing that nobody declares", () => {
  for (const era of ["legacy", "modern"] as const) {
    assert.deepEqual(build().aggregate.capabilitiesFor(era), LISTS);
    const plain = build(server("a", { tools: {}, logging: null, completions: false }));
    assert.deepEqual(plain.aggregate.capabilitiesFor(era), LISTS);
  }
});

test("View.capabilitiesFor() is the union of what servers declare", () => {
  const { aggregate } = build(
    server("a", {
      resources: { subscribe: false, x: 1 },
      experimental: { "example.com/e": { a: 1 } },
      extensions: { "io.modelcontextprotocol/ui": { mimeTypes: ["a"] } },
      vendor: { v: 1 },
    }),
    server("b", {
      resources: { subscribe: true },
      logging: {},
      completions: {},
      extensions: { "io.modelcontextprotocol/ui": { mimeTypes: ["b"] }, "example.com/x": {} },
    }),
  );
  assert.deepEqual(aggregate.capabilitiesFor("legacy"), {
    ...LISTS,
    resources: { subscribe: true, x: 1, listChanged: true },
    vendor: { v: 1 },
    logging: {},
    completions: {},
    experimental: { "example.com/e": { a: 1 } },
    extensions: { "io.modelcontextprotocol/ui": { mimeTypes: ["a", "b"] }, "example.com/x": {} },
  });
  assert.equal(aggregate.capabilitiesFor("legacy"), aggregate.capabilitiesFor("legacy"));
  assert.deepEqual(aggregate.capabilitiesFor("modern"), aggregate.capabilitiesFor("legacy"));
});

test("View.capabilitiesFor() offers each generation of tasks to its own era only", () => {
  const { aggregate, servers } = build(
    server("old", { tasks: { list: {}, requests: { tools: { call: {} } } } }, "legacy"),
    server("older", { tasks: { cancel: {} }, extensions: { [TASKS]: {} } }, "legacy"),
    server("new", { tasks: { lie: {} }, extensions: { [TASKS]: { n: 1 } } }, "modern"),
  );
  assert.deepEqual(aggregate.capabilitiesFor("legacy"), {
    ...LISTS,
    tasks: { list: {}, requests: { tools: { call: {} } }, cancel: {} },
  });
  assert.deepEqual(aggregate.capabilitiesFor("modern"), {
    ...LISTS,
    extensions: { [TASKS]: { n: 1 } },
  });
  assert.deepEqual(servers.get("new")!.capabilitiesFor("legacy"), {});
  assert.deepEqual(aggregate.capabilities().taskLists, ["old"]);
});

test("View.capabilitiesFor() of one server is what it declares, lists with changes", () => {
  const declared = {
    tools: { listChanged: false, x: { deep: [1, 1] } },
    logging: {},
    extensions: { "example.com/x": { list: [1, 1] } },
    vendor: 1,
  };
  const { servers } = build(server("a", declared, "legacy"), server("silent", {}));
  assert.deepEqual(servers.get("a")!.capabilitiesFor("legacy"), {
    ...declared,
    tools: { listChanged: true, x: { deep: [1, 1] } },
  });
  // Nothing is known of it yet.
  assert.deepEqual(servers.get("silent")!.capabilitiesFor("modern"), LISTS);
});

test("View.capabilitiesFor() takes hostile keys for keys", () => {
  const hostile = JSON.parse(
    '{"__proto__":{"a":1},"toString":{},"extensions":{"__proto__":{"b":1}},"experimental":7}',
  );
  const { aggregate } = build(server("a", hostile), server("b", hostile));
  const text = JSON.stringify(aggregate.capabilitiesFor("legacy"));
  assert.match(
    text,
    /"__proto__":\{"a":1\},"toString":\{\},"extensions":\{"__proto__":\{"b":1\}\}/,
  );
});

test("View.ownerOfExtension() finds the one server that declares it", () => {
  const { aggregate, servers } = build(
    server("a", { extensions: { "io.modelcontextprotocol/skills": {}, "x.test/both": {} } }),
    server("b", { experimental: { "x.test/lab": {}, both: {} }, vendor: {}, tools: {} }),
    server("c", { extensions: { "x.test/off": null }, experimental: { "x.test/tools": {} } }),
  );
  const owners: [string, string | undefined][] = [
    ["skills/list", "a"],
    ["resources/directory/read", "a"],
    ["notifications/skills/changed", "a"],
    ["lab/run", "b"],
    ["vendor/x", "b"],
    ["both/x", undefined],
    ["off/x", undefined],
    ["resources/frobnicate", undefined],
    // Core keys belong to the core; an experimental key of that name is its server's.
    ["tools/frobnicate", "c"],
    ["extensions/x", undefined],
    ["toString/x", undefined],
    ["__proto__", undefined],
    ["", undefined],
  ];
  for (const [method, owner] of owners) {
    assert.equal(aggregate.ownerOfExtension(method), owner, method);
  }
  assert.equal(servers.get("b")!.ownerOfExtension("anything/at/all"), "b");
});

test("View.ownerOfExtension() counts a server once that declares in several places", () => {
  const { aggregate } = build(
    server("a", { extensions: { "x.test/e": {} }, experimental: { "x.test/e": {} }, e: {} }),
  );
  assert.equal(aggregate.ownerOfExtension("e/f"), "a");
});

test("View.task() finds a task of a server of this view", () => {
  const { aggregate, servers } = build(entry("a b"), entry("c"));
  assert.deepEqual(aggregate.task("a~20~b.t.1"), { server: "a b", taskId: "t.1" });
  for (const id of ["gone.t", "t", "", "a b.t"]) assert.equal(aggregate.task(id), undefined);
  assert.equal(aggregate.labelsTasks, true);
  const direct = servers.get("c")!;
  assert.deepEqual(direct.task("a~20~b.t"), { server: "c", taskId: "a~20~b.t" });
  assert.equal(direct.labelsTasks, false);
});

test("a server that has not answered yet has the gateway's name, which clients would miss", () => {
  const { servers } = build(
    entry("silent", EMPTY_INVENTORY),
    entry("known", { ...EMPTY_INVENTORY, serverInfo: '{"name":"k","version":"1"}' }),
  );
  for (const [name, expected] of [["silent", "mcproxy"], ["known", "k"]] as const) {
    const { serverInfo } = JSON.parse(initializeResult(servers.get(name)!, "2025-11-25"));
    assert.equal(serverInfo.name, expected);
    const { _meta } = JSON.parse(discoverResult(servers.get(name)!));
    assert.equal(_meta["io.modelcontextprotocol/serverInfo"].name, expected);
  }
});
