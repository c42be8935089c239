import assert from "node:assert/strict";
import { test } from "node:test";
import { anyCancelled, CancelSource } from "../../src/lib/cancel.ts";

test("CancelSource trips once, calls each listener once, and none that was removed", () => {
  const source = new CancelSource();
  const calls: string[] = [];
  const removed = () => calls.push("removed");
  source.addEventListener("abort", () => calls.push("a"));
  source.addEventListener("abort", removed);
  source.addEventListener("abort", () => calls.push("b"));
  source.removeEventListener("abort", removed);
  const [taken, kept] = ["taken", "c"].map((name) => ({
    handleEvent: () => void calls.push(name),
  }));
  source.addEventListener("abort", taken!);
  source.addEventListener("abort", kept!);
  source.removeEventListener("abort", taken!);
  source.throwIfAborted();
  source.cancel(new Error("first"));
  source.cancel(new Error("second"));
  source.addEventListener("abort", () => calls.push("late"));
  assert.deepEqual(calls, ["a", "b", "c"]);
  assert.equal(source.aborted, true);
  assert.throws(() => source.throwIfAborted(), /first/);
});

test("anyCancelled() follows whichever comes first, an AbortSignal too, until detached", () => {
  const [one, two] = [new CancelSource(), new AbortController()];
  const either = anyCancelled(one, two.signal);
  two.abort(new Error("two"));
  one.cancel(new Error("one"));
  assert.match(String(either.signal.reason), /two/);

  const idle = new CancelSource();
  const left = anyCancelled(idle);
  left.detach();
  idle.cancel(new Error("nobody hears"));
  assert.equal(left.signal.aborted, false);
  assert.equal(anyCancelled(idle).signal.aborted, true);
});

test("CancelSource calls whoever listens after the first one has left, in order", () => {
  const source = new CancelSource();
  const calls: string[] = [];
  const listen = (name: string) => {
    const listener = () => calls.push(name);
    source.addEventListener("abort", listener);
    return listener;
  };
  const first = listen("first");
  listen("second");
  source.removeEventListener("abort", first);
  listen("third");
  source.cancel(new Error("over"));
  assert.deepEqual(calls, ["second", "third"]);
});
