import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { CancelSource } from "../../src/lib/cancel.ts";
import { ErrorCode } from "../../src/protocol/errors.ts";
import { CallAdmission } from "../../src/upstream/admission.ts";
import { FakeClock } from "./fakes/clock.ts";
import { askingTarget, callText, exchangeFor, serverConfig, withUpstream } from "./support.ts";
import { rounds } from "../support/rounds.ts";

function admission(maxConcurrency: number | undefined, maxQueue: number) {
  const clock = new FakeClock();
  const limits = { maxQueue, timeout: 5_000 };
  const limitsOf = (most: number | undefined) =>
    most === undefined ? limits : { ...limits, maxConcurrency: most };
  const gate = new CallAdmission("x", limitsOf(maxConcurrency), clock);
  const entered: string[] = [];
  const enter = (name: string, signal = new CancelSource()) => {
    const waiting = gate.enter(signal).then(() => void entered.push(name));
    return Object.assign(waiting, { signal });
  };
  return { clock, gate, entered, enter, limitsOf };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test("CallAdmission lets in as many as it may, then one for each that leaves, in their order", async () => {
  const { gate, entered, enter } = admission(2, 10);
  assert.deepEqual([gate.tryEnter(), gate.tryEnter(), gate.tryEnter()], [true, true, false]);
  const waiting = ["a", "b", "c"].map((name) => enter(name));
  await turn();
  assert.deepEqual(entered, []);
  gate.leave();
  // Who comes now does not pass those who wait.
  assert.equal(gate.tryEnter(), false);
  await turn();
  assert.deepEqual(entered, ["a"]);
  gate.leave();
  gate.leave();
  await Promise.all(waiting);
  assert.deepEqual(entered, ["a", "b", "c"]);
  assert.equal(gate.waiting, 0);
});

test("CallAdmission refuses beyond its queue at once, and says how full it is", async () => {
  const { gate, enter } = admission(1, 2);
  gate.tryEnter();
  const waiting = [enter("a"), enter("b")];
  await assert.rejects(enter("c"), {
    code: ErrorCode.UpstreamBusy,
    message: 'Server "x" is busy: 1 call in progress and 2 waiting; try again later, or raise ' +
      '"maxConcurrency" or "maxQueue"',
  });
  gate.leave();
  gate.leave();
  await Promise.all(waiting);
});

test("CallAdmission lets nobody wait who has gone, nor longer than a call may take", async () => {
  const { gate, enter, clock, entered } = admission(1, 10);
  gate.tryEnter();
  const gone = enter("gone");
  const late = enter("late");
  gone.signal.cancel(new Error("left"));
  await assert.rejects(gone, { code: ErrorCode.UpstreamUnavailable, message: /no longer asked/ });
  await assert.rejects(enter("never", gone.signal), { code: ErrorCode.UpstreamUnavailable });
  clock.tick(4_999);
  assert.equal(gate.waiting, 1);
  clock.tick(1);
  await assert.rejects(late, {
    code: ErrorCode.UpstreamTimeout,
    message: 'Server "x" had no room for the call within 5 s: 1 call in progress and 1 waiting',
  });
  gate.leave();
  assert.equal(gate.tryEnter(), true);
  assert.deepEqual(entered, []);
  assert.equal(clock.armed, 0);
});

test("CallAdmission.reconfigure() lets in at once who may now, and turns out nobody", async () => {
  const { gate, enter, entered, limitsOf } = admission(1, 10);
  gate.tryEnter();
  const waiting = ["a", "b", "c", "d"].map((name) => enter(name));
  gate.reconfigure(limitsOf(3));
  await turn();
  assert.deepEqual(entered, ["a", "b"]);
  gate.reconfigure(limitsOf(1));
  gate.leave();
  gate.leave();
  await turn();
  assert.deepEqual(entered, ["a", "b"]);
  gate.reconfigure(limitsOf(undefined));
  await Promise.all(waiting);
  assert.equal(gate.isBounded, false);
});

test("CallAdmission.close() ends every wait, and lets nobody wait again", async () => {
  const { gate, enter, clock } = admission(1, 10);
  gate.tryEnter();
  const waiting = enter("a");
  gate.close();
  const stopped = { code: ErrorCode.UpstreamUnavailable, message: 'Server "x" was stopped' };
  await assert.rejects(waiting, stopped);
  await assert.rejects(enter("b"), stopped);
  assert.equal(clock.armed, 0);
});

test("CallAdmission never has more inside than it may, keeps the order, and forgets nobody", async () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.constant("enter" as const) },
    { weight: 3, arbitrary: fc.constant("leave" as const) },
    { weight: 1, arbitrary: fc.constant("cancel" as const) },
    { weight: 1, arbitrary: fc.constant("wait" as const) },
  );
  const property = fc.asyncProperty(
    fc.array(step, { maxLength: 60 }),
    fc.integer({ min: 1, max: 4 }),
    fc.nat(4),
    async (steps, most, queue) => {
      const { gate, clock, entered, enter } = admission(most, queue);
      const open: { name: string; signal: CancelSource; state: string }[] = [];
      let inside = 0;
      for (const [index, what] of steps.entries()) {
        const name = String(index).padStart(3, "0");
        if (what === "enter" && gate.tryEnter()) {
          inside++;
          entered.push(name);
        } else if (what === "enter") {
          const attempt = enter(name);
          const one = { name, signal: attempt.signal, state: "waiting" };
          open.push(one);
          attempt.then(
            () => {
              one.state = "inside";
              inside++;
            },
            () => one.state = "refused",
          );
        } else if (what === "leave" && inside > 0) {
          inside--;
          gate.leave();
        } else if (what === "cancel") {
          open.find(({ state }) => state === "waiting")?.signal.cancel(new Error("left"));
        } else if (what === "wait") clock.tick(5_000);
        await turn();
        assert.ok(inside <= most);
        const waiting = open.filter(({ state }) => state === "waiting").length;
        assert.equal(gate.waiting, waiting);
        assert.ok(waiting === 0 || inside === most, "somebody waits for nothing");
      }
      assert.deepEqual(entered, entered.toSorted());
      gate.close();
      await turn();
      assert.ok(open.every(({ state }) => state !== "waiting"));
      assert.equal(clock.armed, 0);
    },
  );
  await fc.assert(property, { seed: 20261120, numRuns: rounds(100) });
});

