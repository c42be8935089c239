import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { runtime } from "#runtime";
import type { ProcessSignal } from "../../src/runtime/types.ts";
import { fixture } from "./child.ts";

const SIGNALS: readonly ProcessSignal[] = ["SIGHUP", "SIGUSR1", "SIGUSR2", "SIGTERM", "SIGINT"];

test("onSignal() hears each signal, and the process lives on", async () => {
  await using child = await fixture("signals.ts", SIGNALS);
  await child.line(/ready\n/);
  for (const signal of SIGNALS) {
    process.kill(child.child.pid, signal);
    await child.line(new RegExp(`heard ${signal}\n`));
  }
  child.child.endInput();
  assert.deepEqual(await child.exited, { code: 0, signal: null });
});

test("onSignal() removed leaves the system's default", async () => {
  await using child = await fixture("signals.ts", ["--once", "SIGTERM"]);
  await child.line(/ready\n/);
  process.kill(child.child.pid, "SIGTERM");
  await child.line(/heard SIGTERM\n/);
  process.kill(child.child.pid, "SIGTERM");
  assert.deepEqual(await child.exited, { code: null, signal: "SIGTERM" });
});

test("onSignal() removes one registration of a handler, not the other", async () => {
  const heard = Promise.withResolvers<void>();
  let calls = 0;
  const handler = (): void => {
    calls++;
    heard.resolve();
  };
  // A signal handler keeps no event loop alive, on either runtime.
  const alive = setInterval(() => {}, 60_000);
  const removeFirst = runtime.onSignal("SIGUSR2", handler);
  const removeSecond = runtime.onSignal("SIGUSR2", handler);
  removeFirst();
  removeFirst();
  process.kill(process.pid, "SIGUSR2");
  await heard.promise;
  removeSecond();
  clearInterval(alive);
  assert.equal(calls, 1);
});
