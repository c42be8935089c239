import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { Readable } from "node:stream";
import { test } from "node:test";
import { OutputEnd, spawnError } from "../../src/runtime/node/spawn.ts";
import { SpawnError } from "../../src/runtime/types.ts";
import { scriptArguments } from "../support/program.ts";
import { isGone, isRunning, shell, start } from "./child.ts";
import { within } from "../support/inbox.ts";

async function rejection(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  const outcome = await promise.then(() => undefined, (error: Error) => error);
  assert.ok(outcome instanceof Error, "expected a rejection");
  return outcome;
}

async function temporaryDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "mcproxy-spawn-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

test("spawn() hands on stdin, stdout, stderr and the exit code", async () => {
  await using cat = await shell("cat; echo done >&2; exit 7");
  await cat.child.write("hello ");
  await cat.child.write("wörld\n");
  cat.child.endInput();
  assert.deepEqual(await cat.exited, { code: 7, signal: null });
  assert.equal(cat.stdout, "hello wörld\n");
  assert.equal(cat.stderr, "done\n");
});

test("spawn() gives the child exactly its environment and directory", async () => {
  await using directory = await temporaryDirectory();
  await using child = await start("/usr/bin/env", [], { env: { ONLY: "this" } });
  await child.exited;
  assert.equal(child.stdout, "ONLY=this\n");
  await using pwd = await shell("pwd -P", { cwd: directory.path });
  await pwd.exited;
  assert.match(pwd.stdout, new RegExp(`${directory.path}\n$`));
});

test("spawn() looks for the command on the PATH of the child's environment", async () => {
  await using directory = await temporaryDirectory();
  const tool = join(directory.path, "only-here");
  await writeFile(tool, "#!/bin/sh\necho found\n");
  await chmod(tool, 0o755);
  await using child = await start("only-here", [], { env: { PATH: directory.path } });
  await child.exited;
  assert.equal(child.stdout, "found\n");
});

test("spawn() reports the signal that ended the process", async () => {
  await using child = await shell("kill -KILL $$");
  assert.deepEqual(await child.exited, { code: null, signal: "SIGKILL" });
});

test("spawn() names a missing command", async () => {
  for (const command of ["no-such-command-here", "/no/such/command"]) {
    const error = await rejection(start(command));
    assert.ok(error instanceof SpawnError);
    assert.equal(error.code, "ENOENT");
    assert.match(
      error.message,
      new RegExp(`^Cannot start "${command}": no such command; expected`),
    );
  }
});

test("spawn() says where it looked for a missing command", async () => {
  const looked = async (env: Record<string, string>) =>
    (await rejection(start("no-such-command-here", [], { env }))).message;
  assert.match(await looked({ PATH: "/opt/a:/opt/b" }), /its environment, \/opt\/a:\/opt\/b$/);
  assert.match(await looked({}), /its environment, which has none$/);
  const long = await looked({ PATH: "/opt/a:".repeat(10_000) });
  assert.ok(long.length < 700, `${long.length} characters`);
});

test("spawnError() says what a failure that is not about the command comes from", async () => {
  const why = async (code: string) => {
    const cause = Object.assign(new Error(`spawn ${code}`), { code });
    return (await spawnError({ command: "x", cwd: undefined, env: {} }, cause)).message;
  };
  assert.match(await why("EMFILE"), /^Cannot start "x": .*too many files open.*LimitNOFILE/);
  assert.match(await why("EAGAIN"), /^Cannot start "x": there are too many processes.*TasksMax/);
  assert.match(await why("E2BIG"), /^Cannot start "x": its arguments and environment are too long/);
  assert.equal(await why("EIO"), 'Cannot start "x": spawn EIO');
});

test("spawn() has a reason where no file can be opened any more", async () => {
  const path = new URL("./fixtures/full.ts", import.meta.url).pathname;
  await using child = await start(
    "/bin/sh",
    ["-c", 'ulimit -n 256; exec "$@"', "sh", process.execPath, ...scriptArguments(path)],
    { env: process.env as Record<string, string> },
  );
  await child.exited;
  assert.match(
    child.stdout,
    /^SpawnError: Cannot start "\/bin\/sh": the gateway has too many files/,
  );
});

