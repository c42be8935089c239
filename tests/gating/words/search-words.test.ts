import assert from "node:assert/strict";
import { test } from "node:test";
import { family, lightStem, terms, words } from "../../../src/gating/words/words.ts";
import { synonyms } from "../../../src/gating/words/synonyms.ts";

const split = (text: string) => words(text).map(({ parts }) => parts.join("+")).join(" ");

test("words() splits identifiers, digits and text", () => {
  const table: readonly (readonly [string, string])[] = [
    ["read_text_file", "read text file"],
    ["get-tiny-image", "get tiny image"],
    ["getUserID", "get+user+id"],
    ["HTTPServer", "http+server"],
    ["parseURLs2Text", "parse+urls+2+text"],
    ["base64", "base+64"],
    ["utf8 mp3 s3 web3", "utf+8 mp+3 s3 web+3"],
    ["GitHub YouTube iPhone", "git+hub you+tube i+phone"],
    ["Create a file.", "create a file"],
    ["a/b:c.d", "a b c d"],
    ["ALL CAPS", "all caps"],
    ["", ""],
    ["!!! --- \u0000\u0001", ""],
    ["Größe café ÎLE", "große cafe ile"],
    ["ﬁle ｆｉｌｅ", "file file"],
    ["x".repeat(41), ""],
    ["x".repeat(40), "x".repeat(40)],
  ];
  for (const [text, expected] of table) assert.equal(split(text), expected, text);
});

test("words() makes pairs where a script has no spaces", () => {
  assert.equal(split("天気予報"), "天気 気予 予報");
  assert.equal(split("ファイルread_fileを"), "ファ ァイ イル read file を");
  assert.equal(split("文"), "文");
  assert.equal(split("파일 읽기"), "파일 읽기");
  assert.equal(split("файл прочитать"), "фаил прочитать");
});

test("terms() has stems without stop words, and divided words whole as well", () => {
  assert.deepEqual(terms("Lists all of the files"), ["list", "file"]);
  assert.deepEqual(terms("openPullRequests"), ["open", "pull", "request", "openpullrequest"]);
  assert.deepEqual(terms("YouTube"), ["tube", "youtube"]);
});

test("terms() reads plain text, of which there is a short way, as it reads all other text", () => {
  for (
    const text of [
      "Creates a new file. Overwrites files_of_the path/name!",
      "A B c",
      "x".repeat(41),
      "Hello World",
      "(In) [brackets] {and} `ticks`~@:;<=>?",
      "",
    ]
  ) assert.deepEqual(terms(text), terms(`${text} 文`).slice(0, -1), text);
});

test("lightStem() joins singular and plural, and nothing else", () => {
  const table: readonly (readonly [string, string])[] = [
    ["files", "file"],
    ["entries", "entry"],
    ["directories", "directory"],
    ["ties", "tie"],
    ["branches", "branch"],
    ["boxes", "box"],
    ["classes", "class"],
    ["class", "class"],
    ["status", "status"],
    ["analysis", "analysis"],
    ["dns", "dns"],
    ["s3", "s3"],
    ["searching", "searching"],
  ];
  for (const [word, expected] of table) assert.equal(lightStem(word), expected, word);
});

test("family() is one for words of one root, and differs for others", () => {
  const families = [
    ["translate", "translation", "translator", "translating"],
    ["create", "creation", "creator", "creating"],
    ["search", "searching", "searched"],
    ["schedule", "scheduler", "scheduling"],
    ["summary", "summarize", "summarization", "summarise"],
    ["calculate", "calculator", "calculation"],
    ["delete", "deletion", "deleting"],
    ["manage", "manager"],
    ["plan", "planning", "planner"],
    ["recommend", "recommendation"],
    ["file"],
    ["user"],
    ["paper"],
  ];
  const roots = families.map((one) => new Set(one.map(family)));
  for (const [index, found] of roots.entries()) assert.equal(found.size, 1, `${families[index]}`);
  assert.equal(new Set(roots.flatMap((found) => [...found])).size, families.length);
});

test("synonyms() works for all forms of a word, and has never the word itself", () => {
  for (const word of ["delete", "deleting", "deletion"]) {
    assert.ok(synonyms(word).has("remove"), word);
  }
  assert.ok(synonyms("folder").has("directory"));
  assert.ok(!synonyms("folder").has("folder"));
  assert.equal(synonyms("xyzzy").size, 0);
});
