import assert from "node:assert/strict";
import { test } from "node:test";
import { buildRegistry } from "../../src/registry/build.ts";
import type { ServerEntry } from "../../src/registry/types.ts";
import { entry, item } from "./builders.ts";

const aggregate = (...servers: ServerEntry[]) => buildRegistry({ version: 1, servers }).aggregate;
const uris = (view: ReturnType<typeof aggregate>) =>
  view.list("resources").items.map((raw) => JSON.parse(raw).uri);
const templates = (view: ReturnType<typeof aggregate>) =>
  view.list("templates").items.map((raw) => JSON.parse(raw).uriTemplate);

test("View.resource() passes a URI of one server unchanged", () => {
  const view = aggregate(
    entry("a", { resources: ["demo://1"] }),
    entry("b", { resources: ["file:///x"] }),
  );
  assert.deepEqual(uris(view), ["demo://1", "file:///x"]);
  assert.deepEqual(view.resource("demo://1"), { server: "a", uri: "demo://1" });
  assert.equal(view.exposedUri("a", "demo://1"), "demo://1");
  assert.equal(view.resource("demo://2"), undefined);
  assert.deepEqual(view.ambiguous("resource", "demo://2"), []);
});

test("View.resource() reads a shared URI only with its server's label", () => {
  const view = aggregate(
    entry("a", { resources: ["demo://1", "demo://own"] }),
    entry("My B", { resources: ["demo://1"] }),
  );
  assert.deepEqual(uris(view), ["a+demo://1", "demo://own", "my-b+demo://1"]);
  assert.equal(
    view.list("resources").items[0],
    '{ "x-n": 1.0, "uri" :"a+demo://1" }',
  );
  assert.deepEqual(view.resource("my-b+demo://1"), { server: "My B", uri: "demo://1" });
  assert.equal(view.resource("demo://1"), undefined);
  assert.deepEqual(view.ambiguous("resource", "demo://1"), [
    { server: "a", name: "demo://1", exposed: "a+demo://1" },
    { server: "My B", name: "demo://1", exposed: "my-b+demo://1" },
  ]);
  assert.equal(view.exposedUri("My B", "demo://1"), "my-b+demo://1");
  assert.deepEqual(view.ambiguous("resource", "a+demo://1"), []);
});

test("View.resource() keeps reading a labelled URI when its twin has gone", () => {
  const view = aggregate(entry("a", { resources: ["demo://1"] }), entry("b"));
  assert.deepEqual(uris(view), ["demo://1"]);
  assert.deepEqual(view.resource("a+demo://1"), { server: "a", uri: "demo://1" });
});

test("View.resource() takes the listed URI, then the most specific template", () => {
  const view = aggregate(
    entry("any", { templates: ["demo://{+rest}"] }),
    entry("b", { templates: ["demo://b/{id}"], resources: ["demo://b/1"] }),
    entry("c", { resources: ["demo://b/2"] }),
  );
  assert.deepEqual(templates(view), ["demo://{+rest}", "demo://b/{id}"]);
  assert.equal(view.resource("demo://b/1")?.server, "b");
  assert.equal(view.resource("demo://b/2")?.server, "c");
  assert.equal(view.resource("demo://b/3")?.server, "b");
  assert.equal(view.resource("demo://b/3/4")?.server, "any");
  assert.equal(view.resource("other://"), undefined);
});

test("View.resource() labels templates for the same URIs, whatever their variables", () => {
  const view = aggregate(
    entry("a", { templates: ["demo://{id}", "demo://a/{id}"] }),
    entry("b", { templates: ["demo://{name}"] }),
  );
  assert.deepEqual(templates(view), ["a+demo://{id}", "demo://a/{id}", "b+demo://{name}"]);
  assert.deepEqual(view.resource("b+demo://7"), { server: "b", uri: "demo://7" });
  assert.equal(view.resource("demo://7"), undefined);
  assert.deepEqual(view.ambiguous("resource", "demo://7").map(({ exposed }) => exposed), [
    "a+demo://7",
    "b+demo://7",
  ]);
  assert.deepEqual(view.resource("demo://a/7"), { server: "a", uri: "demo://a/7" });
  // What comes back from a read is labelled like what was asked for.
  assert.equal(view.exposedUri("b", "demo://7"), "b+demo://7");
  assert.deepEqual(view.template("b+demo://{name}"), { server: "b", uri: "demo://{name}" });
  assert.deepEqual(view.template("demo://a/{id}"), { server: "a", uri: "demo://a/{id}" });
  assert.equal(view.template("demo://{nobody}"), undefined);
});

