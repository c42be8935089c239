import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Inbox } from "../support/inbox.ts";
import { scriptArguments } from "../support/program.ts";

/** The program next door on the runtime that runs this test, its stdout left to the caller. */
function start(
  name = "output-program.ts",
): { readonly child: ChildProcess; readonly stderr: Inbox<string> } {
  const program = fileURLToPath(new URL(`./${name}`, import.meta.url));
  const child = spawn(process.execPath, scriptArguments(program), { stdio: "pipe" });
  const stderr = new Inbox<string>("stderr");
  let rest = "";
  child.stderr?.on("data", (chunk) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) stderr.push(line);
  });
  child.once("close", () => stderr.end("exit"));
  child.stdin?.on("error", () => {});
  return { child, stderr };
}

test("a stdout that nobody reads stops neither the event loop nor the end", async () => {
  const { child, stderr } = start();
  const exited = once(child, "exit");
  await stderr.waitFor((line) => line === "alive");
  child.stdin?.write("end\n");
  const stats = await stderr.waitFor((line) => line.startsWith("stats "));
  const { dropped } = JSON.parse(stats.slice("stats ".length));
  assert.ok(dropped >= 4_500, stats);
  assert.deepEqual(await exited, [0, null]);
});

test("a stdout whose reader goes away does not end the process", async () => {
  const { child, stderr } = start();
  const exited = once(child, "exit");
  child.stdout?.destroy();
  // The log goes there as well now, and this may come in the middle of a line of it.
  await stderr.waitFor((line) => line.endsWith("alive"));
  await stderr.waitFor((line) => line.includes("Cannot log to standard output"));
  // What was queued has come as well: an end waits for that only so long.
  await stderr.waitFor((line) => line.includes(" line 499 "));
  child.stdin?.write("end\n");
  await stderr.waitFor((line) => line.endsWith("the end"));
  assert.deepEqual(await exited, [0, null]);
});

test("a slow reader gets every line that was not dropped, in order", async () => {
  const { child, stderr } = start();
  await stderr.waitFor((line) => line === "alive");
  let text = "";
  const closed = once(child, "close");
  child.stdout?.on("data", (chunk) => text += chunk);
  const enough = new Promise<void>((resolve) => {
    child.stdout?.on("data", () => text.includes("dropped") && resolve());
  });
  await enough;
  child.stdin?.write("end\n");
  assert.deepEqual(await closed, [0, null]);
  const seen = [...text.matchAll(/line (\d+) /g)].map((match) => Number(match[1]));
  assert.deepEqual(seen, Array.from({ length: 500 }, (_, i) => i));
  assert.match(text, /dropped 4500 log records\n.*the end\n$/);
});

test("a text larger than a pipe is waited for, though nothing else keeps the process", async () => {
  const { child, stderr } = start("large-output-program.ts");
  const exited = once(child, "exit");
  await stderr.waitFor((line) => line === "written");
  let size = 0;
  child.stdout?.on("data", (chunk) => size += chunk.length);
  await once(child.stdout!, "end");
  assert.equal(size, 1_000_000);
  assert.deepEqual(await exited, [7, null]);
});
