import assert from "node:assert/strict";
import { test } from "node:test";
import { buildIndex, fuse, type SearchOptions } from "../../../src/gating/words/index.ts";
import type { ToolDocument } from "../../../src/gating/words/document.ts";
import { processorTime } from "../../support/processor-time.ts";
import { manyTools, tool } from "./search-builders.ts";

const ids = (documents: readonly ToolDocument[], query: string, options?: SearchOptions) =>
  buildIndex(documents).search(query, options).hits.map(({ document }) => document.id);

test("search() finds a tool by every field", () => {
  const others = ["alpha", "beta", "gamma"].map((name) => tool(name, { description: "Other" }));
  const found: readonly (readonly [string, ToolDocument])[] = [
    ["zebra", tool("get_zebra")],
    ["zebra", tool("x", { title: "The Zebra" })],
    ["zebra", tool("x", { description: "First sentence. Second with zebras" })],
    ["zebra", tool("x", { parameters: { zebraId: { type: "string" } } })],
    ["zebra", tool("x", { parameters: { a: { description: "which zebra" } } })],
    ["zebra", tool("x", { parameters: { a: { enum: ["horse", "zebra"] } } })],
    ["zebra", tool("x", { parameters: { a: { items: { properties: { zebra: {} } } } } })],
    ["zebra", tool("x", { server: "zebra-mcp" })],
    ["zebra", tool("x", { serverTitle: "Zebra tools" })],
    ["zebra", tool("x", { serverDescription: "For zebras" })],
    ["zebra", tool("x", { tags: ["zebra"] })],
  ];
  for (const [query, wanted] of found) {
    assert.deepEqual(ids([...others, wanted], query), [wanted.id], JSON.stringify(wanted));
  }
});

test("search() puts the very word before its family and synonyms, and corrects what nobody has", () => {
  const documents = [
    tool("a", { description: "translate" }),
    tool("b", { description: "translator" }),
    tool("c", { description: "language" }),
    tool("d", { description: "invoice" }),
  ];
  assert.equal(ids(documents, "translate")[0], "s_a");
  assert.deepEqual(ids(documents, "translate").toSorted(), ["s_a", "s_b", "s_c"]);
  assert.deepEqual(ids(documents, "translte"), ["s_a"]);
  assert.deepEqual(ids(documents, "invo"), ["s_d"]);
});

test("search() knows short words of the shell, and words that mostly only fill", () => {
  const documents = [tool("create_directory"), tool("move_file"), tool("other")];
  assert.equal(ids(documents, "mkdir")[0], "s_create_directory");
  assert.equal(ids(documents, "dir")[0], "s_create_directory");
  assert.equal(ids(documents, "mv")[0], "s_move_file");
  assert.deepEqual(ids(documents, "make it"), ["s_create_directory"]);
  assert.deepEqual(ids(documents, "it is the"), []);
});

test("search() joins and divides words as the tools write them", () => {
  const documents = [
    tool("sequentialthinking"),
    tool("searchGitHubIssues"),
    tool("set_file"),
    tool("put"),
  ];
  assert.equal(ids(documents, "sequential thinking")[0], "s_sequentialthinking");
  assert.equal(ids(documents, "github")[0], "s_searchGitHubIssues");
  assert.equal(ids(documents, "gitfoo")[0], undefined, "both halves must be words");
  assert.equal(ids(documents, "git hub")[0], "s_searchGitHubIssues");
  assert.equal(ids(documents, "GitHub")[0], "s_searchGitHubIssues");
});

test("search() takes a name for what it is, whatever other tools say", () => {
  const documents = [
    tool("read_text_file", { description: "Reads" }),
    tool("noise", { description: "read text file read_text_file file text, reads a file" }),
    tool("it", { description: "A tool whose name has only stop words" }),
    tool("read_file", { server: "other" }),
  ];
  for (
    const query of [
      "read_text_file",
      "s_read_text_file",
      "s:read_text_file",
      "s/read_text_file",
      "readTextFile",
      "Read Text File",
      "call `read_text_file` for a noise about reading text",
    ]
  ) assert.equal(ids(documents, query)[0], "s_read_text_file", query);
  assert.deepEqual(ids(documents, "it"), ["s_it"]);
  assert.equal(ids(documents, "other.read_file")[0], "other_read_file");
});