test("View.exposedUri() labels a URI that another server would be asked for", () => {
  const view = aggregate(
    entry("a", { tools: ["link"] }),
    entry("b", { resources: ["demo://b"], templates: ["file:///{+path}"] }),
  );
  assert.equal(view.rewritesUris("a"), true);
  for (const uri of ["demo://b", "file:///etc/x"]) {
    const exposed = view.exposedUri("a", uri);
    assert.equal(exposed, `a+${uri}`);
    assert.deepEqual(view.resource(exposed), { server: "a", uri });
    assert.equal(view.exposedUri("b", uri), uri);
  }
  // Nobody else's: it passes, and whoever asks for it is told by who has named it.
  assert.equal(view.exposedUri("a", "https://x.test/"), "https://x.test/");
});

test("View.exposedUri() keeps a server from posing as another by a label", () => {
  const view = aggregate(
    entry("a", { resources: ["demo://1"] }),
    entry("evil", { resources: ["a+demo://2"], templates: ["a+demo://{id}"] }),
  );
  assert.deepEqual(uris(view), ["demo://1", "evil+a+demo://2"]);
  assert.deepEqual(templates(view), ["evil+a+demo://{id}"]);
  assert.deepEqual(view.resource("a+demo://2"), { server: "a", uri: "demo://2" });
  assert.deepEqual(view.resource("evil+a+demo://2"), { server: "evil", uri: "a+demo://2" });
  assert.equal(view.exposedUri("evil", "a+demo://3"), "evil+a+demo://3");
});

test("View.rewritesUris() is false where no URI can be mistaken", () => {
  assert.equal(aggregate(entry("a", { tools: ["x"] }), entry("b")).rewritesUris("a"), false);
  const alone = aggregate(entry("a", { resources: ["a+demo://1"] }));
  assert.equal(alone.rewritesUris("a"), false);
  assert.deepEqual(alone.resource("a+demo://1"), { server: "a", uri: "a+demo://1" });
});

test("buildRegistry() tells the UI resources of two apps apart, listed or not", () => {
  const app = (path: string) => ({
    items: [
      item("tools", "plain"),
      item("tools", "new", `"_meta":{"ui":{"resourceUri":"${path}", "k":1}}`),
      item("tools", "old", `"_meta":{"ui\\/resourceUri":"${path}"}`),
      item("tools", "text", '"description":"resourceUri"'),
    ],
  });
  const twin = "ui://clock/app.html";
  const view = aggregate(
    entry("a", { tools: app(twin), resources: [twin] }),
    entry("b", { tools: app(twin) }),
    entry("c", { tools: app("ui://own/app.html") }),
  );
  const meta = view.list("tools").items.map((raw) => JSON.parse(raw)._meta);
  for (const [offset, server] of ["a", "b"].entries()) {
    const exposed = `ui://${server}+clock/app.html`;
    assert.deepEqual(meta[offset * 4 + 1], { ui: { resourceUri: exposed, k: 1 } });
    assert.deepEqual(meta[offset * 4 + 2], { "ui/resourceUri": exposed });
    assert.deepEqual(view.resource(exposed), { server, uri: twin });
  }
  assert.deepEqual(meta[9], { ui: { resourceUri: "ui://own/app.html", k: 1 } });
  assert.deepEqual(view.resource("ui://own/app.html"), { server: "c", uri: "ui://own/app.html" });
  assert.equal(view.resource(twin), undefined);
  assert.deepEqual(uris(view), ["ui://a+clock/app.html"]);
});

test("buildRegistry() reports shared URIs and templates", () => {
  const { conflicts } = buildRegistry({
    version: 1,
    servers: [
      entry("a", { resources: ["demo://1"], templates: ["t://{x}"] }),
      entry("b", { resources: ["demo://1", "demo://2"], templates: ["t://{y}"] }),
    ],
  });
  assert.deepEqual(conflicts, [
    {
      kind: "resources",
      type: "shared",
      wanted: "demo://1",
      parties: [
        { server: "a", name: "demo://1", exposed: "a+demo://1" },
        { server: "b", name: "demo://1", exposed: "b+demo://1" },
      ],
    },
    {
      kind: "templates",
      type: "shared",
      wanted: "t://{x}",
      parties: [
        { server: "a", name: "t://{x}", exposed: "a+t://{x}" },
        { server: "b", name: "t://{y}", exposed: "b+t://{y}" },
      ],
    },
  ]);
});

test("View.resource() tells servers apart whose names give the same label", () => {
  const view = aggregate(
    entry("a_b", { resources: ["demo://1"] }),
    entry("a-b", { resources: ["demo://1"] }),
  );
  const [first, second] = uris(view);
  assert.notEqual(first, second);
  assert.equal(view.resource(first)?.server, "a_b");
  assert.equal(view.resource(second)?.server, "a-b");
});
