/** Servers that are not ready in time: what is said of it, and how long they get the next time. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Upstream } from "../../src/upstream/upstream.ts";
import type { FakeProcess, FakeProgram } from "../support/fake-child.ts";
import { FakeRuntime } from "../support/fake-runtime.ts";
import { FakeClock } from "./fakes/clock.ts";
import { RecordedLog, serverConfig } from "./support.ts";

const STARTUP = 30_000;

/** An upstream under fake time that is a fake program. */
function late(program: FakeProgram) {
  const clock = new FakeClock();
  const runtime = new FakeRuntime({ programs: { late: program } });
  const target = { kind: "stdio", command: "late", args: [], env: {} } as const;
  const upstream = new Upstream({
    config: serverConfig(target, { startupTimeout: STARTUP, protocol: "legacy" }),
    runtime,
    log: new RecordedLog(),
    clock,
    random: () => 0.5,
  });
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  return {
    clock,
    runtime,
    upstream,
    error: () => upstream.status().lastError,
    /** Lets time go by until the attempt of this number has come to its end. */
    async ends(attempt: number) {
      while ((runtime.children[attempt - 1]?.input.length ?? 0) === 0) await turn();
      while (upstream.state.phase === "connecting") {
        clock.tick(1_000);
        await turn();
      }
    },
  };
}

const TALKERS: Readonly<Record<string, readonly [stderr: string, said: string]>> = {
  "waits for a login": ["Open https://x/login\n", "; its last words: Open https://x/login"],
  "downloads": ["npm warn old\nFetching 3 of 4\n", "; its last words: Fetching 3 of 4"],
  "says too much": ["x".repeat(5_000) + "\n", `; its last words: ${"x".repeat(200)}…`],
  "says nothing": ["", ""],
};

for (const [what, [stderr, said]] of Object.entries(TALKERS)) {
  test(`A server that is late and ${what} is told with its last words`, async () => {
    const one = late((child: FakeProcess) => child.stderr(stderr));
    one.upstream.start();
    await one.ends(1);
    const late30 = 'Server "x" was not ready within 30 s; see "startupTimeout"';
    assert.equal(one.error(), `${late30}${said}`);
    await one.clock.flowUntil(one.upstream.close());
  });
}

test("A server that is late gets twice the time from then on, and is ready in it", async () => {
  const result = {
    protocolVersion: "2025-11-25",
    capabilities: { tools: {} },
    serverInfo: { name: "n", version: "1" },
    tools: [],
  };
  const one = late((child) => {
    // The third time it is fast enough, by the greater measure alone.
    const hear = (text: string) => {
      if (one.runtime.children.length < 3) return;
      for (const line of text.trim().split("\n")) {
        const { id, method } = JSON.parse(line);
        const answer = () => child.stdout(`${JSON.stringify({ jsonrpc: "2.0", id, result })}\n`);
        if (method === "initialize") one.clock.after(STARTUP + 5_000, answer);
        else if (id !== undefined) answer();
      }
    };
    // As with a pipe, what was written before it reads is there.
    for (const text of one.runtime.children.at(-1)!.input) hear(text);
    child.onInput(hear);
  });
  one.upstream.start();
  await one.ends(1);
  assert.match(one.error()!, /within 30 s/);
  one.clock.tick(0);
  await one.ends(2);
  assert.match(one.error()!, /within 60 s/);
  one.clock.tick(1_000);
  await one.ends(3);
  assert.equal(one.upstream.state.phase, "ready");
  await one.clock.flowUntil(one.upstream.close());
});
