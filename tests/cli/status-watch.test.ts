import { runtime } from "#runtime";
import assert from "node:assert/strict";
import { test } from "node:test";
import { LiveScreen } from "../../src/cli/view/live.ts";
import { main } from "../../src/cli/main.ts";
import type { HttpServer } from "../../src/runtime/types.ts";
import { within } from "../support/inbox.ts";
import { TestIo, type TestIoOptions } from "./support.ts";
import { OWN_ADDRESS } from "../support/own-address.ts";

/** A gateway that says what it is told to say. */
class FakeGateway {
  #server: HttpServer | undefined;
  #port = 0;
  /** Grows with every question. */
  asked = 0;

  /** Listens, from the second time on at the same address. */
  async start(): Promise<void> {
    this.#server = await runtime.serve({
      hostname: OWN_ADDRESS,
      port: this.#port,
      handler: () => {
        this.asked++;
        const servers = [{ name: `asked-${this.asked}`, state: "ready", transport: "stdio" }];
        const body = { version: "1.2.3", uptimeSeconds: 1, config: {}, servers };
        return new Response(`${JSON.stringify(body, null, 2)}\n`);
      },
      onError: (error) => assert.fail(String(error)),
    });
    this.#port = this.#server.port;
  }

  get url(): string {
    return `http://${OWN_ADDRESS}:${this.#port}`;
  }

  async stop(): Promise<void> {
    const stopped = this.#server?.stop();
    this.#server?.abort();
    await stopped;
  }
}

/** Watches with the shortest interval until `check` is done, then sends SIGINT. */
async function watching(
  { args = [], ...options }: TestIoOptions & { readonly args?: readonly string[] },
  check: (io: TestIo, gateway: FakeGateway) => Promise<void>,
): Promise<TestIo> {
  const gateway = new FakeGateway();
  await gateway.start();
  const io = new TestIo(options);
  const code = main(["status", "--watch", "0.1", "--url", gateway.url, ...args], io);
  try {
    await check(io, gateway);
  } finally {
    io.signal("SIGINT");
    assert.equal(await within(code, "the end of the watch"), 0);
    await gateway.stop();
  }
  for (const signal of ["SIGINT", "SIGTERM"] as const) assert.equal(io.listeners(signal), 0);
  assert.equal(io.stderrText, "");
  return io;
}

/** Waits for a text that matches among all that were written from index `from` on. */
function seen(io: TestIo, pattern: RegExp, from = 0): Promise<string> {
  return io.out.waitFor((text) => pattern.test(text), { from });
}

test("status --watch appends a block per refresh where there is no terminal", async () => {
  const io = await watching({}, async (io) => void await seen(io, /asked-3/));
  assert.ok(io.out.items.length >= 3);
  for (const text of io.out.items) {
    assert.match(text, /^mcproxy 1\.2\.3, up 1s\n[\s\S]*\nasked-\d+ +ready[^\n]*\n\n$/);
  }
  // deno-lint-ignore no-control-regex
  assert.doesNotMatch(io.stdoutText, /\x1b/);
});

test("status --watch redraws in place on a terminal, and leaves the last view behind", async () => {
  const terminal = { columns: 80, rows: 24 };
  const io = await watching({ terminal, env: { NO_COLOR: "1" } }, async (io) => {
    await seen(io, /asked-3/);
  });
  const [first, ...later] = io.out.items.filter((text) => text.includes("asked-"));
  assert.doesNotMatch(first!, /asked-2/);
  // Drawn when it comes, not when a second is over.
  for (const at of [2, 3]) assert.ok(later.some((text) => text.includes(`asked-${at} `)), `${at}`);
  // Every further view first takes away the six lines of the one before.
  for (const text of later) assert.ok(text.startsWith("\x1b[6A\r\x1b[0J"), JSON.stringify(text));
  assert.match(io.out.items.at(-1)!, /asked-\d+ +ready +stdio\n$/);
});

