import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { Clock } from "../../../src/lib/time.ts";
import { FakeClock } from "../../upstream/fakes/clock.ts";
import {
  answerWith,
  configOf,
  type Endpoint,
  idsOf,
  Search,
  SECRET,
  SERVERS,
  snapshot,
  tool,
  vectorsOf,
  withDirectory,
  withEndpoint,
} from "./support.ts";
import { entry, inventory } from "../../registry/builders.ts";

/** The texts that stand for the tools of {@link SERVERS}. */
const TEXTS = [
  "send. Sends a letter. bureau",
  "stamp. Buys stamps. bureau",
  "send. Sends a photo. studio",
  "shoot. Takes a photo. studio",
];

test("find() answers at once where no embeddings are configured", () => {
  const { finder } = new Search();
  const registry = snapshot();
  const found = finder.find(registry.gates.aggregate, registry, "letter", {});
  assert.ok(!(found instanceof Promise));
  assert.deepEqual([idsOf(found), found.more], [["bureau_send"], 0]);
  assert.deepEqual(found.tools.map(({ reason }) => reason), [undefined]);
});

test("find() narrows, and says how many more there are", async () => {
  const search = new Search();
  const registry = snapshot();
  const found = await search.find(registry, "send", { limit: 1 });
  assert.deepEqual([found.tools.length, found.more], [1, 1]);
  assert.deepEqual(await search.ids(registry, "send", { server: "studio" }), ["studio_send"]);
  assert.deepEqual(await search.ids(registry, "send", { tags: ["paper"] }), ["bureau_send"]);
});

test("find() also finds what is meant, once tools have vectors", async () => {
  await withEndpoint(async (endpoint) => {
    const search = new Search({ embeddings: configOf(endpoint.url) });
    const registry = snapshot();
    assert.deepEqual(await search.ids(registry, "rain mail"), []);
    await search.embedded(registry);
    assert.deepEqual(endpoint.texts.toSorted(), TEXTS.toSorted());
    const found = await search.find(registry, "correspondence");
    assert.equal(idsOf(found)[0], "bureau_send");
    assert.deepEqual([found.tools.length, found.more], [4, 0]);
    assert.deepEqual(endpoint.asked.at(-1)!.input, ["correspondence"]);
    await search.finder.close();
  });
});

test("find() narrows what is meant, too", async () => {
  await withEndpoint(async (endpoint) => {
    const search = new Search({ embeddings: configOf(endpoint.url) });
    const registry = snapshot();
    await search.embedded(registry);
    const of = (options: object) => search.ids(registry, "correspondence", options);
    assert.deepEqual((await of({ server: "studio" })).toSorted(), ["studio_send", "studio_shoot"]);
    assert.deepEqual(await of({ tags: ["paper"] }), ["bureau_send", "bureau_stamp"]);
    const { tools, more } = await search.find(registry, "correspondence", { limit: 1 });
    assert.deepEqual([tools.length, more], [1, 3]);
    await search.finder.close();
  });
});

test("find() leaves a tool that is named in front, whatever is meant", async () => {
  await withEndpoint(async (endpoint) => {
    const search = new Search({ embeddings: configOf(endpoint.url) });
    const registry = snapshot();
    await search.embedded(registry);
    const ids = await search.ids(registry, "bureau_stamp photo image picture");
    assert.equal(ids[0], "bureau_stamp");
    assert.equal(ids[1]!.startsWith("studio"), true);
    await search.finder.close();
  });
});

test("find() asks for the vector of a query once", async () => {
  await withEndpoint(async (endpoint) => {
    const search = new Search({ embeddings: configOf(endpoint.url) });
    const registry = snapshot();
    await search.embedded(registry);
    const before = endpoint.asked.length;
    const first = await search.ids(registry, " mail ");
    assert.ok(!(search.find(registry, "mail") instanceof Promise));
    assert.deepEqual(await search.ids(registry, "mail"), first);
    assert.equal(endpoint.asked.length, before + 1);
    // Nothing is sent of nothing.
    assert.ok(!(search.find(registry, "  ") instanceof Promise));
    assert.equal(endpoint.asked.length, before + 1);
    await search.finder.close();
  });
});

