import assert from "node:assert/strict";
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { MAX_CONFIG_BYTES, readSources } from "../../src/config/files.ts";
import { directoriesOf, DirectoryWatches } from "../../src/config/watch-directories.ts";
import {
  DEFAULT_TIMING,
  judge,
  type Judgement,
  nextLook,
  unsettled,
} from "../../src/config/watch.ts";
import { FakeRuntime } from "../support/fake-runtime.ts";

async function inDirectory(body: (root: string) => Promise<void>): Promise<void> {
  const root = await realpath(await mkdtemp(join(tmpdir(), "mcproxy-sources-")));
  try {
    await body(root);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

test("nextLook() waits for quiet, bounded, for patience and for the poll", () => {
  const timing = { settle: 15, limit: 100, patience: 250, poll: 1000 };
  const idle = { lookedAt: 500, events: undefined, patienceEnds: undefined, again: undefined };
  const next = (waiting: Partial<Parameters<typeof nextLook>[0]>) =>
    nextLook({ ...idle, ...waiting }, timing);
  assert.equal(next({}), 1500);
  assert.equal(next({ events: { first: 600, last: 600 } }), 615);
  assert.equal(next({ events: { first: 600, last: 640 } }), 655);
  assert.equal(next({ events: { first: 600, last: 699 } }), 700);
  // A long call counts for nothing: what came during it has its quiet time still.
  assert.equal(next({ events: { first: 200, last: 499 } }), 514);
  assert.equal(next({ patienceEnds: 750 }), 750);
  assert.equal(next({ patienceEnds: 750, again: 520 }), 520);
  assert.equal(next({ again: 520, events: { first: 600, last: 600 } }), 520);
});

test("unsettled() leaves an event to the next look until it is quiet", () => {
  const timing = DEFAULT_TIMING;
  assert.equal(unsettled(undefined, 100, timing), undefined);
  assert.equal(unsettled({ first: 50, last: 85 }, 100, timing), undefined);
  assert.deepEqual(unsettled({ first: 50, last: 86 }, 100, timing), { first: 100, last: 86 });
});

test("judge() calls for what is new, waits for what is incomplete, and ends with it", () => {
  const nothing: Judgement = { forced: false, known: false, doubted: false, patienceOver: false };
  const table: [Partial<Judgement>, ReturnType<typeof judge>][] = [
    [{}, "call"],
    [{ known: true }, "nothing"],
    [{ known: true, patienceOver: true }, "nothing"],
    [{ doubted: true }, "wait"],
    [{ doubted: true, patienceOver: true }, "final"],
    [{ patienceOver: true }, "call"],
    [{ forced: true, known: true }, "final"],
    [{ forced: true }, "final"],
  ];
  for (const [finding, verdict] of table) {
    assert.equal(judge({ ...nothing, ...finding }), verdict, JSON.stringify(finding));
  }
});

test("directoriesOf() names the directory of every link on the way and of the end", () =>
  inDirectory(async (root) => {
    await mkdir(join(root, "..v1", "deep"), { recursive: true });
    await mkdir(join(root, "other"));
    await writeFile(join(root, "..v1", "c.json"), "{}");
    await writeFile(join(root, "..v1", "deep", "d.json"), "{}");
    await symlink("..v1", join(root, "..data"));
    await symlink("..data/c.json", join(root, "c.json"));
    await symlink(join(root, "c.json"), join(root, "other", "absolute"));
    await symlink("nowhere/c.json", join(root, "dangling"));
    await symlink("circle", join(root, "circle"));
    const table: [path: string, directories: string[]][] = [
      ["c.json", [".", "..v1"]],
      ["other/absolute", ["other", ".", "..v1"]],
      ["..data", [".", "..v1"]],
      // The system goes up from where the link leads.
      ["..data/deep/../c.json", [".", "..v1"]],
      ["..data/../c.json", [".", "..v1"]],
      ["dangling", ["."]],
      ["none/x/y.json", ["."]],
      ["other/none", ["other"]],
      ["circle", ["."]],
      ["..v1/c.json/x", ["..v1"]],
    ];
    for (const [path, directories] of table) {
      // No join(): it would resolve the dots by itself.
      const all = await directoriesOf(`${root}/${path}`);
      const found = all.map((each) => relative(root, each) || ".");
      assert.deepEqual(found.toSorted(), directories.toSorted(), path);
    }
    const here = await directoriesOf(relative(process.cwd(), join(root, "c.json")));
    assert.ok(here.includes(join(root, "..v1")));
  }));

test("readSources() tells contents apart, and says what is not there or not to be read", () =>
  inDirectory(async (root) => {
    const path = join(root, "c.json");
    const tag = async () => (await readSources([path])).get(path);
    assert.equal(await tag(), "ENOENT");
    const tags = new Set<string | undefined>();
    for (const text of ["", "a", "b", "a".repeat(100_000), `${"a".repeat(99_999)}b`]) {
      await writeFile(path, text);
      tags.add(await tag());
      await writeFile(path, text);
      tags.add(await tag());
    }
    assert.equal(tags.size, 5);
    await writeFile(path, "x".repeat(MAX_CONFIG_BYTES + 1));
    assert.equal(await tag(), "too big");
    await writeFile(path, "x".repeat(MAX_CONFIG_BYTES));
    assert.match(await tag() ?? "", /^[0-9a-f]{64}$/);
    await rm(path);
    await symlink("/dev/zero", path);
    assert.equal(await tag(), "no file");
    // The size of what is in /proc is always 0.
    const mounts = await readSources(["/proc/self/mountinfo"]);
    assert.match([...mounts.values()][0] ?? "", /^[0-9a-f]{64}$/);
  }));

test("readSources() gives the same for the same bytes and names, whatever was done to them", () =>
  inDirectory(async (root) => {
    const path = join(root, "c.json");
    const look = () => readSources([path, root]);
    await writeFile(path, "a");
    const a = await look();
    await rm(path);
    await writeFile(path, "a");
    await writeFile(join(root, ".hidden"), "");
    await writeFile(join(root, "c.json~"), "");
    assert.deepEqual(await look(), a);
    await writeFile(path, "b");
    const b = await look();
    assert.deepEqual([...b.keys()].filter((one) => b.get(one) !== a.get(one)), [path]);
    await writeFile(join(root, "fresh"), "");
    const c = await look();
    assert.deepEqual([...c.keys()].filter((one) => c.get(one) !== b.get(one)), [root]);
  }));

/** Watches under a clock turned by hand. */
function followed() {
  const runtime = new FakeRuntime();
  const state = { now: 0, changes: 0, errors: [] as string[] };
  const watches = new DirectoryWatches({
    watchDirectory: runtime.watchDirectory.bind(runtime),
    onChange: () => void state.changes++,
    onError: (error) => void state.errors.push(String(error)),
    maxDelay: 1000,
    now: () => state.now,
  });
  const follow = (...paths: string[]) => watches.follow(new Set(paths));
  const watched = () => runtime.leaks().map((leak) => leak.replace("watch of ", "")).sort();
  return { runtime, state, watches, follow, watched };
}

test("DirectoryWatches opens and closes until it has what is wanted, and asks for another look", () => {
  const { runtime, state, watches, follow, watched } = followed();
  assert.equal(follow("/a", "/b"), 50);
  assert.equal(follow("/a", "/b"), undefined);
  assert.deepEqual(watched(), ["/a", "/b"]);
  runtime.change("/a");
  assert.equal(state.changes, 1);
  assert.equal(follow("/b", "/c"), 50);
  assert.deepEqual(watched(), ["/b", "/c"]);
  // Too early to open it again.
  state.now += 10;
  assert.equal(follow("/a", "/b"), 15);
  assert.deepEqual(watched(), ["/b"]);
  state.now += 15;
  assert.equal(follow("/a", "/b"), 50);
  assert.deepEqual(watched(), ["/a", "/b"]);
  watches[Symbol.dispose]();
  assert.deepEqual(watched(), []);
});

test("DirectoryWatches opens a directory that went away at once, and one that fails ever later", () => {
  const { runtime, state, follow, watched } = followed();
  follow("/a");
  state.now = 5000;
  runtime.failWatch("/a", new Error("removed"));
  assert.equal(state.changes, 1);
  assert.equal(follow("/a"), 50);
  const waits: (number | undefined)[] = [];
  for (let attempt = 0; attempt < 8; attempt++) {
    runtime.failWatch("/a", new Error("EMFILE"));
    const wait = follow("/a") ?? 0;
    waits.push(wait);
    state.now += wait;
    assert.equal(follow("/a"), 50);
  }
  assert.deepEqual(waits, [25, 50, 100, 200, 400, 800, 1000, 1000]);
  assert.deepEqual(state.errors, [
    'Error: Cannot watch "/a": EMFILE; changes in it are noticed only every 1 s',
  ]);
  // A life of its own makes good for all that.
  state.now += 5000;
  assert.equal(follow("/a"), undefined);
  runtime.failWatch("/a", new Error("removed"));
  assert.equal(follow("/a"), 50);
  assert.deepEqual(watched(), ["/a"]);
});

test("DirectoryWatches bears a watch that fails before it is there", () => {
  let disposed = 0;
  let changes = 0;
  const watches = new DirectoryWatches({
    watchDirectory: (_path, _onChange, onError) => {
      onError(new Error("at once"));
      return { [Symbol.dispose]: () => void disposed++ };
    },
    onChange: () => void changes++,
    onError: () => {},
    maxDelay: 1000,
    now: () => 0,
  });
  watches.follow(new Set(["/a"]));
  watches[Symbol.dispose]();
  assert.deepEqual({ disposed, changes }, { disposed: 1, changes: 1 });
});
