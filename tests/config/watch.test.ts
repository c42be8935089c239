import assert from "node:assert/strict";
import { chmod, mkdir, open, rename, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { Inbox } from "../support/inbox.ts";
import { readNames, readSources } from "../../src/config/files.ts";
import { Watching } from "./watching.ts";

const A = '{ "mcpServers": { "a": {} } }';
const B = '{ "mcpServers": { "b": {} } }';
const C = '{ "mcpServers": { "c": {} } }';

const write = (text: string) => (root: string) => writeFile(join(root, "servers.json"), text);

test("ConfigWatch sees a write, and only once", async () => {
  await using watching = await Watching.start(write(A));
  await writeFile(watching.file, B);
  const call = await watching.reads(B);
  assert.equal(call.final, false);
  assert.equal(call.forced, false);
  await watching.watch.check();
  assert.deepEqual(watching.texts, [B]);
});

test("ConfigWatch sees a file renamed into place", async () => {
  await using watching = await Watching.start(write(A));
  for (const text of [B, C, A]) {
    await writeFile(join(watching.root, "new"), text);
    await rename(join(watching.root, "new"), watching.file);
    await watching.reads(text);
  }
  await watching.watch.check();
  assert.deepEqual(watching.texts, [B, C, A]);
});

test("ConfigWatch takes the same bytes, new times and new modes for no change", async () => {
  await using watching = await Watching.start(write(A));
  const acts = [
    () => writeFile(watching.file, A),
    () => utimes(watching.file, 1, 1),
    () => chmod(watching.file, 0o640),
    async () => {
      await writeFile(join(watching.root, "new"), A);
      await rename(join(watching.root, "new"), watching.file);
    },
    () => writeFile(join(watching.root, "something-else"), B),
  ];
  for (const act of acts) {
    await act();
    await watching.watch.check();
  }
  await writeFile(watching.file, B);
  await watching.reads(B);
  assert.deepEqual(watching.texts, [B]);
});

test("ConfigWatch lets a file be written in pieces: no call is final but that of the whole", async () => {
  await using watching = await Watching.start(write(A), { timing: { patience: 10_000 } });
  const file = await open(watching.file, "w");
  for (const piece of [B.slice(0, 5), B.slice(5, 10)]) {
    await file.write(piece);
    await watching.calls.waitFor(({ text }) => text?.endsWith(piece) === true);
  }
  await file.write(B.slice(10));
  await file.close();
  await watching.reads(B);
  assert.ok(watching.calls.items.every(({ final }) => !final));
  assert.deepEqual(watching.calls.items.at(-1)?.text, B);
});

test("ConfigWatch waits with incomplete content, then says that it is final, once", async () => {
  await using watching = await Watching.start(write(A), { timing: { patience: 80 } });
  await writeFile(watching.file, "{");
  const first = await watching.reads("{");
  assert.equal(first.final, false);
  const last = await watching.calls.waitFor(({ final }) => final);
  assert.ok(last.at - first.at >= 80, `final after ${last.at - first.at} ms`);
  await watching.watch.check();
  await watching.watch.check();
  assert.deepEqual(watching.texts, ["{", "{"]);
  // Mended with what had been there before: a change again, since "{" was dealt with.
  await writeFile(watching.file, A);
  await watching.reads(A);
});

test("ConfigWatch calls nobody where incomplete content gives way to the old", async () => {
  await using watching = await Watching.start(write(A), { timing: { patience: 10_000 } });
  await writeFile(watching.file, "");
  await watching.reads("");
  await writeFile(watching.file, A);
  await watching.watch.check();
  // The patience with "" is over by this: what is incomplete now gets one of its own.
  await writeFile(watching.file, "");
  const second = await watching.calls.waitFor(({ text }) => text === "", { from: 1 });
  assert.equal(second.final, false);
  assert.deepEqual(watching.texts, ["", ""]);
});

test("ConfigWatch sees a file removed and made anew", async () => {
  await using watching = await Watching.start(write(A), { timing: { patience: 50 } });
  await rm(watching.file);
  await watching.reads(null);
  await writeFile(watching.file, B);
  await watching.reads(B);
  await rm(watching.file);
  await watching.calls.waitFor(({ text, final }) => text === null && final);
  await writeFile(watching.file, B);
  await watching.reads(B, watching.calls.items.length);
});

test("ConfigWatch sees an editor's rename to a backup and a new file", async () => {
  await using watching = await Watching.start(write(A));
  for (const text of [B, C]) {
    await rename(watching.file, `${watching.file}~`);
    await writeFile(watching.file, text);
    await watching.reads(text);
  }
  assert.equal(watching.calls.items.filter(({ final }) => final).length, 0);
});

/** As the kubelet lays out a mounted ConfigMap. */
async function mount(root: string, version: string, text: string): Promise<void> {
  await mkdir(join(root, `..${version}`));
  await writeFile(join(root, `..${version}`, "servers.json"), text);
  await symlink(`..${version}`, join(root, "..data_tmp"));
  await rename(join(root, "..data_tmp"), join(root, "..data"));
}

test("ConfigWatch sees ..data swapped, as Kubernetes does it, again and again", async () => {
  await using watching = await Watching.start(async (root) => {
    await mount(root, "v1", A);
    await symlink("..data/servers.json", join(root, "servers.json"));
  });
  await mount(watching.root, "v2", B);
  await rm(join(watching.root, "..v1"), { recursive: true });
  await watching.reads(B);
  await mount(watching.root, "v3", C);
  await watching.reads(C);
  await watching.watch.check();
  // Where the links lead is watched too.
  await writeFile(join(watching.root, "..v3", "servers.json"), A);
  await watching.reads(A);
  assert.ok(watching.texts.every((text) => text !== null), String(watching.texts));
});

test("ConfigWatch sees a dangling link get its file", async () => {
  await using watching = await Watching.start((root) =>
    symlink("elsewhere/deep/servers.json", join(root, "servers.json"))
  );
  assert.deepEqual(watching.texts, []);
  const directory = join(watching.root, "elsewhere", "deep");
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, "servers.json"), A);
  await watching.reads(A);
  await writeFile(join(directory, "servers.json"), B);
  await watching.reads(B);
});

