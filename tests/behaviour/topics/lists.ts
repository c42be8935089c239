import assert from "node:assert/strict";
import { HttpClient } from "../../support/clients/http.ts";
import { resultOf } from "../../support/clients/message.ts";
import { ModernClient } from "../../support/clients/modern.ts";
import { startHttpFake } from "../../support/fakes/http-server.ts";
import { itemText, type Kind } from "../../support/fakes/items.mjs";
import { BEHAVIOURS } from "../../support/fakes/tools.mjs";
import { callText, everyClient, listKeys, LISTS, listTexts } from "../helpers.ts";
import { startOddWorld } from "../odd-world.ts";
import type { Suite } from "../suite.ts";
import { SPECS } from "../world.ts";

const BUILT_IN = [...BEHAVIOURS.keys()];
const NAME = /^[A-Za-z0-9_-]{1,48}$/;

/** What the four lists hold, and how names come about. */
export function lists({ verifies }: Suite): void {
  verifies("lists.tools", async ({ world, scope }) => {
    const { gateway } = await world();
    const all = ["alpha", "beta", "modern", "web", "old"].flatMap((server) =>
      BUILT_IN.map((name) => `${server}_${name}`)
    );
    const paged = Array.from({ length: 25 }, (_, i) => `paged_tool_${String(i).padStart(4, "0")}`);
    for (const [front, client] of await everyClient(gateway, scope)) {
      const names = await listKeys(client, "tools");
      assert.deepEqual(names.toSorted(), [...all, ...paged].toSorted(), front);
    }
  });

  verifies("lists.prompts", async ({ world, scope }) => {
    const { gateway } = await world();
    for (const [front, client] of await everyClient(gateway, scope)) {
      const names = (await listKeys(client, "prompts")).toSorted();
      assert.deepEqual(names, ["alpha_greet", "beta_greet", "modern_greet", "web_greet"], front);
    }
  });

  verifies("lists.resources", async ({ world, scope }) => {
    const { gateway } = await world();
    for (const [front, client] of await everyClient(gateway, scope)) {
      const uris = (await listKeys(client, "resources")).toSorted();
      assert.deepEqual(
        uris.filter((uri) => uri.startsWith("fake://")),
        ["alpha", "modern", "old", "web"].map((name) => `fake://${name}-itself/one`),
        front,
      );
    }
  });

  verifies("lists.templates", async ({ world, scope }) => {
    const { gateway } = await world();
    for (const [front, client] of await everyClient(gateway, scope)) {
      const templates = (await listKeys(client, "templates")).toSorted();
      const expected = ["fake://alpha-itself/item/{id}", "fake://modern-itself/item/{id}"];
      assert.deepEqual(templates, expected, front);
    }
  });

  verifies("raw.items", async ({ world }) => {
    const { gateway } = await world();
    const client = await HttpClient.connect(gateway.url);
    const kinds: readonly [Kind, string, string][] = [
      ["tools", "echo", "alpha_echo"],
      ["prompts", "greet", "alpha_greet"],
      ["resources", "fake://alpha-itself/one", "fake://alpha-itself/one"],
      ["templates", "fake://alpha-itself/item/{id}", "fake://alpha-itself/item/{id}"],
    ];
    for (const [kind, own, exposed] of kinds) {
      const expected = itemText(kind, own).replace(JSON.stringify(own), JSON.stringify(exposed));
      const texts = await listTexts(client, kind);
      const found = texts.find((text) => JSON.parse(text)[LISTS[kind].key] === exposed);
      assert.equal(found, expected);
    }
  });

  verifies("one.legacy", async ({ world }) => {
    const { gateway } = await world();
    const client = await HttpClient.connect(gateway.serverUrl("alpha"));
    const wanted: readonly [Kind, readonly string[]][] = [
      ["tools", BUILT_IN],
      ["prompts", SPECS.alpha.prompts],
      ["resources", ["fake://alpha-itself/one", "shared://thing"]],
      ["templates", ["fake://alpha-itself/item/{id}"]],
    ];
    for (const [kind, keys] of wanted) {
      assert.deepEqual(await listTexts(client, kind), keys.map((key) => itemText(kind, key)));
    }
    assert.equal(await callText(client, "echo", { a: 1 }), '{"a":1}');
  });

  verifies("one.modern", async ({ world }) => {
    const { gateway } = await world();
    const client = new ModernClient(gateway.serverUrl("modern"));
    const texts = await listTexts(client, "tools");
    assert.deepEqual(texts, BUILT_IN.map((name) => itemText("tools", name)));
    assert.deepEqual(await listTexts(client, "resources"), [
      itemText("resources", "fake://modern-itself/one"),
    ]);
    assert.equal(await callText(client, "echo", { a: 1 }), '{"a":1}');
  });

  verifies("one.unknown", async ({ world }) => {
    const { gateway } = await world();
    const client = new HttpClient(gateway.serverUrl("nobody"));
    for (const answer of [await client.post("{}"), await client.listen(), await client.delete()]) {
      assert.equal(answer.status, 404);
      assert.equal(typeof JSON.parse(answer.text), "object");
    }
  });

  verifies("names.conflict", async ({ world }) => {
    const { gateway } = await world();
    const client = await HttpClient.connect(gateway.url);
    const alpha = (await gateway.status()).servers.find(({ name }) => name === "alpha");
    const pids = [await callText(client, "alpha_pid"), await callText(client, "beta_pid")];
    assert.equal(pids[0], String(alpha?.pid));
    assert.notEqual(pids[0], pids[1]);
  });

  verifies("names.shared-uri", async ({ world }) => {
    const { gateway } = await world();
    const client = await HttpClient.connect(gateway.url);
    const shared = (await listKeys(client, "resources")).filter((uri) => uri.includes("shared"));
    assert.deepEqual(shared.toSorted(), ["alpha+shared://thing", "beta+shared://thing"]);
    for (const uri of shared) {
      const read = resultOf(await client.request("resources/read", { uri })).json;
      assert.deepEqual([read.contents[0].uri, read.contents[0].text], [
        uri,
        "content of shared://thing",
      ]);
    }
  });

  verifies("names.short", async ({ start, configured, scope }) => {
    const long = "a_very_long_tool_name_that_goes_on_and_on_and_on_and_on_for_ever_and_ever";
    const tools = [
      `${long}_1`,
      `${long}_2`,
      "with.dots:and/slashes",
      "with_dots_and_slashes",
      "ünï 🎉",
    ];
    const spaced = scope.use(await startHttpFake({ tools }));
    const other = scope.use(await startHttpFake({ tools: ["echo"] }));
    const config = {
      mcpServers: {
        "a server with spaces": { url: spaced.url },
        [`${long}-server`]: { url: other.url },
      },
    };
    const gateway = await configured(config);
    await gateway.ready();
    const client = await HttpClient.connect(gateway.url);
    const names = await listKeys(client, "tools");
    assert.equal(new Set(names).size, tools.length + 1);
    for (const name of names) {
      assert.match(name, NAME);
      assert.equal(await callText(client, name, { for: name }), JSON.stringify({ for: name }));
    }
    const again = await start(config);
    await again.ready();
    assert.deepEqual(await listKeys(await HttpClient.connect(again.url), "tools"), names);
  });

  verifies("names.duplicate", async ({ shared }) => {
    const { gateway } = await shared(startOddWorld);
    const client = await HttpClient.connect(gateway.url);
    const names = (await listKeys(client, "tools")).filter((name) => name.startsWith("twins_"));
    assert.deepEqual(names, ["twins_echo", "twins_twin", "twins_pid"]);
  });

  verifies("names.original", async ({ shared }) => {
    const { gateway } = await shared(startOddWorld);
    const client = await HttpClient.connect(gateway.url);
    assert.equal(await callText(client, "solo", { a: 1 }), '{"a":1}');
    assert.match(await callText(client, "raw", { a: 1 }), /"method":"tools\/call"/);
    const ambiguous = await client.request("tools/call", { name: "both", arguments: {} });
    assert.ok(ambiguous.json.error !== undefined || ambiguous.json.result.isError === true);
  });

  verifies("names.never", async ({ configured, scope }) => {
    const one = scope.use(await startHttpFake({ tools: ["echo"] }));
    const two = scope.use(await startHttpFake({ tools: ["pid"] }));
    const config = {
      prefix: "never",
      mcpServers: {
        one: { url: one.url },
        two: { url: two.url },
      },
    };
    const gateway = await configured(config);
    await gateway.ready();
    const client = await HttpClient.connect(gateway.url);
    assert.deepEqual((await listKeys(client, "tools")).toSorted(), ["echo", "pid"]);
    assert.equal(await callText(client, "echo", { b: 2 }), '{"b":2}');
  });

  verifies("registry.pages", async ({ world }) => {
    const { gateway } = await world();
    const client = await HttpClient.connect(gateway.serverUrl("paged"));
    assert.equal((await listKeys(client, "tools")).length, 25);
  });

  verifies("registry.loop", async ({ shared }) => {
    const { gateway } = await shared(startOddWorld);
    const client = await HttpClient.connect(gateway.url);
    assert.ok((await listKeys(client, "tools")).includes("good_echo"));
    await gateway.waitForLog(/loop.*(cursor|page)|(cursor|page).*loop/i);
  });

  verifies("registry.order", async ({ configured, scope }) => {
    const names = ["zeta", "alpha", "mid"];
    const orders: string[][] = [];
    for (const late of ["zeta", "mid"]) {
      const { promise: after, resolve } = Promise.withResolvers<void>();
      const mcpServers: Record<string, { url: string }> = {};
      for (const name of names) {
        const fake = scope.use(await startHttpFake({ tools: ["pid", "echo"] }));
        if (name === late) fake.fault = () => ({ after });
        mcpServers[name] = { url: fake.url };
      }
      const gateway = await configured({ mcpServers });
      for (const name of names.filter((name) => name !== late)) {
        await gateway.waitForServer(name, ({ state }) => state === "ready");
      }
      resolve();
      await gateway.ready();
      orders.push(await listKeys(await HttpClient.connect(gateway.url), "tools"));
    }
    assert.deepEqual(orders[0], orders[1]);
    assert.equal(orders[0]!.length, 6);
  });
  verifies("registry.cached", async ({ world, scope }) => {
    const { gateway } = await world();
    const counter = await HttpClient.connect(gateway.url);
    const counts = async () => {
      const all = await Promise.all(
        ["alpha", "modern", "web", "old"].map((name) => callText(counter, `${name}_counts`)),
      );
      return all.map((text) => {
        const { "tools/call": _calls, ping: _pings, ...rest } = JSON.parse(text);
        return rest;
      });
    };
    const before = await counts();
    for (const [, client] of await everyClient(gateway, scope)) {
      for (const kind of ["tools", "prompts", "resources", "templates"] as const) {
        await listKeys(client, kind);
      }
    }
    assert.deepEqual(await counts(), before);
  });
}
