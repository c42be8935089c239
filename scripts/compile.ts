/**
 * `deno task compile`: one binary that needs no runtime on the machine it is copied to.
 *
 *     deno task compile [--target TRIPLE] [--output FILE]
 *
 * Where the base binary that Deno appends the program to cannot be downloaded, the packaging is
 * checked with the running Deno as a stand-in (it bundles and embeds, but the result is no
 * mcproxy), and the way to the Bun binary is shown.
 */

import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { bundleInto } from "./bundle.ts";
import { V8_FLAGS } from "./engine.ts";
import { BUN, DENO, ROOT, TEST_BINARIES } from "./paths.ts";

/**
 * What a command loads late stays apart: a vocabulary of 2.8 MB is read by who counts with it. With
 * bytecode a start takes half as long, for 13 MB on disk and 4 MB of mapped pages.
 */
const BUN_BUILD = ["build", "--compile", "--minify", "--splitting", "--bytecode", "--format=esm"];

const { values } = parseArgs({
  args: Deno.args,
  options: {
    target: { type: "string" },
    output: { type: "string", default: `${ROOT}dist/mcproxy` },
    "for-tests": { type: "boolean", default: false },
  },
});

Deno.chdir(ROOT);
await Deno.mkdir("dist/test", { recursive: true });
Deno.exit(values["for-tests"] ? await forTests() : await forUse());

async function forUse(): Promise<number> {
  if (await denoCompile(values.output, values.target)) {
    console.log(`${values.output}  ${await size(values.output)}`);
    return 0;
  }
  console.error("\nCannot compile with Deno: its base binary cannot be downloaded from here.");
  console.error("On a machine that reaches dl.deno.land the same command works.");
  console.error(`A binary on Bun instead: "${BUN} run compile"`);
  return await checkPackaging() ? 1 : 2;
}

/** Builds what the behaviour suite drives: always Bun's, and Deno's where its base is to be had. */
async function forTests(): Promise<number> {
  await Promise.all(Object.values(TEST_BINARIES).map((path) => Deno.remove(path).catch(() => {})));
  if (!await run(BUN, [...BUN_BUILD, `--outfile=${TEST_BINARIES.bun}`, "main.ts"])) return 1;
  console.log(`Bun binary: ${await size(TEST_BINARIES.bun)}`);
  if (await denoCompile(TEST_BINARIES.deno)) {
    console.log(`Deno binary: ${await size(TEST_BINARIES.deno)}`);
    return 0;
  }
  console.log("No base binary for deno compile here: the suite runs on the Bun binary alone");
  return await checkPackaging() ? 0 : 1;
}

/**
 * Bundles by itself and compiles the result: `deno compile --bundle` would embed the native
 * packages of the dev dependencies, 70 MB that nobody calls.
 */
async function denoCompile(output: string, target?: string, env?: Record<string, string>) {
  const folder = await Deno.makeTempDir({ prefix: "mcproxy-compile-" });
  try {
    await bundleInto(folder);
    const args = ["compile", "-A", "--quiet", "--no-check", "--no-config"];
    args.push(`--v8-flags=${V8_FLAGS}`, "--unstable-net", "--unstable-no-legacy-abort");
    if (target !== undefined) args.push("--target", target);
    return await run(DENO, [...args, "--output", resolve(output), `${folder}/main.js`], env);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Everything of `deno compile` but the base: resolving, bundling, embedding. */
async function checkPackaging(): Promise<boolean> {
  const folder = await Deno.makeTempDir({ prefix: "mcproxy-packaging-" });
  const output = `${folder}/mcproxy`;
  try {
    if (!await denoCompile(output, undefined, { DENORT_BIN: DENO })) return false;
    const program = (await Deno.stat(output)).size - (await Deno.stat(DENO)).size;
    console.log(`Packaging checked: the program adds ${(program / 1e6).toFixed(2)} MB to the base`);
    return program > 0;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function run(command: string, args: string[], env: Record<string, string> = {}) {
  const child = new Deno.Command(command, { args, env: { NO_COLOR: "1", ...env } });
  const { success, stdout, stderr } = await child.output();
  if (!success) {
    const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    console.error(text.split("Stack backtrace:")[0]!.trim());
  }
  return success;
}

async function size(path: string): Promise<string> {
  return `${((await Deno.stat(path)).size / 1e6).toFixed(1)} MB`;
}
