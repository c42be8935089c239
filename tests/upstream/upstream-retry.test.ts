import assert from "node:assert/strict";
import { test } from "node:test";
import { runtime } from "#runtime";
import { ErrorCode } from "../../src/protocol/errors.ts";
import { SpawnError } from "../../src/runtime/types.ts";
import { Upstream } from "../../src/upstream/upstream.ts";
import { FakeClock } from "./fakes/clock.ts";
import { call, fakeTarget, RecordedLog, serverConfig, textOf, Watch } from "./support.ts";

/** An upstream under fake time whose process can be kept from starting. */
function retrying() {
  const clock = new FakeClock();
  const watch = new Watch();
  const attempts: number[] = [];
  const control = { broken: true };
  const upstream = new Upstream({
    config: serverConfig(fakeTarget(), { protocol: "legacy" }),
    runtime: {
      spawn: (options) => {
        attempts.push(clock.now());
        return control.broken
          ? Promise.reject(new SpawnError("no such command", "ENOENT"))
          : runtime.spawn(options);
      },
    },
    log: new RecordedLog(),
    events: watch,
    clock,
    random: () => 0.5,
  });
  return { upstream, clock, watch, attempts, control };
}

test("Upstream retries at once, then backs off, and never gives up", async () => {
  const { upstream, clock, watch, attempts } = retrying();
  upstream.start();
  await upstream.settled;
  for (const delay of [0, 500, 1_000, 2_000, 4_000]) {
    clock.tick(delay);
    await watch.until(() => upstream.state.phase === "backoff");
  }
  assert.deepEqual(attempts, [0, 0, 500, 1_500, 3_500, 7_500]);
  await upstream.close();
  clock.tick(1e9);
  assert.equal(attempts.length, 6, "nothing starts after close()");
  assert.equal(clock.armed, 0);
});

test("Upstream.forward() in back-off tries at once, but not more than once a second", async () => {
  const { upstream, clock, attempts, control } = retrying();
  upstream.start();
  await upstream.settled;
  const failed = { code: ErrorCode.UpstreamUnavailable, message: /^Server "x" cannot be started/ };
  for (let i = 0; i < 20; i++) await assert.rejects(upstream.forward(call("echo"), []), failed);
  assert.equal(attempts.length, 1);
  clock.tick(0);
  await assert.rejects(upstream.forward(call("echo"), []), failed);
  assert.equal(attempts.length, 2);
  control.broken = false;
  clock.tick(499);
  await assert.rejects(upstream.forward(call("echo"), []), failed);
  assert.equal(attempts.length, 2);
  clock.tick(1);
  assert.equal(textOf((await upstream.forward(call("echo", 1), [])).raw), "1");
  assert.equal(upstream.state.phase, "ready");
  await clock.flowUntil(upstream.close());
  assert.equal(upstream.state.phase, "closed");
});

test("Upstream.forward() waits for a start under way, and gives up with its client", async () => {
  const { upstream, clock, control } = retrying();
  control.broken = false;
  upstream.start();
  const gone = call("echo");
  const left = upstream.forward(gone, []);
  const waiting = upstream.forward(call("echo", 2), []);
  gone.abort();
  await assert.rejects(left, { code: ErrorCode.UpstreamUnavailable });
  assert.equal(textOf((await waiting).raw), "2");
  await clock.flowUntil(upstream.close());
});
