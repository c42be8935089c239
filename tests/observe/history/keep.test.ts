import assert from "node:assert/strict";
import { test } from "node:test";
import type { CallRecord } from "../../../src/gateway/events.ts";
import type { Gateway } from "../../../src/gateway/gateway.ts";
import { keepHistory } from "../../../src/observe/history/keep.ts";
import type { CallListener, Recorder } from "../../../src/observe/recorder.ts";
import { callOf, kept } from "./history-support.ts";

const result = (text: string) =>
  JSON.stringify({ jsonrpc: "2.0", id: 1, result: { isError: true, content: [{ text }] } });

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
  };
  const gateway = { inFlight: 0, redact: (text: string) => text.replaceAll("hunter2", "***") };
  const history = keepHistory(
    gateway as unknown as Gateway,
    recorder as unknown as Recorder,
    { directory: place.directory, days: 30, maxSize: 2 ** 26 },
  );
  const tell = (outcome: "tool_error" | "error", record: Partial<CallRecord>) =>
    listeners[0]!(callOf({ outcome, at: Date.now() }), {
      method: "tools/call",
      bytesIn: 10,
      ...record,
    } as CallRecord);
  tell("error", { error: "password hunter2 is wrong" });
  tell("tool_error", { reply: result("no such user 17 hunter2") });
  tell("tool_error", { reply: result("x".repeat(50_000)) });
  tell("tool_error", { reply: "no JSON" });
  tell("tool_error", { reply: '{"result":{"content":7}}' });
  const texts = (await history.problems({})).map(({ text, count }) => [text, count]);
  assert.deepEqual(texts.sort(), [
    ["no such user N ***", 1],
    ["password *** is wrong", 1],
    ["tool_error", 3],
  ]);
  await history.close();
  assert.deepEqual(listeners, []);
});
