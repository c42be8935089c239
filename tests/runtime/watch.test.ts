import assert from "node:assert/strict";
import { mkdir, mkdtemp, rename, rm, rmdir, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { runtime } from "#runtime";

/** A watched directory; `during(act)` resolves when a change was reported after `act` began. */
class Watched implements AsyncDisposable {
  readonly errors: unknown[] = [];
  readonly failed = Promise.withResolvers<unknown>();
  changes = 0;
  #next = Promise.withResolvers<void>();
  #watch: Disposable | undefined;

  private constructor(readonly root: string, readonly path: string) {}

  static async create(make = true): Promise<Watched> {
    const root = await mkdtemp(join(tmpdir(), "mcproxy-watch-"));
    const watched = new Watched(root, join(root, "conf"));
    if (make) await mkdir(watched.path);
    watched.#watch = runtime.watchDirectory(
      watched.path,
      () => {
        watched.changes++;
        watched.#next.resolve();
      },
      (error) => {
        watched.errors.push(error);
        watched.failed.resolve(error);
      },
    );
    return watched;
  }

  async during(act: () => Promise<unknown>): Promise<void> {
    this.#next = Promise.withResolvers();
    const next = this.#next.promise;
    await act();
    await next;
  }

  /** Changes arrive in order, so after one of a file of our own all earlier ones are in. */
  async settle(): Promise<void> {
    const marker = join(this.path, `settle-${crypto.randomUUID()}`);
    await this.during(() => writeFile(marker, ""));
  }

  close(): void {
    this.#watch?.[Symbol.dispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await rm(this.root, { recursive: true, force: true });
  }
}

test("watchDirectory() sees writes, atomic renames, removal and creation", async () => {
  await using watched = await Watched.create();
  const file = join(watched.path, "servers.json");
  const write = () => writeFile(file, String(Math.random()));
  const replace = async () => {
    await writeFile(join(watched.root, "new"), "x");
    await rename(join(watched.root, "new"), file);
  };
  for (const act of [write, replace, write, replace, () => rm(file), write, write]) {
    await watched.during(act);
    await watched.settle();
  }
  assert.deepEqual(watched.errors, []);
});

test("watchDirectory() sees a symlink swapped, as Kubernetes does it", async () => {
  await using watched = await Watched.create();
  await watched.during(() => mkdir(join(watched.path, "..v1")));
  await watched.during(() => mkdir(join(watched.path, "..v2")));
  await watched.during(() => symlink("..v1", join(watched.path, "..data")));
  await watched.during(() => symlink("..v2", join(watched.path, "..data_tmp")));
  await watched.settle();
  const swap = () => rename(join(watched.path, "..data_tmp"), join(watched.path, "..data"));
  await watched.during(swap);
  await watched.settle();
  assert.deepEqual(watched.errors, []);
});

test("watchDirectory() keeps on where an entry bears the directory's own name", async () => {
  await using watched = await Watched.create();
  await watched.during(() => writeFile(join(watched.path, "conf"), ""));
  await watched.settle();
  assert.deepEqual(watched.errors, []);
});

test("watchDirectory() reports a missing directory through onError", async () => {
  await using watched = await Watched.create(false);
  const error = await watched.failed.promise;
  assert.equal((error as { code?: string }).code, "ENOENT");
  assert.equal(watched.changes, 0);
});

const ENDINGS: Readonly<Record<string, (watched: Watched) => Promise<void>>> = {
  removed: (watched) => rmdir(watched.path),
  "removed with its files": async (watched) => {
    await watched.during(() => writeFile(join(watched.path, "file"), ""));
    await rm(watched.path, { recursive: true });
  },
  moved: (watched) => rename(watched.path, join(watched.root, "elsewhere")),
  replaced: async (watched) => {
    await rmdir(watched.path);
    await mkdir(watched.path);
  },
};

for (const [what, end] of Object.entries(ENDINGS)) {
  test(`watchDirectory() reports a directory that was ${what}, once`, async () => {
    await using watched = await Watched.create();
    await end(watched);
    const error = await watched.failed.promise;
    assert.match(String(error), /Cannot watch ".*conf" any longer: .*; expected the directory to/);
    // The place can be watched again, which also shows when events of the first would have come.
    await mkdir(watched.path, { recursive: true });
    const later = Promise.withResolvers<void>();
    using _second = runtime.watchDirectory(watched.path, () => later.resolve(), later.reject);
    await writeFile(join(watched.path, "later"), "");
    await later.promise;
    assert.equal(watched.errors.length, 1);
  });
}

test("watchDirectory() is silent once disposed, also when disposed twice", async () => {
  await using watched = await Watched.create();
  await watched.settle();
  watched.close();
  watched.close();
  const before = watched.changes;
  const later = Promise.withResolvers<void>();
  using _second = runtime.watchDirectory(watched.path, () => later.resolve(), later.reject);
  await writeFile(join(watched.path, "later"), "");
  await later.promise;
  await rm(watched.path, { recursive: true });
  assert.equal(watched.changes, before);
  assert.deepEqual(watched.errors, []);
});
