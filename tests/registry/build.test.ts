import assert from "node:assert/strict";
import { test } from "node:test";
import { EMPTY_INVENTORY } from "../../src/protocol/lists.ts";
import { ListReply } from "../../src/registry/answers.ts";
import { buildRegistry, conflictText } from "../../src/registry/build.ts";
import type { Registry, ServerEntry } from "../../src/registry/types.ts";
import { entry, inventory, item, list } from "./builders.ts";

const build = (servers: readonly ServerEntry[], previous?: Registry) =>
  buildRegistry({ version: (previous?.version ?? 0) + 1, servers }, previous);
const HOSTILE = ["toString", "__proto__", "constructor", "", "🎉", "a/b", "a\u0000b", "\ud800"];

test("buildRegistry() lists in the order of servers and of upstreams, editing only names", () => {
  const { aggregate } = build([
    entry("z", { tools: ["b", "a"] }),
    entry("e", {}),
    entry("a", { tools: ["c"], prompts: ["p"] }),
  ]);
  assert.equal(
    aggregate.list("tools").text,
    '"tools":[{ "x-n": 1.0, "name" :"z_b" },{ "x-n": 1.0, "name" :"z_a" },' +
      '{ "x-n": 1.0, "name" :"a_c" }]',
  );
  assert.equal(aggregate.list("prompts").text, '"prompts":[{ "x-n": 1.0, "name" :"a_p" }]');
  assert.equal(aggregate.list("resources").text, '"resources":[]');
  assert.equal(aggregate.list("templates").text, '"resourceTemplates":[]');
  assert.deepEqual(aggregate.counts, { tools: 3, prompts: 1, resources: 0, templates: 0 });
  assert.deepEqual(aggregate.names("tool"), ["z_b", "z_a", "a_c"]);
});

test("buildRegistry() leaves a 1:1 view byte for byte as the upstream wrote it", () => {
  const tools = HOSTILE.map((name) => item("tools", name, '"big": 12345678901234567890'));
  const offers = inventory(
    { tools: { items: tools }, resources: ["demo://x"], templates: ["demo://{id}"] },
    { instructions: " Use it. ", serverInfo: '{"name": "up" }', capabilities: '{"tools":{}}' },
  );
  const { servers } = build([entry("one", offers), entry("two", offers)]);
  const view = servers.get("one")!;
  assert.equal(view.id, "one");
  assert.equal(view.list("tools").text, `"tools":[${tools.map(({ raw }) => raw).join(",")}]`);
  assert.equal(view.list("resources").items[0], offers.lists.resources.items[0]!.raw);
  assert.equal(view.instructions, " Use it. ");
  assert.equal(view.serverInfo, '{"name": "up" }');
  for (const name of [...HOSTILE, "unlisted"]) {
    assert.deepEqual(view.tool(name), { server: "one", name, exposed: name });
    assert.deepEqual(view.prompt(name), { server: "one", name, exposed: name });
  }
  assert.deepEqual(view.resource("demo://x"), { server: "one", uri: "demo://x" });
  assert.deepEqual(view.template("demo://{id}"), { server: "one", uri: "demo://{id}" });
  assert.equal(view.exposedUri("one", "demo://x"), "demo://x");
  assert.equal(view.rewritesUris("one"), false);
});

test("View.tool() finds the exposed name, then the original one where it is unique", () => {
  const { aggregate } = build([
    entry("a", { tools: ["get", "only", "b_get"] }),
    entry("b", { tools: ["get"] }),
  ]);
  assert.deepEqual(aggregate.tool("a_get"), { server: "a", name: "get", exposed: "a_get" });
  assert.deepEqual(aggregate.tool("only"), { server: "a", name: "only", exposed: "a_only" });
  // Exposed by "b" and the original name of a tool of "a": the exposed one counts.
  assert.equal(aggregate.tool("b_get")?.server, "b");
  assert.equal(aggregate.tool("get"), undefined);
  assert.deepEqual(aggregate.ambiguous("tool", "get").map(({ exposed }) => exposed), [
    "a_get",
    "b_get",
  ]);
  assert.deepEqual(aggregate.ambiguous("tool", "only"), []);
  assert.equal(aggregate.tool("nope"), undefined);
  assert.deepEqual(aggregate.ambiguous("tool", "nope"), []);
  assert.equal(aggregate.prompt("a_get"), undefined);
});

