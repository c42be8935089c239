/**
 * Installs bubblewrap, with which `tests/slow/kept-in` makes sandboxes, from Debian's packages where
 * it is missing. Where that cannot be done it says so, and the tests do without.
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

if (await run("bwrap", ["--version"], 10) !== "") {
  for (const args of [["update"], ["install", "--yes", "--no-install-recommends", "bubblewrap"]]) {
    const why = await run("apt-get", args, 120);
    if (why !== "") console.log(`apt-get ${args[0]}: ${why}`);
  }
}
