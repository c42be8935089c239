import assert from "node:assert/strict";
import { test } from "node:test";
import type { CallRecord } from "../../../src/gateway/events.ts";
import type { Gateway } from "../../../src/gateway/gateway.ts";
import { keepHistory } from "../../../src/observe/history/keep.ts";
import type { CallListener, Recorder } from "../../../src/observe/recorder.ts";
import { EndedCall } from "../../../src/observe/ring.ts";
import { callOf, kept, questions } from "./history-support.ts";

test("problems have the words of who failed, without secrets", async () => {
  await using place = kept();
  const listeners: CallListener[] = [];
  const recorder = {
    process: "p",
    recent: () => [],
    onCall: (listener: CallListener) => {
      listeners.push(listener);
      return () => listeners.pop();
    },
    failureText: ({ error }: CallRecord) => error?.replaceAll("hunter2", "***"),
  };
  const gateway = { inFlight: 0 };
  const history = keepHistory(
    gateway as unknown as Gateway,
    recorder as unknown as Recorder,
    { directory: place.directory, days: 30, maxSize: 2 ** 26 },
  );
  const tell = (outcome: "tool_error" | "error", said: Partial<CallRecord>) => {
    const call = callOf({ outcome, at: Date.now() });
    const record = { ...call, duration: 1, bytesIn: 10, ...said } as unknown as CallRecord;
    const { at, method, name, client } = call;
    listeners[0]!(new EndedCall(record, at, method, name, client, () => call));
  };
  tell("error", { error: "password hunter2 is wrong" });
  tell("tool_error", { error: "no such user 17 hunter2" });
  tell("error", { error: 'cannot use {"token":"letters-only","user":"me"}' });
  tell("tool_error", {});
  const texts = (await questions(history).problems({})).map(({ text, count }) => [text, count]);
  assert.deepEqual(texts.sort(), [
    ['cannot use {"token":"[redacted]","user":"me"}', 1],
    ["no such user N ***", 1],
    ["password *** is wrong", 1],
    ["tool_error", 1],
  ]);
  await history.close();
  assert.deepEqual(listeners, []);
});
