import assert from "node:assert/strict";
import { test } from "node:test";
import type { ServerShape } from "../../src/config/types.ts";
import { EMPTY_INVENTORY, type Inventory } from "../../src/protocol/lists.ts";
import { buildRegistry, changedLists, noticeText } from "../../src/registry/build.ts";
import type { Registry, ServerEntry } from "../../src/registry/types.ts";
import { shapeInventory } from "../../src/registry/shape.ts";
import { entry, inventory, item } from "./builders.ts";

const build = (servers: readonly ServerEntry[], previous?: Registry) =>
  buildRegistry({ version: 1, servers }, previous);
const shaped = (offers: Parameters<typeof entry>[1], shape: ServerShape) =>
  build([entry("s", offers, { shape })]);
const notices = (registry: Registry) => registry.notices.map(noticeText);

/** A tool with these parameters, of which `required` are. */
function tool(name: string, parameters: object, required?: readonly string[]) {
  const schema = { type: "object", properties: parameters, ...(required && { required }) };
  return item("tools", name, `"inputSchema": ${JSON.stringify(schema)}`);
}

test("shapeInventory() gives the very inventory where nothing changes", () => {
  const given = inventory({ tools: ["a"], resources: ["r://1"] });
  for (
    const shape of [
      undefined,
      { alias: "x", tags: ["y"] },
      { tools: { include: ["*"], exclude: ["nope"] }, prompts: { include: [] } },
      { tools: { overrides: [{ match: "a" }], tags: [{ match: "*", tags: ["t"] }] } },
    ]
  ) assert.equal(shapeInventory(given, shape).inventory, given);
});

test("shapeInventory() remembers what it gave, list by list", () => {
  const shape: ServerShape = { tools: { exclude: ["b"] }, resources: { exclude: ["r://2"] } };
  const before = inventory({ tools: ["a", "b"], resources: ["r://1", "r://2"] });
  const refreshed: Inventory = {
    ...before,
    lists: { ...before.lists, resources: inventory({ resources: ["r://2"] }).lists.resources },
  };
  const [one, again, other] = [before, before, refreshed].map((given) =>
    shapeInventory(given, shape).inventory
  );
  assert.equal(one, again);
  assert.equal(one!.lists.tools, other!.lists.tools);
  assert.deepEqual(other!.lists.resources.items, []);
});

test("buildRegistry() takes include, then exclude, by the upstream's own names", () => {
  const { aggregate, servers } = shaped(
    { tools: ["get_a", "get_b", "put_a", "Get_c"], prompts: ["p"] },
    { tools: { include: ["get_*", "put_?"], exclude: ["*_{b,c}"] }, prompts: { include: [] } },
  );
  assert.deepEqual(aggregate.names("tool"), ["s_get_a", "s_put_a"]);
  assert.deepEqual(aggregate.names("prompt"), []);
  for (const name of ["s_get_b", "get_b", "Get_c"]) {
    assert.equal(aggregate.tool(name), undefined);
  }
  assert.equal(aggregate.allows("s", "tool", "get_a"), true);
  assert.equal(aggregate.allows("s", "tool", "get_b"), false);
  assert.equal(aggregate.allows("nobody", "tool", "get_a"), false);

  const direct = servers.get("s")!;
  assert.deepEqual(direct.names("tool"), ["get_a", "put_a"]);
  assert.equal(direct.list("tools").count, 2);
  assert.equal(direct.counts.tools, 2);
  assert.equal(direct.tool("get_b"), undefined);
  // Not listed, and not excluded either: the server's own answer.
  assert.deepEqual(direct.tool("put_x"), { server: "s", name: "put_x", exposed: "put_x" });
  assert.equal(direct.tool("other"), undefined);
  assert.equal(direct.prompt("p"), undefined);
  assert.equal(direct.allows("other", "tool", "get_a"), false);
});