test("ConfigWatch sees through a directory that is a link, and that is swapped", async () => {
  const make = async (root: string, name: string, text: string) => {
    await mkdir(join(root, name));
    await writeFile(join(root, name, "servers.json"), text);
  };
  await using watching = await Watching.start(
    async (root) => {
      await make(root, "release-1", A);
      await make(root, "release-2", B);
      await symlink("release-1", join(root, "current"));
    },
    {},
    "current/servers.json",
  );
  await symlink("release-2", join(watching.root, "next"));
  await rename(join(watching.root, "next"), join(watching.root, "current"));
  await watching.reads(B);
  await writeFile(join(watching.root, "release-2", "servers.json"), C);
  await watching.reads(C);
});

test("ConfigWatch comes back with a directory that was removed", async () => {
  await using watching = await Watching.start(
    async (root) => {
      await mkdir(join(root, "conf"));
      await writeFile(join(root, "conf", "servers.json"), A);
    },
    { timing: { patience: 50 } },
    "conf/servers.json",
  );
  const directory = join(watching.root, "conf");
  for (const text of [B, C]) {
    await rm(directory, { recursive: true });
    await watching.reads(null, watching.calls.items.length);
    await mkdir(directory);
    await writeFile(watching.file, text);
    await watching.reads(text);
  }
  // Watched again in earnest, not only found when the directory came back.
  await writeFile(watching.file, A);
  await watching.reads(A);
  assert.deepEqual(watching.errors, []);
});

test("ConfigWatch comes back with a directory that was replaced", async () => {
  await using watching = await Watching.start(
    async (root) => {
      await mkdir(join(root, "conf"));
      await writeFile(join(root, "conf", "servers.json"), A);
    },
    {},
    "conf/servers.json",
  );
  await mkdir(join(watching.root, "next"));
  await writeFile(join(watching.root, "next", "servers.json"), B);
  await rename(join(watching.root, "conf"), join(watching.root, "old"));
  await rename(join(watching.root, "next"), join(watching.root, "conf"));
  await watching.reads(B);
  await writeFile(watching.file, C);
  await watching.reads(C);
});

test("ConfigWatch watches a source that is a directory, and the files in it", async () => {
  const calls = new Inbox<string>("onChange");
  await using watching = await Watching.start(async (root) => {
    await mkdir(join(root, "conf.d"));
    await writeFile(join(root, "conf.d", "1.json"), A);
  }, {
    others: (_, root) => [join(root, "conf.d"), join(root, "conf.d", "1.json")],
    onChange: async () => {
      const directory = path("");
      const sources = new Map<string, string>();
      const names = await readNames(directory, sources) ?? [];
      for (const [path, tag] of await readSources(names.map((name) => join(directory, name)))) {
        sources.set(path, tag);
      }
      calls.push("called");
      return { used: true, sources };
    },
  });
  const called = async (act: () => Promise<unknown>) => {
    const from = calls.items.length;
    await act();
    await calls.waitFor(() => true, { from });
    await watching.watch.check();
  };
  const path = (name: string) => join(watching.root, "conf.d", name);
  await called(() => writeFile(path("2.json"), B));
  await called(() => writeFile(path("2.json"), C));
  await called(() => rm(path("1.json")));
  const before = calls.items.length;
  await writeFile(path(".2.json.swp"), "");
  await writeFile(path("2.json~"), "");
  await watching.watch.check();
  assert.equal(calls.items.length, before);
});
