import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { editJson } from "../../src/lib/json-edit.ts";
import { parseMessage, type ResponseMessage } from "../../src/protocol/message.ts";
import { MAX_BACKOFF, nextDelay } from "../../src/upstream/supervisor.ts";
import {
  childEnv,
  SAFE_VARIABLES,
  SAFE_WINDOWS_VARIABLES,
} from "../../src/upstream/transport/stdio.ts";
import { networkFault } from "../../src/upstream/transport/failures.ts";
import { Refresher } from "../../src/upstream/catalogue.ts";
import { restoreId } from "../../src/upstream/connection/correlation.ts";
import {
  INITIAL_STATE,
  type Phase,
  transition,
  type UpstreamEvent,
} from "../../src/upstream/state.ts";
import { FakeClock } from "./fakes/clock.ts";

test("nextDelay() retries at once, then from 0.5 s doubling to 60 s, ±20 %", () => {
  const middle = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1e9].map((attempt) => nextDelay(attempt, 0.5));
  assert.deepEqual(
    middle,
    [0, 500, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000],
  );
  assert.deepEqual([nextDelay(2, 0), nextDelay(2, 0.999999)], [400, 600]);
  assert.ok(nextDelay(50, 0.999999) <= MAX_BACKOFF * 1.2);
});

/** As Deno 2.9 and Bun 1.4 put it: the code, where there is one, and the words. */
const TLS_FAULTS: readonly (readonly [words: string, code: string, said: RegExp])[] = [
  [
    "invalid peer certificate: certificate expired: verification time 1796012770 (UNIX)",
    "",
    /has expired$/,
  ],
  ["certificate has expired", "CERT_HAS_EXPIRED", /has expired$/],
  [
    "invalid peer certificate: certificate not valid yet: verification time 1",
    "",
    /not valid yet$/,
  ],
  ["certificate is not yet valid", "CERT_NOT_YET_VALID", /not valid yet$/],
  [
    'invalid peer certificate: certificate not valid for name "localhost"; certificate is only ' +
    'valid for DnsName("other.example")',
    "",
    /another host name$/,
  ],
  [
    'ERR_TLS_CERT_ALTNAME_INVALID fetching "https://localhost:43399/x". For more information, ' +
    "pass `verbose: true` in the second argument to fetch()",
    "ERR_TLS_CERT_ALTNAME_INVALID",
    /another host name$/,
  ],
  ["self signed certificate", "DEPTH_ZERO_SELF_SIGNED_CERT", /self-signed.* NODE_EXTRA_CA_CERTS$/],
  [
    "self signed certificate in certificate chain",
    "SELF_SIGNED_CERT_IN_CHAIN",
    /self-signed.* NODE_EXTRA_CA_CERTS$/,
  ],
  ["invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))", "", /of an authority/],
  ["invalid peer certificate: UnknownIssuer", "", /unknown issuer; see NODE_EXTRA_CA_CERTS$/],
  [
    "unable to verify the first certificate",
    "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    /unknown issuer; see NODE_EXTRA_CA_CERTS$/,
  ],
  [
    "unable to get local issuer certificate",
    "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
    /unknown issuer; see NODE_EXTRA_CA_CERTS$/,
  ],
  [
    "received corrupt message of type InvalidContentType",
    "",
    /perhaps no TLS is spoken at that port$/,
  ],
  [
    "EPROTO: The TLS handshake failed. Does the server speak TLS on this port?",
    "EPROTO",
    /perhaps no TLS is spoken at that port$/,
  ],
  ["received fatal alert: HandshakeFailure", "", /\(certificate or handshake\)$/],
];

test("networkFault() says what is wrong with a certificate, or a port", () => {
  for (const [words, code, said] of TLS_FAULTS) {
    const url = "error sending request for url (https://localhost:43399/x): client error (Connect)";
    const error = code === ""
      ? new TypeError("fetch failed", { cause: new Error(`${url}: ${words}`) })
      : Object.assign(new Error(words), { code });
    const found = networkFault(error);
    assert.equal(found.fault, "tls", words);
    assert.match(found.words, /^TLS error/);
    assert.match(found.words, said);
  }
});