test("spawn() names a missing working directory, or one that is a file", async () => {
  const missing = await rejection(start("/bin/sh", [], { cwd: "/no/such/directory" }));
  assert.ok(missing instanceof SpawnError);
  assert.equal(missing.code, "ENOENT");
  assert.match(missing.message, /no working directory "\/no\/such\/directory"; expected/);
  const file = await rejection(start("/bin/sh", [], { cwd: "/etc/passwd" }));
  assert.ok(file instanceof SpawnError);
  assert.equal(file.code, "ENOTDIR");
  assert.match(file.message, /working directory "\/etc\/passwd" is a file; expected/);
});

test("spawn() names a file that cannot be executed, and a missing interpreter", async () => {
  await using directory = await temporaryDirectory();
  const plain = join(directory.path, "plain");
  await writeFile(plain, "#!/bin/sh\n");
  const denied = await rejection(start(plain));
  assert.ok(denied instanceof SpawnError);
  assert.equal(denied.code, "EACCES");
  assert.match(denied.message, /permission denied; expected an executable file/);

  const script = join(directory.path, "script");
  await writeFile(script, "#!/no/such/interpreter\n");
  await chmod(script, 0o755);
  const orphan = await rejection(start(script));
  assert.ok(orphan instanceof SpawnError);
  assert.equal(orphan.code, "ENOENT");
  assert.match(orphan.message, /interpreter in its first line is missing/);
});

test("spawn() refuses a command with a NUL as a SpawnError", async () => {
  const error = await rejection(start("echo\0x"));
  assert.ok(error instanceof SpawnError);
  assert.match(error.message, /^Cannot start "echo\0x": /);
});

test("spawn() makes the child the leader of its own process group", async () => {
  await using child = await shell("ps -o pgid= -p $$");
  await child.exited;
  assert.equal(Number(child.stdout), child.child.pid);
  assert.notEqual(child.child.pid, process.pid);
});

test("onExit comes once, after 20 MB of output", async () => {
  let bytes = 0;
  let exits = 0;
  let bytesAtExit = -1;
  await using child = await shell("head -c 20000000 /dev/zero; head -c 1000000 /dev/zero >&2", {
    onStdout: (chunk) => void (bytes += chunk.length),
    onStderr: (chunk) => void (bytes += chunk.length),
    onExit() {
      exits++;
      bytesAtExit = bytes;
    },
  });
  await child.exited;
  // A second process, start to end, is time enough for anything late.
  await using later = await shell("exit 0");
  await later.exited;
  assert.deepEqual({ exits, bytesAtExit, bytes }, {
    exits: 1,
    bytesAtExit: 21_000_000,
    bytes: 21_000_000,
  });
});

for (const pieces of [[64], [32, 64], [40, 40, 40]]) {
  test(`An output that never pauses leaves others their turn: pieces of ${pieces} KiB`, async () => {
    let [left, inTurn, most] = [90, 0, 0];
    const ended = Promise.withResolvers<void>();
    const stdout = new Readable({
      read() {
        const size = pieces[left % pieces.length]! * 1024;
        this.push(left-- > 0 ? new Uint8Array(size) : null);
      },
    });
    stdout.once("end", ended.resolve);
    const stderr = Readable.from([]);
    new OutputEnd(stdout, stderr, {
      onStdout: () => {
        most = Math.max(most, ++inTurn);
        for (const until = performance.now() + 1; performance.now() < until;);
      },
      onStderr: () => {},
    });
    let isOver = false;
    void ended.promise.then(() => isOver = true);
    for (; !isOver; inTurn = 0) await new Promise((next) => setImmediate(next));
    assert.ok(most < 30, `${most} in one turn`);
    assert.equal(left, -1);
  });
}

test("write() takes 20 MB in order, and endInput() comes after it", async () => {
  await using child = await shell("md5sum; wc -c </dev/null");
  const block = "0123456789abcdef".repeat(62_500);
  const writes = Array.from({ length: 20 }, () => child.child.write(block));
  child.child.endInput();
  await Promise.all(writes);
  assert.deepEqual(await child.exited, { code: 0, signal: null });
  const expected = spawnSync("md5sum", { input: block.repeat(20), encoding: "utf8" });
  assert.equal(child.stdout.split(/\s/)[0], expected.stdout.split(/\s/)[0]);
});