test("buildRegistry() renames, and sends the server its own name", () => {
  const tools = ["search_code", "b", "a/x"];
  const { aggregate, servers } = shaped({ tools }, {
    tools: { rename: { search_code: "search", "a/x": "ax" } },
  });
  assert.deepEqual(aggregate.names("tool"), ["s_search", "s_b", "s_ax"]);
  const route = { server: "s", name: "search_code", exposed: "s_search" };
  // By the exposed name, the new one, and the one that the server's own UI knows.
  for (const name of ["s_search", "search", "search_code"]) {
    assert.deepEqual(aggregate.tool(name), route, name);
  }
  assert.equal(aggregate.tool("s_search_code"), undefined);
  assert.equal(aggregate.list("tools").items[0], '{ "x-n": 1.0, "name" :"s_search" }');
  assert.equal(aggregate.allows("s", "tool", "search_code"), true);
  // 1:1 a server is what it is.
  assert.deepEqual(servers.get("s")!.names("tool"), tools);
});

test("buildRegistry() keeps a name that a rename would give to a second entry", () => {
  const registry = shaped({ tools: ["a", "b", "c"], prompts: ["x", "y"] }, {
    tools: { rename: { a: "b", c: "a" } },
    prompts: { rename: { x: "y", y: "x" } },
  });
  assert.deepEqual(registry.aggregate.names("tool"), ["s_a", "s_b", "s_c"]);
  assert.deepEqual(notices(registry), [
    'mcpServers.s.tools.rename: "a" keeps its name, for the server has another "b"',
    'mcpServers.s.tools.rename: "c" keeps its name, for the server has another "a"',
  ]);
  assert.deepEqual(registry.aggregate.names("prompt"), ["s_y", "s_x"]);
  assert.deepEqual(registry.aggregate.prompt("s_y"), { server: "s", name: "x", exposed: "s_y" });
  // What is listed as "x" comes before what the server calls so.
  assert.equal(registry.aggregate.prompt("x")?.name, "y");
});

test("buildRegistry() reports a renamed entry that is listed twice", () => {
  const { aggregate, conflicts } = shaped({ tools: ["a", "a"] }, { tools: { rename: { a: "b" } } });
  assert.equal(aggregate.list("tools").count, 1);
  const parties = [{ server: "s", name: "a", exposed: "s_b" }];
  assert.deepEqual(conflicts, [{ kind: "tools", type: "duplicate", wanted: "b", parties }]);
});

test("buildRegistry() changes only the texts an override names", () => {
  const raw = '{ "name":"a" , "title" : "old", "annotations":{"x": 1.0,"readOnlyHint":false} }';
  const tools = { items: [{ key: "a", raw }, item("tools", "b")] };
  const { aggregate, servers } = shaped({ tools, resources: ["r://1"], templates: ["r://{id}"] }, {
    tools: {
      overrides: [
        { match: "*", title: "All", annotations: { readOnlyHint: true } },
        { match: "a", title: "A", annotations: { idempotentHint: true } },
      ],
    },
    resources: { overrides: [{ match: "r://*", mimeType: "text/x" }] },
  });
  assert.deepEqual(aggregate.list("tools").items, [
    '{ "name":"s_a" , "title" : "A", "annotations":{"idempotentHint":true,"x": 1.0,' +
    '"readOnlyHint":true} }',
    '{"title":"All","annotations":{"readOnlyHint":true}, "x-n": 1.0, "name" :"s_b" }',
  ]);
  assert.match(aggregate.list("resources").items[0]!, /"mimeType":"text\/x"/);
  assert.match(aggregate.list("templates").items[0]!, /"mimeType":"text\/x"/);
  assert.deepEqual(servers.get("s")!.list("tools").items[0], raw);
});

test("buildRegistry() shows parameters as calls will have them", () => {
  const p = { type: "string" };
  const tools = {
    items: [tool("t", { q: p, debug: p, limit: p, owner: p }, ["q", "limit", "owner"])],
  };
  const overrides = [{
    match: "*",
    hideParameters: ["debug", "unknown"],
    defaults: { limit: 20, other: 1 },
    fixed: { owner: "me" },
  }];
  const { aggregate, servers, notices } = shaped({ tools }, { tools: { overrides } });
  const { inputSchema } = JSON.parse(aggregate.list("tools").items[0]!);
  assert.deepEqual(inputSchema, {
    type: "object",
    properties: { q: p, limit: { ...p, default: 20 } },
    required: ["q"],
  });
  assert.deepEqual(aggregate.argumentRules("s", "t"), {
    defaults: new Map([["limit", "20"]]),
    fixed: new Map([["owner", '"me"']]),
    hidden: new Set(["debug"]),
  });
  assert.equal(aggregate.argumentRules("s", "other"), undefined);
  assert.equal(servers.get("s")!.argumentRules("s", "t"), undefined);
  assert.deepEqual(notices, []);
});