test("childEnv() inherits exactly the safe list", () => {
  assert.deepEqual(SAFE_VARIABLES, [
    ...["HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER"],
  ]);
  assert.equal(SAFE_WINDOWS_VARIABLES.includes("SYSTEMROOT"), true);
  const inherited = {
    HOME: "/home/a",
    PATH: "/bin",
    LC_ALL: "C",
    XDG_RUNTIME_DIR: "/run",
    GITHUB_TOKEN: "secret",
    SHELL: "() { evil; }",
    LANG: undefined,
  };
  assert.deepEqual(childEnv(inherited, { PATH: "/mine", KEY: "v" }, "linux"), {
    HOME: "/home/a",
    LC_ALL: "C",
    XDG_RUNTIME_DIR: "/run",
    PATH: "/mine",
    KEY: "v",
  });
  assert.deepEqual(childEnv({ Path: "C:\\", HOME: "x" }, {}, "win32"), { Path: "C:\\" });
});

test("transition() allows exactly these moves", () => {
  const phases: Phase[] = ["idle", "connecting", "ready", "backoff", "closed"];
  const events: UpstreamEvent[] = [
    { type: "start" },
    { type: "opened" },
    { type: "failed" },
    { type: "lost", stable: false },
    { type: "retry" },
    { type: "rest" },
    { type: "close" },
  ];
  const moves = phases.flatMap((phase) =>
    events.flatMap((event) => {
      const before = { ...INITIAL_STATE, phase };
      const after = transition(before, event);
      return after === before ? [] : [`${phase} ${event.type} ${after.phase}`];
    })
  );
  assert.deepEqual(moves, [
    "idle start connecting",
    "idle close closed",
    "connecting opened ready",
    "connecting failed backoff",
    "connecting close closed",
    "ready lost backoff",
    "ready rest idle",
    "ready close closed",
    "backoff retry connecting",
    "backoff close closed",
  ]);
});

test("transition() counts failures until it ran stably, and restarts after the first time", () => {
  const run = (...events: UpstreamEvent[]) => events.reduce(transition, INITIAL_STATE);
  const lost = (stable: boolean): UpstreamEvent => ({ type: "lost", stable });
  const [start, opened, failed, retry] = (["start", "opened", "failed", "retry"] as const).map(
    (type): UpstreamEvent => ({ type }),
  ) as [UpstreamEvent, UpstreamEvent, UpstreamEvent, UpstreamEvent];
  assert.equal(run(start, failed, retry, failed).failures, 2);
  assert.equal(run(start, failed, retry, opened).failures, 1);
  assert.equal(run(start, failed, retry, opened, lost(false)).failures, 2);
  assert.equal(run(start, failed, retry, failed, retry, opened, lost(true)).failures, 1);
  assert.equal(run(start, failed, retry, opened).restarts, 0);
  assert.equal(run(start, opened, lost(true), retry, opened).restarts, 1);
  const rest: UpstreamEvent = { type: "rest" };
  assert.equal(run(start, opened, rest, start, opened).restarts, 0, "a rest is no failure");
  assert.equal(run(start, failed, retry, opened, rest).failures, 0);
  assert.equal(run(start, opened, lost(true), retry, opened, rest, start, opened).restarts, 1);
});

const response = (raw: string) => parseMessage(raw) as ResponseMessage;

