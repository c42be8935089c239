import assert from "node:assert/strict";
import { test } from "node:test";
import { collapsed, summary } from "../../src/gating/hit.ts";
import { processorTime } from "../support/processor-time.ts";

test("summary() is the first sentence, and the next where that is short", () => {
  const long = "Lists the open issues of a repository with their labels";
  const table: readonly (readonly [text: string, line: string])[] = [
    ["", ""],
    ["  \n ", ""],
    ["Says it again", "Says it again"],
    [`${long}. Then more.`, `${long}.`],
    [`${long}\n\nArgs: a, b`, long],
    [`${long}\n- one\n- two`, long],
    [
      "Reads a file. Takes a path. Nothing else is needed for that.",
      "Reads a file. Takes a path. Nothing else is needed for that.",
    ],
    [
      "Converts e.g. files of version 1.2 into those of version 2.0 quickly. Done.",
      "Converts e.g. files of version 1.2 into those of version 2.0 quickly.",
    ],
    ["Sends\ta\r\nmessage", "Sends a message"],
    ["查询天气。返回温度。", "查询天气。返回温度。"],
    [
      "# Server\n\n## Use\nAsk it for the time in any place of the world.\n",
      "Ask it for the time in any place of the world.",
    ],
    ["# Server", "Server"],
    ["#hash tags are no headings", "#hash tags are no headings"],
    ["a\u202ebc\u0000d", "a bc d"],
  ];
  for (const [text, line] of table) assert.equal(summary(text), line, JSON.stringify(text));
});

test("summary() cuts between words, at most 160 characters", () => {
  const words = summary("word ".repeat(100));
  assert.ok(words.length <= 160 && words.endsWith("word…"), words);
  const solid = summary("水".repeat(500));
  assert.equal(solid.length, 160);
  const pairs = summary("😀".repeat(200));
  assert.ok(pairs.length <= 160 && pairs.isWellFormed(), pairs);
});

test("summary() reads no more than it needs of a huge text", () => {
  for (const unit of [". ", "\n", "a", "A. ", "?!", "\t \n", "# a\n", "#\n\n"]) {
    const text = unit.repeat(1_000_000);
    const took = processorTime(() => assert.ok(summary(text).length <= 160));
    assert.ok(took < 200, `${JSON.stringify(unit)}: ${took} ms`);
  }
});

test("oneLine() leaves one space of anything that could look like a line's end", () => {
  assert.equal(collapsed(" a\u2028b\u0085c\u000b\u000cd  e\n"), "a b c d e");
});
