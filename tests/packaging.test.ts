import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { V8_FLAGS } from "../scripts/engine.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

test("no lock file names a registry host or a path of some machine", () => {
  const lock = readFileSync(join(ROOT, "deno.lock"), "utf8");
  assert.doesNotMatch(lock, /https?:\/\//);
  assert.doesNotMatch(lock, /\/(?:home|root|Users)\//);
});

test("every file in packaging/ is explained in docs/running.md", () => {
  const docs = readFileSync(join(ROOT, "docs/running.md"), "utf8");
  const files = readdirSync(join(ROOT, "packaging"));
  assert.ok(files.length >= 5);
  assert.deepEqual(files.filter((name) => !docs.includes(`packaging/${name}`)), []);
});

test("the engine's settings are the same wherever they are written", () => {
  const read = (path: string) => readFileSync(join(ROOT, path), "utf8");
  for (const path of ["package.json", "docs/running.md", "docs/decisions/0004-memory.md"]) {
    assert.ok(read(path).includes(V8_FLAGS), `${path} has no ${V8_FLAGS}`);
    assert.doesNotMatch(read(path).replaceAll(V8_FLAGS, ""), /--v8-flags=[^\s"]/, path);
  }
});
