import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { GUARD_NAME, GUARD_SCRIPT, ProcessGuard } from "../../src/runtime/node/guard.ts";
import {
  childrenOf,
  descendantsOf,
  descriptorsOf,
  type Entry,
  entryOf,
  remaining,
  waitUntilAllGone,
} from "../support/process-table.ts";
import { eventually } from "../support/inbox.ts";
import { fixture, shell } from "./child.ts";

/** Shells the script is known to run in; those that this machine has. */
const SHELLS = ["/bin/sh", "/bin/dash", "/bin/bash", "/bin/busybox"].filter(existsSync);

/** Heeds neither the end of its stdin nor SIGTERM. */
const STUBBORN = "trap '' TERM; echo ready; while :; do sleep 1000; done";

/** A process group of a shell script, killed at the end. Says a line when it is ready. */
async function group(script: string): Promise<Entry & Disposable> {
  const child = spawn("/bin/sh", ["-c", script], {
    detached: true,
    stdio: ["ignore", "pipe", "ignore"],
  });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  child.unref();
  child.stdout.destroy();
  return { ...entryOf(child.pid!)!, [Symbol.dispose]: () => killGroup(child.pid!) };
}

function killGroup(id: number): void {
  try {
    process.kill(-id, "SIGKILL");
  } catch {
    // It has gone already.
  }
}

function groupExists(id: number): boolean {
  try {
    process.kill(-id, 0);
    return true;
  } catch {
    return false;
  }
}

/** Runs the script by a shell under the name of `sh`, which shells listen to. */
class Script implements AsyncDisposable {
  readonly #directory: string;
  readonly #child: ChildProcess;
  readonly exited: Promise<number | null>;

