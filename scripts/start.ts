/**
 * `npm start`: runs the bundle. Where there is none of the source as it is, it runs the source, and
 * makes a bundle for the next time behind it; `dist/bundle.log` says why where that fails.
 */

import { pathToFileURL } from "node:url";
import { isCurrent } from "./bundle.ts";
import { BUNDLE, DENO, ROOT } from "./paths.ts";

if (isCurrent()) {
  await load(`${BUNDLE.folder}/main.js`);
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