test("View.tool() is exact with hostile names", () => {
  const { aggregate } = build([entry("s", { tools: HOSTILE }), entry("t", {})]);
  for (const name of HOSTILE) {
    assert.equal(aggregate.tool(name)?.name, name);
    assert.match(aggregate.tool(name)!.exposed, /^s_[A-Za-z0-9_-]*$/);
  }
  for (const name of ["valueOf", "hasOwnProperty"]) {
    assert.equal(aggregate.tool(name), undefined);
    assert.equal(aggregate.resource(name), undefined);
    assert.equal(aggregate.template(name), undefined);
  }
});

test("buildRegistry() keeps the first of an upstream's duplicates and reports them", () => {
  const first = item("tools", "x", '"description":"first"');
  const tools = { items: [first, item("tools", "x", '"description":"second"')] };
  const { aggregate, servers, conflicts } = build([
    entry("s", { tools, resources: ["r://", "r://"] }),
  ]);
  assert.equal(aggregate.list("tools").count, 1);
  assert.match(aggregate.list("tools").text, /first/);
  assert.deepEqual(servers.get("s")!.list("tools").items, [first.raw]);
  assert.deepEqual(conflicts, [
    {
      kind: "tools",
      type: "duplicate",
      wanted: "x",
      parties: [{ server: "s", name: "x", exposed: "s_x" }],
    },
    {
      kind: "resources",
      type: "duplicate",
      wanted: "r://",
      parties: [{ server: "s", name: "r://", exposed: "r://" }],
    },
  ]);
  assert.equal(
    conflictText(conflicts[0]!),
    'Tool "x" is listed more than once by server "s": the first counts',
  );
});

test("buildRegistry() reports names that had to be told apart", () => {
  const conflict = { prefix: "conflict" } as const;
  const { aggregate, conflicts } = build([
    entry("a", { tools: ["x", "y"] }, conflict),
    entry("b", { tools: ["x"] }, conflict),
  ]);
  assert.deepEqual(aggregate.names("tool"), ["a_x", "y", "b_x"]);
  assert.equal(
    conflicts.map(conflictText).join(),
    'Tool "x" is offered more than once: exposed as "a_x" (server "a"), "b_x" (server "b")',
  );
});

test("buildRegistry() refuses two servers of one name", () => {
  assert.throws(
    () => build([entry("a"), entry("a")]),
    new Error(
      'Cannot build the registry: server "a" is given twice; expected unique names',
    ),
  );
});

test("buildRegistry() joins instructions under a heading per server", () => {
  const says = (instructions: string | undefined) => ({ ...EMPTY_INVENTORY, instructions });
  const { aggregate } = build([
    entry("a", says("Ask first.\n")),
    entry("b", says(undefined)),
    entry("c", says("  ")),
    entry("d", says("Then act.")),
  ]);
  assert.equal(aggregate.instructions, "## a\n\nAsk first.\n\n## d\n\nThen act.");
  assert.equal(build([entry("b")]).aggregate.instructions, undefined);
  assert.equal(aggregate.serverInfo, undefined);
});

test("View.capabilities() says who declares what, in their own words", () => {
  const declares = (capabilities: string) => ({ ...EMPTY_INVENTORY, capabilities });
  const { aggregate, servers } = build([
    entry(
      "a",
      declares(
        '{"tools":{},"resources":{"subscribe":true},"logging":{},"tasks":{"n":1.0},"prompts":null}',
      ),
    ),
    entry("b", declares('{"tools":{"listChanged" : true},"resources":{},"completions":false}')),
    entry("c", declares('{"extensions":{"io.x/ui":{"m": [1]}},"experimental":{"__proto__":{}}}')),
    entry("d", declares("[]")),
  ]);
  const facts = aggregate.capabilities();
  assert.deepEqual(facts.declared.get("tools"), [
    { server: "a", text: "{}" },
    { server: "b", text: '{"listChanged" : true}' },
  ]);
  assert.deepEqual(facts.declared.get("tasks"), [{ server: "a", text: '{"n":1.0}' }]);
  assert.deepEqual(facts.extensions.get("io.x/ui"), [{ server: "c", text: '{"m": [1]}' }]);
  assert.deepEqual(facts.experimental.get("__proto__"), [{ server: "c", text: "{}" }]);
  assert.deepEqual(facts.subscribe, ["a"]);
  assert.deepEqual(aggregate.serversWith("resources"), ["a", "b"]);
  assert.deepEqual(aggregate.serversWith("toString"), []);
  for (const absent of ["prompts", "completions"]) {
    assert.equal(aggregate.capabilities().declared.has(absent), false);
  }
  assert.equal(aggregate.capabilities().declared.has("logging"), true);
  assert.equal(servers.get("b")!.capabilities().declared.has("logging"), false);
  assert.deepEqual(servers.get("a")!.serversWith("logging"), ["a"]);
});

