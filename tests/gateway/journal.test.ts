import assert from "node:assert/strict";
import {
  appendFile,
  chmod,
  mkdtemp,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Journal } from "../../src/gateway/clients/journal.ts";
import { openId, type SealedSession, sealId } from "../../src/gateway/clients/sealed-id.ts";
import { keptKey } from "../../src/lib/kept-key.ts";

const KEY = new Uint8Array(32).fill(7);

const SESSION: SealedSession = {
  i: "0123456789abcdef",
  h: "home",
  t: 1_795_210_496_000,
  e: "*",
  v: "2025-11-25",
  c: { sampling: {} },
  n: { name: "some client", version: "1.0.0" },
  p: null,
};

const never = (file: string, reason: string) => assert.fail(`${file}: ${reason}`);

/** The key in a directory; what is none there is replaced. */
const keyIn = (directory: string | undefined, told: (file: string, reason: string) => void) => {
  const file = directory && join(directory, "session.key");
  return keptKey(file, (reason) => told(file!, reason), true);
};

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "mcproxy-journal-"));
  try {
    await run(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

test("an id opens as what was sealed, with its own key only", () => {
  const id = sealId(SESSION, KEY)!;
  assert.match(id, /^v1\.[A-Za-z0-9_-]{200,650}$/);
  assert.deepEqual(openId(id, KEY), SESSION);
  assert.notEqual(sealId(SESSION, KEY), id);
  assert.equal(openId(id, new Uint8Array(32).fill(8)), undefined);
});

test("an id that was changed in any character, cut or lengthened does not open", () => {
  const id = sealId(SESSION, KEY)!;
  for (let at = 0; at < id.length; at++) {
    const other = id[at] === "A" ? "B" : "A";
    assert.equal(openId(id.slice(0, at) + other + id.slice(at + 1), KEY), undefined, `at ${at}`);
    assert.equal(openId(id.slice(0, at), KEY), undefined, `cut at ${at}`);
  }
  // What readers of base64 pass over would be further ids of one session.
  for (const odd of [`${id}=`, `${id} `, `${id}!`, `${id}A`, ` ${id}`, id.replace("v1.", "v1.=")]) {
    assert.equal(openId(odd, KEY), undefined, odd);
  }
  for (const odd of ["", "v1.", "v1", "v2.AAAA", `v1.${"A".repeat(10_000)}`, crypto.randomUUID()]) {
    assert.equal(openId(odd, KEY), undefined, odd.slice(0, 50));
  }
});

test("what would make a header of more than 4096 characters is not sealed", () => {
  const named = (name: string) => sealId({ ...SESSION, n: { name } }, KEY);
  assert.equal(named("x".repeat(4_000)), undefined);
  assert.ok(named("x".repeat(2_000))!.length <= 4_096);
  const deep = JSON.parse(`${'{"a":'.repeat(100_000)}{}${"}".repeat(100_000)}`);
  assert.equal(sealId({ ...SESSION, c: deep }, KEY), undefined);
});

test("the key is made once, for this user alone, and found again", async () => {
  await inFolder(async (folder) => {
    const directory = join(folder, "state");
    const keys = await Promise.all(Array.from({ length: 8 }, () => keyIn(directory, never)));
    const again = await keyIn(directory, never);
    for (const key of keys) assert.deepEqual(key, again);
    assert.equal(again.length, 32);
    const file = join(directory, "session.key");
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    assert.equal(Buffer.from(await readFile(file, "utf8"), "base64").length, 32);
  });
});

test("a key that is none is told of and replaced; without a place it is this process's own", async () => {
  await inFolder(async (folder) => {
    const file = join(folder, "session.key");
    for (const damaged of ["", "short", "x".repeat(1_000)]) {
      await writeFile(file, damaged, { mode: 0o600 });
      const told: string[] = [];
      const key = await keyIn(folder, (where, why) => void told.push(`${where} ${why}`));
      assert.deepEqual(told.length, 1);
      assert.match(told[0]!, /session\.key found \d+ bytes, expected 32 in base64$/);
      assert.deepEqual(await keyIn(folder, never), key);
    }
    await chmod(file, 0o644);
    const known: string[] = [];
    await keyIn(folder, (_, why) => void known.push(why));
    assert.match(known.join(), /^found mode 0644, expected 0600; run: chmod 600 /);
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    const told: string[] = [];
    const key = await keyIn(join(file, "no-folder"), (_, why) => void told.push(why));
    assert.deepEqual(told, ["ENOTDIR"]);
    assert.equal(key.length, 32);
    assert.notDeepEqual(await keyIn(undefined, never), await keyIn(undefined, never));
  });
});

const HOUR = 3_600_000;

test("a journal gives another process what one has written", async () => {
  await inFolder(async (folder) => {
    const path = join(folder, "state", "sessions.jsonl");
    const one = new Journal(path, () => HOUR, never);
    const now = Date.now();
    one.write("a", now, "level", "debug");
    one.write("a", now, "subscribe", "x:1");
    one.write("a", now, "subscribe", "x:2");
    one.write("a", now, "unsubscribe", "x:1");
    one.write("a", now, "tools", ["t1", "t2"]);
    one.write("b", now, "end");
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    const other = new Journal(path, () => HOUR, never);
    for (const journal of [one, other]) {
      const { level, subscriptions, tools, ended } = journal.of("a")!;
      assert.deepEqual([level, [...subscriptions], [...tools], ended], [
        "debug",
        ["x:2"],
        ["t1", "t2"],
        false,
      ]);
      assert.deepEqual([journal.goesOn("a", now), journal.goesOn("b", now)], [true, false]);
      assert.equal(journal.goesOn("c", now), true);
      assert.equal(journal.goesOn("a", now - HOUR), false, "too old");
    }
    // Both go on to write.
    other.write("c", now, "end");
    assert.equal(one.goesOn("c", now), false);
  });
});

test("a line that was cut off, or is not ours, costs no other", async () => {
  await inFolder(async (folder) => {
    const path = join(folder, "sessions.jsonl");
    const now = Date.now();
    new Journal(path, () => HOUR, never).write("a", now, "end");
    await appendFile(path, '{"a":1}\nnull\n[1,2,3]\n["d",1,"what"]\n["b",17952');
    const journal = new Journal(path, () => HOUR, never);
    assert.equal(journal.goesOn("a", now), false);
    journal.write("c", now, "end");
    for (const one of [journal, new Journal(path, () => HOUR, never)]) {
      assert.deepEqual(["a", "b", "c"].map((id) => one.goesOn(id, now)), [false, true, false]);
    }
  });
});

test("a journal stays small, and who has ended stays so", async () => {
  await inFolder(async (folder) => {
    const path = join(folder, "sessions.jsonl");
    const bytes = 20_000;
    const journal = new Journal(path, () => HOUR, never, bytes);
    const start = Date.now() - 10_000;
    journal.write("kept", start + 2_000, "level", "info");
    for (let i = 0; i < 2_000; i++) journal.write(`session-${i}`, start + i, "end");
    assert.ok((await stat(path)).size <= bytes + 100);
    const other = new Journal(path, () => HOUR, never, bytes);
    for (let i = 0; i < 2_000; i++) {
      assert.equal(other.goesOn(`session-${i}`, start + i), false, `session ${i}`);
    }
    // The price of it: what is as old as the oldest that was forgotten does not go on either.
    assert.equal(other.goesOn("never-ended", start), false);
    assert.equal(other.goesOn("kept", start + 2_000), true);
    // In memory alone the same holds.
    const memory = new Journal(undefined, () => HOUR, never, bytes);
    for (let i = 0; i < 2_000; i++) memory.write(`session-${i}`, start + i, "end");
    for (let i = 0; i < 2_000; i++) {
      assert.equal(memory.goesOn(`session-${i}`, start + i), false, `session ${i}`);
    }
  });
});

test("one session can fill neither file nor memory", async () => {
  await inFolder(async (folder) => {
    const path = join(folder, "sessions.jsonl");
    const journal = new Journal(path, () => HOUR, never);
    const now = Date.now();
    journal.write("a", now, "subscribe", "x".repeat(100_000));
    await assert.rejects(stat(path), "a line that long is not written");
    for (let i = 0; i < 300; i++) journal.write("a", now, "subscribe", `x:${i}`);
    journal.write("a", now, "tools", Array.from({ length: 300 }, (_, i) => `t${i}`));
    const { subscriptions, tools } = new Journal(path, () => HOUR, never).of("a")!;
    assert.deepEqual([subscriptions.size, tools.size], [200, 200]);
  });
});

test("a file that is not ours, or cannot be had, is told of once and used no more", async () => {
  await inFolder(async (folder) => {
    const now = Date.now();
    const path = join(folder, "sessions.jsonl");
    const foreign = join(folder, "foreign");
    await writeFile(foreign, "");
    await symlink(foreign, path);
    const told: string[] = [];
    const journal = new Journal(path, () => HOUR, (_, why) => void told.push(why));
    for (const id of ["a", "b"]) journal.write(id, now, "end");
    assert.deepEqual(["a", "b"].map((id) => journal.goesOn(id, now)), [false, false]);
    assert.deepEqual(told, ["found no file of this user"]);
    assert.equal(await readFile(foreign, "utf8"), "");
  });
});