test("buildRegistry() drops a list of required parameters that has become empty", () => {
  const tools = { items: [tool("t", { a: true }, ["a"])] };
  const shape = { tools: { overrides: [{ match: "t", defaults: { a: 1 } }] } };
  const { inputSchema } = JSON.parse(shaped({ tools }, shape).aggregate.list("tools").items[0]!);
  assert.deepEqual(inputSchema, { type: "object", properties: { a: true } });
});

test("View.argumentRules() is by the upstream's own name, renamed or not", () => {
  const tools = { items: [tool("t", { a: {} })] };
  const overrides = [{ match: "t", fixed: { a: 1 } }];
  const { aggregate } = shaped({ tools }, { tools: { rename: { t: "u" }, overrides } });
  const route = aggregate.tool("s_u")!;
  assert.deepEqual(aggregate.argumentRules(route.server, route.name)?.fixed, new Map([["a", "1"]]));
});

test("View.argumentRules() change with the configuration, whatever the lists say of them", () => {
  const fixed = (value: number): ServerShape => ({
    tools: { overrides: [{ match: "t", fixed: { unlisted: value } }] },
  });
  const one = entry("s", { tools: ["t"] }, { shape: fixed(1) });
  const before = build([one]);
  const after = build([{ ...one, shape: fixed(2) }], before);
  assert.equal(after.aggregate.list("tools"), before.aggregate.list("tools"));
  assert.deepEqual(
    [before, after].map(({ aggregate }) =>
      aggregate.argumentRules("s", "t")?.fixed.get("unlisted")
    ),
    ["1", "2"],
  );
});

test("View.wrapsOutput() is by the upstream's own name, renamed or not", () => {
  const tools = { items: [item("tools", "t", '"outputSchema":{"type":"array"}')] };
  const offers = inventory({ tools }, { era: "modern" });
  const { aggregate } = shaped(offers, { tools: { rename: { t: "u" } } });
  assert.equal(aggregate.wrapsOutput("s", "t"), true);
  assert.match(aggregate.list("tools", "legacy").text, /"s_u".*"type":"object"/);
});

test("buildRegistry() keeps the UI link of a renamed tool", () => {
  const app = { items: [item("tools", "t", '"_meta":{"ui":{"resourceUri":"ui://x"}}')] };
  const shape = { tools: { rename: { t: "u" } } };
  const { aggregate } = build([
    entry("s", { tools: app }, { shape }),
    entry("o", { resources: ["ui://x"] }),
  ]);
  assert.match(aggregate.list("tools").text, /"s_u".*"ui:\/\/s\+x"/);
});

test("buildRegistry() calls a server by its alias, and knows it by its name", () => {
  const says = (instructions: string) => inventory({ tools: ["t"] }, { instructions });
  const { aggregate } = build([
    entry("long-name", says("Do."), { shape: { alias: "ln" } }),
    entry("b", says("Go.")),
  ]);
  assert.deepEqual(aggregate.names("tool"), ["ln_t", "b_t"]);
  assert.deepEqual(aggregate.tool("ln_t"), { server: "long-name", name: "t", exposed: "ln_t" });
  assert.equal(aggregate.instructions, "## ln\n\nDo.\n\n## b\n\nGo.");
  // Not what a configuration allows, and still no name for two.
  const same = build([
    entry("a", says("")),
    entry("b", says(""), { shape: { alias: "a" } }),
  ]).aggregate;
  assert.equal(new Set(same.names("tool")).size, 2);
});

test("View.resource() reads nothing that is excluded, listed or not", () => {
  const offers = inventory({
    resources: {
      items: [
        item("resources", "r://1", '"name":"Public"'),
        item("resources", "r://2", '"name":"Secret one"'),
      ],
    },
    templates: ["r://{id}"],
  });
  const { aggregate, servers } = shaped(offers, {
    resources: { exclude: ["r://secret/*", "Secret*"] },
  });
  for (const view of [aggregate, servers.get("s")!]) {
    assert.equal(view.resource("r://1")?.uri, "r://1");
    assert.equal(view.resource("r://9")?.uri, "r://9");
    // Both match the template, which is listed.
    assert.equal(view.resource("r://2"), undefined);
    assert.equal(view.resource("r://secret/x"), undefined);
    assert.equal(view.allows("s", "resource", "r://2"), false);
    assert.equal(view.allows("s", "resource", "elsewhere://x"), true);
    assert.equal(view.list("resources").count, 1);
  }
});

