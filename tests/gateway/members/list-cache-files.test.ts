import assert from "node:assert/strict";
import {
  chmod,
  lstat,
  readdir,
  readFile,
  rm,
  symlink,
  truncate,
  utimes,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { isKept, MAX_OWN_FILE, readOwnFile, readPrivate } from "../../../src/lib/own-file.ts";
import { LIST_SUFFIX } from "../../../src/gateway/members/list-cache.ts";
import { inventory } from "../../registry/builders.ts";
import { startProcess } from "../../support/process.ts";
import { scriptArguments } from "../../support/program.ts";
import { cached, DAY, keep, MEMORY, NOW, OFFERS, open, signed } from "./list-cache-support.ts";

/** What {@link damages} puts in the place of a good file. */
type Damage = (path: string) => Promise<void>;

const damages: Readonly<Record<string, { readonly apply: Damage; readonly reason: RegExp }>> = {
  "text that is not ours": {
    apply: (path) => writeFile(path, "{}"),
    reason: /found no lists of mcproxy/,
  },
  "an empty file": { apply: (path) => writeFile(path, ""), reason: /found no lists of mcproxy/ },
  "another format": {
    apply: async (path) => await writeFile(path, await signed("{}", 99)),
    reason: /found format 99, expected 1/,
  },
  "half a file": {
    apply: async (path) => {
      const whole = await readFile(path);
      await writeFile(path, whole.subarray(0, whole.length / 2));
    },
    reason: /found damaged or incomplete content/,
  },
  "a link": {
    apply: async (path) => {
      await rm(path);
      await symlink("/dev/zero", path);
    },
    reason: /found no regular file/,
  },
  "a file that is too big": {
    apply: (path) => truncate(path, MAX_OWN_FILE + 1),
    reason: /found 67108865 bytes, expected at most 67108864/,
  },
};

for (const [what, { apply, reason }] of Object.entries(damages)) {
  test(`get() passes over ${what} with one line, and set() replaces it`, async () => {
    await cached(async (place) => {
      const file = await keep(place);
      await apply(file);
      const cache = open(place);
      assert.equal(await cache.get(MEMORY), undefined);
      assert.equal(place.lines.length, 1);
      assert.match(place.lines[0]!, reason);
      assert.ok(place.lines[0]!.includes(file));
      cache.set(MEMORY, OFFERS);
      await cache.flush();
      assert.deepEqual((await open(place).get(MEMORY))?.inventory, OFFERS);
      assert.equal(place.lines.length, 1);
    });
  });
}

test("readOwnFile() passes over a file of another user", async () => {
  await cached(async (place) => {
    const file = await keep(place);
    const { uid } = await lstat(file);
    assert.equal((await readOwnFile(file))?.ok, true);
    assert.equal((await readOwnFile(file, uid))?.ok, true);
    assert.deepEqual(await readOwnFile(file, uid + 1), {
      ok: false,
      reason: `found a file of user ${uid}, expected one of ${uid + 1}`,
    });
  });
});

test("readPrivate() refuses what others can read, and says what helps", async () => {
  await cached(async (place) => {
    const file = await keep(place);
    assert.equal((await readPrivate(file))?.ok, true);
    for (const mode of [0o640, 0o604, 0o620]) {
      await chmod(file, mode);
      const found = `found mode 0${mode.toString(8)}, expected 0600; run: chmod 600 ${file}`;
      const reason = `${found}; others may know what is in it`;
      assert.deepEqual(await readPrivate(file), { ok: false, reason });
      assert.equal((await readOwnFile(file))?.ok, true);
    }
  });
});

test("get() passes over the file of another server that got its name", async () => {
  await cached(async (place) => {
    const other = await keep(place, { name: "other", key: "{}" });
    const file = await keep(place);
    await writeFile(file, await readFile(other));
    assert.equal(await open(place).get(MEMORY), undefined);
    assert.match(place.lines[0]!, /found the lists of another server/);
  });
});

test("get() tells configurations and servers apart, however alike they look on disk", async () => {
  await cached(async (place) => {
    const servers = ["a/b", "a_b", "A_b", "..", "", "x".repeat(300), "x".repeat(301), "é", "\0"]
      .map((name) => ({ name, key: "{}" }));
    const all = [...servers, { name: "a/b", key: '{"protocol":"modern"}' }];
    const offers = all.map((_, index) => inventory({ tools: [`tool-${index}`] }));
    for (const [index, server] of all.entries()) await keep(place, server, offers[index]);
    const kept = await Promise.all(all.map((server) => open(place).get(server)));
    assert.deepEqual(kept.map((one) => one?.inventory), offers);
    assert.equal(await open(place).get({ name: "a/b", key: "{ }" }), undefined);
    assert.deepEqual(place.lines, []);
    assert.ok((await readdir(place.lists)).every((name) => isKept(name, LIST_SUFFIX)));
  });
});

test("prune() removes what nobody uses, and nothing else", async () => {
  await cached(async (place) => {
    const configured = await keep(place);
    const forgotten = await keep(place, { ...MEMORY, key: "{}" });
    const anothers = await keep(place, { name: "another", key: "{}" });
    const partOf = (path: string) => `${path}.${crypto.randomUUID()}.tmp`;
    const [leftBehind, beingWritten] = [partOf(configured), partOf(anothers)];
    const notOurs = join(place.lists, "notes.lists");
    for (const path of [leftBehind, beingWritten, notOurs]) await writeFile(path, "x");
    const age = async (path: string, ms: number) => {
      const then = new Date(NOW - ms);
      await utimes(path, then, then);
    };
    for (const path of [configured, forgotten, notOurs]) await age(path, 31 * DAY);
    await age(anothers, 29 * DAY);
    await age(leftBehind, DAY);
    await age(beingWritten, 60_000);

    await open(place).prune([MEMORY]);
    const left = (await readdir(place.lists)).map((name) => join(place.lists, name)).sort();
    assert.deepEqual(left, [configured, anothers, beingWritten, notOurs].sort());
  });
});

test("a reader sees whole files only, and so does whoever comes after a killed writer", async () => {
  await cached(async (place) => {
    const program = fileURLToPath(new URL("./list-cache-writer.ts", import.meta.url));
    const busy = { name: "busy", key: "{}" };
    const reader = open(place);
    const read = async () => {
      const kept = await reader.get(busy);
      const items = kept?.inventory.lists.tools.items ?? [];
      const [first] = items[0]!.key.split("-");
      assert.deepEqual([items.length, items.at(-1)!.key], [2_000, `${first}-1999`]);
      return first;
    };
    for (let round = 0; round < 3; round++) {
      const args = scriptArguments(program, place.directory);
      const writers = await Promise.all([
        startProcess(process.execPath, args),
        startProcess(process.execPath, args),
      ]);
      try {
        const begun = writers.map(({ stdout }) => stdout.waitFor((line) => line === "writing"));
        await Promise.all(begun);
        const seen = new Set<unknown>();
        while (seen.size < 5) seen.add(await read());
      } finally {
        await Promise.all(writers.map((writer) => writer.kill()));
      }
      await read();
    }
    assert.deepEqual(place.lines, []);
  });
});
