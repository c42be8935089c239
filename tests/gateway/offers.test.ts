import assert from "node:assert/strict";
import { test } from "node:test";
import { offersIn } from "../../src/gateway/offers.ts";
import type { JsonObject } from "../../src/lib/json.ts";
import { toolTokens } from "../../src/registry/source.ts";
import { registryOf, serverOf } from "../gating/builders.ts";
import { entry } from "../registry/builders.ts";

const ECHO = { name: "echo", description: "says it", inputSchema: {} };
const SUM = { name: "sum", description: "adds", inputSchema: {} };

function count(raw: string): number {
  return toolTokens(JSON.parse(raw), (text) => text.length);
}

function names(items: readonly { readonly own: string; readonly exposed: string | null }[]) {
  return items.map(({ own, exposed }) => [own, exposed]);
}

test("offersIn() knows the exposed name of each item, also of those that are alike", () => {
  const offers = offersIn(registryOf([serverOf("a", [ECHO, SUM]), serverOf("b", [ECHO])]), count);
  assert.deepEqual(names(offers("a").tools), [["echo", "a_echo"], ["sum", "a_sum"]]);
  assert.deepEqual(names(offers("b").tools), [["echo", "b_echo"]]);
  assert.deepEqual(offers("c"), { tools: [], prompts: [], resources: [], templates: [] });
});

test("offersIn() knows names that tell nothing of their server", () => {
  const unprefixed = { prefix: "never" } as const;
  const onConflict = { prefix: "conflict" } as const;
  const offers = offersIn(
    registryOf([
      serverOf("a", [ECHO, SUM], unprefixed),
      serverOf("b", [ECHO], onConflict),
      serverOf("c", [ECHO, SUM], { shape: { tools: { rename: { sum: "add" } } } }),
    ]),
    count,
  );
  const all = ["a", "b", "c"].flatMap((server) => names(offers(server).tools));
  assert.equal(new Set(all.map(([, exposed]) => exposed)).size, 5);
  assert.deepEqual(names(offers("c").tools), [["echo", "c_echo"], ["sum", "c_add"]]);
  assert.ok(all.every(([, exposed]) => typeof exposed === "string"));
});

test("offersIn() tells the URIs by which a shared resource and template are reached", () => {
  const lists = {
    resources: { items: [{ key: "x://1", raw: '{"uri":"x://1","name":"one","mimeType":"a/b"}' }] },
    templates: { items: [{ key: "x://{id}", raw: '{"uriTemplate":"x://{id}","name":"t"}' }] },
  };
  const registry = registryOf([entry("s", lists), entry("t", lists)]);
  const offers = offersIn(registry, count);
  for (const server of ["s", "t"]) {
    const { resources: [resource], templates: [template] } = offers(server);
    assert.deepEqual(resource, {
      exposed: registry.aggregate.exposedUri(server, "x://1"),
      own: "x://1",
      title: null,
      description: null,
    });
    assert.notEqual(resource!.exposed, "x://1");
    assert.deepEqual(registry.aggregate.template(template!.exposed!), { server, uri: "x://{id}" });
  }
});

test("offersIn() counts tools as the list of all has them, and no others", () => {
  const ui = { _meta: { ui: { visibility: ["app"] } } };
  const registry = registryOf([
    serverOf("a", [ECHO, { ...SUM, ...ui }], {
      shape: { tools: { overrides: [{ match: "echo", description: "Says it again." }] } },
    }),
  ]);
  const { tools } = offersIn(registry, count)("a");
  assert.deepEqual(tools.map(({ exposed, tokens }) => [exposed, tokens]), [
    [
      "a_echo",
      '{"name":"a_echo","description":"Says it again.","input_schema":{}}'.length,
    ],
    [null, undefined],
  ]);
  // As the server describes it.
  assert.equal(tools[0]!.description, "says it");
});

test("offersIn() counts what clients send to models, under the exposed name", () => {
  const tool = (more: JsonObject = {}) => ({ ...ECHO, description: "Does what it says", ...more });
  const registry = registryOf([serverOf("s", [tool()])]);
  const [offered] = offersIn(registry, (raw) => toolTokens(JSON.parse(raw)))("s").tools;
  assert.equal(offered!.tokens, toolTokens({ ...tool(), name: "s_echo" }));
  assert.ok(offered!.tokens! > 10 && offered!.tokens! < 60, String(offered!.tokens));
  // What models do not get costs nothing.
  assert.equal(toolTokens(tool({ _meta: { a: "b".repeat(999) } })), toolTokens(tool()));
});