test("find() asks nothing as long as there is nothing to compare with", async () => {
  await withEndpoint(async (endpoint) => {
    const search = new Search({ embeddings: configOf(endpoint.url), clock: new FakeClock() });
    const registry = snapshot();
    assert.ok(!(search.find(registry, "letter") instanceof Promise));
    assert.equal(endpoint.asked.length, 0);
    await search.finder.close();
  });
});

test("find() does without an endpoint that is slow, and says so once", async () => {
  await withEndpoint(async (endpoint) => {
    const clock = new FakeClock();
    const search = new Search({ embeddings: configOf(endpoint.url, { timeout: 300 }), clock });
    const registry = snapshot();
    search.finder.prepare(registry);
    clock.tick(200);
    await search.lines.when("Embedded");
    const before = search.lines.all.length;
    const asked = endpoint.asked.length;
    const held: (() => void)[] = [];
    endpoint.misbehave = (response, { input }) =>
      held.push(() => answerWith(response, vectorsOf(input)));
    const slow = search.find(registry, "letter from mother");
    assert.ok(slow instanceof Promise);
    await endpoint.whenAsked(asked + 1);
    clock.tick(300);
    assert.deepEqual(idsOf(await slow), ["bureau_send"]);
    // Nobody waits any more, and nobody asks.
    for (const query of ["letter", "photo", "stamps"]) {
      assert.ok(!(search.find(registry, query) instanceof Promise));
    }
    assert.equal(endpoint.asked.length, asked + 1);
    assert.deepEqual(search.lines.all.slice(before), [
      `Search goes by words alone: m at ${new URL(endpoint.url).host} gave no answer within 300 ms`,
    ]);
    // Later one tries, and all is well again.
    clock.tick(2_000);
    assert.ok(!(search.find(registry, "picture") instanceof Promise));
    await endpoint.whenAsked(asked + 2);
    endpoint.misbehave = undefined;
    for (const answer of held) answer();
    await search.lines.when("again");
    assert.equal(search.lines.all.length, before + 2);
    assert.equal((await search.ids(registry, "picture"))[0]!.startsWith("studio"), true);
    await search.finder.close();
  });
});

test("find() does without an endpoint that is broken, whatever it says", async () => {
  await withEndpoint(async (endpoint) => {
    const registry = snapshot();
    const answers: readonly (readonly [object | string, number])[] = [
      ["<html>", 200],
      [`{"error":{"message":"${SECRET} has no credit"}}`, 429],
      [{ data: [{ index: 0, embedding: [1, 2, 3, 4, 5] }] }, 200],
      ['{"data":[{"index":0,"embedding":[1,2,null,4]}]}', 200],
      [{ data: [] }, 200],
    ];
    for (const [body, status] of answers) {
      const search = new Search({ embeddings: configOf(endpoint.url) });
      await search.embedded(registry);
      const before = search.lines.all.length;
      endpoint.misbehave = (response) => answerWith(response, body, status);
      assert.deepEqual(await search.ids(registry, "letter"), ["bureau_send"]);
      endpoint.misbehave = undefined;
      assert.equal(search.lines.all.length, before + 1);
      assert.match(search.lines.all.at(-1)!, /^Search goes by words alone/);
      assert.ok(!search.lines.all.join("\n").includes(SECRET));
      await search.finder.close();
    }
  });
});

test("find() goes on when the endpoint dies, and fills in what is missing when it is back", async () => {
  const clock = new FakeClock();
  await withEndpoint(async (endpoint) => {
    endpoint.misbehave = (response) => answerWith(response, "", 503);
    const search = new Search({ embeddings: configOf(endpoint.url), clock });
    const registry = snapshot();
    search.finder.prepare(registry);
    clock.tick(200);
    await search.lines.when("HTTP status 503");
    assert.deepEqual(await search.ids(registry, "letter"), ["bureau_send"]);
    endpoint.misbehave = undefined;
    const embedded = search.lines.when("Embedded");
    await clock.flowUntil(embedded);
    assert.match(search.lines.all[1]!, /again$/);
    assert.equal((await search.ids(registry, "mail"))[0], "bureau_send");
    await search.finder.close();
    assert.equal(clock.armed, 0);
  });
});