test("status --watch --json writes one line per refresh, whatever the text looks like", async () => {
  const args = ["--json"];
  const io = await watching({ args }, async (io, gateway) => {
    await seen(io, /asked-2/);
    await gateway.stop();
    await seen(io, /"error"/);
  });
  const lines = io.stdoutText.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.equal(lines.length, io.out.items.length);
  assert.deepEqual(lines.slice(0, 2).map(({ servers }) => servers[0].name), ["asked-1", "asked-2"]);
  assert.match(
    lines.at(-1).error.message,
    /^Cannot ask the gateway at "http:\/\/127[.\d]+:\d+"/,
  );
});

for (const terminal of [undefined, { columns: 200, rows: 24 }]) {
  const where = terminal === undefined ? "a pipe" : "a terminal";
  test(`status --watch on ${where} says that the gateway is away, and sees it return`, async () => {
    const options = terminal === undefined ? {} : { terminal, env: { NO_COLOR: "1" } };
    await watching(options, async (io, gateway) => {
      await seen(io, /asked-1/);
      await gateway.stop();
      const away = await seen(io, /Cannot ask the gateway/);
      // A terminal also keeps what was known, with its age.
      assert.equal(/As it was \d+s ago:[\s\S]*asked-/.test(away), terminal !== undefined);
      const { asked } = gateway;
      const from = io.out.items.length;
      await gateway.start();
      const back = await seen(io, new RegExp(`asked-${asked + 1}`), from);
      assert.doesNotMatch(back, /Cannot ask/);
    });
  });
}

test("status --watch waits for a gateway that has not been started yet", async () => {
  const gateway = new FakeGateway();
  await gateway.start();
  await gateway.stop();
  const io = new TestIo();
  const code = main(["status", "--watch=0.1", "--url", gateway.url], io);
  await seen(io, /Cannot ask the gateway/);
  await gateway.start();
  await seen(io, /asked-1/);
  io.signal("SIGTERM");
  assert.equal(await within(code, "the end of the watch"), 0);
  await gateway.stop();
});

test("status --watch ends at once while a gateway does not answer", async () => {
  const asked = Promise.withResolvers<void>();
  const server = await runtime.serve({
    hostname: "127.0.0.1",
    port: 0,
    handler: () => {
      asked.resolve();
      return new Promise<Response>(() => {});
    },
    onError: () => {},
  });
  const io = new TestIo();
  const code = main(["status", "--watch", "--url", `http://127.0.0.1:${server.port}`], io);
  await asked.promise;
  io.signal("SIGINT");
  assert.equal(await within(code, "the end of the watch"), 0);
  assert.equal(io.stdoutText + io.stderrText, "");
  server.abort();
});

test("status --watch ends well when its reader has gone", async () => {
  const gateway = new FakeGateway();
  await gateway.start();
  const io = new TestIo();
  const closed = { write: () => Promise.reject(new Error("EPIPE")) };
  const code = main(["status", "--watch", "--url", gateway.url], {
    stdin: io.stdin,
    stderr: io.stderr,
    env: io.env,
    hasTerminal: () => false,
    cwd: io.cwd,
    runtime: io.runtime,
    onUncaught: (handler) => io.onUncaught(handler),
    stdout: { ...io.stdout, ...closed },
  });
  assert.equal(await within(code, "the end of the watch"), 0);
  assert.equal(io.stderrText, "");
  await gateway.stop();
});

test("status --watch refuses an address that is none, and starts nothing", async () => {
  const io = new TestIo();
  assert.equal(await main(["status", "--watch", "--url", "localhost:1"], io), 2);
  assert.equal(io.listeners("SIGINT"), 0);
});

test("LiveScreen.refresh() draws at once, and only while there is a view", () => {
  const io = new TestIo({ terminal: { columns: 40, rows: 10 } });
  const screen = new LiveScreen(io.stdout, (frame) => [`frame ${frame}`], 60_000);
  screen.refresh();
  assert.equal(io.stdoutText, "");
  screen.start();
  screen.refresh();
  assert.equal(io.stdoutText, "frame 0\n\x1b[1A\r\x1b[0Jframe 0\n");
  screen.clear();
  const { length } = io.out.items;
  screen.refresh();
  assert.equal(io.out.items.length, length);
});
