import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ErrorCode, RpcError } from "../../src/protocol/errors.ts";
import {
  Correlation,
  type Outcome,
  SentRequest,
} from "../../src/upstream/connection/correlation.ts";
import { SHARED_IDENTITY } from "../../src/upstream/connection/line.ts";
import { FakeClock } from "./fakes/clock.ts";

const FROM = {
  era: "legacy",
  identity: SHARED_IDENTITY,
  timeout: 10,
  clock: new FakeClock(),
  heardAt: 0,
  aborted: () => {},
} as const;

/** An outcome that is told apart. */
const over = (why: string) => new RpcError(ErrorCode.InternalError, why);

/** A call as a test makes it. */
class TestCall extends SentRequest {
  constructor(method: string, timeout: number, tokenText?: string, readonly ends: string[] = []) {
    super(FROM, method, { timeout });
    this.tokenText = tokenText;
  }

  override settle(outcome: Outcome): void {
    this.ends.push((outcome as RpcError).message);
  }
}

function table(clock = new FakeClock()) {
  const expired: number[] = [];
  const calls = new Correlation(clock, (call) => {
    expired.push(call.id);
    call.settle(over("expired"));
  });
  return { clock, calls, expired };
}

test("Correlation.open() never gives an id twice", () => {
  const { calls } = table();
  const open = () => calls.open(new TestCall("m", 10));
  const first = open();
  calls.take(first);
  assert.notEqual(open(), first);
});

test("Correlation.take() knows numbers only: text that looks like an id is somebody else's", () => {
  const { calls } = table();
  const id = calls.open(new TestCall("m", 10));
  assert.equal(calls.take(String(id)), undefined);
  assert.equal(calls.take(null), undefined);
  assert.equal(calls.take(id)?.id, id);
  assert.equal(calls.take(id), undefined);
});

test("Correlation expires by the earliest deadline, and not what made progress", () => {
  const { calls, clock, expired } = table();
  const a = calls.open(new TestCall("a", 100, "1"));
  const b = calls.open(new TestCall("b", 100));
  const c = calls.open(new TestCall("c", 40));
  const d = calls.open(new TestCall("d", Infinity));
  clock.tick(50);
  assert.deepEqual(expired, [c]);
  assert.equal(calls.progress(a)?.id, a);
  assert.equal(calls.progress(b), undefined, "it gave no token");
  clock.tick(60);
  assert.deepEqual(expired, [c, b]);
  clock.tick(1e9);
  assert.deepEqual(expired, [c, b, a]);
  assert.equal(calls.only(() => true)?.id, d);
  assert.equal(clock.armed, 0);
});

test("Correlation.hold() stops the time of a call until the last unhold()", () => {
  const { calls, clock, expired } = table();
  const a = calls.open(new TestCall("a", 100, "1"));
  clock.tick(90);
  calls.hold(a);
  calls.hold(a);
  calls.hold(4711);
  clock.tick(1_000);
  calls.unhold(a);
  assert.equal(calls.progress(a)?.id, a, "progress does not start the time of a held call");
  clock.tick(1_000);
  calls.unhold(a);
  calls.unhold(a);
  clock.tick(99);
  assert.deepEqual(expired, []);
  clock.tick(1);
  assert.deepEqual(expired, [a]);
  calls.unhold(a);
  assert.equal(clock.armed, 0);
});

test("Correlation.drain() settles everything and leaves no timer", () => {
  const { calls, clock } = table();
  const outcomes: string[] = [];
  for (const method of ["a", "b"]) {
    calls.open(new TestCall(method, 100, undefined, outcomes));
  }
  calls.drain((call) => over(`lost ${call.method}`));
  assert.deepEqual(outcomes, ["lost a", "lost b"]);
  assert.deepEqual([calls.size, clock.armed], [0, 0]);
});

test("Correlation settles each call exactly once, with its own outcome, in any order", () => {
  const id = fc.integer({ min: -1, max: 30 });
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant("open" as const), ms: fc.nat(50) }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant("answer" as const), id }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("answerText" as const), id }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("cancel" as const), id }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("progress" as const), id }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("tick" as const), ms: fc.nat(40) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("lose" as const) }) },
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
    const { calls, clock } = table();
    const outcomes = new Map<number, string[]>();
    const progressed = new Map<number, number>();
    const open = (ms: number) => {
      const mine: string[] = [];
      const id = calls.open(new TestCall("m", ms, ms % 2 === 0 ? "1" : undefined, mine));
      assert.equal(outcomes.has(id), false);
      outcomes.set(id, mine);
    };
    for (const each of steps) {
      switch (each.do) {
        case "open":
          open(each.ms);
          break;
        case "answer":
        case "cancel":
          calls.take(each.id)?.settle(over(`${each.do} ${each.id}`));
          break;
        case "answerText":
          assert.equal(calls.take(String(each.id)), undefined);
          break;
        case "progress": {
          const call = calls.progress(each.id);
          if (call !== undefined) {
            assert.equal(call.id, each.id);
            assert.equal(outcomes.get(each.id)!.length, 0, "progress after the outcome");
            progressed.set(each.id, clock.now());
          }
          break;
        }
        case "tick":
          clock.tick(each.ms);
          break;
        case "lose":
          calls.drain((call) => over(`lost ${call.id}`));
      }
    }
    calls.drain((call) => over(`lost ${call.id}`));
    for (const [id, mine] of outcomes) {
      assert.equal(mine.length, 1);
      assert.ok(mine[0] === "expired" || mine[0]!.endsWith(` ${id}`), mine[0]!);
    }
    assert.deepEqual([calls.size, clock.armed], [0, 0]);
  }));
});