test("a tool that says something else gets another vector, and only that one", async () => {
  await withEndpoint(async (endpoint) => {
    const search = new Search({ embeddings: configOf(endpoint.url) });
    const before = snapshot();
    await search.embedded(before);
    const asked = endpoint.asked.length;
    const changed = entry(
      "studio",
      inventory({
        tools: { items: [tool("shoot", "Sends an invoice."), tool("send", "Sends a photo.")] },
      }),
    );
    search.finder.prepare(snapshot([SERVERS[0]!, changed], {}, before));
    await endpoint.whenAsked(asked + 1);
    assert.deepEqual(endpoint.asked.at(-1)!.input, ["shoot. Sends an invoice. studio"]);
    await search.finder.close();
  });
});

test("vectors are kept for the next run", async () => {
  await withEndpoint(async (endpoint, directory) => {
    const first = new Search({ embeddings: configOf(endpoint.url), directory });
    const registry = snapshot();
    await first.embedded(registry);
    await first.finder.close();
    const [file] = await readdir(join(directory, "vectors"));
    assert.match(file!, /^m-[0-9a-f]{16}\.vectors$/);
    const content = await readFile(join(directory, "vectors", file!), "latin1");
    assert.ok(!content.includes(SECRET) && !content.includes("letter"));

    const asked = endpoint.asked.length;
    const next = new Search({ embeddings: configOf(endpoint.url), directory });
    await warm(next, endpoint, asked);
    assert.deepEqual(endpoint.texts.slice(TEXTS.length), ["mail"]);
    await next.finder.close();

    const other = new Search({ embeddings: configOf(endpoint.url, { model: "n" }), directory });
    await other.embedded(registry);
    await other.finder.close();
    assert.equal((await readdir(join(directory, "vectors"))).length, 2);
  });
});