test("View.resource() reads what is included, what it matches, and what tools link to", () => {
  const link = '"_meta":{"ui":{"resourceUri":"ui://app"}}';
  const offers = inventory({
    tools: {
      items: [item("tools", "t", link), item("tools", "gone", link.replace("app", "gone"))],
    },
    resources: ["docs://1", "other://1", "ui://app", "ui://gone"],
    templates: ["docs://{id}", "all://{id}"],
  });
  const { aggregate, servers } = shaped(offers, {
    tools: { exclude: ["gone"] },
    resources: { include: ["docs://*"] },
  });
  for (const view of [aggregate, servers.get("s")!]) {
    const may = (uri: string) => view.allows("s", "resource", uri);
    for (const uri of ["docs://1", "docs://unlisted", "ui://app"]) {
      assert.equal(may(uri), true, uri);
    }
    for (const uri of ["other://1", "all://1", "ui://gone", "new://1"]) {
      assert.equal(may(uri), false, uri);
    }
    assert.equal(view.template("docs://{id}")?.uri, "docs://{id}");
    assert.equal(view.template("all://{id}"), undefined);
  }
});

test("View.resource() knows the templates that are shown by their name", () => {
  const templates = { items: [item("templates", "x://{id}", '"name":"Things"')] };
  const { aggregate } = shaped({ templates }, { resources: { include: ["Things"] } });
  assert.equal(aggregate.resource("x://7")?.server, "s");
  assert.equal(aggregate.allows("s", "resource", "y://7"), false);
});

test("Registry.notices say what of a shape matches nothing, once the server is known", () => {
  const shape: ServerShape = {
    tools: {
      include: ["get_*", "nope_*", "{g,h}*"],
      exclude: ["get_secret", "never"],
      rename: { gone: "here", get_secret: "secret" },
      overrides: [
        { match: "missing" },
        { match: "get_it", fixed: { none: 1 }, hideParameters: ["q"] },
      ],
      tags: [{ match: "x*", tags: ["t"] }],
    },
    resources: { include: ["a://*", "t://*", "z://*"] },
  };
  const offers = inventory({
    tools: { items: [tool("get_it", { q: {} }, ["q"]), tool("get_secret", {})] },
    resources: ["a://1"],
    templates: ["t://{id}"],
  });
  const registry = shaped(offers, shape);
  assert.deepEqual(notices(registry), [
    'mcpServers.s.tools.override: tool "get_it" has no parameter "none"',
    'mcpServers.s.tools.override: tool "get_it" requires the hidden parameter "q"; give it a ' +
    'value in "fixed" or "defaults"',
    'mcpServers.s.tools.include: "nope_*" matches nothing that is offered',
    'mcpServers.s.tools.exclude: "never" matches nothing that is offered',
    'mcpServers.s.tools.rename: "gone" matches nothing that is offered',
    'mcpServers.s.tools.rename: "get_secret" matches nothing that is offered',
    'mcpServers.s.tools.override: "missing" matches nothing that is offered',
    'mcpServers.s.tools.tags: "x*" matches nothing that is offered',
    'mcpServers.s.resources.include: "z://*" matches nothing that is offered',
  ]);
  assert.deepEqual(notices(shaped(EMPTY_INVENTORY, shape)), []);
});

test("buildRegistry() notifies nobody of a change of what is excluded", () => {
  const shape: ServerShape = { tools: { exclude: ["hidden_*"], rename: { a: "z" } } };
  const one = entry("s", { tools: ["a", "hidden_1"] }, { shape });
  const before = build([one]);
  const after = build([{ ...one, inventory: inventory({ tools: ["a", "hidden_2"] }) }], before);
  for (
    const [old, now] of [[before.aggregate, after.aggregate], [
      before.servers.get("s")!,
      after.servers.get("s")!,
    ]] as const
  ) {
    assert.deepEqual(changedLists(old, now), []);
    assert.equal(old.list("tools"), now.list("tools"));
  }
  // The same objects give the same views, and another shape shows at once.
  const same = build([{ ...one, stale: true }], before);
  assert.equal(same.aggregate, before.aggregate);
  assert.equal(same.servers.get("s"), before.servers.get("s"));
  const open = build([{ ...one, shape: undefined }], before);
  assert.deepEqual(open.aggregate.names("tool"), ["s_a", "s_hidden_1"]);
  assert.deepEqual(changedLists(before.servers.get("s"), open.servers.get("s")!), ["tools"]);
});

