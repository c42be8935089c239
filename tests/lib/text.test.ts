import assert from "node:assert/strict";
import { test } from "node:test";
import { renderTable } from "../../src/cli/view/table.ts";
import {
  codeOf,
  cut,
  firstLine,
  fit,
  messageOf,
  oneLine,
  oneLineJson,
  plural,
  printable,
  truncate,
  widthOf,
} from "../../src/lib/text.ts";

test("printable() takes away what would steer a terminal", () => {
  assert.equal(printable("a\x1b[31mb\x07\u009b2J\u202ec"), "a[31mb2Jc");
  assert.equal(printable("a\r\nb\tc"), "a b c");
  assert.equal(printable("a\r\nb\tc\rd", { lines: true }), "a\nb\tc\nd");
});

test("firstLine() is the first line that says something", () => {
  assert.equal(firstLine("\n  \n  Echoes  \nmore"), "Echoes");
  assert.equal(firstLine(""), "");
});

test("widthOf() counts cells", () => {
  assert.equal(widthOf("abc"), 3);
  assert.equal(widthOf("日本"), 4);
  assert.equal(widthOf("é"), 1);
  assert.equal(widthOf("👩‍💻"), 2);
});

test("fit() cuts between characters and marks the cut", () => {
  assert.equal(fit("hello", 5), "hello");
  assert.equal(fit("hello", 4), "hel…");
  assert.equal(fit("日本語", 4), "日…");
  assert.equal(fit("hello", 0), "");
});

test("renderTable() aligns columns and cuts only the last", () => {
  const columns = [{ title: "NAME" }, { title: "N", align: "right" as const }, { title: "WHY" }];
  const rows = [["a", "1", "short"], ["日本", "100", "a rather long reason"]];
  assert.deepEqual(renderTable(columns, rows, { width: 22 }), [
    "NAME    N  WHY",
    "a       1  short",
    "日本  100  a rather l…",
  ]);
  assert.equal(renderTable(columns, rows)[2], "日本  100  a rather long reason");
});

test("cut() and truncate() keep so many characters, and never half of one", () => {
  assert.equal(cut("abc", 3), "abc");
  assert.equal(cut("abcd", 3), "abc…");
  assert.equal(cut("ab😀", 3), "ab…");
  assert.equal(truncate("abc", 3), "abc");
  assert.equal(truncate("ab😀", 3), "ab… (2 more characters)");
});

test("plural() counts", () => {
  assert.deepEqual([0, 1, 2].map((n) => plural(n, "tool")), ["0 tools", "1 tool", "2 tools"]);
});

test("codeOf() is the system's code and nothing else; messageOf() takes whatever is thrown", () => {
  const error = Object.assign(new Error("no such file"), { code: "ENOENT" });
  assert.equal(codeOf(error), "ENOENT");
  assert.equal(messageOf(error), "no such file");
  for (const other of [new Error("x"), { code: -32000 }, "EACCES", null, undefined]) {
    assert.equal(codeOf(other), undefined);
  }
  assert.equal(messageOf("EACCES"), "EACCES");
  assert.equal(messageOf(null), "null");
});

test("what is there without being seen reaches neither a terminal nor a log line", () => {
  const unseen = [
    "\u200b",
    "\u061c",
    "\u2060",
    "\u00ad",
    "\u3164",
    "\ufeff",
    "\u034f",
    "\u{e0041}",
  ];
  for (const char of [...unseen, "\u200d"]) {
    assert.equal(printable(`a${char}b`), "ab", JSON.stringify(char));
    const escaped = JSON.stringify(char).replace(
      /[^ -~]/gu,
      (one) =>
        one.split("").map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join(
          "",
        ),
    );
    assert.equal(oneLine(`a${char}b`), `a${escaped.slice(1, -1)}b`);
    assert.equal(JSON.parse(oneLineJson(JSON.stringify(char))), char);
  }
  for (const end of ["\u2028", "\u2029", "\u0085", "\v", "\f"]) {
    assert.equal(printable(`a${end}b`), "a b");
    assert.equal(firstLine(`${end}a${end}b`), "a");
  }
  for (const seen of ["👩‍💻", "❤️", "日本", "é", "👩🏽‍🚀"]) {
    assert.equal(printable(seen), seen);
    assert.equal(oneLine(seen), seen);
  }
});