test("write() to a child that never reads stays pending until it is killed, then rejects", async () => {
  await using child = await shell("echo ready; exec sleep 1000");
  await child.line(/ready/);
  let settled = false;
  const write = rejection(child.child.write("x".repeat(3_000_000))).finally(() => settled = true);
  // Another process runs meanwhile: a full pipe blocks nobody else.
  await using other = await shell("exit 0");
  await other.exited;
  assert.equal(settled, false);
  child.child.kill("SIGKILL");
  const error = await write;
  assert.equal(error.code, "EPIPE");
  assert.match(error.message, /^Cannot write to "\/bin\/sh": .*; expected a process that reads$/);
  assert.deepEqual(await child.exited, { code: null, signal: "SIGKILL" });
});

test("write() rejects when the leader exits, though a background process holds the pipe", async () => {
  // Without the 3<&0 a shell gives background processes /dev/null as stdin.
  await using child = await shell("exec 3<&0; sleep 1000 <&3 & read -r line; exit 0");
  const write = rejection(child.child.write("x\n" + "x".repeat(3_000_000)));
  assert.equal((await write).code, "EPIPE");
  assert.deepEqual(await child.exited, { code: 0, signal: null });
});

test("write() rejects after the exit and after endInput()", async () => {
  await using ended = await shell("exit 0");
  await ended.exited;
  assert.match(
    (await rejection(ended.child.write("x"))).message,
    /the process has ended; expected/,
  );
  await using closed = await shell("cat");
  closed.child.endInput();
  assert.match((await rejection(closed.child.write("x"))).message, /its stdin .*closed; expected/);
  assert.deepEqual(await closed.exited, { code: 0, signal: null });
});

test("kill() reaches grandchildren", async () => {
  await using child = await shell("sleep 1000 & echo pid $!; sleep 1000");
  const grandchild = Number((await child.line(/pid (\d+)\n/))[1]);
  assert.ok(isRunning(grandchild));
  child.child.kill("SIGKILL");
  assert.deepEqual(await child.exited, { code: null, signal: "SIGKILL" });
  assert.ok(isGone(grandchild));
  assert.ok(isGone(child.child.pid));
});

test("kill() with SIGTERM lets the child end in its own way", async () => {
  await using child = await shell("trap 'echo bye; exit 5' TERM; echo ready; sleep 1000 & wait");
  await child.line(/ready/);
  child.child.kill("SIGTERM");
  assert.deepEqual(await child.exited, { code: 5, signal: null });
  assert.match(child.stdout, /bye/);
});

test("kill() after the end does nothing, however often", async () => {
  await using child = await shell("exit 0");
  await child.exited;
  child.child.kill("SIGTERM");
  child.child.kill("SIGKILL");
});

test("onExit does not wait for a background process that holds the pipes", async () => {
  await using child = await shell("sleep 1000 & echo pid $!; exit 3");
  const exit = await within(child.exited, "the end of the shell alone");
  assert.deepEqual(exit, { code: 3, signal: null });
  const background = Number((await child.line(/pid (\d+)\n/))[1]);
  assert.ok(isRunning(background));
  child.child.kill("SIGKILL"); // the group outlives its leader, and can still be reached
  assert.ok(isGone(background));
});

test("onExit comes also while a background process keeps talking", async () => {
  await using child = await shell("(while :; do echo tick; sleep 0.02; done) & exit 4");
  assert.deepEqual(await child.exited, { code: 4, signal: null });
});

test("spawn() leaves no zombie of its own behind", async () => {
  const pids: number[] = [];
  for (let i = 0; i < 5; i++) {
    await using child = await shell("exit 0");
    await child.exited;
    pids.push(child.child.pid);
  }
  const children = spawnSync("ps", ["-o", "pid=,stat=", "--ppid", String(process.pid)], {
    encoding: "utf8",
  }).stdout;
  for (const pid of pids) assert.doesNotMatch(children, new RegExp(`^\\s*${pid}\\s`, "m"));
});
