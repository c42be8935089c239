/** The one sentence about how things are, and what somebody should look at. */

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  attentionOf,
  type GatewayCondition,
  sentenceOf,
  type ServerCondition,
} from "../../src/gateway/attention.ts";

function condition(
  servers: readonly ServerCondition[],
  more: Partial<GatewayCondition> = {},
): GatewayCondition {
  return { servers, config: { error: null, restartNeeded: [] }, stopping: false, ...more };
}

const ready = (name: string): ServerCondition => ({ name, state: "ready", health: "ok" });
const down = (name: string): ServerCondition => ({ name, state: "backoff", reason: "refused" });
const some = (count: number) => Array.from({ length: count }, (_, index) => ready(`s${index}`));
const error = "f.json:3:5 a: unknown key\nmore";

const SENTENCES: readonly (readonly [GatewayCondition, string])[] = [
  [condition([]), "There is no server to ask."],
  [condition([{ name: "a", state: "disabled" }]), "There is no server to ask."],
  [condition([ready("a")]), "The one server answers."],
  [condition(some(9)), "All nine servers answer."],
  [condition(some(13)), "All 13 servers answer."],
  [
    condition([...some(8), down("search")]),
    "Eight of nine servers answer. search is down: nothing listens where it should be.",
  ],
  [condition([down("a"), down("b")]), "None of two servers answers. a and b are down."],
  [
    condition([ready("x"), ...["a", "b", "c", "d", "e"].map(down)]),
    "One of six servers answers. a, b, c and two more are down.",
  ],
  [
    condition([
      ready("a"),
      { name: "b", state: "idle", reason: "lazy" },
      { name: "c", state: "connecting", reason: "starting" },
    ]),
    "One of three servers answers, one is starting, one rests until it is needed.",
  ],
  [
    condition([ready("a"), { name: "b", state: "idle" }]),
    "One of two servers answers, one is starting.",
  ],
  [
    condition([ready("a"), { name: "b", state: "ready", health: "degraded" }]),
    "One of two servers answers. b does not do what it is asked.",
  ],
  [
    condition([ready("a")], { config: { error, restartNeeded: [] } }),
    "The one server answers. The configuration file was refused.",
  ],
  [condition([ready("a")], { stopping: true }), "The gateway is stopping."],
  [
    condition([ready("a"), down("n".repeat(100))]),
    `One of two servers answers. ${"n".repeat(40)}… is down: nothing listens where it should be.`,
  ],
];

for (const [given, expected] of SENTENCES) {
  test(`how things are: ${expected}`, () => assert.equal(sentenceOf(given), expected));
}

test("nothing needs attention where all is well", () => {
  const well = [ready("a"), { name: "b", state: "idle", reason: "unused" as const }, {
    name: "c",
    state: "disabled",
  }];
  assert.deepEqual(attentionOf(condition(well)), []);
  assert.deepEqual(attentionOf(condition([{ name: "s", state: "connecting" }])), []);
});

test("what needs attention comes with what can be done, the worst first", () => {
  const found = attentionOf(condition([
    { ...ready("pins"), pins: { waiting: 2, held: 2 } },
    { ...down("it's"), lastError: "connect refused\nat x" },
    { name: "who", state: "backoff", reason: "login", lastError: "wants a login" },
    { name: "slow", state: "ready", health: "degraded", healthDetail: "its calls time out" },
  ], { config: { error, restartNeeded: ["port", "host"] }, pinProblem: "cannot be read" }));
  assert.deepEqual(found, [
    {
      kind: "server",
      level: "bad",
      subject: "it's",
      title: "it's is down",
      text: "connect refused",
      act: { label: "Retry", post: "api/servers/it's/restart" },
    },
    {
      kind: "login",
      level: "bad",
      subject: "who",
      title: "who wants a login",
      text: "wants a login",
      act: { label: "Log in", command: "mcproxy login who" },
    },
    {
      kind: "config",
      level: "bad",
      subject: "",
      title: "The configuration file was refused",
      text: "f.json:3:5 a: unknown key",
      act: { label: "Show", href: "#/config" },
    },
    {
      kind: "pin",
      level: "bad",
      subject: "",
      title: "What was approved cannot be read",
      text: "cannot be read",
    },
    {
      kind: "pin",
      level: "warn",
      subject: "pins",
      title: "2 of pins's definitions are not approved",
      text: "They are held back until they are.",
      act: { label: "Approve", command: "mcproxy approve pins" },
    },
    {
      kind: "server",
      level: "warn",
      subject: "slow",
      title: "slow does not do what it is asked",
      text: "its calls time out",
    },
    {
      kind: "config",
      level: "tip",
      subject: "port, host",
      title: "Restart to apply port, host",
      text: "The file says otherwise than what is in force.",
    },
  ]);
});
