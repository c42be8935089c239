import assert from "node:assert/strict";
import { test } from "node:test";
import type { LostCallError } from "../../src/upstream/transport/failures.ts";
import { StdioTransport } from "../../src/upstream/transport/stdio.ts";
import type { CloseReason, TransportHandlers } from "../../src/upstream/transport/transport.ts";
import { FakeRuntime } from "../support/fake-runtime.ts";
import { within } from "../support/inbox.ts";
import { RecordedLog } from "./support.ts";

/** A process that ends only when it is told to, and what its transport does with it, in order. */
async function recorded(write: () => Promise<void> = () => Promise.resolve()) {
  const did: string[] = [];
  const closed = Promise.withResolvers<CloseReason>();
  let exit = () => {};
  const transport = new StdioTransport({
    server: "x",
    target: { kind: "stdio", command: "x", args: [], env: {} },
    runtime: {
      spawn: ({ onExit }) => {
        exit = () => onExit({ code: 1, signal: null });
        return Promise.resolve({
          pid: 1,
          write: (text) => {
            did.push(text);
            return write();
          },
          endInput: () => did.push("end"),
          kill: () => {},
        });
      },
    },
    log: new RecordedLog(),
    // It has not ended by itself, and the time for that is not over.
    clock: { now: () => 0, after: () => () => {} },
  });
  await transport.start({ onMessage: () => {}, onInvalid: () => {}, onClose: closed.resolve });
  const send = (requestId: number) =>
    transport.send(`{"id":${requestId}}`, { method: "tools/call", requestId });
  return { transport, send, did, closed: closed.promise, exit: () => exit() };
}

const turn = () => new Promise((next) => setImmediate(next));

test("StdioTransport knows of what comes after a broken write that it was not sent", async () => {
  const { send } = await recorded(() => Promise.reject(new Error("broken")));
  assert.equal(send(1), undefined);
  await turn();
  await assert.rejects(
    within(send(2)!, "the second call"),
    (error: LostCallError) => /broken/.test(error.message) && error.facts.sent === false,
  );
});

test("StdioTransport knows of what has not left when the process ends that it was not sent", async () => {
  const { send, did, closed, exit } = await recorded();
  void send(1);
  await turn();
  void send(2);
  exit();
  const { unsent } = await within(closed, "the end of the server");
  assert.deepEqual([...unsent!], [2]);
  await turn();
  assert.deepEqual(did, ['{"id":1}\n']);
});

test("StdioTransport writes once for each turn of the event loop, in the order of sending", async () => {
  const { send, did } = await recorded();
  void send(1);
  for (const id of [2, 3]) {
    await Promise.resolve();
    void send(id);
  }
  await turn();
  void send(4);
  await turn();
  assert.deepEqual(did, ['{"id":1}\n{"id":2}\n{"id":3}\n', '{"id":4}\n']);
});

test("StdioTransport.close() writes what waits before it closes the input, and sends no more", async () => {
  const { transport, send, did } = await recorded();
  void send(1);
  void transport.close();
  await assert.rejects(send(2)!, (error: LostCallError) => error.facts.sent === false);
  await turn();
  assert.deepEqual(did, ['{"id":1}\n', "end"]);
});

/** A server that ends when it is told to, and its transport under a clock that never moves. */
async function started() {
  const runtime = new FakeRuntime({ programs: { slow: (child) => child.onInputEnd(() => {}) } });
  const heard = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<CloseReason>();
  const handlers: TransportHandlers = {
    onMessage: () => heard.resolve(),
    onInvalid: () => heard.resolve(),
    onClose: closed.resolve,
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

/** What programs leave on stderr when they fail, and the line of it that says why. */
const LAST_WORDS: Readonly<Record<string, readonly [stderr: string, why: string]>> = {
  node: [
    "node:internal/modules/cjs/loader:1423\n  throw err;\n  ^\n\n" +
    "Error: Cannot find module '/srv/x.js'\nRequire stack:\n- /srv/y.js\n" +
    "    at Function._resolveFilename (node:internal/modules/cjs/loader:1420:15)\n" +
    "    at node:internal/main/run_main_module:33:47 {\n" +
    "  code: 'MODULE_NOT_FOUND',\n  requireStack: [ '/srv/y.js' ]\n}\n\nNode.js v24.21.0\n",
    "Error: Cannot find module '/srv/x.js'",
  ],
  npm: [
    "npm error code E404\nnpm error 404 Not Found - GET https://registry.example/xy - Not found\n" +
    "npm error 404\nnpm error 404  'xy@*' is not in this registry.\nnpm error 404\n" +
    "npm error 404 Note that you can also install from a\n" +
    "npm error 404 tarball, folder, http url, or git folder.\n" +
    "npm error A complete log of this run can be found in: /home/x/.npm/_logs/x-debug-0.log\n",
    "npm error 404  'xy@*' is not in this registry.",
  ],
  docker: [
    "Unable to find image 'x/y:latest' locally\n" +
    "docker: Error response from daemon: pull access denied for x/y\n\n" +
    "Run 'docker run --help' for more information\n",
    "docker: Error response from daemon: pull access denied for x/y",
  ],
  bun: ["error: boom\n      at /srv/x.ts:1:7\n\nBun v1.4.5 (Linux x64)\n", "error: boom"],
  go: [
    "panic: no key\n\ngoroutine 1 [running]:\nmain.main()\n\t/srv/x.go:4 +0x2c\nexit status 2\n",
    "panic: no key",
  ],
  python: [
    'Traceback (most recent call last):\n  File "/srv/x.py", line 1, in <module>\n    import y\n' +
    "ModuleNotFoundError: No module named 'y'\n",
    "ModuleNotFoundError: No module named 'y'",
  ],
  rust: [
    "thread 'main' panicked at src/main.rs:2:5:\nno key\n" +
    "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n",
    "no key",
  ],
  uv: [
    "  × No solution found\n  ╰─▶ Because y was not found, z\n",
    "  ╰─▶ Because y was not found, z",
  ],
  terse: ["Node.js v24.21.0\n", "Node.js v24.21.0"],
};

test("StdioTransport tells an end with the line of stderr that says why", async () => {
  for (const [program, [stderr, why]] of Object.entries(LAST_WORDS)) {
    const { child, closed } = await started();
    child.stderr(stderr);
    child.exit(1);
    const { message } = await within(closed, `the end of ${program}`);
    assert.equal(message, `exited with code 1: ${why}`);
  }
});
