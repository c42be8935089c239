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
  source.throwIfAborted();
  source.cancel(new Error("first"));
  source.cancel(new Error("second"));
  source.addEventListener("abort", () => calls.push("late"));
  assert.deepEqual(calls, ["a", "b"]);
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
