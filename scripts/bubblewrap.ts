/**
 * Installs bubblewrap, with which `tests/slow/kept-in` makes sandboxes, from Debian's packages where
 * it is missing. Where that cannot be done it says so, and the tests do without.
 */

const isThere = await new Deno.Command("bwrap", { args: ["--version"] }).output()
  .then(({ success }) => success, () => false);
if (!isThere) {
  for (const args of [["update"], ["install", "--yes", "--no-install-recommends", "bubblewrap"]]) {
    const apt = new Deno.Command("apt-get", {
      args,
      env: { DEBIAN_FRONTEND: "noninteractive" },
      signal: AbortSignal.timeout(120_000),
    });
    const why = await apt.output().then(
      ({ success, stderr }) => success ? "" : new TextDecoder().decode(stderr).slice(0, 1_000),
      (error) => `${error}`,
    );
    if (why !== "") console.log(`apt-get ${args[0]}: ${why}`);
  }
}
