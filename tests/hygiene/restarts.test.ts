import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { runtime } from "#runtime";
import type { ExitStatus } from "../../src/runtime/types.ts";
import { eventually } from "../support/inbox.ts";
import { childrenOf, descriptorsOf } from "../support/process-table.ts";

const RESTARTS = 1_000;
const AT_ONCE = 8;

/** Starts a process, gives it something to read, and waits for its end. */
async function run(command: string, args: readonly string[]): Promise<ExitStatus> {
  const { promise, resolve } = Promise.withResolvers<ExitStatus>();
  const child = await runtime.spawn({
    command,
    args,
    env: { PATH: process.env["PATH"] ?? "" },
    onStdout: () => {},
    onStderr: () => {},
    onExit: resolve,
  });
  // Some have ended by then, as servers do that crash while they are written to.
  await child.write("{}\n").catch(() => {});
  child.endInput();
  return await promise;
}

/** The kinds of end a server comes to. */
const KINDS: readonly (() => Promise<ExitStatus>)[] = [
  () => run("/bin/true", []),
  () => run("/bin/cat", []),
  () => run("/bin/sh", ["-c", "echo out; echo err >&2; kill -KILL $$"]),
  () => run("/bin/sh", ["-c", "exit 3"]),
];

/** What must not have grown. */
function holdings() {
  return {
    children: childrenOf(process.pid).map(({ command }) => command).toSorted(),
    descriptors: descriptorsOf("self").size,
    listeners: process.eventNames().map((name) => `${String(name)} ${process.listenerCount(name)}`),
  };
}

/** Fewer is fine: in one run of all tests, what others have left may end meanwhile. */
function isNoMore(now: ReturnType<typeof holdings>, before: ReturnType<typeof holdings>): boolean {
  return now.children.length <= before.children.length && now.descriptors <= before.descriptors &&
    JSON.stringify(now.listeners) === JSON.stringify(before.listeners);
}

test(`spawn() holds nothing after ${RESTARTS} processes have come and gone`, async () => {
  // In one run of all tests this process has children already: each file brings its own guard.
  const others = childrenOf(process.pid).length;
  // The first start of each kind may open what stays for good: the guard, a pool of the runtime.
  await Promise.all(KINDS.map((kind) => kind()));
  const ours = () => childrenOf(process.pid).length - others;
  await eventually(ours, (count) => count <= 1, "the guard alone");
  const before = holdings();
  let started = 0;
  const ends = new Map<string, number>();
  const worker = async (): Promise<void> => {
    while (started < RESTARTS) {
      const { code, signal } = await KINDS[started++ % KINDS.length]!();
      const end = String(code ?? signal);
      ends.set(end, (ends.get(end) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  assert.deepEqual(Object.fromEntries(ends), { 0: 500, 3: 250, SIGKILL: 250 });
  await eventually(
    holdings,
    (now) => isNoMore(now, before),
    [
      "as much held as before, which was",
      JSON.stringify(before),
    ].join(" "),
  );
});

test("spawn() holds nothing after processes that cannot be started", async () => {
  await KINDS[0]!();
  const before = holdings();
  for (let i = 0; i < 50; i++) await assert.rejects(run("/no/such/command", []));
  await eventually(
    holdings,
    (now) => isNoMore(now, before),
    [
      "as much held as before, which was",
      JSON.stringify(before),
    ].join(" "),
  );
});
