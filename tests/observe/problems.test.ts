import assert from "node:assert/strict";
import { test } from "node:test";
import { problemOf, withoutParticulars } from "../../src/observe/problems.ts";
import { callOf } from "./history/history-support.ts";

const TEXTS: readonly (readonly [string, string])[] = [
  ["no row 17 of 1,204.5", "no row N of N"],
  [
    "ENOENT: no such file, open '/home/anna/notes/a b.md'",
    "ENOENT: no such file, open 'PATH b.md'",
  ],
  ["cannot read C:\\Users\\anna\\x.txt", "cannot read PATH"],
  ["see ../secret/file.ts:12:4", "see PATH:N"],
  ["GET https://api.example.com/v1/users/7?key=x failed with 503", "GET URL failed with N"],
  ["user 7d444840-9dc0-11d1-b245-5ffdce74fad2 is gone", "user ID is gone"],
  ["commit 1f2e3d4 not found", "commit ID not found"],
  ["request req_9f8a7b6c5d4e failed", "request ID failed"],
  ["either/or is no path", "either/or is no path"],
  ["quota exceeded", "quota exceeded"],
  ["", ""],
];

for (const [text, common] of TEXTS) {
  test(`${JSON.stringify(text)} is one of ${JSON.stringify(common)}`, () => {
    assert.equal(withoutParticulars(text), common);
  });
}

test("failures are one problem by server, tool, code and text", () => {
  const of = (text: string, more = {}) =>
    problemOf(callOf({ outcome: "error", code: -32_000, ...more }), text)!;
  const one = of("no row 1");
  assert.equal(of("no row\n  2").fingerprint, one.fingerprint);
  for (const other of [{ server: "t" }, { name: "u" }, { code: 1 }, { outcome: "tool_error" }]) {
    const { fingerprint } = of("no row 1", other);
    assert.equal(fingerprint === one.fingerprint, "outcome" in other, JSON.stringify(other));
  }
  assert.notEqual(of("no column 1").fingerprint, one.fingerprint);
  // Any number may come for a code, and any length of text.
  assert.equal(of("x", { code: 1.5 }).code, undefined);
  assert.ok(of("word ".repeat(100_000)).text.length <= 301);
});

test("what the client is to blame for is no problem, nor what went well", () => {
  const outcomes = ["ok", "refused", "cancelled", "input_required"] as const;
  for (const outcome of outcomes) assert.equal(problemOf(callOf({ outcome }), "x"), undefined);
  assert.equal(problemOf(callOf({ outcome: "timeout" }))?.text, "timeout");
  // Resources are many, and their problem is the server's.
  const read = callOf({ outcome: "error", method: "resources/read", name: "file:///a" });
  assert.equal(problemOf(read, "gone")?.name, "");
});
