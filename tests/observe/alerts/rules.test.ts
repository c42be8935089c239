/** What each rule says of what is known. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { AlertRule } from "../../../src/config/types.ts";
import type { ServerCondition } from "../../../src/gateway/attention.ts";
import { findingsOf, type Reading } from "../../../src/observe/alerts/rules.ts";
import { totalsOf, Window } from "../../../src/observe/alerts/window.ts";
import { Series } from "../../../src/observe/series.ts";

const MINUTE = 60_000;
const FINE: ServerCondition = { name: "a", state: "ready", queued: 0 };

function reading(server: Partial<ServerCondition>, rest: Partial<Reading> = {}): Reading {
  const servers = [{ ...FINE, ...server }, { ...FINE, name: "b-2" }];
  return { servers, config: { error: null, restartNeeded: [] }, memory: 0, ...rest };
}

/** Calls to `a`, by what became of them. */
function seriesOf(calls: Readonly<Record<string, readonly number[]>>): Series {
  const series = new Series();
  for (const [errorType, all] of Object.entries(calls)) {
    const labels = { method: "tools/call", name: "t", server: "a" };
    const own = series.operations.of(errorType === "ok" ? labels : { ...labels, errorType });
    for (const ms of all) own.observe(ms);
  }
  return series;
}

function found(rule: AlertRule, known: Reading, series = new Series()) {
  const window = new Window(5 * MINUTE);
  window.look(0, new Map());
  const findings = findingsOf(rule, known, window.look(MINUTE, totalsOf(series.operations)));
  return findings.map(({ subject, value, bound, text, isUnsure }) => ({
    ...{ subject, begins: value > bound && !isUnsure, text },
  }));
}

const CASES: readonly (readonly [AlertRule, Reading, Series | undefined, string])[] = [
  [
    { when: "down", for: 0 },
    reading({ state: "backoff", reason: "refused", lastError: "connection refused" }),
    undefined,
    'Server "a" is down: connection refused',
  ],
  [
    { when: "errors", above: 20, of: 10, in: 5 * MINUTE },
    reading({}),
    seriesOf({ ok: [1, 1, 1, 1, 1, 1, 1], tool_error: [1, 1], "-32602": [1] }),
    '30 % of 10 calls to "a" in 5m failed',
  ],
  [
    { when: "slow", p95: 5_000, in: 5 * MINUTE },
    reading({}),
    seriesOf({ ok: [10_000, 10_000] }),
    'p95 of 2 calls to "a" in 5m is 9750 ms, more than 5s',
  ],
  [
    { when: "queue", above: 3, for: 0 },
    reading({ queued: 4 }),
    undefined,
    '4 calls to "a" wait, more than 3',
  ],
  [
    { when: "config" },
    reading({}, { config: { error: "f.json:1:2 no", restartNeeded: [] } }),
    undefined,
    "The configuration was refused: f.json:1:2 no",
  ],
  [
    { when: "memory", above: 100e6 },
    reading({}, { memory: 101e6 }),
    undefined,
    "The gateway takes 101 MB, more than 100 MB",
  ],
  [
    { when: "login" },
    reading({ state: "backoff", reason: "login" }),
    undefined,
    'Server "a" wants a login: mcproxy login a',
  ],
  [
    { when: "pin" },
    reading({ pins: { waiting: 2, held: 0 } }),
    undefined,
    'Of "a" 2 definitions changed or came: mcproxy approve a',
  ],
];

for (const [rule, known, series, text] of CASES) {
  test(`${rule.when} is told of, and of nothing else`, () => {
    const [first, ...more] = found(rule, known, series);
    assert.deepEqual([first!.begins, first!.text], [true, text]);
    assert.deepEqual(more.filter(({ begins }) => begins), []);
    const isGateway = rule.when === "config" || rule.when === "memory";
    assert.equal(first!.subject, isGateway ? "mcproxy" : "a");
    assert.ok(found(rule, reading({})).every(({ begins }) => !begins), "nothing is wrong");
  });
}

test("a rule is about the servers it names", () => {
  const rule: AlertRule = { when: "down", for: 0, servers: ["b-*"] };
  assert.deepEqual(found(rule, reading({})).map(({ subject }) => subject), ["b-2"]);
});

test("a few failures are none, and neither are calls that were cancelled", () => {
  const rule: AlertRule = { when: "errors", above: 20, of: 10, in: 5 * MINUTE };
  const of = (calls: Record<string, number[]>) => found(rule, reading({}), seriesOf(calls))[0]!;
  assert.equal(of({ timeout: [1, 1, 1, 1, 1, 1, 1, 1, 1] }).begins, false);
  assert.equal(of({ timeout: [1, 1, 1, 1, 1, 1, 1, 1, 1, 1] }).begins, true);
  assert.equal(of({ ok: [1], cancelled: [1, 1, 1, 1, 1, 1, 1, 1, 1, 1] }).begins, false);
});

test("a window forgets what is older, and a counter may begin anew", () => {
  const window = new Window(10 * MINUTE);
  const look = (minute: number, ...calls: number[]) =>
    window.look(minute * MINUTE, totalsOf(seriesOf({ ok: calls }).operations))("a").calls;
  assert.equal(look(0, 1, 1), 0, "what was before it looked");
  assert.equal(look(1, 1, 1, 1), 1);
  assert.equal(look(10, 1, 1, 1, 1), 2);
  assert.equal(look(11, 1, 1, 1, 1), 1);
  assert.equal(look(21, 1, 1, 1, 1), 0);
  assert.equal(look(22, 1), 1, "the server was replaced");
  assert.equal(window.look(23 * MINUTE, new Map())("a").calls, 0);
});
