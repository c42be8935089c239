import assert from "node:assert/strict";
import { lstat, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { HALF_LIFE, UseMemory } from "../../../src/gating/use.ts";
import { FakeClock } from "../../upstream/fakes/clock.ts";
import { Lines, withDirectory } from "./support.ts";

const NOW = Date.UTC(2026, 10, 20);

function open(directory: string | undefined, now = NOW) {
  const clock = new FakeClock();
  const lines = new Lines();
  const memory = new UseMemory({ directory, log: lines.log, clock, wall: () => now });
  return { clock, lines, memory };
}

test("add() is remembered by the next run, decayed", async () => {
  await withDirectory(async (directory) => {
    const { memory } = open(directory);
    for (let time = 0; time < 4; time++) memory.add("github", "create_issue");
    assert.equal(memory.count("github", "create_issue"), 4);
    assert.equal(memory.count("gitlab", "create_issue"), 0);
    await memory.flush();
    assert.equal(memory.count("github", "create_issue"), 4);
    const { memory: next } = open(directory, NOW + HALF_LIFE);
    await next.load();
    assert.equal(next.count("github", "create_issue"), 2);
    const { mode } = await lstat(join(directory, "tools.use"));
    assert.equal((mode & 0o777).toString(8), "600");
  });
});

test("add() is written half a minute later, with all that came meanwhile", async () => {
  await withDirectory(async (directory) => {
    const { clock, memory } = open(directory);
    memory.add("s", "a");
    clock.tick(29_999);
    memory.add("s", "b");
    assert.equal(clock.armed, 1);
    clock.tick(1);
    assert.equal(clock.armed, 0);
    await memory.flush();
    const text = await readFile(join(directory, "tools.use"), "utf8");
    assert.match(text, /\["s","a",1,\d+\],\["s","b",1,\d+\]/);
  });
});

test("gateways that share a directory add their counts", async () => {
  await withDirectory(async (directory) => {
    const [one, other] = [open(directory).memory, open(directory).memory];
    await Promise.all([one.load(), other.load()]);
    one.add("s", "t");
    await one.flush();
    other.add("s", "t");
    other.add("s", "u");
    await other.flush();
    one.add("s", "t");
    await one.flush();
    const { memory } = open(directory);
    await memory.load();
    assert.deepEqual([memory.count("s", "t"), memory.count("s", "u")], [3, 1]);
    assert.equal(one.count("s", "u"), 1);
  });
});

test("nothing is written where nothing was used, and nothing at all without a directory", async () => {
  await withDirectory(async (directory) => {
    await open(directory).memory.flush();
    await assert.rejects(readdir(directory), { code: "ENOENT" });
  });
  const { memory, lines } = open(undefined);
  await memory.load();
  memory.add("s", "t");
  await memory.flush();
  assert.equal(memory.count("s", "t"), 1);
  assert.deepEqual(lines.all, []);
});

test("a file that cannot be used is named once and replaced", async () => {
  await withDirectory(async (directory) => {
    const file = join(directory, "tools.use");
    await mkdir(directory, { recursive: true });
    await writeFile(file, "nonsense");
    const { memory, lines } = open(directory);
    await memory.load();
    memory.add("s", "t");
    await memory.flush();
    assert.deepEqual(lines.all, [
      `Cannot use the kept use of tools in ${file}: found no counts of mcproxy; counting goes on`,
    ]);
    const { memory: next, lines: none } = open(directory);
    await next.load();
    assert.deepEqual([next.count("s", "t"), none.all], [1, []]);
  });
});

test("what cannot be written is not lost, and goes with the next", async () => {
  await withDirectory(async (directory) => {
    await mkdir(dirname(directory), { recursive: true });
    await writeFile(directory, "a file where the folder should be");
    const { memory, lines } = open(directory);
    memory.add("s", "t");
    await memory.flush();
    memory.add("s", "t");
    await memory.flush();
    assert.equal(memory.count("s", "t"), 2);
    assert.equal(lines.all.length, 1);
    assert.match(lines.all[0]!, /^Cannot keep the use of tools in .+: \w+; counting goes on$/);
  });
});

test("of many tools the least used are forgotten", async () => {
  await withDirectory(async (directory) => {
    const { memory } = open(directory);
    for (let index = 0; index < 5_000; index++) {
      memory.add("s", `t${index}`);
      memory.add("s", "often");
    }
    await memory.flush();
    const { memory: next } = open(directory);
    await next.load();
    assert.equal(next.count("s", "often"), 5_000);
    const text = await readFile(join(directory, "tools.use"), "utf8");
    assert.equal(text.match(/"t\d+"/g)?.length, 1_999);
  });
});
