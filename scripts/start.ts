/**
 * `npm start`: runs the bundle. Where there is none yet, or one older than the source, it runs the
 * source, and makes a bundle for the next time behind it.
 */

import { pathToFileURL } from "node:url";
import { BUNDLE, DENO, ROOT } from "./paths.ts";

/** What the bundle is made of: files, and folders with all that is in them. */
const SOURCES = ["main.ts", "deno.json", "deno.lock", "package.json", "schema", "src"];

if (
  changedAt(`${BUNDLE.folder}/main.js`) > Math.max(...SOURCES.map((path) => newest(ROOT + path)))
) {
  await load(BUNDLE.program);
} else {
  // Loaded before, so that the bundler finds the packages downloaded.
  await load(`${ROOT}src/cli/main.ts`);
  bundleBehind();
  await load(`${ROOT}main.ts`);
}

/** Not by a literal name: what such a one loads is read before the first line here runs. */
function load(path: string): Promise<unknown> {
  return import(pathToFileURL(path).href);
}

/** The time of the last change in a file or folder; one that is not there never changed. */
function newest(path: string): number {
  const at = changedAt(path);
  if (!Deno.statSync(path).isDirectory) return at;
  return Math.max(
    at,
    ...Array.from(Deno.readDirSync(path), ({ name }) => newest(`${path}/${name}`)),
  );
}

function changedAt(path: string): number {
  try {
    return Deno.statSync(path).mtime?.getTime() ?? 0;
  } catch {
    return 0;
  }
}

/** In a process group of its own: neither Ctrl+C nor the end of the gateway leaves it half done. */
function bundleBehind(): void {
  const script = ["run", "--quiet", "--node-modules-dir=none", "-A", `${ROOT}scripts/bundle.ts`];
  const more = ["--node-modules-dir=none", "--unstable-npm-lazy-caching"];
  new Deno.Command(DENO, {
    args: [...script, ...more],
    stdin: "null",
    stdout: "null",
    stderr: "null",
    detached: true,
  }).spawn().unref();
}
