import assert from "node:assert/strict";
import { test } from "node:test";
import { type Check, regressions, type Verdict } from "./checks.ts";
import { judge, parseExpectedFailures } from "./expected-failures.ts";

function check(id: string, status: Verdict, name = id): Check {
  return { scenario: "s", id, name, status };
}

test("regressions() finds every step down and nothing else", () => {
  const direct = [
    check("kept", "SUCCESS"),
    check("failed", "SUCCESS"),
    check("warned", "SUCCESS"),
    check("skipped", "SUCCESS"),
    check("lost", "SUCCESS"),
    check("never", "FAILURE"),
    check("improved", "WARNING"),
    check("noted", "INFO"),
  ];
  const through = [
    check("kept", "SUCCESS"),
    check("failed", "FAILURE"),
    check("warned", "WARNING"),
    check("skipped", "SKIPPED"),
    check("never", "FAILURE"),
    check("improved", "SUCCESS"),
    check("appeared", "FAILURE"),
    check("harmless", "INFO"),
  ];
  assert.deepEqual(
    regressions(direct, through).map(({ check, direct, through }) => [check, direct, through]),
    [
      ["s:failed", "SUCCESS", "FAILURE"],
      ["s:warned", "SUCCESS", "WARNING"],
      ["s:skipped", "SUCCESS", "SKIPPED"],
      ["s:lost", "SUCCESS", "absent"],
      ["s:appeared", "absent", "FAILURE"],
    ],
  );
});

test("regressions() takes a repeated check at its worst and tells names of one id apart", () => {
  const direct = [check("id", "SUCCESS", "one"), check("id", "FAILURE", "two")];
  const repeated = [
    check("id", "SUCCESS", "one"),
    check("id", "FAILURE", "one"),
    check("id", "SUCCESS", "one"),
    check("id", "FAILURE", "two"),
  ];
  assert.deepEqual(regressions(direct, repeated).map(({ name }) => name), ["one"]);
});

test("judge() accepts what is expected, and reports the unexpected and the stale", () => {
  const found = regressions(
    [check("known", "SUCCESS"), check("new", "SUCCESS")],
    [check("known", "FAILURE"), check("new", "FAILURE")],
  );
  const expected = parseExpectedFailures(
    "- check: s:known\n  runs: a, b\n  outcome: FAILURE\n  reason: r\n" +
      "- check: s:gone\n  runs: a\n  outcome: FAILURE\n  reason: r\n",
  );
  const reported = judge("a", found, expected);
  assert.equal(reported.length, 2);
  assert.match(reported[0]!, /^s:new .*SUCCESS directly, FAILURE through/);
  assert.match(reported[1]!, /^s:gone: .*expected-failures\.yml:5/);
  assert.equal(judge("c", found, expected).length, 2, "an entry counts in the runs it names only");
  const [known, gone] = expected;
  const other = judge("a", found, [{ ...known!, outcome: "INFO" }, gone!]);
  assert.equal(other.length, 4, "another outcome is both unexpected and stale");
});

test("parseExpectedFailures() reads entries and refuses anything else, with the line", () => {
  const text =
    "# why\n\n- check: s:c\n  runs: one, two\n  outcome: INFO\n  reason: because: of this\n";
  assert.deepEqual(parseExpectedFailures(text), [
    {
      check: "s:c",
      runs: ["one", "two"],
      outcome: "INFO",
      reason: "because: of this",
      line: 3,
    },
  ]);
  const wrong: readonly (readonly [string, RegExp])[] = [
    ["- check: s:c\n  runs: one\n", /yml:1: the entry has no outcome/],
    ["- check: s:c\n  why: x\n", /yml:2: " {2}why: x" is no line/],
    ["  runs: one\n", /yml:1: no entry was begun/],
    ["- check: a\n  check: b\n", /yml:2: "check" is there twice/],
    ["- check: a\n  runs: one\n  reason:\n", /yml:3/],
  ];
  for (const [text, message] of wrong) assert.throws(() => parseExpectedFailures(text), message);
});
