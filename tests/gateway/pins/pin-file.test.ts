import assert from "node:assert/strict";
import { chmod, readFile, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { type Pin, pinFile, readPins, updatePins } from "../../../src/gateway/pins/pin-file.ts";
import { fileStamp } from "../../../src/lib/own-file.ts";
import { inDirectory } from "../../config/temp.ts";

const DAMAGED = "found damaged or incomplete content";
const NONE: ReadonlyMap<string, Pin> = new Map();

function pin(text?: string): Pin {
  return { sha256: "s", raw: "r", ...(text === undefined ? {} : { text }) };
}

test("updatePins() loses nothing of what many write at once", () =>
  inDirectory(async (directory) => {
    const file = pinFile(join(directory, "made"));
    const names = Array.from({ length: 6 }, (_, at) => `s${at}`);
    await Promise.all(
      names.map((name) =>
        updatePins(file, (book) => {
          book.set(name, { pinned: new Map([["tool a", pin("t")]]), waiting: NONE, open: [] });
        })
      ),
    );
    const read = await readPins(file);
    assert.ok(read.ok);
    assert.deepEqual([...read.value.keys()].sort(), names.sort());
    assert.deepEqual(read.value.get("s1")!.pinned.get("tool a"), pin("t"));
  }));

test("updatePins() takes the lock of a process that was killed", () =>
  inDirectory(async (directory) => {
    const file = pinFile(directory);
    await writeFile(`${file}.lock`, "");
    const long = new Date(Date.now() - 60_000);
    await utimes(`${file}.lock`, long, long);
    await updatePins(file, (book) => void book.set("a", { pinned: NONE, waiting: NONE, open: [] }));
    assert.ok((await readFile(file, "utf8")).includes('"a"'));
  }));

test("what is kept of a server is bounded, of what waits apart; nothing that is pinned is left out", () =>
  inDirectory(async (directory) => {
    const file = pinFile(directory);
    const text = "x".repeat(500_000);
    const many = (count: number, of?: string) =>
      new Map(Array.from({ length: count }, (_, at) => [`tool ${at}`, pin(of)]));
    await updatePins(file, (book) => {
      book.set("long", { pinned: many(6, text), waiting: many(1, text), open: [] });
      book.set("many", { pinned: many(20_001), waiting: many(1_010), open: [] });
    });
    const read = await readPins(file);
    assert.ok(read.ok);
    const { pinned, waiting } = read.value.get("long")!;
    assert.equal(pinned.size, 6);
    assert.ok(waiting.get("tool 0")!.text !== undefined);
    assert.equal(pinned.values().filter((one) => one.text !== undefined).toArray().length, 4);
    assert.equal(read.value.get("many")!.pinned.size, 20_001);
    assert.equal(read.value.get("many")!.waiting.size, 1_000);
  }));

test("readPins() takes nothing for pins that is none, and follows no link", () =>
  inDirectory(async (directory) => {
    const file = pinFile(directory);
    const bad = [
      "",
      "{}",
      "[]",
      '{"version":2,"servers":{}}',
      '{"version":1,"servers":{"a":1}}',
      '{"version":1,"servers":{"a":{"pinned":{},"waiting":{"x":{}}}}}',
      '{"version":1,"servers":{"constructor":{"pinned":1}}}',
      '{"version":1,"servers":{"a":{"pinned":{"x":{"sha256":1,"raw":""}},"waiting":{}}}}',
    ];
    for (const content of bad) {
      await writeFile(file, content, { mode: 0o600 });
      assert.deepEqual(await readPins(file), { ok: false, reason: DAMAGED }, content);
    }
    const link = pinFile(join(directory));
    await symlink(file, `${link}.link`);
    const read = await readPins(`${link}.link`);
    assert.ok(!read.ok && read.reason === "found no regular file");
  }));

test("fileStamp() tells when others may read or write it, whatever the time", () =>
  inDirectory(async (directory) => {
    const file = pinFile(directory);
    await updatePins(file, (book) => void book.set("a", { pinned: NONE, waiting: NONE, open: [] }));
    const before = await fileStamp(file);
    await chmod(file, 0o644);
    assert.notEqual(await fileStamp(file), before);
    await chmod(file, 0o600);
    assert.equal(await fileStamp(file), before);
  }));
