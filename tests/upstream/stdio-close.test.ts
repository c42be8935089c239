import assert from "node:assert/strict";
import { test } from "node:test";
import { StdioTransport } from "../../src/upstream/transport/stdio.ts";
import type { TransportHandlers } from "../../src/upstream/transport/transport.ts";
import { FakeRuntime } from "../support/fake-runtime.ts";
import { within } from "../support/inbox.ts";
import { RecordedLog } from "./support.ts";

/** A server that ends when it is told to, and its transport under a clock that never moves. */
async function started() {
  const runtime = new FakeRuntime({ programs: { slow: (child) => child.onInputEnd(() => {}) } });
  const heard = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  const handlers: TransportHandlers = {
    onMessage: () => heard.resolve(),
    onInvalid: () => heard.resolve(),
    onClose: () => closed.resolve(),
  };
  const transport = new StdioTransport({
    server: "slow",
    target: { kind: "stdio", command: "slow", args: [], env: {} },
    runtime,
    log: new RecordedLog(),
    // What has to end at once ends without it; the last look at the group is not of interest here.
    clock: { now: () => 0, after: () => () => {} },
  });
  await transport.start(handlers);
  return { child: runtime.children[0]!, transport, heard: heard.promise, closed: closed.promise };
}

test("StdioTransport.close() gives no time to a server that has said nothing yet", async () => {
  const { child, transport, closed } = await started();
  void transport.close();
  await within(closed, "the end of the server");
  assert.equal(child.signals[0], "SIGTERM");
});

test("StdioTransport.close() leaves it to a server that has spoken to end by itself", async () => {
  const { child, transport, heard } = await started();
  child.stdout('{"jsonrpc":"2.0","id":1,"result":{}}\n');
  await heard;
  void transport.close();
  await Promise.resolve();
  assert.deepEqual(child.signals, []);
});
