/** What a start loads, which decides how long it takes and much of what it keeps in memory. */

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { inDirectory } from "../config/temp.ts";
import { cacheEnv } from "../support/cache.ts";
import { BUN, ON_BUN, ROOT } from "../support/program.ts";
import { startProcess } from "../support/process.ts";

// A process is the same whoever starts it: once is enough.
const options = { skip: ON_BUN && "measured by the tests on Deno", timeout: 60_000 };

/** Of the files that `main` loads until it listens. */
async function loadedBy(main: string, directory: string) {
  const file = join(directory, "mcp-servers.json");
  await writeFile(file, JSON.stringify({ mcpServers: {}, port: 0 }));
  const preload = fileURLToPath(new URL("./loaded.mjs", import.meta.url));
  const gateway = await startProcess(BUN, ["--preload", preload, main, "serve", "--config", file], {
    env: { ...process.env, ...cacheEnv() },
  });
  try {
    await gateway.stderr.waitFor((text) => text.includes("Listening on"));
    gateway.write("\n");
    const told = await gateway.stdout.waitFor((line) => line.startsWith('{"modules"'));
    return JSON.parse(told) as { readonly modules: number; readonly bytes: number };
  } finally {
    await gateway.kill();
  }
}

test(
  "a start loads no more modules of src than its budget",
  options,
  () =>
    inDirectory(async (directory) => {
      const { modules } = await loadedBy(`${ROOT}main.ts`, directory);
      console.log(`${modules} modules`);
      assert.ok(modules > 50, "it counts what is loaded");
      assert.ok(modules <= 166, `${modules} modules`);
    }),
);

test(
  "a start of the bundle loads no more bytes than its budget",
  options,
  () =>
    inDirectory(async (directory) => {
      const build = ["build", "--target=bun", "--minify", "--splitting", "--outdir", directory];
      const bundler = await startProcess(BUN, [...build, `${ROOT}main.ts`]);
      assert.equal((await bundler.exited).code, 0, bundler.stderr.items.join("\n"));
      const { bytes } = await loadedBy(join(directory, "main.js"), directory);
      console.log(`${bytes} bytes`);
      assert.ok(bytes > 100_000, "it counts what is loaded");
      assert.ok(bytes <= 490_000, `${bytes} bytes`);
    }),
);
