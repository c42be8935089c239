/** Search waits for somebody who searches, and is let go when nobody does any more. */

import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import { test } from "node:test";
import type { ProfileConfig } from "../../../src/config/types.ts";
import { KEPT_FOR } from "../../../src/gating/finder.ts";
import { buildSnapshot, type Gate, type Snapshot } from "../../../src/gating/gate.ts";
import { knownIndex, prepareIndex } from "../../../src/gating/words/search.ts";
import type { View } from "../../../src/registry/types.ts";
import { entry, inventory } from "../../registry/builders.ts";
import { FakeClock } from "../../upstream/fakes/clock.ts";
import {
  configOf,
  GATING,
  idsOf,
  Search,
  SERVERS,
  snapshot,
  tool,
  vectorsOf,
  withDirectory,
  withEndpoint,
} from "./support.ts";

/** Servers with 4 000 tools each, and profiles of them. */
function profiled(servers: readonly string[], profiles: readonly ProfileConfig[]) {
  const items = Array.from({ length: 4_000 }, (_, index) => tool(`t${index}`, "Does it."));
  return buildSnapshot({
    version: 1,
    servers: servers.map((name) => entry(name, inventory({ tools: { items } }))),
    gating: GATING,
    profiles,
  });
}

test("of gates that nobody searched nothing is indexed; whoever searches keeps the index", async () => {
  const clock = new FakeClock();
  const search = new Search({ clock });
  const profiles = Array.from({ length: 4 }, (_, index) => ({
    name: `p${index}`,
    tools: { exclude: [`t${index}`] },
  }));
  const registry = profiled(["many"], profiles);
  const prepared = ({ aggregate, profiles, entries }: Snapshot) =>
    [aggregate, ...profiles.values()].map((view) =>
      prepareIndex(view, entries, search.tags).next().done
    );
  search.finder.prepare(registry);
  clock.tick(1_000);
  assert.equal(clock.armed, 0);
  assert.deepEqual(prepared(registry), [false, false, false, false, false]);
  // Whoever searches gets it, and keeps it.
  const last = registry.gates.profiles.get("p3")!;
  await search.finder.find(last, registry, "t7", {});
  assert.deepEqual(prepared(registry), [false, false, false, false, true]);
  const items = Array.from({ length: 3_999 }, (_, index) => tool(`t${index}`, "Does it."));
  const next = buildSnapshot({
    version: 2,
    servers: [entry("many", inventory({ tools: { items } }))],
    gating: GATING,
    profiles,
  }, registry);
  search.finder.prepare(next);
  clock.tick(1_000);
  assert.deepEqual(prepared(next), [false, false, false, false, true]);
});

test("of gates that nobody searched only so many tools are embedded", async () => {
  const servers = ["a", "b", "c"];
  const registry = profiled(servers, servers.map((name) => ({ name, servers: [name] })));
  const texts: string[] = [];
  const fetch = (_url: unknown, { body }: { body: string }) => {
    const { input } = JSON.parse(body);
    texts.push(...input);
    return Promise.resolve(Response.json(vectorsOf(input)));
  };
  const search = new Search({
    embeddings: configOf("http://127.0.0.1:1/v1"),
    fetch: fetch as never,
  });
  await search.embedded(registry);
  await search.finder.close();
  const ends = texts.map((text) => text.slice(-1));
  assert.deepEqual(servers.map((name) => ends.filter((end) => end === name).length), [
    4_000,
    4_000,
    0,
  ]);
});

