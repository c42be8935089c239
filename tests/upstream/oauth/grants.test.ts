/** The file with the grants: who may read it, who may write it, and that no two write at once. */

import assert from "node:assert/strict";
import {
  chmod,
  mkdir,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { FileError } from "../../../src/lib/lock-file.ts";
import { createRedactor } from "../../../src/lib/secrets.ts";
import { fileStamp } from "../../../src/lib/own-file.ts";
import { GrantFile } from "../../../src/upstream/oauth/grants.ts";
import { directory, grantFor, Time } from "./support.ts";

const time = new Time();
const key = { server: "it", principal: "" };

test("a grant is kept for its server and principal, for this user alone", async () => {
  await using place = await directory();
  const file = new GrantFile(join(place.path, "deep", "state"));
  assert.equal(await fileStamp(file.path), "");
  assert.deepEqual(await file.read(), []);
  await file.put(grantFor(time));
  await file.put(grantFor(time, { server: "other", accessToken: "other" }));
  await file.put(grantFor(time, { principal: "alice", accessToken: "alices" }));
  await file.put(grantFor(time, { accessToken: "access-9" }));
  assert.equal((await file.read()).length, 3);
  assert.deepEqual(await file.find(key), grantFor(time, { accessToken: "access-9" }));
  assert.equal((await file.find({ ...key, principal: "alice" }))?.accessToken, "alices");
  assert.equal((await stat(file.path)).mode & 0o777, 0o600);
  assert.equal((await stat(join(place.path, "deep", "state"))).mode & 0o777, 0o700);
  const version = await fileStamp(file.path);
  await file.remove(key);
  assert.notEqual(await fileStamp(file.path), version);
  assert.equal(await file.find(key), undefined);
  // Every secret joins the redactor as it comes into being.
  assert.equal(
    createRedactor().text("got refresh-0 and access-9"),
    "got [redacted] and [redacted]",
  );
  assert.deepEqual(await readdir(join(place.path, "deep", "state")), ["grants.json"]);
});

test("what is newer is not replaced, and what is gone is not brought back", async () => {
  await using place = await directory();
  const file = new GrantFile(place.path);
  await file.put(grantFor(time, { issuedAt: 5, accessToken: "of-login" }));
  await file.replace(grantFor(time, { issuedAt: 4, accessToken: "refreshed" }));
  assert.equal((await file.find(key))?.accessToken, "of-login");
  await file.replace(grantFor(time, { issuedAt: 6, accessToken: "refreshed" }));
  assert.equal((await file.find(key))?.accessToken, "refreshed");
  await file.remove(key);
  await file.replace(grantFor(time, { issuedAt: 7 }));
  assert.equal(await file.find(key), undefined);
});

test("a file that others can read, or that is none of ours, is not used", async () => {
  await using place = await directory();
  const file = new GrantFile(place.path);
  await file.put(grantFor(time));
  await chmod(file.path, 0o640);
  await assert.rejects(
    file.read(),
    /found mode 0640, expected 0600; run: chmod 600 .*grants\.json/,
  );
  await assert.rejects(file.put(grantFor(time)), FileError);
  await chmod(file.path, 0o600);
  assert.equal((await file.read()).length, 1);
  for (const text of ["", "[]", "{}", '{"version":2,"grants":[]}', "\0", '{"version":1}']) {
    await writeFile(file.path, text);
    await assert.rejects(file.read(), FileError, text);
  }
  // What is no grant is none.
  const { accessToken: _, ...half } = grantFor(time);
  const odd = [null, 5, {}, half, { ...half, accessToken: "a\r\nb" }, { ...half, client: [] }];
  await writeFile(file.path, JSON.stringify({ version: 1, grants: odd }));
  assert.deepEqual(await file.read(), []);
  const other = new GrantFile(join(place.path, "linked"));
  await new GrantFile(join(place.path, "linked")).put(grantFor(time));
  await symlink(file.path, join(place.path, "linked", "link"));
  assert.equal((await other.read()).length, 1);
});

test("what cannot be written is told as what cannot be read", async () => {
  await using place = await directory();
  const file = new GrantFile(place.path);
  await mkdir(`${file.path}.lock`);
  await assert.rejects(
    file.put(grantFor(time)),
    /^FileError: cannot lock .*grants\.json\.lock: .*; remove it$/,
  );
});

test("whether one could be put there is known before there is one, whoever renews another", async () => {
  await using place = await directory();
  const file = new GrantFile(place.path);
  await file.exclusively(key, () => file.check());
  assert.deepEqual(await readdir(place.path), []);
  const odd = new GrantFile(place.path, () => Promise.resolve("short"));
  await assert.rejects(odd.check(), /MCPROXY_STATE_KEY is no key; make one/);
  await file.put(grantFor(time));
  const version = await fileStamp(file.path);
  await file.check();
  assert.equal(await fileStamp(file.path), version);
  await assert.rejects(odd.check(), /MCPROXY_STATE_KEY is no key; make one/);
  await writeFile(file.path, "[]");
  await assert.rejects(file.check(), /found no grants in it; move it away/);
  await rm(file.path);
  await mkdir(`${file.path}.lock`);
  await assert.rejects(file.check(), /cannot lock/);
});

test("what a writer that was killed has left is there no longer than until the next change", async () => {
  await using place = await directory();
  const file = new GrantFile(place.path);
  await file.put(grantFor(time));
  const text = await readFile(file.path);
  const others = ["grants.json.lock.tmp", "pins.json.tmp", "grants.json.bak"];
  for (const name of [...others, `grants.json.${crypto.randomUUID()}.tmp`]) {
    await writeFile(join(place.path, name), text, { mode: 0o600 });
  }
  await file.remove(key);
  assert.deepEqual((await readdir(place.path)).sort(), ["grants.json", ...others].sort());
});

test("with a key the file says nothing to whoever has it", async () => {
  await using place = await directory();
  const secret = crypto.getRandomValues(new Uint8Array(32)).toBase64();
  const file = new GrantFile(place.path, () => Promise.resolve(secret));
  await file.put(grantFor(time));
  const text = await readFile(file.path, "utf8");
  assert.match(text, /^[\w-]+\.\.[\w-]+\.[\w-]+\.[\w-]+$/);
  assert.deepEqual(await file.find(key), grantFor(time));
  const other = crypto.getRandomValues(new Uint8Array(32)).toBase64({ alphabet: "base64url" });
  const keys = [undefined, other, "short", `${"x".repeat(43)}!`];
  for (const wrong of keys) {
    const reader = new GrantFile(place.path, () => Promise.resolve(wrong));
    await assert.rejects(reader.read(), /MCPROXY_STATE_KEY/, String(wrong));
    // As long as it lies there, no login can be written to it.
    const isKey = wrong === undefined || wrong === other;
    if (isKey) await assert.rejects(reader.read(), /or move it away, and log in again$/);
    await assert.rejects(reader.put(grantFor(time)), FileError);
  }
  await writeFile(file.path, `${text.slice(0, -3)}AAA`);
  await assert.rejects(file.read(), /another key, or damaged/);
  // One that was written before there was a key is read, and encrypted with the next change.
  await writeFile(file.path, JSON.stringify({ version: 1, grants: [grantFor(time)] }));
  await file.put(grantFor(time, { server: "b" }));
  assert.equal((await file.read()).length, 2);
  assert.match(await readFile(file.path, "utf8"), /^ey/);
});

test("one at a time does something about a grant, and all writers' changes are kept", async () => {
  await using place = await directory();
  const files = Array.from({ length: 4 }, () => new GrantFile(place.path));
  let inside = 0;
  let most = 0;
  await Promise.all(files.map((file, index) =>
    file.exclusively(key, async () => {
      most = Math.max(most, ++inside);
      await file.put(grantFor(time, { server: `s${index}` }));
      inside--;
    })
  ));
  assert.equal(most, 1);
  assert.equal((await files[0]!.read()).length, 4);
  await assert.rejects(
    files[0]!.exclusively(key, () => Promise.reject(new Error("no"))),
    /^Error: no/,
  );
  assert.deepEqual(await readdir(place.path), ["grants.json"]);
});

test("what a killed process has locked is free after half a minute", async () => {
  await using place = await directory();
  const file = new GrantFile(place.path);
  const old = new Date(Date.now() - 31_000);
  await writeFile(`${file.path}.lock`, "of a dead one");
  await utimes(`${file.path}.lock`, old, old);
  await file.put(grantFor(time));
  assert.deepEqual(await readdir(place.path), ["grants.json"]);
});
