/** Work that one does at a time, whoever sees the file. */

import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { exclusively, FileError } from "../../src/lib/lock-file.ts";

async function place() {
  const path = await mkdtemp(join(tmpdir(), "mcproxy-lock-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

test("one at a time does it, in the order they came, and a failure is its own only", async () => {
  await using directory = await place();
  const path = join(directory.path, "deep", "x.lock");
  const told: string[] = [];
  const work = (name: string) =>
    exclusively(path, async () => {
      told.push(`${name} in`);
      assert.deepEqual(await readdir(join(directory.path, "deep")), ["x.lock"]);
      told.push(`${name} out`);
      if (name === "b") throw new Error("no");
      return name;
    });
  const all = await Promise.allSettled(["a", "b", "c"].map(work));
  assert.deepEqual(all.map(({ status }) => status), ["fulfilled", "rejected", "fulfilled"]);
  assert.deepEqual(told, ["a in", "a out", "b in", "b out", "c in", "c out"]);
  assert.deepEqual(await readdir(join(directory.path, "deep")), []);
});

test("what another process holds is waited for, what a killed one has left is taken", async () => {
  await using directory = await place();
  const path = join(directory.path, "x.lock");
  await writeFile(path, "of another process");
  let isFree = false;
  const done = exclusively(path, () => Promise.resolve(isFree));
  await new Promise(setImmediate);
  isFree = true;
  await rm(path);
  assert.equal(await done, true);
  await writeFile(path, "of a dead one");
  const old = new Date(Date.now() - 31_000);
  await utimes(path, old, old);
  assert.equal(await exclusively(path, () => Promise.resolve("taken")), "taken");
  assert.deepEqual(await readdir(directory.path), []);
});

test("a lock that cannot be had says what is in the way", async () => {
  await using directory = await place();
  const path = join(directory.path, "x.lock");
  const never = () => Promise.reject(new Error("done without a lock"));
  await mkdir(path);
  await assert.rejects(exclusively(path, never), (error) => {
    assert.ok(error instanceof FileError);
    assert.equal(
      error.message,
      `cannot lock ${path}: something else is in its place; remove it`,
    );
    return true;
  });
  const file = join(directory.path, "file");
  await writeFile(file, "");
  await assert.rejects(
    exclusively(join(file, "x.lock"), never),
    /^FileError: cannot write .*x\.lock: E(NOTDIR|EXIST); check its directory$/,
  );
  assert.deepEqual((await readdir(directory.path)).sort(), ["file", "x.lock"]);
});
