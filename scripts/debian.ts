/**
 * `debian.ts COMMAND PACKAGE`: installs a program that slow tests need, such as bubblewrap and Chromium,
 * from Debian's packages where it is missing. Where that cannot be done it says so, and the tests do
 * without.
 */

/** Why it did not end well, nothing where it did. */
async function run(command: string, args: readonly string[], seconds: number): Promise<string> {
  try {
    const { success, stderr } = await new Deno.Command(command, {
      args: [...args],
      env: { DEBIAN_FRONTEND: "noninteractive" },
      signal: AbortSignal.timeout(seconds * 1_000),
    }).output();
    return success ? "" : new TextDecoder().decode(stderr).slice(0, 1_000) || "it failed";
  } catch (error) {
    return `${error}`;
  }
}

const [command = "", name = command] = Deno.args;
if (await run(command, ["--version"], 30) !== "") {
  for (const args of [["update"], ["install", "--yes", "--no-install-recommends", name]]) {
    const why = await run("apt-get", args, 300);
    if (why !== "") console.log(`apt-get ${args[0]}: ${why}`);
  }
}