test("restoreId() replaces the id in both spellings, nested ids stay", () => {
  for (
    const [raw, expected] of [
      ['{"jsonrpc":"2.0","id":7,"result":{"a":1}}', '{"jsonrpc":"2.0","id":"q","result":{"a":1}}'],
      [
        '{"result":{"id":7},"jsonrpc":"2.0","id":7}',
        '{"result":{"id":7},"jsonrpc":"2.0","id":"q"}',
      ],
      [
        '{"jsonrpc":"2.0","id":7,"result":{"id":7}}',
        '{"jsonrpc":"2.0","id":"q","result":{"id":7}}',
      ],
      ['{ "id" : 7, "jsonrpc":"2.0","result":{}}', '{ "id" : "q", "jsonrpc":"2.0","result":{}}'],
    ] as const
  ) assert.equal(restoreId(response(raw), '"q"'), expected);
});

test("restoreId() is not fooled by a second id, however it is spelled", () => {
  for (
    const raw of [
      '{"jsonrpc":"2.0","id":7,"result":{},"id":7}',
      '{"jsonrpc":"2.0","id":7,"result":{},"\\u0069d":7}',
      '{"jsonrpc":"2.0","id":7,"result":{},"i\\u0064":7}',
      '{"id":1,"result":{},"jsonrpc":"2.0","id":7}',
    ]
  ) assert.equal(JSON.parse(restoreId(response(raw), '"q"')).id, "q", raw);
});

test("restoreId() changes nothing but the id, for any result", () => {
  fc.assert(fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.boolean(), (value, last) => {
    const text = JSON.stringify(value);
    const raw = last
      ? `{"result":${text},"jsonrpc":"2.0","id":12}`
      : `{"jsonrpc":"2.0","id":12,"result":${text}}`;
    assert.equal(
      restoreId(response(raw), "99"),
      editJson(raw, [{ path: ["id"], value: "99" }]),
    );
  }));
});

test("Refresher makes one run of a burst, and one more of what came during it", async () => {
  const clock = new FakeClock();
  const runs: string[][] = [];
  const gates: (() => void)[] = [];
  const refresher = new Refresher(clock, 50, (kinds) => {
    runs.push([...kinds]);
    return new Promise((resolve) => gates.push(() => resolve(true)));
  });
  refresher.mark(["tools"]);
  clock.tick(30);
  refresher.mark(["tools", "prompts"]);
  clock.tick(19);
  assert.deepEqual(runs, []);
  clock.tick(1);
  assert.deepEqual(runs, [["tools", "prompts"]]);
  refresher.mark(["resources"]);
  clock.tick(500);
  assert.equal(runs.length, 1, "never two at a time");
  gates[0]!();
  await Promise.resolve();
  await Promise.resolve();
  clock.tick(50);
  assert.deepEqual(runs[1], ["resources"]);
  refresher.stop();
  refresher.mark(["tools"]);
  assert.equal(clock.armed, 0);
});

test("Refresher reads less and less often while it is told of changes at every read", async () => {
  for (const [changed, most] of [[true, 1_000], [false, 10_000]] as const) {
    const clock = new FakeClock();
    const times: number[] = [];
    const refresher: Refresher = new Refresher(clock, 50, () => {
      times.push(clock.now());
      refresher.mark(["tools"]);
      return Promise.resolve(changed);
    });
    refresher.mark(["tools"]);
    const go = async (until: number) => {
      for (; times.length < until; clock.tick(10)) await Promise.resolve();
    };
    await go(15);
    const pauses = times.slice(1).map((time, index) => time - times[index]!);
    assert.ok(pauses[0]! <= 70, `${pauses}`);
    assert.ok(pauses.every((pause, index) => index === 0 || pause >= pauses[index - 1]! - 10));
    assert.ok(pauses.at(-1)! >= most, `${pauses}`);
    // The last mark counts, and after a quiet time it counts at once.
    refresher.stop();
    let runs = 0;
    const calm = new Refresher(clock, 50, () => Promise.resolve(++runs > 0));
    for (let i = 1; i <= 3; i++) {
      calm.mark(["tools"]);
      clock.tick(50);
      assert.equal(runs, i);
      await Promise.resolve();
      await Promise.resolve();
      clock.tick(60_000);
    }
  }
});
