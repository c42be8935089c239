import assert from "node:assert/strict";
import { cp, mkdir, readdir, readFile, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { inDirectory } from "../config/temp.ts";
import { cacheEnv } from "../support/cache.ts";
import { eventually } from "../support/inbox.ts";
import { startProcess } from "../support/process.ts";
import { ON_BUN, ROOT } from "../support/program.ts";

const options = { skip: ON_BUN && "Deno runs `npm start`", timeout: 900_000 };
/** How long a bundle may take on a slow machine with much else to do, ms. */
const WITHIN = 300_000;

/** A copy of the project as far as a start needs it, on a path that is not easy. */
async function copied(directory: string): Promise<string> {
  const root = join(directory, "a #1 copy");
  await mkdir(root);
  const files = ["main.ts", "deno.json", "deno.lock", "package.json"];
  for (const path of [...files, "schema", "scripts", "src"]) {
    await cp(join(ROOT, path), join(root, path), { recursive: true });
  }
  return root;
}

/** Runs `npm start`'s command with other arguments, to its end. */
async function start(root: string, ...args: readonly string[]) {
  const { scripts } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
  const [, before] = /^npx -y deno@\S+ (.+) serve --config \S+$/.exec(scripts.start)!;
  const running = await startProcess(process.execPath, [...before!.split(" "), ...args], {
    cwd: root,
    env: { ...process.env, ...cacheEnv() },
  });
  running.endInput();
  const { code } = await running.exited;
  return { code, stdout: running.stdout.items.join("\n"), stderr: running.stderr.items.join("\n") };
}

/** Waits for the bundle that is made behind a start, of what was there at `began`. */
async function bundled(root: string, began: number): Promise<void> {
  const isMade = async () => {
    const names: readonly string[] = await readdir(join(root, "dist")).catch(() => []);
    if (names.includes("bundle.log")) {
      assert.fail(await readFile(join(root, "dist/bundle.log"), "utf8"));
    }
    if (!names.includes("mcproxy.js") || names.length > 2) return false;
    const made = await stat(join(root, "dist/bundle/made-of")).catch(() => undefined);
    return made !== undefined && made.mtimeMs >= began;
  };
  await eventually(isMade, (is) => is, "the bundle that is made behind a start", WITHIN);
}

const SOURCE_THEN_BUNDLE = "npm start runs the source, then its bundle until the source changes";

test(SOURCE_THEN_BUNDLE, options, () =>
  inDirectory(async (directory) => {
    const root = await copied(directory);
    const first = Date.now();
    const version = await start(root, "version");
    assert.match(version.stdout, /^mcproxy \d/, version.stderr);
    await bundled(root, first);

    // As broken as it gets, yet nothing tells it from what was bundled.
    const file = join(root, "src/cli/main.ts");
    const { mtime } = await stat(file);
    const good = await readFile(file);
    await writeFile(file, 'throw new Error("the source runs");'.padEnd(good.length));
    await utimes(file, mtime, mtime);
    assert.deepEqual(await start(root, "version"), version);

    // Older is changed as well: what an archive or a backup brings keeps its time.
    await utimes(file, mtime, new Date(mtime.getTime() - 3_600_000));
    const broken = await start(root, "version");
    assert.notEqual(broken.code, 0);
    assert.match(broken.stderr, /the source runs/);

    await writeFile(file, good);
    const second = Date.now();
    assert.deepEqual(await start(root, "version"), version);
    await bundled(root, second);
  }));
