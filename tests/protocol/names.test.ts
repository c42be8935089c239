import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  exposedName,
  exposedNames,
  MAX_EXPOSED_NAME,
  type NameSource,
} from "../../src/protocol/names.ts";

const source = (server: string, name: string, rest: Partial<NameSource> = {}): NameSource => ({
  server,
  name,
  prefix: "always",
  separator: "_",
  ...rest,
});

// Clients keep these in their permissions and prompts: changing one is a breaking change.
test("exposedName() spells are pinned", () => {
  const long = "list_all_of_the_repositories_of_an_organisation";
  const pins: [NameSource, string][] = [
    [source("memory", "read_graph"), "memory_read_graph"],
    [source("memory", "read_graph", { separator: "__" }), "memory__read_graph"],
    [source("memory", "read_graph", { prefix: "never" }), "read_graph"],
    [source("memory", "read_graph", { prefix: "conflict" }), "read_graph"],
    [source("my server", "get.time/now"), "my_server_get_time_now"],
    [source("e", "🎉"), "e__"],
    [source("e", ""), "e_"],
    [source("e", "", { prefix: "never" }), "_"],
    [source("github", long), "github_list_all_of_the_repositories_of__uahga4on"],
    [
      source("a-server-with-a-very-long-name-indeed", "run"),
      "a-server-with-a-very-long-name-indeed_run",
    ],
    [
      source("a-server-with-a-very-long-name-indeed", "search_documents"),
      "a-server-with-a-very-l_search_documents_y735mu2s",
    ],
  ];
  for (const [from, expected] of pins) {
    assert.equal(exposedName(from), expected);
    assert.ok(expected.length <= MAX_EXPOSED_NAME);
  }
});

test("exposedName() prefixes a shared name only with prefix conflict", () => {
  const shared = (prefix: NameSource["prefix"]) =>
    exposedName({ ...source("a", "x", { prefix }), shared: true });
  assert.equal(shared("conflict"), "a_x");
  assert.equal(shared("never"), "x");
  assert.equal(shared("always"), "a_x");
});

test("exposedName() tries further spellings while one is taken", () => {
  const tried: string[] = [];
  const name = exposedName({
    ...source("a", "x"),
    taken: (candidate) => tried.push(candidate) < 4,
  });
  assert.equal(name, tried[3]);
  assert.equal(tried[0], "a_x");
  assert.equal(new Set(tried).size, 4);
  for (const candidate of tried.slice(1)) assert.match(candidate, /^a_x_[a-z2-7]{8}$/);
});

test("exposedNames() gives a suffix to every party of a collision", () => {
  const { names, collisions } = exposedNames([
    source("a_b", "c"),
    source("a", "b_c"),
    source("a", "d"),
  ]);
  assert.match(names[0]!, /^a_b_c_[a-z2-7]{8}$/);
  assert.match(names[1]!, /^a_b_c_[a-z2-7]{8}$/);
  assert.notEqual(names[0], names[1]);
  assert.equal(names[2], "a_d");
  assert.deepEqual(collisions, [{ wanted: "a_b_c", remedy: "suffixed", members: [0, 1] }]);
});

test("exposedNames() prefixes the parties of a conflict and nobody else", () => {
  const conflict = { prefix: "conflict" } as const;
  const { names, collisions } = exposedNames([
    source("a", "x", conflict),
    source("b", "x", conflict),
    source("c", "x", { prefix: "never" }),
    source("b", "y", conflict),
    // Two of one server are no conflict between servers: its name would not tell them apart.
    source("a", "p.q", conflict),
    source("a", "p_q", conflict),
  ]);
  assert.deepEqual(names.slice(0, 4), ["a_x", "b_x", "x", "y"]);
  assert.match(names[4]!, /^p_q_[a-z2-7]{8}$/);
  assert.match(names[5]!, /^p_q_[a-z2-7]{8}$/);
  assert.deepEqual(collisions, [
    { wanted: "x", remedy: "prefixed", members: [0, 1, 2] },
    { wanted: "p_q", remedy: "suffixed", members: [4, 5] },
  ]);
});

test("exposedNames() gives reserved names to nobody", () => {
  const { names } = exposedNames([source("discover", "tools")], {
    reserved: new Set(["discover_tools"]),
  });
  assert.match(names[0]!, /^discover_tools_[a-z2-7]{8}$/);
});

test("exposedNames() survives a name that imitates another one's suffix", () => {
  const pair = [source("s", "b.c"), source("s", "b_c")];
  const [first] = exposedNames(pair).names;
  const { names } = exposedNames([...pair, source("s", first!.slice("s_".length))]);
  assert.equal(new Set(names).size, 3);
  assert.equal(names[2], first);
});

test("exposedNames() gives one name to a source that is there twice", () => {
  assert.deepEqual(exposedNames([source("a", "x"), source("a", "x")]).names, ["a_x", "a_x"]);
});

// Few and similar parts, so that collisions are the rule.
const part = fc.oneof(
  fc.constantFrom("a", "a_b", "b", "b_a", "a.b", "a-b", "", "__proto__", "toString", "🎉", "é"),
  fc.string({ unit: "binary", maxLength: 8 }),
  fc.string({ unit: fc.constantFrom("x", "_", "."), minLength: 38, maxLength: 60 }),
);
const servers = fc.uniqueArray(
  fc.record({
    server: part,
    prefix: fc.constantFrom("always" as const, "conflict" as const, "never" as const),
    separator: fc.constantFrom("_", "__", "-", ""),
    names: fc.uniqueArray(part, { maxLength: 6 }),
  }),
  { selector: ({ server }) => server, maxLength: 6 },
);
const sources = servers.map((list) =>
  list.flatMap(({ names, ...rest }) => names.map((name): NameSource => ({ ...rest, name })))
);

test("exposedNames() are valid, injective and deterministic", () => {
  fc.assert(fc.property(sources, (given) => {
    const { names } = exposedNames(given);
    for (const name of names) assert.match(name, /^[A-Za-z0-9_-]{1,48}$/);
    assert.equal(new Set(names).size, given.length);
    assert.deepEqual(exposedNames(structuredClone(given)).names, names);
  }));
});

test("exposedNames() do not depend on the order of the sources", () => {
  const shuffled = sources.chain((given) =>
    fc.tuple(
      fc.constant(given),
      fc.shuffledSubarray([...given.keys()], {
        minLength: given.length,
        maxLength: given.length,
      }),
    )
  );
  fc.assert(fc.property(shuffled, ([given, order]) => {
    const { names } = exposedNames(given);
    const permuted = exposedNames(order.map((index) => given[index]!)).names;
    assert.deepEqual(permuted, order.map((index) => names[index]));
  }));
});

test("exposedNames() agrees with exposedName() where nothing collides", () => {
  fc.assert(fc.property(sources, (given) => {
    const { names, collisions } = exposedNames(given);
    const collided = new Set(collisions.flatMap(({ members }) => members));
    for (const [index, from] of given.entries()) {
      if (!collided.has(index)) assert.equal(names[index], exposedName(from));
    }
  }));
});
