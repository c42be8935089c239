/**
 * `deno task bundle`: the program as a few small files that start in half the time and hold less
 * memory than its source. `dist/mcproxy.js` is the program, `dist/bundle/` what it loads.
 *
 *     deno run -A dist/mcproxy.js serve --config mcp-servers.json
 *
 * A gateway that runs from an earlier bundle goes on when there is a new one: files are named by what
 * is in them, and those it may yet load stay. The folder can be removed when none runs.
 */

import { BUNDLE, DENO, ROOT } from "./paths.ts";

/** Bundles into a folder, whose `main.js` is the program. @throws {Error} saying why not */
export async function bundleInto(folder: string, more: readonly string[] = []): Promise<void> {
  const how = ["--quiet", "--minify", "--code-splitting", ...more];
  const args = ["bundle", ...how, "--outdir", folder, "main.ts"];
  const { success, stderr } = await new Deno.Command(DENO, { args, cwd: ROOT }).output();
  if (success) return;
  const [why] = new TextDecoder().decode(stderr).split("Stack backtrace:");
  throw new Error(`Cannot bundle the program: ${why!.trim()}`);
}

async function bundle(more: readonly string[]): Promise<void> {
  const began = new Date();
  await Deno.mkdir(BUNDLE.folder, { recursive: true });
  const fresh = await Deno.makeTempDir({ dir: `${ROOT}dist`, prefix: ".bundle-" });
  try {
    await bundleInto(fresh, more);
    // What changes while it is bundled is newer than the bundle.
    await Deno.utime(`${fresh}/main.js`, began, began);
    const move = (name: string) => Deno.rename(`${fresh}/${name}`, `${BUNDLE.folder}/${name}`);
    for await (const { name } of Deno.readDir(fresh)) if (name !== "main.js") await move(name);
    await move("main.js");
    await Deno.writeTextFile(BUNDLE.program, 'import "./bundle/main.js";\n');
  } finally {
    await Deno.remove(fresh, { recursive: true });
  }
}

if (import.meta.main) await bundle(Deno.args);