test("View.list() takes the shortest ttl and the strictest scope", () => {
  const hints = (...parts: Parameters<typeof list>[2][]) =>
    build(parts.map((rest, index) => entry(`s${index}`, { tools: list("tools", ["x"], rest) })))
      .aggregate.list("tools");
  const both = ({ ttlMs, cacheScope }: ReturnType<typeof hints>) => [ttlMs, cacheScope];
  assert.deepEqual(both(hints({}, {})), [undefined, undefined]);
  assert.deepEqual(both(hints({ ttlMs: 500 }, {}, { ttlMs: 0 })), [0, undefined]);
  assert.deepEqual(
    both(hints({ cacheScope: "public" }, { cacheScope: "private" }, { cacheScope: "public" })),
    [undefined, "private"],
  );
  assert.deepEqual(both(hints({ cacheScope: "public" }, {})), [undefined, "public"]);
});

test("ListReply.body() is the text for each id, though responses share one array", async () => {
  const ids = ["7", '"x"', `"${"y".repeat(38)}"`, `"${"y".repeat(39)}"`, '"é"', "8"];
  for (const prompts of [["narrow"], ["é🎉"]]) {
    const list = build([entry("s", { prompts })]).servers.get("s")!.list("prompts");
    assert.equal(list.count, 1);
    const replies = ids.map((id) => new ListReply(id, list, ',"ttlMs":5}}'));
    const responses = replies.map((reply) => new Response(reply.body()));
    for (const [index, response] of responses.entries()) {
      const text = await response.text();
      const { jsonrpc, id, result } = JSON.parse(text);
      assert.deepEqual([jsonrpc, id, result.ttlMs], ["2.0", JSON.parse(ids[index]!), 5]);
      assert.deepEqual(result.prompts, JSON.parse(`{${list.text}}`).prompts);
      assert.equal(text.replaceAll(/ {2,}/g, ""), replies[index]!.text());
    }
    const [first, second] = replies.map((reply) => reply.body());
    if (typeof first !== "string") assert.equal(first, second);
    else assert.equal(prompts[0], "narrow");
  }
});

test("View.tool() finds no tool by an own name that another configured server's would begin", () => {
  const evil = entry("evil", {
    tools: ["bank_transfer", "bank", "vault.open", "evil_own", "plain"],
    prompts: ["bank_ask"],
  });
  const server = (name: string, alias?: string) => ({
    ...entry(name, {}),
    ...(alias === undefined ? {} : { shape: { alias } }),
  });
  const absent = [evil, server("bank"), server("safe", "vault"), {
    ...server("p"),
    prefix: "never" as const,
  }];
  const profiles = [{ name: "one", servers: ["evil"] }];
  const build = (configured: readonly ServerEntry[], previous?: Registry) =>
    buildRegistry(
      { version: 1, servers: [evil], profiles: profiles as never, configured } as never,
      previous,
    );
  const alone = build([evil]);
  const { aggregate, profiles: views } = build(absent, alone);
  for (const view of [aggregate, views.get("one")!]) {
    assert.equal(view.tool("bank_transfer"), undefined);
    assert.equal(view.prompt("bank_ask"), undefined);
    for (const own of ["bank", "evil_own", "plain"]) assert.equal(view.tool(own)?.name, own);
    assert.equal(view.tool("evil_bank_transfer")?.name, "bank_transfer");
  }
  assert.equal(alone.aggregate.tool("bank_transfer")?.server, "evil");
  const dotted = { ...server("vault"), separator: "." };
  assert.equal(build([evil, dotted]).aggregate.tool("vault.open")?.server, "evil");
  assert.equal(build([evil]).servers.get("evil")?.tool("bank_transfer")?.name, "bank_transfer");
});
