import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { commandOutput } from "../../src/config/command.ts";
import { inDirectory } from "./temp.ts";

const ENV = { PATH: "/usr/bin:/bin", WORD: "from-env" };

async function why(text: string, timeout?: number): Promise<string> {
  const limits = timeout === undefined ? {} : { timeout };
  const result = await commandOutput(text, { cwd: "/", env: ENV, ...limits });
  assert.equal(result.value, undefined);
  assert.doesNotMatch(JSON.stringify(result), /canary/);
  return result.value === undefined ? result.why : "";
}

test("commandOutput() gives what the shell prints, trimmed, in its directory and environment", async () => {
  const run = async (text: string) => await commandOutput(text, { cwd: "/usr", env: ENV });
  assert.deepEqual(await run("printf ' a\\nb \\n\\n'"), { value: "a\nb" });
  assert.deepEqual(await run('pwd; echo "$WORD"; echo noise >&2'), { value: "/usr\nfrom-env" });
  assert.deepEqual(await run("true"), { value: "" });
});

test("commandOutput() tells how a command failed, and nothing of it or its output", async () => {
  assert.match(await why("echo canary; exit 7"), /ended with exit code 7$/);
  assert.match(await why("no-such-command-canary"), /ended with exit code 127$/);
  assert.match(await why("echo canary; kill -TERM $$"), /was ended by SIGTERM$|exit code 143$/);
  assert.match(await why("yes canary"), /printed more than 64 KiB$/);
  const missing = await commandOutput("true", { cwd: "/no/such/directory", env: ENV });
  assert.match(missing.value === undefined ? missing.why : "", /could not be started: ENOENT$/);
});

test("commandOutput() ends a command that takes too long, with all it started", () =>
  inDirectory(async (directory) => {
    const pidFile = join(directory, "pid");
    const text = `sleep 300 & echo $! > ${pidFile}; echo started; wait`;
    assert.match(await why(text, 300), /did not end within 0\.3 s$/);
    const pid = Number(await readFile(pidFile, "utf8"));
    assert.ok(pid > 1);
    await gone(pid);
  }));

test("commandOutput() leaves nothing behind of a command that has ended", () =>
  inDirectory(async (directory) => {
    const pidFile = join(directory, "pid");
    const text = `sleep 300 >/dev/null 2>&1 & echo $! > ${pidFile}; echo value`;
    assert.deepEqual(await commandOutput(text, { cwd: "/", env: ENV }), { value: "value" });
    await gone(Number(await readFile(pidFile, "utf8")));
  }));

test("commandOutput() does not let a command wait for an answer", async () => {
  const result = await commandOutput("cat; read -r line; echo over", { cwd: "/", env: ENV });
  assert.deepEqual(result, { value: "over" });
});

/** Killed is not yet gone, and what nobody waits for stays as a zombie where there is no init. */
async function gone(pid: number): Promise<void> {
  for (let tries = 0; tries < 1_000; tries++) {
    const state = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
    if (state === undefined || / Z /.test(state)) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.fail(`process ${pid} is still there`);
}
