import assert from "node:assert/strict";
import { mkdir, readFile, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { ConfigWatch } from "../../src/config/watch.ts";
import { FakeRuntime } from "../support/fake-runtime.ts";
import { Inbox, within } from "../support/inbox.ts";
import { Watching } from "./watching.ts";

const A = '{ "mcpServers": { "a": {} } }';
const B = '{ "mcpServers": { "b": {} } }';
const C = '{ "mcpServers": { "c": {} } }';

/** A file of long ago, so that nobody takes it for written just now. */
const OLD_FILE = fileURLToPath(import.meta.resolve("../../LICENSE"));

const write = (text: string) => (root: string) => writeFile(join(root, "servers.json"), text);

test("ConfigWatch ends a storm of edits with the last content, in few calls", async () => {
  await using watching = await Watching.start(write(A));
  const began = performance.now();
  const text = (index: number) => `{ "mcpServers": { "server${index}": {} } }`;
  for (let index = 1; index <= 200; index++) await writeFile(watching.file, text(index));
  const { at } = await watching.reads(text(200));
  await watching.watch.check();
  const calls = watching.calls.items;
  assert.equal(calls.at(-1)?.text, text(200));
  // A look begins 15 ms after what it was for; the margin is for those that verify.
  const most = (at - began) / 15 + 3;
  assert.ok(calls.length <= most, `${calls.length} calls in ${at - began} ms`);
  assert.equal(calls.filter(({ final }) => final).length, 0);
});

test("ConfigWatch calls again after a change during a call, never two at once", async () => {
  const begun = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  await using watching = await Watching.start(write(A), {
    after: (call) => {
      begun.resolve();
      return call === 1 ? gate.promise : undefined;
    },
  });
  await writeFile(watching.file, B);
  await within(begun.promise, "the first call");
  await writeFile(watching.file, A);
  const checks = [watching.watch.check(), watching.watch.check()];
  await writeFile(watching.file, C);
  gate.resolve();
  await Promise.all(checks);
  await watching.reads(C);
  assert.deepEqual(watching.texts, [B, C]);
  assert.equal(watching.mostAtATime, 1);
});

test("ConfigWatch calls again where a call may have read what was there only meanwhile", async () => {
  await using watching = await Watching.start(write(A), {
    before: (call) => call === 1 ? writeFile(watching.file, C) : undefined,
    after: (call) => call === 1 ? writeFile(watching.file, B) : undefined,
  });
  await writeFile(watching.file, B);
  await watching.reads(B);
  assert.deepEqual(watching.texts, [C, B]);
  await watching.watch.check();
  assert.deepEqual(watching.texts, [C, B]);
});

test("ConfigWatch does not go round in circles where a call touches what it reads", async () => {
  await using watching = await Watching.start(write(A), {
    after: () => utimes(watching.file, new Date(), new Date()),
  });
  await writeFile(watching.file, B);
  await watching.reads(B);
  await watching.watch.check();
  await watching.watch.check();
  assert.deepEqual(watching.texts, [B]);
});

test("ConfigWatch finds by polling what no event tells of", async () => {
  const runtime = new FakeRuntime();
  await using watching = await Watching.start(write(A), { runtime, timing: { poll: 30 } });
  for (const text of [B, C]) {
    await writeFile(watching.file, text);
    await watching.reads(text);
  }
});

test("ConfigWatch looks once more after an event, whatever has looked since", async () => {
  const runtime = new FakeRuntime();
  // The second of its looks makes good for what happened before the watch was there.
  await using watching = await Watching.start(write(A), { runtime });
  assert.equal(runtime.change(watching.root), 1);
  await watching.watch.check();
  // Bun gives no event of its own to what comes so soon after another.
  await writeFile(watching.file, B);
  await watching.reads(B);
});

test("check() compares at once, and calls without a change only when forced", async () => {
  const runtime = new FakeRuntime();
  await using watching = await Watching.start(write(A), { runtime });
  await watching.watch.check();
  assert.deepEqual(watching.texts, []);
  await writeFile(watching.file, B);
  await watching.watch.check();
  assert.deepEqual(watching.texts, [B]);
  await watching.watch.check({ force: true });
  assert.deepEqual(watching.texts, [B, B]);
  const { final, forced } = watching.calls.items[1]!;
  assert.deepEqual({ final, forced }, { final: true, forced: true });
  await writeFile(watching.file, "{");
  await watching.watch.check({ force: true });
  // The look that follows the start may have found it first, without being the end of it.
  const called = watching.calls.items.length;
  assert.equal(watching.calls.items.at(-1)?.final, true);
  await watching.watch.check();
  assert.equal(watching.calls.items.length, called);
});

test("ConfigWatch takes up a source that joins, and calls again where that is newer", async () => {
  await using watching = await Watching.start(write(A), {
    others: (call, root) => call === 0 ? [] : [call === 1 ? OLD_FILE : join(root, "secret")],
    after: (call) => call === 2 ? writeFile(join(watching.root, "secret"), "2") : undefined,
  });
  await writeFile(watching.file, B);
  await watching.reads(B);
  await watching.watch.check();
  assert.deepEqual(watching.texts, [B]);
  await writeFile(join(watching.root, "secret"), "1");
  await writeFile(watching.file, C);
  await watching.reads(C);
  // Written after it was read, and before anybody watched it.
  await watching.calls.waitFor(({ text }) => text === C, { from: 2 });
  await watching.watch.check();
  assert.deepEqual(watching.texts, [B, C, C]);
  await writeFile(join(watching.root, "secret"), "3");
  await watching.calls.waitFor(() => true, { from: 3 });
});

test("ConfigWatch finds what was written between the load and its start", async () => {
  await using behind = await Watching.start(write(A), { between: write(B) });
  await behind.reads(B);
  await using current = await Watching.start(write(B), { between: write(B) });
  await current.watch.check();
  assert.deepEqual(current.texts, []);
});

test("ConfigWatch finds a link made between the load and its start", async () => {
  await using watching = await Watching.start(() => Promise.resolve(), {
    between: (root) => symlink(OLD_FILE, join(root, "servers.json")),
  });
  await watching.calls.waitFor(() => true);
});

test("ConfigWatch lives on when the caller throws, and says so", async () => {
  const calls = new Inbox<number>("onChange");
  await using watching = await Watching.start(write(A), {
    onChange: () => {
      calls.push(calls.items.length);
      return Promise.reject(new Error("no reload"));
    },
  });
  await watching.watch.check();
  await writeFile(watching.file, B);
  await calls.waitFor(() => true);
  await watching.watch.check();
  assert.deepEqual(watching.errors.map(String), ["Error: no reload"]);
  await writeFile(watching.file, C);
  await calls.waitFor((call) => call === 1);
});

test("ConfigWatch never reads a device, and takes a directory in a file's place for content", async () => {
  await using watching = await Watching.start(
    (root) => symlink("/dev/zero", join(root, "servers.json")),
    {
      before: () => Promise.reject(new Error("not read here")),
    },
  );
  await within(watching.watch.check(), "a look at a device");
  await rm(watching.file);
  await mkdir(watching.file);
  await within(watching.watch.check(), "a look at a directory");
  assert.ok(watching.errors.length > 0);
});

test("close() during a look leaves nothing open", async () => {
  const runtime = new FakeRuntime();
  const watch = new ConfigWatch({
    sources: new Map([[OLD_FILE, ""]]),
    runtime,
    onChange: () => Promise.reject(new Error("not called")),
  });
  watch.close();
  // Its looks begin after that one.
  await using _other = await Watching.start(write(A), { runtime: new FakeRuntime() });
  assert.deepEqual(runtime.leaks(), []);
});

test("close() ends watches, timers and waiting checks; nothing is called after it", async () => {
  const runtime = new FakeRuntime();
  const gate = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  await using watching = await Watching.start(write(A), {
    runtime,
    timing: { poll: 5, patience: 5 },
    before: () => {
      begun.resolve();
      return gate.promise;
    },
  });
  assert.equal(runtime.leaks().length, 1);
  await writeFile(watching.file, "{");
  await within(begun.promise, "the poll");
  const waiting = watching.watch.check({ force: true });
  watching.watch.close();
  watching.watch.close();
  await within(waiting, "a check that waits at the close");
  assert.deepEqual(runtime.leaks(), []);
  gate.resolve();
  await watching.reads("{");
  await watching.watch.check({ force: true });
  // A second watch, whose poll and patience take their turns after those of the first.
  await using other = await Watching.start(write(A), {
    runtime: new FakeRuntime(),
    timing: { poll: 5, patience: 5 },
  });
  await writeFile(other.file, "{");
  await other.calls.waitFor(({ final }) => final);
  assert.equal(watching.calls.items.length, 1);
  assert.equal(await readFile(watching.file, "utf8"), "{");
});