test("View.resource() reads a URI that comes to one that may be read, however it is written", () => {
  const offers = inventory({ templates: ["file:///srv/public/{+path}", "memo://{id}"] });
  const views = (shape: ServerShape) => {
    const { aggregate, servers } = shaped(offers, shape);
    return [aggregate, servers.get("s")!];
  };
  const to = (path: string) => `file:///srv/${path}`;
  const outside = [
    to("public/../private/key"),
    to("public/%2e%2e/private/key"),
    to("public/.%2E/private/key"),
    to("public/..%2fprivate%2fkey"),
    to("public/..\\private\\key"),
    to("public/%2e%2e%5cprivate/key"),
    to("public/.\t./private/key"),
    to("public/a/../../private/key"),
    to("public/?/../../private/key"),
    to("public/../private/key?/../../public/x"),
  ];
  const inside = [
    to("public/a"),
    to("public/a%20b"),
    to("public/./a"),
    to("public/%61"),
    to("public/x/../a"),
    to("public/caf%C3%A9"),
    to("public/café?q=1#f"),
  ];
  // Once by the pattern, once by the template that it lets through.
  const shapes: ServerShape[] = [
    { resources: { include: [to("public/*")] } },
    { resources: { include: [to("public/{+path}")] } },
  ];
  for (const view of shapes.flatMap(views)) {
    for (const uri of outside) assert.equal(view.resource(uri), undefined, uri);
    for (const uri of inside) assert.equal(view.resource(uri)?.uri, uri, uri);
    assert.equal(view.allows("s", "resource", outside[0]!), false);
  }
  const secret = [
    to("private/key"),
    to("%70rivate/key"),
    to("./private/key"),
    to("public/../private/key"),
    to("/private/key"),
    "FILE:///srv/private/key",
    "file://localhost/srv/private/key",
    "file:/srv/private/key",
    "file:///srv/pri\tvate/key",
    " file:///srv/private/key",
    to("caf%c3%a9/key"),
    to("café/key"),
    "https://intern.example/x",
    "https://INTERN.example:443/x",
    "https://me@intern.example/x",
    to("private/key#"),
    to("private/key?x"),
    "\u0001file:///srv/private/key",
    "https:/intern.example/x",
    "https:////intern.example/x",
  ];
  const exclude = [to("private/*"), to("café/*"), "https://intern.example/*"];
  for (const view of views({ resources: { exclude } })) {
    for (const uri of secret) assert.equal(view.resource(uri), undefined, JSON.stringify(uri));
    for (const uri of inside) assert.equal(view.resource(uri)?.uri, uri, uri);
  }
  for (const view of views({ resources: { include: ["memo://Id*", "memo:x/*"] } })) {
    assert.equal(view.allows("s", "resource", "memo://Id7"), true);
    assert.equal(view.allows("s", "resource", "memo:x/y"), true);
    assert.equal(view.allows("s", "resource", "memo:x/../y"), false);
  }
  // A pattern counts as the URI that it comes to as well.
  for (const view of views({ resources: { include: ["gitlab://a%2Fb/*", "https://h:443/*"] } })) {
    assert.equal(view.allows("s", "resource", "gitlab://a%2Fb/README"), true);
    assert.equal(view.allows("s", "resource", "https://h:443/x"), true);
  }
});

test("a list has no resource that comes to one that must not be read", () => {
  const offers = inventory({ resources: ["file:///a/1", "file:///a/../b/2", "FILE:///b/3"] });
  for (const shape of [{ include: ["*:///a/*"] }, { exclude: ["file:///b/*"] }]) {
    const { aggregate } = shaped(offers, { resources: shape });
    assert.equal(aggregate.list("resources").count, 1, JSON.stringify(shape));
  }
});
