/**
 * `deno task bundle`: the program as a few small files that start in half the time and hold less
 * memory than its source. `dist/mcproxy.js` is the program, `dist/bundle/` what it loads.
 *
 *     deno run -A dist/mcproxy.js serve --config mcp-servers.json
 *
 * A gateway that runs from an earlier bundle goes on when there is a new one: files are named by what
 * is in them, and those it may yet load stay. The folder can be removed when none runs.
 */

import { BUNDLE, DENO, DIST, ROOT } from "./paths.ts";

/** What the bundle is made of: files, and folders with all that is in them. */
const SOURCES = ["main.ts", "deno.json", "deno.lock", "package.json", "schema", "src"];
const MADE_OF = `${BUNDLE.folder}/made-of`;
/** How long the bundler may take to download what it needs, ms. */
const PATIENCE = 600_000;

/** Whether there is a bundle of the source as it is now. */
export function isCurrent(): boolean {
  try {
    return Deno.readTextFileSync(MADE_OF) === sourcesNow();
  } catch {
    return false;
  }
}

/** Each source with its size and the time of its last change, be that earlier than before or later. */
function sourcesNow(): string {
  const lines: string[] = [];
  const look = (path: string) => {
    const { isDirectory, isFile, size, mtime } = Deno.lstatSync(ROOT + path);
    if (isFile) lines.push(`${path} ${size} ${mtime?.getTime()}`);
    if (isDirectory) {
      for (const { name } of Deno.readDirSync(ROOT + path)) {
        look(`${path}/${name}`);
      }
    }
  };
  for (const path of [...SOURCES, "scripts/bundle.ts"]) look(path);
  return lines.sort().join("\n");
}

/** Bundles into a folder, whose `main.js` is the program. @throws {Error} saying why not */
export async function bundleInto(folder: string, more: readonly string[] = []): Promise<void> {
  const how = ["--quiet", "--minify", "--code-splitting", ...more];
  const args = ["bundle", ...how, "--outdir", folder, "main.ts"];
  const signal = AbortSignal.timeout(PATIENCE);
  const { success, stderr } = await new Deno.Command(DENO, { args, cwd: ROOT, signal }).output();
  if (success) return;
  const [why] = new TextDecoder().decode(stderr).split("Stack backtrace:");
  throw new Error(`Cannot bundle the program: ${why!.trim()}`);
}

async function bundle(more: readonly string[]): Promise<void> {
  // What changes while it is bundled is not in it.
  const sources = sourcesNow();
  const fresh = await Deno.makeTempDir({ dir: DIST, prefix: ".bundle-" });
  const move = (name: string, to: string) => Deno.rename(`${fresh}/${name}`, to);
  try {
    await bundleInto(fresh, more);
    await Deno.writeTextFile(`${fresh}/program`, 'import "./bundle/main.js";\n');
    await Deno.writeTextFile(`${fresh}/made-of`, sources);
    await Deno.mkdir(BUNDLE.folder, { recursive: true });
    // In this order, so that there is a whole one at any moment.
    for await (const { name } of Deno.readDir(fresh)) {
      if (/-[A-Z0-9]+\.js$/.test(name)) await move(name, `${BUNDLE.folder}/${name}`);
    }
    await move("main.js", `${BUNDLE.folder}/main.js`);
    await move("program", BUNDLE.program);
    await move("made-of", MADE_OF);
  } finally {
    await Deno.remove(fresh, { recursive: true });
  }
}

/** Those that were killed have left theirs behind. */
async function removeRemains(): Promise<void> {
  for await (const { name } of Deno.readDir(DIST)) {
    const { mtime } = await Deno.lstat(`${DIST}/${name}`);
    const isOld = Date.now() - (mtime?.getTime() ?? 0) > 2 * PATIENCE;
    if (name.startsWith(".bundle-") && isOld) {
      await Deno.remove(`${DIST}/${name}`, { recursive: true });
    }
  }
}

if (import.meta.main) {
  await Deno.mkdir(DIST, { recursive: true });
  try {
    await removeRemains();
    await bundle(Deno.args);
  } catch (error) {
    // Behind a start nobody sees the error.
    await Deno.writeTextFile(`${DIST}/bundle.log`, `${new Date().toISOString()} ${error}\n`);
    throw error;
  }
}