test("Upstream lets calls wait in their order, counts them, and tells one too many that it is busy", async () => {
  const config = serverConfig(askingTarget(), { maxConcurrency: 1, maxQueue: 2 });
  await withUpstream(config, async (upstream) => {
    const order: string[] = [];
    const start = (name: string) => {
      const exchange = exchangeFor(callText("seen"));
      const done = upstream.forward(exchange, []).then(() => void order.push(name));
      return Object.assign(done, { exchange });
    };
    const holding = exchangeFor(callText("hold"));
    const held = upstream.forward(holding, []);
    const waiting = ["a", "b"].map(start);
    assert.equal(upstream.status().queued, 2);
    await assert.rejects(start("c"), {
      code: ErrorCode.UpstreamBusy,
      message: /^Server "x" is busy: 1 call in progress and 2 waiting; try again later, or raise/,
    });
    waiting[0]!.exchange.abort();
    await assert.rejects(waiting[0]!, { code: ErrorCode.UpstreamUnavailable });
    const last = start("d");
    const idle = upstream.whenIdle();
    // What is about a task does not wait behind the call that has made it.
    const about = exchangeFor(
      '{"jsonrpc":"2.0","id":1,"method":"tasks/cancel","params":{"taskId":"t"}}',
    );
    assert.equal(JSON.parse((await upstream.forward(about, [])).raw).error.code, -32601);
    assert.deepEqual(order, []);
    holding.abort();
    await assert.rejects(held);
    await Promise.all([waiting[1], last, idle]);
    assert.deepEqual(order, ["b", "d"]);
    const { calls, failedCalls, queued } = upstream.status();
    assert.deepEqual([calls, failedCalls, queued], [6, 4, 0]);
  });
});

test("Upstream.reconfigure() lets waiting calls in, and Upstream.close() ends their wait", async () => {
  const config = serverConfig(askingTarget(), { maxConcurrency: 1 });
  await withUpstream(config, async (upstream) => {
    const hold = () => upstream.forward(exchangeFor(callText("hold")), []);
    const held = [hold(), hold()];
    const release = upstream.forward(exchangeFor(callText("release")), []);
    assert.equal(upstream.status().queued, 2);
    upstream.reconfigure({ ...config, maxConcurrency: 3 });
    await Promise.all([...held, release]);
    assert.equal(upstream.status().queued, 0);

    upstream.reconfigure({ ...config, maxConcurrency: 1 });
    const last = [hold(), hold()];
    const ends = Promise.all([
      assert.rejects(last[0]!, { code: ErrorCode.UpstreamUnavailable }),
      assert.rejects(last[1]!, { message: 'Server "x" was stopped' }),
    ]);
    await upstream.close();
    await ends;
    assert.deepEqual([upstream.status().queued, upstream.status().inFlight], [0, 0]);
    await upstream.whenIdle();
  });
});

test("Upstream keeps the place of a call until its line is released", async () => {
  const config = serverConfig(askingTarget(), { maxConcurrency: 1 });
  await withUpstream(config, async (upstream) => {
    const line = await upstream.lineFor(exchangeFor(callText("seen")));
    await line.forward(exchangeFor(callText("seen")), []);
    const next = upstream.forward(exchangeFor(callText("seen")), []);
    assert.equal(upstream.status().queued, 1);
    line.release();
    line.release();
    assert.equal(upstream.status().queued, 0);
    const third = upstream.forward(exchangeFor(callText("seen")), []);
    assert.equal(upstream.status().queued, 1);
    await Promise.all([next, third]);
  });
});
