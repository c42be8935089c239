import assert from "node:assert/strict";
import { test } from "node:test";
import { embeddedQuery, embeddedText } from "../../../src/gating/meaning/embed.ts";
import { tool } from "../words/search-builders.ts";

test("embeddedText() is the name, what is said first, and the server", () => {
  const cases = [
    [
      tool("create_issue", {
        description: "Creates an issue in a repository on GitHub. Needs a token.",
        title: "New issue",
        server: "gh",
        serverTitle: "GitHub",
        parameters: { secret: { description: "not for models" } },
      }),
      "create_issue. Creates an issue in a repository on GitHub. GitHub",
    ],
    [tool("a", { title: "Title", server: "s" }), "a. Title. s"],
    [tool("a", { server: "s" }), "a. s"],
    [tool("a", { description: "lone \ud800 half" }), "a. lone \ufffd half. s"],
  ] as const;
  for (const [document, text] of cases) assert.equal(embeddedText(document).text, text);
  const long = tool("n".repeat(1_000), { description: "d".repeat(10_000) });
  assert.equal(embeddedText(long).text.length, 500);
});

test("embeddedText() has a key of its own for each text, the same each time", () => {
  const [one, other] = [tool("a"), tool("b")];
  assert.match(embeddedText(one).key, /^[a-z2-7]{26}$/);
  assert.equal(embeddedText(one).key, embeddedText(tool("a")).key);
  assert.notEqual(embeddedText(one).key, embeddedText(other).key);
  // A tool that says the same is the same text; under another name it is another one.
  const renamed = { ...one, server: { ...one.server, title: "Other" } };
  assert.notEqual(embeddedText(renamed).key, embeddedText(one).key);
  assert.equal(embeddedText({ ...one }), embeddedText({ ...one, id: "exposed" }));
});

test("embeddedQuery() is bounded and well-formed", () => {
  assert.deepEqual(["  a b \n", "", " ", "x\ud800"].map(embeddedQuery), ["a b", "", "", "x\ufffd"]);
  assert.equal(embeddedQuery("q".repeat(100_000)).length, 2_000);
});