test("search() of a whole task finds what its last words ask for", () => {
  const documents = [...manyTools(200), tool("compose_sonata", { server: "music" })];
  const story = Array.from({ length: 70 }, (_, index) => `person${index}`).join(" ");
  assert.equal(ids(documents, `${story} wants us to compose a sonata`)[0], "music_compose_sonata");
});

test("search() trusts synonyms less where a query says much by itself", () => {
  const documents = [
    tool("a", { description: "erase" }),
    tool("b", { description: "deletion" }),
    ...manyTools(50).map((one) => ({ ...one, id: `t_${one.id}` })),
  ];
  const rank = (query: string) => ids(documents, query, { server: "s" });
  assert.deepEqual(rank("delete").slice(0, 2), ["s_a", "s_b"], "alike, so by id");
  const story = Array.from({ length: 20 }, (_, index) => `qqq${index}`).join(" ");
  assert.deepEqual(rank(`${story} delete`).slice(0, 2), ["s_b", "s_a"]);
});

test("search() finds words of scripts without spaces, and without accents", () => {
  const documents = [
    tool("a", { description: "天気予報を取得する" }),
    tool("b", { description: "ファイルを読み取る" }),
    tool("c", { description: "날씨를 확인하는 도구" }),
    tool("d", { description: "Erzeugt ein Verzeichnis für Größen" }),
    tool("e", { description: "查询天气" }),
  ];
  assert.equal(ids(documents, "天気を教えて")[0], "s_a");
  assert.equal(ids(documents, "ファイル")[0], "s_b");
  assert.equal(ids(documents, "날씨")[0], "s_c");
  assert.equal(ids(documents, "großen verzeichnis fur")[0], "s_d");
  assert.equal(ids(documents, "天气")[0], "s_e");
});

test("search() narrows by server and by all tags, before it counts", () => {
  const documents = [
    tool("note", { server: "one", tags: ["home", "text"] }),
    tool("note", { server: "two", tags: ["home"] }),
    tool("note", { server: "three" }),
  ];
  assert.deepEqual(ids(documents, "note", { server: "two" }), ["two_note"]);
  assert.deepEqual(ids(documents, "note", { server: "none" }), []);
  assert.deepEqual(ids(documents, "note", { tags: ["home"] }).toSorted(), ["one_note", "two_note"]);
  assert.deepEqual(ids(documents, "note", { tags: ["home", "text"] }), ["one_note"]);
  const { hits, more } = buildIndex(documents).search("note", { tags: ["home"], limit: 1 });
  assert.deepEqual([hits.length, more], [1, 1]);
});

test("search() gives eight hits unless told, by score, of equals by id, whatever the order", () => {
  const documents = Array.from({ length: 12 }, (_, index) => tool(`note${index}`));
  const index = buildIndex(documents);
  const { hits, more } = index.search("note");
  assert.deepEqual([hits.length, more, index.documents.length], [8, 4, 12]);
  assert.ok(hits.every(({ score }) => score === hits[0]!.score && score > 0));
  const expected = documents.map(({ id }) => id).toSorted();
  assert.deepEqual(ids(documents, "note", { limit: 99 }), expected);
  assert.deepEqual(ids(documents.toReversed(), "note", { limit: 99 }), expected);
  const mixed = manyTools(200);
  const query = "delete the weather report of a ticket owner";
  assert.deepEqual(ids(mixed, query), ids(mixed.toReversed(), query));
});

test("search() lets a prior decide between likes, and not about tools that are named", () => {
  const documents = ["alpha", "beta", "gamma"].map((name) =>
    tool(name, { description: "Sends a letter." })
  );
  const prior = (document: ToolDocument) => document.name === "gamma" ? 1.1 : 1;
  const { hits } = buildIndex(documents).search("send letter", { prior });
  assert.deepEqual(hits.map(({ document }) => document.name), ["gamma", "alpha", "beta"]);
  assert.ok(Math.abs(hits[0]!.score / hits[1]!.score - 1.1) < 1e-9);
  const named = buildIndex(documents).search("s_beta send letter", { prior, limit: 2 }).hits;
  assert.deepEqual(named.map(({ document, isNamed }) => [document.name, isNamed]), [
    ["beta", true],
    ["gamma", undefined],
  ]);
});

