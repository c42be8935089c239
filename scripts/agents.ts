/**
 * Installs the agents that `tests/slow/agents` runs, from npm and with nobody's scripts. Where that
 * cannot be done it says so, and the steps that need {@link AGENTS_INSTALLED} are left out.
 */

import { AGENTS_INSTALLED, ROOT } from "./paths.ts";

const folder = `${ROOT}tests/slow/agents/programs`;
const wanted = await Deno.readTextFile(`${folder}/package-lock.json`);
const installed = await Deno.readTextFile(AGENTS_INSTALLED).catch(() => undefined);
if (installed !== wanted) await install();

async function install(): Promise<void> {
  const quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries", "1"];
  const npm = new Deno.Command("npm", {
    args: ["ci", ...quiet],
    cwd: folder,
    signal: AbortSignal.timeout(300_000),
  });
  const success = await npm.output().then(({ success, stderr }) => {
    if (!success) console.log(new TextDecoder().decode(stderr).slice(0, 2_000));
    return success;
  }, (error) => console.log(`${error}`));
  if (success) await Deno.writeTextFile(AGENTS_INSTALLED, wanted);
  else console.log("No agents here: what is proven with them is left out");
}
