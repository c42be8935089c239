import assert from "node:assert/strict";
import { lstat, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { cacheDirectory, stateDirectory } from "../../../src/lib/own-file.ts";
import { EMPTY_INVENTORY } from "../../../src/protocol/lists.ts";
import { inventory } from "../../registry/builders.ts";
import { FakeClock } from "../../upstream/fakes/clock.ts";
import { cached, keep, MEMORY, NOW, OFFERS, open } from "./list-cache-support.ts";

test("cacheDirectory() takes systemd's, then XDG's, then the home's", () => {
  const all = {
    CACHE_DIRECTORY: "/var/cache/mcproxy:/var/cache/other",
    STATE_DIRECTORY: "/var/lib/mcproxy",
    XDG_CACHE_HOME: "/home/u/.c",
    HOME: "/home/u",
  };
  const found = [
    cacheDirectory(all),
    cacheDirectory({ ...all, CACHE_DIRECTORY: "" }),
    cacheDirectory({ ...all, CACHE_DIRECTORY: "relative", STATE_DIRECTORY: undefined }),
    cacheDirectory({ HOME: "/home/u", XDG_CACHE_HOME: "relative" }),
    cacheDirectory({ HOME: "" }),
    cacheDirectory({ HOME: "." }),
  ];
  assert.deepEqual(found, [
    "/var/cache/mcproxy",
    "/var/lib/mcproxy",
    "/home/u/.c/mcproxy",
    "/home/u/.cache/mcproxy",
    undefined,
    undefined,
  ]);
});

test("stateDirectory() takes systemd's, then XDG's, then the home's, then that of the cache", () => {
  const all = {
    CACHE_DIRECTORY: "/var/cache/mcproxy",
    STATE_DIRECTORY: "/var/lib/mcproxy:/var/lib/other",
    XDG_STATE_HOME: "/home/u/.s",
    HOME: "/home/u",
  };
  const found = [
    stateDirectory(all),
    stateDirectory({ ...all, STATE_DIRECTORY: "relative" }),
    stateDirectory({ ...all, STATE_DIRECTORY: "", XDG_STATE_HOME: undefined }),
    stateDirectory({ CACHE_DIRECTORY: "/var/cache/mcproxy" }),
    stateDirectory({}),
  ];
  assert.deepEqual(found, [
    "/var/lib/mcproxy",
    "/home/u/.s/mcproxy",
    "/home/u/.local/state/mcproxy",
    "/var/cache/mcproxy",
    undefined,
  ]);
});

test("get() gives another process what set() kept, and when", async () => {
  await cached(async (place) => {
    await keep(place);
    const kept = await open(place).get(MEMORY);
    assert.deepEqual(kept, { inventory: OFFERS, savedAt: NOW });
    assert.deepEqual(place.lines, []);
  });
});

test("set() writes for this user alone, and no secret of the configuration", async () => {
  await cached(async (place) => {
    const file = await keep(place);
    const mode = async (path: string) => ((await lstat(path)).mode & 0o777).toString(8);
    const modes = [await mode(place.directory), await mode(place.lists), await mode(file)];
    assert.deepEqual(modes, ["700", "700", "600"]);
    assert.ok(!(await readFile(file, "utf8")).includes("s3cr3t"));
  });
});

test("set() writes a burst once, half a second after its beginning", async () => {
  await cached(async (place) => {
    const clock = new FakeClock();
    const cache = open(place, clock);
    for (let turn = 0; turn < 100; turn++) {
      cache.set(MEMORY, inventory({ tools: [`tool-${turn}`] }));
      cache.set({ name: `server-${turn % 3}`, key: "{}" }, OFFERS);
      clock.tick(1);
    }
    assert.equal(clock.armed, 1);
    clock.tick(399);
    assert.equal(clock.armed, 1);
    clock.tick(1);
    assert.equal(clock.armed, 0);
    await cache.flush();
    assert.deepEqual(await open(place).get(MEMORY), {
      inventory: inventory({ tools: ["tool-99"] }),
      savedAt: NOW,
    });
    assert.equal((await readdir(place.lists)).length, 4);
  });
});

test("set() does not write the same object again, and other lists always", async () => {
  await cached(async (place) => {
    const clock = new FakeClock();
    const cache = open(place, clock);
    const steps = [OFFERS, OFFERS, EMPTY_INVENTORY, OFFERS].map(async (offers) => {
      cache.set(MEMORY, offers);
      const armed = clock.armed;
      await cache.flush();
      return armed;
    });
    assert.deepEqual(await Promise.all(steps), [1, 0, 1, 1]);
    assert.deepEqual((await open(place).get(MEMORY))?.inventory, OFFERS);
  });
});

test("get() gives what set() was given before it is written", async () => {
  await cached(async (place) => {
    const cache = open(place);
    cache.set(MEMORY, OFFERS);
    assert.equal((await cache.get(MEMORY))?.inventory, OFFERS);
    const writing = cache.flush();
    // It has begun, and cannot have ended without a turn of the event loop.
    for (let step = 0; step < 5; step++) await Promise.resolve();
    assert.equal((await cache.get(MEMORY))?.inventory, OFFERS);
    await writing;
    assert.deepEqual((await cache.get(MEMORY))?.inventory, OFFERS);
  });
});

test("set() during a write is written by the next flush()", async () => {
  await cached(async (place) => {
    const cache = open(place);
    cache.set(MEMORY, EMPTY_INVENTORY);
    const first = cache.flush();
    await Promise.resolve();
    cache.set(MEMORY, OFFERS);
    await Promise.all([first, cache.flush()]);
    assert.deepEqual((await open(place).get(MEMORY))?.inventory, OFFERS);
  });
});

test("a ListCache whose directory cannot be had says so once and goes on", async () => {
  await cached(async (place) => {
    // Not by its mode, which root need not mind.
    await writeFile(place.directory, "in the way");
    const cache = open(place);
    assert.equal(await cache.get(MEMORY), undefined);
    for (let turn = 0; turn < 3; turn++) {
      cache.set(MEMORY, inventory({ tools: [`tool-${turn}`] }));
      cache.set({ name: "other", key: "{}" }, inventory({ tools: [`tool-${turn}`] }));
      await cache.flush();
    }
    await cache.prune([MEMORY]);
    assert.equal(place.lines.length, 1);
    assert.match(place.lines[0]!, /^Cannot keep lists in .*\/cache\/lists: E(EXIST|NOTDIR); /);

    await rm(place.directory);
    cache.set(MEMORY, OFFERS);
    await cache.flush();
    assert.deepEqual((await open(place).get(MEMORY))?.inventory, OFFERS);
    assert.equal(place.lines.length, 1);
  });
});

test("a ListCache tries lists again that could not be written", async () => {
  await cached(async (place) => {
    await writeFile(place.directory, "in the way");
    const cache = open(place);
    cache.set(MEMORY, OFFERS);
    await cache.flush();
    await rm(place.directory);
    cache.set(MEMORY, OFFERS);
    await cache.flush();
    assert.deepEqual((await open(place).get(MEMORY))?.inventory, OFFERS);
  });
});

test("replacing a file that cannot be replaced leaves nothing behind", async () => {
  await cached(async (place) => {
    const file = await keep(place);
    await rm(file);
    await mkdir(join(file, "in the way"), { recursive: true });
    const cache = open(place);
    cache.set(MEMORY, OFFERS);
    await cache.flush();
    assert.equal(place.lines.length, 1);
    assert.deepEqual(await readdir(place.lists), [file.slice(place.lists.length + 1)]);
  });
});

test("a ListCache without directory keeps nothing and says nothing", async () => {
  const lines: string[] = [];
  const clock = new FakeClock();
  const cache = open({ directory: undefined, lines }, clock);
  cache.set(MEMORY, OFFERS);
  assert.equal(clock.armed, 0);
  await cache.flush();
  await cache.prune([]);
  assert.equal(await cache.get(MEMORY), undefined);
  assert.deepEqual(lines, []);
});

test("forget() lets go of the lists of one server, and takes nothing from the disk", async () => {
  await cached(async (place) => {
    const clock = new FakeClock();
    const cache = open(place, clock);
    const armed = async () => {
      cache.set(MEMORY, OFFERS);
      const { armed } = clock;
      await cache.flush();
      return armed;
    };
    const steps = [await armed()];
    cache.forget({ ...MEMORY, key: "{}" });
    steps.push(await armed());
    cache.forget(MEMORY);
    assert.deepEqual((await cache.get(MEMORY))?.inventory, OFFERS);
    steps.push(await armed());
    assert.deepEqual(steps, [1, 0, 1]);
  });
});