  constructor(shell: string, groups: readonly number[]) {
    this.#directory = mkdtempSync(join(tmpdir(), "mcproxy-guard-"));
    const command = join(this.#directory, "sh");
    symlinkSync(shell, command);
    // In place of the real one: tells whether there was a grace at all.
    const sleep = join(this.#directory, "sleep");
    writeFileSync(sleep, `#!/bin/sh\n: > "${this.#mark}"\nexec /bin/sleep "$@"\n`, {
      mode: 0o755,
    });
    this.#child = spawn(command, ["-c", GUARD_SCRIPT, GUARD_NAME, ...groups.map(String)], {
      env: { PATH: this.#directory },
      detached: true,
      stdio: ["pipe", "ignore", "ignore"],
    });
    this.exited = new Promise((resolve) => void this.#child.once("exit", resolve));
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get #mark(): string {
    return join(this.#directory, "has-slept");
  }

  get hasSlept(): boolean {
    return existsSync(this.#mark);
  }

  write(text: string): void {
    this.#child.stdin!.write(text);
  }

  end(text = ""): void {
    this.#child.stdin!.end(text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    killGroup(this.pid);
    await this.exited;
    rmSync(this.#directory, { recursive: true });
  }
}

function statusOf(pid: number): string {
  return readFileSync(`/proc/${pid}/status`, "utf8");
}

function guards(): Entry[] {
  return childrenOf(process.pid)
    .filter(({ command, isZombie }) => !isZombie && command.includes(GUARD_NAME));
}

/** A guard of its own shell, started by its first group. */
async function startGuard(
  first: number,
): Promise<{ readonly guard: ProcessGuard; readonly shell: Entry }> {
  const before = guards().map(({ pid }) => pid);
  const guard = new ProcessGuard();
  guard.add(first);
  const added = await eventually(
    () => guards().find(({ pid }) => !before.includes(pid)),
    (found) => found !== undefined,
    "the guard's shell",
  );
  return { guard, shell: added! };
}

for (const shell of SHELLS) {
  test(`GUARD_SCRIPT ends what is listed, and nothing else, in ${shell}`, async () => {
    using polite = await group("echo ready; sleep 1000");
    using stubborn = await group(STUBBORN);
    using removed = await group("echo ready; sleep 1000");
    using released = await group("echo ready; sleep 1000");
    using unlisted = await group("echo ready; sleep 1000");
    const all = [polite, stubborn, ...descendantsOf(polite.pid), ...descendantsOf(stubborn.pid)];
    await using script = new Script(shell, [released.pid, polite.pid]);
    script.write(`+${removed.pid}\n+${stubborn.pid}\n-${removed.pid}\n-${released.pid}\n-9\n`);
    // The half of a line, as a death in the middle of a write leaves it.
    script.end(`+${unlisted.pid}`);
    await waitUntilAllGone(all);
    assert.equal(await script.exited, 0);
    // The sleep of busybox is the shell itself.
    if (shell !== "/bin/busybox") assert.ok(script.hasSlept);
    assert.equal(remaining([removed, released, unlisted]).length, 3);
  });

  test(`GUARD_SCRIPT ends at once when nothing is left to end, in ${shell}`, async () => {
    using gone = await group("echo ready; sleep 1000");
    killGroup(gone.pid);
    await eventually(() => groupExists(gone.pid), (exists) => !exists, "the group gone");
    await using script = new Script(shell, []);
    script.end(`+${gone.pid}\n`);
    assert.equal(await script.exited, 0);
    assert.ok(!script.hasSlept);
  });

  test(`GUARD_SCRIPT ignores what a terminal sends to everybody, in ${shell}`, async () => {
    using listed = await group("echo ready; sleep 1000");
    await using script = new Script(shell, [listed.pid]);
    // Before its first line it would still end by them.
    const ignores = () => /^SigIgn:\t[0-9a-f]*[4-7]..[7f]$/m.test(statusOf(script.pid));
    await eventually(ignores, Boolean, "a guard that ignores HUP, INT, QUIT and TERM");
    for (const signal of ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM"] as const) {
      process.kill(script.pid, signal);
    }
    script.end();
    assert.equal(await script.exited, 0);
    await waitUntilAllGone([listed]);
  });
}

test("Guard has one shell, in a session of its own, that holds nothing of this process", async () => {
  using one = await group("echo ready; sleep 1000");
  using other = await group("echo ready; sleep 1000");
  const before = guards().length;
  const { guard, shell } = await startGuard(one.pid);
  guard.add(other.pid);
  assert.equal(guards().length, before + 1);
  assert.equal(shell.session, shell.pid);
  assert.equal(shell.group, shell.pid);
  const held = descriptorsOf(shell.pid);
  assert.equal(held.get(1), "/dev/null");
  assert.equal(held.get(2), "/dev/null");
  const own = new Set(descriptorsOf("self").values());
  const shared = [...held].filter(([number, target]) => number < 10 && own.has(target));
  // On Deno its stdin is the very pipe; /dev/null and the like are nobody's.
  assert.deepEqual(shared.filter(([number, target]) => number > 0 && /^\w+:/.test(target)), []);
  guard.remove(one.pid);
  guard.remove(other.pid);
  killGroup(shell.pid);
});

test("Guard is started again with all that is listed when its shell was lost", async () => {
  using first = await group(STUBBORN);
  using second = await group(STUBBORN);
  using removed = await group("echo ready; sleep 1000");
  const { guard, shell } = await startGuard(first.pid);
  guard.add(removed.pid);
  killGroup(shell.pid);
  await eventually(() => entryOf(shell.pid), (entry) => entry === undefined, "no zombie of it");
  guard.remove(removed.pid);
  const before = guards().map(({ pid }) => pid);
  // The process table knows of the end before the runtime says so.
  const added = await eventually(
    () => {
      guard.add(second.pid);
      return guards().filter(({ pid }) => !before.includes(pid));
    },
    ({ length }) => length > 0,
    "another shell",
  );
  assert.equal(added.length, 1);
  assert.ok(added[0]!.command.endsWith(`${GUARD_NAME} ${first.pid} ${second.pid}`));
  killGroup(added[0]!.pid);
  await waitUntilAllGone(added);
  for (const { pid } of [first, second]) guard.remove(pid);
});

test("Guard without a shell does nothing, and fails nothing", async () => {
  using listed = await group("echo ready; sleep 1000");
  const before = childrenOf(process.pid).length;
  for (const missing of ["/no/such/shell", "/etc/passwd"]) {
    const guard = new ProcessGuard({ shell: missing });
    guard.add(listed.pid);
    // Another process, start to end, is time enough for an error to arrive.
    await using other = await shell("exit 0");
    await other.exited;
    guard.add(listed.pid);
    guard.remove(listed.pid);
  }
  assert.ok(childrenOf(process.pid).length <= before + 1, "nothing but the guard of the runtime");
});

test("Guard never takes what kill(2) reads as everybody", async () => {
  const before = guards().length;
  const guard = new ProcessGuard();
  for (const wrong of [0, 1, -1, NaN, 1.5]) guard.add(wrong);
  await using other = await shell("exit 0");
  await other.exited;
  assert.ok(guards().length <= before + 1, "no shell is started for nothing");
});

for (const how of ["exit", "throw", "SIGKILL", "SIGKILL to the group", "SIGINT to the group"]) {
  test(`spawn() leaves nothing behind after ${how}`, async () => {
    await using parent = await fixture("guarded.ts", [how]);
    await parent.line(/child \d+ grandchild \d+\n/);
    const { pid } = parent.child;
    // Guard, child, its sleep and the grandchild; a process that begins has no command line yet.
    const all = await eventually(
      () => descendantsOf(pid),
      (found) => found.length === 4 && found.every(({ command }) => command !== ""),
      "the whole family",
    );
    assert.equal(all.filter(({ command }) => command.includes(GUARD_NAME)).length, 1);
    if (how.startsWith("SIG")) {
      const [signal] = how.split(" ") as ["SIGKILL" | "SIGINT"];
      process.kill(how.endsWith("group") ? -pid : pid, signal);
    }
    parent.child.endInput();
    await parent.exited;
    try {
      await waitUntilAllGone(all);
    } finally {
      for (const { group } of remaining(all)) killGroup(group);
    }
  });
}

test("Guard leaves alone what was removed", async () => {
  await using parent = await fixture("guarded.ts", ["remove"]);
  const [, leader] = await parent.line(/child (\d+) grandchild \d+\n/);
  const shell = await eventually(
    () => descendantsOf(parent.child.pid).filter(({ command }) => command.includes(GUARD_NAME)),
    ({ length }) => length === 1,
    "the guard's shell",
  );
  process.kill(parent.child.pid, "SIGKILL");
  await parent.exited;
  await waitUntilAllGone(shell);
  const left = entryOf(Number(leader));
  killGroup(Number(leader));
  assert.equal(left?.isZombie, false);
});