test("what only searches need is let go ten minutes after the last, and comes back with the next", async () => {
  const clock = new FakeClock();
  const search = new Search({ clock });
  const registry = snapshot();
  const { aggregate, entries } = registry;
  const hits = await search.find(registry, "letter");
  const index = await search.finder.index(aggregate, registry);
  const text = index.documents[0]!.text;
  clock.tick(KEPT_FOR - 1);
  assert.deepEqual(await search.find(registry, "letter"), hits);
  clock.tick(KEPT_FOR - 1);
  assert.equal(knownIndex(aggregate, entries, search.tags), index);
  clock.tick(1);
  assert.equal(clock.armed, 0);
  assert.equal(knownIndex(aggregate, entries, search.tags), undefined);
  // Nor is one built for the next snapshot, as for views that are searched.
  search.finder.prepare(snapshot(SERVERS, { maxTools: 1 }, registry));
  clock.tick(1_000);
  assert.equal(clock.armed, 0);
  assert.equal(knownIndex(aggregate, entries, search.tags), undefined);
  assert.deepEqual(await search.find(registry, "letter"), hits);
  // An unknown name is searched as well.
  const next = await search.finder.index(aggregate, registry);
  assert.deepEqual(next.documents[0]!.text, text);
  assert.notEqual(next.documents[0]!.text, text);
  clock.tick(KEPT_FOR);
  assert.equal(knownIndex(aggregate, entries, search.tags), undefined);
  assert.equal(clock.armed, 0);
  await search.finder.close();
});

test("vectors that are on disk are let go, too; the next search waits until they are read", async () => {
  await withEndpoint(async (endpoint, directory) => {
    const embeddings = configOf(endpoint.url);
    const registry = snapshot();
    const first = new Search({ embeddings, directory });
    await first.embedded(registry);
    await first.finder.close();
    const clock = new FakeClock();
    const search = new Search({ embeddings, directory, clock });
    const embedded = endpoint.texts.length;
    for (let time = 1; time <= 3; time++) {
      search.finder.prepare(registry);
      clock.tick(200);
      assert.equal((await search.ids(registry, "mail"))[0], "bureau_send");
      assert.ok(!(search.find(registry, "mail") instanceof Promise));
      // What queries mean is remembered with the tools.
      assert.deepEqual(endpoint.texts.slice(embedded), Array(time).fill("mail"));
      clock.tick(KEPT_FOR);
      assert.equal(clock.armed, 0);
    }
    await search.finder.close();
  });
});

test("vectors that are nowhere else stay", async () => {
  await withEndpoint(async (endpoint, directory) => {
    await writeFile(directory, "no directory");
    for (const where of [undefined, directory]) {
      const clock = new FakeClock();
      const search = new Search({ embeddings: configOf(endpoint.url), directory: where, clock });
      const registry = snapshot();
      search.finder.prepare(registry);
      clock.tick(200);
      await search.lines.when("Embedded");
      if (where !== undefined) await search.lines.when("Cannot keep vectors");
      const hits = await search.ids(registry, "mail");
      assert.equal(hits[0], "bureau_send");
      clock.tick(KEPT_FOR);
      const again = search.find(registry, "mail");
      assert.ok(!(again instanceof Promise));
      assert.deepEqual(idsOf(again), hits);
      await search.finder.close();
      assert.equal(clock.armed, 0);
    }
  });
});

/** A snapshot in which somebody hears whenever names of a view are asked for: once for an index. */
function watched({ entries, gates }: Snapshot, onNames: (gate: Gate) => void): Snapshot {
  const watch = (gate: Gate): Gate => {
    const { full } = gate;
    const names: View["names"] = (kind) => {
      onNames(gate);
      return full.names(kind);
    };
    const { id, counts } = full;
    const tool: View["tool"] = (name) => full.tool(name);
    return { ...gate, full: { id, counts, names, tool } as View };
  };
  const profiles = new Map(Array.from(gates.profiles, ([name, gate]) => [name, watch(gate)]));
  return { entries, gates: { aggregate: watch(gates.aggregate), profiles } } as never;
}

