import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

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
