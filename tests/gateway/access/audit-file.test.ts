/** What holds the lines of an audit together, and what becomes of them with a disk that fails. */

import assert from "node:assert/strict";
import { chmod, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import {
  type BrokenLine,
  ChainCheck,
  inWrittenOrder,
  lineDigest,
  NO_LINE,
} from "../../../src/gateway/access/audit-chain.ts";
import { AuditFile, type AuditFileParts } from "../../../src/gateway/access/audit-file.ts";
import type { JsonObject } from "../../../src/lib/json.ts";
import { inDirectory } from "../../config/temp.ts";
import { FakeDisk, HandClock, PATH } from "./audit-support.ts";

/** What was logged, with what is put into it. */
function logTo(lines: string[]): AuditFileParts["log"] {
  const keep = (text: string, facts: object) => {
    lines.push(text.replace(/\{(\w+)\}/g, (_, key) => String((facts as JsonObject)[key])));
  };
  return { info: keep, warning: keep, error: keep } as unknown as AuditFileParts["log"];
}

interface Opened {
  readonly disk?: FakeDisk;
  readonly maxSize?: number;
}

function openFile({ disk = new FakeDisk(), maxSize = 1_000_000 }: Opened = {}) {
  const [clock, logged]: [HandClock, string[]] = [new HandClock(), []];
  const file = new AuditFile({ path: PATH, log: logTo(logged), clock, disk, maxSize });
  const add = (name: string) => file.add("2026-11-30T12:00:00.000Z", { event: "call", name });
  return { disk, clock, logged, file, add, text: () => disk.files.get(PATH) ?? "" };
}

/** What looking at files, from the oldest on, finds first. */
function broken(files: readonly (string | Uint8Array)[], head?: string): BrokenLine | undefined {
  const check = new ChainCheck();
  for (const [at, file] of files.entries()) {
    const bytes = typeof file === "string" ? new TextEncoder().encode(file) : file;
    let line = 1;
    for (let start = 0; start < bytes.length; line++) {
      const end = bytes.indexOf(10, start);
      const whole = end < 0 ? bytes.subarray(start) : bytes.subarray(start, end);
      const found = check.push(whole, end >= 0, { file: `f${at}`, line });
      if (found !== undefined) return found;
      start += whole.length + 1;
    }
  }
  return check.end(head);
}

async function written(count: number, opened: Opened = {}) {
  const it = openFile(opened);
  for (let at = 1; at <= count; at++) it.add(`line ${at}`);
  await it.file.close();
  return it;
}

const headOf = (text: string) => lineDigest(text.trimEnd().split("\n").at(-1)!);

test("each line has its number and the digest of the one before, and the log the last one", async () => {
  const { text, logged } = await written(3);
  const lines = text().split("\n");
  assert.equal(lines.pop(), "");
  assert.equal(
    lines[0],
    `{"t":"2026-11-30T12:00:00.000Z","n":1,"prev":"${NO_LINE}","event":"call","name":"line 1"}`,
  );
  for (const [at, line] of lines.slice(1).entries()) {
    const { n, prev } = JSON.parse(line);
    assert.deepEqual([n, prev], [at + 2, lineDigest(lines[at]!)]);
  }
  assert.deepEqual(logged, [`The audit ${PATH} has 3 lines: ${headOf(text())}`]);
  assert.equal(broken([text()], headOf(text())), undefined);
});

test("every bit that flips in a file of six lines is found", async () => {
  const { text } = await written(6);
  const whole = new TextEncoder().encode(text());
  const head = headOf(text());
  const last = text().trimEnd().lastIndexOf("\n") + 1;
  for (let at = 0; at < whole.length; at++) {
    const line = text().slice(0, at).split("\n").length;
    for (let bit = 0; bit < 8; bit++) {
      const changed = whole.slice();
      changed[at]! ^= 1 << bit;
      // All but the last line are held by the ones behind them.
      const found = broken([changed], at < last ? undefined : head);
      assert.ok(found !== undefined, `bit ${bit} of byte ${at}`);
      // The first line it shows in is the one it is in, or where a number was, the one after.
      assert.ok(found.line === line || found.line === line + 1, `${found.line}, not ${line}`);
    }
  }
});

test("cuts, swaps, edits and lines that are taken out are told by the first line they show in", async () => {
  const { text } = await written(6);
  const lines = text().trimEnd().split("\n");
  const head = lineDigest(lines[5]!);
  const place = (list: readonly string[]) => broken([`${list.join("\n")}\n`], head)?.line;
  assert.equal(place(lines), undefined);
  assert.equal(place(lines.with(2, lines[2]!.replace("line 3", "line X"))), 3);
  assert.equal(place(lines.toSpliced(3, 1)), 4);
  assert.equal(place(lines.with(1, lines[2]!).with(2, lines[1]!)), 2);
  assert.equal(place([...lines.slice(0, 3), lines[2]!, ...lines.slice(3)]), 4);
  assert.equal(place(lines.slice(0, 5)), 5);
  assert.match(broken([lines.slice(2).join("\n") + "\n"], "0")!.why, /log names another line/);
  for (let cut = 1; cut <= lines[5]!.length; cut++) {
    assert.equal(broken([text().slice(0, -cut)])?.line, 6, `${cut} cut`);
  }
  // From somewhere on: what was before is not asked for.
  assert.equal(broken([`${lines.slice(2).join("\n")}\n`], head), undefined);
  // Somebody who writes a line anew, with the right digest in it, is found by the next.
  const forged = lines[3]!.replace("line 4", "line Y");
  assert.equal(place(lines.with(3, forged)), 4);
});

test("a full file is moved away, ten are kept, and the lines go on", async () => {
  const { disk, file, add } = openFile({ maxSize: 300 });
  for (let at = 1; at <= 40; at++) {
    add(`line ${at}`);
    await file.flush();
  }
  await file.close();
  const names = [...Array.from({ length: 10 }, (_, at) => `${PATH}.${10 - at}`), PATH];
  assert.deepEqual([...disk.files.keys()].sort(), [...names].sort());
  const texts = names.map((name) => disk.files.get(name)!);
  assert.equal(broken(texts), undefined);
  const { n } = JSON.parse(texts[0]!.split("\n")[0]!);
  assert.ok(n > 1, "the oldest are gone");
  const missing = broken(texts.toSpliced(4, 1));
  assert.deepEqual([missing?.file, missing?.line], ["f4", 1]);
  assert.match(missing!.why, /lines are missing before it/);
  assert.equal(broken(texts.with(2, texts[3]!).with(3, texts[2]!))?.file, "f2");
});

test("after a restart the lines go on, also where the file was moved away", async () => {
  const { disk } = await written(3);
  const second = await written(2, { disk });
  const head = /goes on after line 3: ([0-9a-f]{64})/.exec(second.logged[0]!)?.[1];
  assert.equal(head, lineDigest(second.text().split("\n")[2]!));
  await disk.rename(PATH, `${PATH}.1`);
  const third = await written(1, { disk });
  const both = [disk.files.get(`${PATH}.1`)!, third.text()];
  assert.equal(JSON.parse(third.text()).n, 6);
  assert.equal(broken(both, headOf(third.text())), undefined);
});

test("a line that was cut off by the end of a process is told of, and found", async () => {
  const { disk, text } = await written(3);
  const whole = text();
  for (const left of [1, 30, 90]) {
    const lines = whole.split("\n");
    disk.files.set(PATH, `${lines.slice(0, 2).join("\n")}\n${lines[2]!.slice(0, left)}`);
    const { logged, text: after } = await written(2, { disk });
    assert.match(logged[0]!, /ends in a line that was cut off, number 3/);
    const all = after().trimEnd().split("\n");
    assert.equal(all.length, 5);
    assert.equal(JSON.parse(all[3]!).n, 4);
    assert.equal(broken([after()])?.line, 3);
    // And nothing else is.
    assert.equal(broken([`${all.slice(3).join("\n")}\n`]), undefined);
  }
});

test("a disk that is full is complained of once, and nothing is lost when there is room", async () => {
  const { disk, clock, file, add, logged, text } = openFile();
  add("one");
  await file.flush();
  disk.room = 50;
  for (const name of ["two", "three"]) add(name);
  await file.flush();
  assert.equal(file.problem, "ENOSPC");
  assert.ok(!text().endsWith("\n"), "a part found room");
  for (let at = 0; at < 10; at++) {
    clock.pass(1_000);
    await file.flush();
  }
  assert.equal(logged.filter((line) => line.startsWith("Cannot write")).length, 1);
  disk.room = Infinity;
  add("four");
  await file.flush();
  assert.equal(file.problem, undefined);
  assert.match(logged.at(-1)!, /is written again/);
  await file.close();
  const names = text().trimEnd().split("\n").map((line) => JSON.parse(line).name);
  assert.deepEqual(names, ["one", "two", "three", "four"]);
  assert.equal(broken([text()], headOf(text())), undefined);
});

test("what waits for the disk is bounded, and what was lost is counted", async () => {
  const { disk, file, add, text } = openFile();
  disk.room = 0;
  await file.flush();
  for (let at = 0; at < 12; at++) add("x".repeat(1_000_000));
  disk.room = Infinity;
  await file.close();
  const lines = text().trimEnd().split("\n");
  const { event, outcome } = JSON.parse(lines.at(-1)!);
  assert.deepEqual([lines.length, event, outcome], [9, "lost", "4 lines"]);
});

test("a disk that does not answer counts as one that is full", async () => {
  const { disk, clock, file, add } = openFile();
  assert.equal(file.problem, "the disk does not answer", "nobody has asked it yet");
  await file.flush();
  const answer = Promise.withResolvers<void>();
  disk.hold = answer.promise;
  add("one");
  const flushed = file.flush();
  await Promise.resolve();
  assert.equal(file.problem, undefined);
  clock.pass(6_000);
  assert.equal(file.problem, "the disk does not answer");
  answer.resolve();
  await flushed;
  assert.equal(file.problem, undefined);
  await file.close();
});

test("lines are written some at a time, and the log gets the head each hour", async () => {
  const { disk, clock, file, add, logged, text } = openFile();
  await file.flush();
  const before = disk.appends;
  for (let at = 0; at < 50; at++) add(`line ${at}`);
  clock.pass(99);
  assert.equal(disk.appends, before);
  clock.pass(1);
  await file.flush();
  assert.equal(disk.appends, before + 1);
  clock.pass(3_600_000);
  assert.deepEqual(logged, [`The audit ${PATH} has 50 lines: ${headOf(text())}`]);
  clock.pass(3_600_000);
  assert.equal(logged.length, 1, "there was nothing new");
  await file.close();
});

test("files are looked at in the order they were written in, whatever they are called", async () => {
  await inDirectory(async (directory) => {
    const { text } = await written(9);
    const lines = text().split("\n");
    const put = async (name: string, from: number, to: number) => {
      const path = join(directory, name);
      await writeFile(path, lines.slice(from, to).map((line) => `${line}\n`).join(""));
      return path;
    };
    const [now, ten, one] = [await put("a", 6, 9), await put("a.10", 0, 3), await put("a.1", 3, 6)];
    assert.deepEqual(await inWrittenOrder([now, one, ten]), [ten, one, now]);
    const empty = await put("empty", 0, 0);
    assert.deepEqual(await inWrittenOrder([empty, now, one]), [one, now, empty]);
  });
});

test("two that write to one file go on behind each other, say so once, and hide nothing", async () => {
  const disk = new FakeDisk();
  const [one, two] = [openFile({ disk }), openFile({ disk })];
  for (const { file } of [one, two]) await file.flush();
  for (let at = 0; at < 3; at++) {
    for (const { file, add } of [one, two]) {
      add(`line ${at}`);
      await file.flush();
    }
  }
  assert.equal(broken([one.text()]), undefined);
  assert.equal(one.text().trimEnd().split("\n").length, 6);
  const told = two.logged.filter((line) => line.startsWith("Somebody else writes to the audit"));
  assert.equal(told.length, 1);
  // What is taken out shows, as it did.
  disk.files.set(PATH, `${one.text().trimEnd().split("\n").slice(0, 4).join("\n")}\n`);
  two.add("after");
  await two.file.flush();
  assert.match(broken([two.text()])!.why, /expected number 5, found 7/);
  for (const { file } of [one, two]) await file.close();
});

test("a file that everybody can read is this user's alone from then on", async () => {
  await inDirectory(async (directory) => {
    const path = join(directory, "audit.jsonl");
    await writeFile(path, "");
    await chmod(path, 0o644);
    const file = new AuditFile({ path, log: logTo([]), clock: new HandClock() });
    file.add("2026-11-30T12:00:00.000Z", { event: "call" });
    await file.close();
    assert.equal((await stat(path)).mode & 0o777, 0o600);
  });
});