test("search() answers whatever is asked, with nothing where there is nothing", () => {
  const documents = [...manyTools(20), tool("constructor"), tool("__proto__")];
  for (const query of ["", " ", "\n", "the of and", "!!!", "\u0000\uffff", "\ud800", "🦓🦓"]) {
    assert.deepEqual(ids(documents, query), [], JSON.stringify(query));
  }
  assert.deepEqual(ids([], "weather"), []);
  assert.equal(ids(documents, "constructor")[0], "s_constructor");
  assert.equal(ids(documents, "__proto__")[0], "s___proto__");
  for (const query of ["' OR 1=1; --", "${jndi:ldap://x}", "(?:a+)+$", '{"query": {"$ne": 1}}']) {
    assert.doesNotThrow(() => ids(documents, query), query);
  }
});

test("search() reads only so much of a query: the rest changes nothing", () => {
  const index = buildIndex(manyTools(100));
  const start = "send a message about the invoice archive ".padEnd(4000, ".");
  const score = (query: string) =>
    index.search(query).hits.map(({ document, score }) => [document.id, score]);
  assert.deepEqual(score(start + " recipe".repeat(20_000)), score(start));
  assert.ok(score(start).length > 0);
  const things = (count: number) =>
    Array.from({ length: count }, (_, index) => `thing${index}`).join(" ");
  assert.deepEqual(
    index.search(things(110), { limit: 99 }),
    index.search(things(96), { limit: 99 }),
  );
});

const hostile: Readonly<Record<string, string>> = {
  "100 KB of one word": "weather ".repeat(12_500),
  "100 KB without a space": "weather".repeat(14_000),
  "all different unknown words": Array.from(
    { length: 12_000 },
    (_, index) => `word${"abcdefghij"[index % 10]}${index}`,
  ).join(" "),
  "misspelt words": Array.from({ length: 3000 }, (_, index) => `thnig${index} waether recpie`)
    .join(" "),
  "binary": Array.from(
    { length: 100_000 },
    (_, index) => String.fromCharCode((index * 7919) % 65_536),
  ).join(""),
  "Chinese": Array.from(
    { length: 50_000 },
    (_, index) => String.fromCharCode(0x4e00 + (index * 31) % 20_000),
  ).join(""),
  "camel case": "aB".repeat(50_000),
  "identifiers": "a_b ".repeat(25_000),
  "combining marks": "a" + "\u0301".repeat(50_000),
};

test("search() of a hostile query costs a bounded multiple of a long ordinary one", () => {
  const index = buildIndex(manyTools(3000));
  const ordinary = "Please search the history of my account for the weather message I sent, and " +
    "then create a ticket with the invoice, update its status and label, list the recipe archive, " +
    "and send a note to the owner of the region report";
  const time = (query: string) => {
    const times = Array.from({ length: 5 }, () => processorTime(() => index.search(query)));
    return Math.min(...times);
  };
  // What is compiled by then differs from machine to machine where only one of them is warm.
  for (let round = 0; round < 8; round++) {
    for (const query of [ordinary, ...Object.values(hostile)]) index.search(query);
  }
  const normal = time(ordinary);
  for (const [name, query] of Object.entries(hostile)) {
    const ratio = time(query) / normal;
    assert.ok(ratio < 12, `${name}: ${ratio.toFixed(1)} times an ordinary query`);
  }
});

test("fuse() puts first what several rankings have near the top", () => {
  assert.deepEqual(fuse(["a", "b", "c"], ["d", "b", "a"]).map(({ id }) => id), [
    "a",
    "b",
    "d",
    "c",
  ]);
  assert.deepEqual(fuse(["a", "b"], []).map(({ id }) => id), ["a", "b"]);
  assert.deepEqual(fuse(["b"], ["a"]).map(({ id }) => id), ["a", "b"]);
  assert.deepEqual(fuse(["a", "a", "b"], ["b"]).map(({ id }) => id), ["b", "a"]);
  assert.deepEqual(fuse(), []);
  assert.equal(fuse(["a"], ["a"])[0]!.score, 2 / 61);
});
