/**
 * Preloaded by Bun: tells on each line of stdin what was loaded so far, as modules and bytes of them.
 * That is what a start reads: literal `import()`s of other commands are not among it.
 */

import process from "node:process";

let [modules, bytes] = [0, 0];

Bun.plugin({
  name: "loaded",
  setup: (build) => {
    build.onLoad({ filter: /^(?!.*node_modules).*\.[jt]s$/ }, async ({ path, loader }) => {
      const contents = await Bun.file(path).text();
      modules++;
      bytes += contents.length;
      return { contents, loader };
    });
  },
});

process.stdin.on("data", () => process.stdout.write(`${JSON.stringify({ modules, bytes })}\n`));