test("an index that a search and the preparer need at the same time is built once", async () => {
  for (const embeddings of [undefined, configOf("http://127.0.0.1:1/v1")]) {
    const clock = new FakeClock();
    const search = new Search({
      clock,
      fetch: answering(() => 200),
      ...(embeddings === undefined ? {} : { embeddings }),
    });
    let built = 0;
    const registry = watched(profiled(["many"], []), () => built++);
    const found = search.find(registry, "t7");
    assert.ok(found instanceof Promise);
    // The preparer is done before the search is.
    clock.tick(1_000);
    assert.equal(idsOf(await found)[0], "many_t7");
    assert.equal(built, 1);
    await search.finder.close();
  }
});

test("what was prepared is let go even where the rest could not be", async () => {
  const clock = new FakeClock();
  const embeddings = configOf("http://127.0.0.1:1/v1");
  const search = new Search({ clock, fetch: answering(() => 503), embeddings });
  const registry = watched(profiled(["few"], [{ name: "p" }]), ({ full }) => {
    if (full.id !== registry.gates.aggregate.full.id) throw new Error("broken");
  });
  const { entries, gates: { aggregate } } = registry;
  search.finder.prepare(registry);
  clock.tick(200);
  assert.deepEqual(search.lines.all, ["Preparing the search failed"]);
  assert.notEqual(knownIndex(aggregate.full, entries, search.tags), undefined);
  clock.tick(KEPT_FOR);
  assert.equal(knownIndex(aggregate.full, entries, search.tags), undefined);
  await search.finder.close();
});

test("vectors that could not be let go when it was time are let go later", async () => {
  await withDirectory(async (directory) => {
    const embeddings = configOf("http://127.0.0.1:1/v1");
    const first = new Search({ embeddings, directory, fetch: answering(() => 200) });
    await first.embedded(snapshot());
    await first.finder.close();
    const clock = new FakeClock();
    let status = 503;
    const fetch = answering((input) => input.join().includes("Does it.") ? status : 200);
    const search = new Search({ embeddings, directory, clock, fetch });
    const more = entry("more", inventory({ tools: { items: [tool("x", "Does it.")] } }));
    const registry = snapshot([...SERVERS, more]);
    await search.find(registry, "mail");
    clock.tick(200);
    await search.lines.when("503");
    // It is still after the vector of one tool.
    clock.tick(KEPT_FOR);
    // Until the tool is given up.
    status = 400;
    while (clock.armed > 0) {
      clock.tick(KEPT_FOR);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(search.find(registry, "mail") instanceof Promise);
    await search.finder.close();
  });
});

test("vectors that another gateway has replaced on disk meanwhile are asked for again", async () => {
  await withDirectory(async (directory) => {
    const embeddings = configOf("http://127.0.0.1:1/v1");
    const registry = snapshot();
    const first = new Search({ embeddings, directory, fetch: answering(() => 200) });
    await first.embedded(registry);
    await first.finder.close();
    const clock = new FakeClock();
    const search = new Search({ embeddings, directory, clock, fetch: answering(() => 200) });
    assert.equal((await search.ids(registry, "mail"))[0], "bureau_send");
    clock.tick(200);
    await rm(directory, { recursive: true });
    const others = [entry("more", inventory({ tools: { items: [tool("x", "Does it.")] } }))];
    const other = new Search({ embeddings, directory, fetch: answering(() => 200) });
    await other.embedded(snapshot(others));
    await other.finder.close();
    clock.tick(KEPT_FOR);
    assert.equal(clock.armed, 0);
    assert.deepEqual(await search.ids(registry, "mail"), []);
    clock.tick(200);
    await search.lines.when("Embedded 4 tools");
    assert.equal((await search.ids(registry, "mail"))[0], "bureau_send");
    await search.finder.close();
  });
});

/** What answers with vectors, or with another status. */
function answering(statusOf: (input: readonly string[]) => number): typeof globalThis.fetch {
  const answer = (_url: unknown, { body }: { body: string }) => {
    const { input } = JSON.parse(body);
    return Promise.resolve(Response.json(vectorsOf(input), { status: statusOf(input) }));
  };
  return answer as never;
}