/** Searches until the vectors of the last run are there. */
async function warm(search: Search, endpoint: Endpoint, asked: number): Promise<void> {
  const registry = snapshot();
  while (endpoint.asked.length === asked) {
    search.find(registry, "mail");
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal((await search.ids(registry, "mail"))[0], "bureau_send");
}

test("a damaged file of vectors is named in one line, and everything is asked for anew", async () => {
  await withEndpoint(async (endpoint, directory) => {
    const first = new Search({ embeddings: configOf(endpoint.url), directory });
    await first.embedded(snapshot());
    await first.finder.close();
    const [name] = await readdir(join(directory, "vectors"));
    const file = join(directory, "vectors", name!);
    const whole = await readFile(file);
    await writeFile(file, whole.subarray(0, whole.length - 5));
    const next = new Search({ embeddings: configOf(endpoint.url), directory });
    await next.embedded(snapshot());
    assert.deepEqual(next.lines.all, [
      `Cannot use the kept vectors in ${file}: found damaged or incomplete content; asking for ` +
      "them anew",
      "Embedded 4 tools with m",
    ]);
    await next.finder.close();
    assert.deepEqual(await readFile(file), whole);
  });
});

test("a model that has changed behind its name is noticed by the size of its vectors", async () => {
  await withEndpoint(async (endpoint, directory) => {
    const first = new Search({ embeddings: configOf(endpoint.url), directory });
    await first.embedded(snapshot());
    await first.finder.close();
    endpoint.misbehave = (response, { input }) =>
      answerWith(response, {
        data: input.map((_text, index) => ({ index, embedding: [1, 0] })),
      });
    const next = new Search({ embeddings: configOf(endpoint.url), directory });
    const asked = endpoint.asked.length;
    next.finder.prepare(snapshot());
    const registry = snapshot();
    while (endpoint.asked.length === asked) {
      next.find(registry, "mail");
      await new Promise((resolve) => setImmediate(resolve));
    }
    await next.lines.when("Embedded 4 tools");
    await next.finder.close();
  });
});

test("a reload takes effect with the next search: another key, another model, none", async () => {
  await withEndpoint(async (endpoint) => {
    const search = new Search({ embeddings: configOf(endpoint.url) });
    const registry = snapshot();
    await search.embedded(registry);
    search.embeddings = configOf(endpoint.url, { apiKey: "other" });
    const asked = endpoint.asked.length;
    // Its vectors are not there yet; they come by themselves.
    assert.ok(!(search.find(registry, "mail") instanceof Promise));
    await endpoint.whenAsked(asked + 1);
    assert.equal(endpoint.asked.at(-1)!.headers.authorization, "Bearer other");
    search.embeddings = undefined;
    assert.deepEqual(await search.ids(registry, "letter"), ["bureau_send"]);
    const after = endpoint.asked.length;
    search.finder.prepare(snapshot());
    assert.deepEqual(await search.ids(registry, "mail"), []);
    await search.finder.close();
    assert.equal(endpoint.asked.length, after);
  });
});

test("a reload takes effect on what is asked in the background at once", async () => {
  await withEndpoint(async (endpoint) => {
    const clock = new FakeClock();
    const search = new Search({ embeddings: configOf(endpoint.url), clock });
    const many = Array.from({ length: 100 }, (_, index) => tool(`t${index}`, `Does ${index}.`));
    const servers = [entry("many", inventory({ tools: { items: many } }))];
    const answers: (() => void)[] = [];
    endpoint.misbehave = (response, { input }) =>
      answers.push(() => answerWith(response, vectorsOf(input)));
    search.finder.prepare(snapshot(servers));
    for (let turn = 0; turn < 50 && endpoint.asked.length === 0; turn++) {
      clock.tick(200);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await endpoint.whenAsked(1);
    search.embeddings = undefined;
    search.finder.prepare(snapshot(servers));
    for (const answer of answers.splice(0)) answer();
    for (let turn = 0; turn < 200; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    await search.finder.close();
    assert.equal(endpoint.asked.length, 1);
    assert.deepEqual(search.lines.all, []);
  });
});

test("a reload in the middle of a preparation is not taken back by its end", async () => {
  await withEndpoint(async (endpoint) => {
    const clock = new FakeClock();
    let looks = 0;
    // Every look at it takes 5 ms: one step a turn.
    const slow: Clock = {
      now: () => 5 * looks++,
      after: (ms, callback) => clock.after(ms, callback),
    };
    const search = new Search({ embeddings: configOf(endpoint.url), clock: slow });
    const registry = snapshot();
    search.finder.prepare(registry);
    clock.after(200, () => search.embeddings = undefined);
    clock.tick(200);
    assert.equal(search.embeddings, undefined);
    for (let turn = 0; turn < 200; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    await search.finder.close();
    assert.equal(endpoint.asked.length, 0);
  });
});

test("close() ends a request that is under way, and nothing is asked after it", async () => {
  await withEndpoint(async (endpoint) => {
    const clock = new FakeClock();
    const search = new Search({ embeddings: configOf(endpoint.url), clock });
    endpoint.misbehave = () => {};
    const registry = snapshot();
    search.finder.prepare(registry);
    clock.tick(200);
    await endpoint.whenAsked(1);
    await search.finder.close();
    assert.equal(clock.armed, 0);
    search.finder.prepare(registry);
    assert.deepEqual(await search.ids(registry, "letter"), ["bureau_send"]);
    clock.tick(60_000);
    assert.equal(endpoint.asked.length, 1);
    assert.equal(clock.armed, 0);
  });
});

test("use raises a tool a little, and the hit says why", async () => {
  await withDirectory(async (directory) => {
    const search = new Search({ directory });
    const registry = snapshot(SERVERS, { usageRanking: true });
    const route = (id: string) => registry.aggregate.tool(id)!;
    const twins = async () => {
      const { tools } = await search.find(registry, "please sends");
      return tools.map(({ document, reason }) => [document.id, reason]);
    };
    assert.deepEqual(await twins(), [["bureau_send", undefined], ["studio_send", undefined]]);
    for (let time = 0; time < 12; time++) search.finder.called(route("studio_send"));
    assert.deepEqual(await twins(), [["studio_send", "used 12 times lately"], [
      "bureau_send",
      undefined,
    ]]);
    // Who writes a name means it.
    const named = await search.find(registry, "bureau_send");
    assert.deepEqual([named.tools[0]!.document.id, named.tools[0]!.reason], [
      "bureau_send",
      undefined,
    ]);
    // Other gates have their own mind.
    const without = snapshot(SERVERS);
    assert.deepEqual(await search.ids(without, "please sends"), ["bureau_send", "studio_send"]);
    await search.finder.close();

    const next = new Search({ directory });
    next.finder.prepare(registry);
    let [first] = (await next.find(registry, "please sends")).tools;
    while (first?.reason === undefined) {
      await new Promise((resolve) => setImmediate(resolve));
      [first] = (await next.find(registry, "please sends")).tools;
    }
    assert.deepEqual([first.document.id, first.reason], ["studio_send", "used 12 times lately"]);
    await next.finder.close();
  });
});
