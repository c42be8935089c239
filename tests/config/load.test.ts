import assert from "node:assert/strict";
import { chmod, mkdir, symlink, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import type { Env } from "../../src/config/types.ts";
import { configDirectories, MAX_CONFIG_BYTES, resolveConfigFiles } from "../../src/config/files.ts";
import { formatIssue } from "../../src/config/issue.ts";
import { loadConfig } from "../../src/config/load.ts";
import { inDirectory } from "./temp.ts";

const GOOD = '{ "mcpServers": { "a": { "command": "x", "env": { "T": "${T}" } } } }';

/** The one issue of a file that cannot be used, without its directory. */
async function issueOf(path: string): Promise<string> {
  const result = await loadConfig(path, { env: {} });
  assert.ok(!result.ok);
  assert.equal(result.issues.length, 1);
  const [issue] = result.issues;
  assert.ok(issue !== undefined && issue.file === path && issue.line === 0);
  return formatIssue({ ...issue, file: "FILE" });
}

test("loadConfig() loads a file, with and without a byte order mark", () =>
  inDirectory(async (directory) => {
    for (const mark of ["", "\uFEFF"]) {
      const path = join(directory, "c.json");
      await writeFile(path, mark + GOOD);
      const result = await loadConfig(path, { env: { T: "v" } });
      assert.ok(result.ok);
      assert.equal(result.config.file, path);
      const target = result.config.servers.get("a")?.instances[0];
      assert.ok(target?.kind === "stdio");
      assert.equal(target.env["T"], "v");
    }
  }));

test("loadConfig() says that a file is not there, and where a dangling link leads", () =>
  inDirectory(async (directory) => {
    assert.equal(
      await issueOf(join(directory, "none.json")),
      "FILE: Cannot read the configuration: the file does not exist; " +
        "create it, or name another one with --config FILE",
    );
    await symlink("gone.json", join(directory, "link.json"));
    assert.equal(
      await issueOf(join(directory, "link.json")),
      'FILE: Cannot read the configuration: the link leads to "gone.json", which does not exist; ' +
        "expected a file; mend or remove the link",
    );
    await symlink("loop.json", join(directory, "loop.json"));
    assert.match(await issueOf(join(directory, "loop.json")), /go round in a circle/);
  }));

test("loadConfig() says that it is a directory, or below a file", () =>
  inDirectory(async (directory) => {
    assert.match(
      await issueOf(directory),
      /found a directory without configuration files, expected \*\.json, .* or name a file/,
    );
    await writeFile(join(directory, "f"), GOOD);
    assert.match(await issueOf(join(directory, "f", "c.json")), /not a directory/);
  }));

test("loadConfig() refuses a device without reading it", async () => {
  assert.match(await issueOf("/dev/zero"), /expected a regular file/);
});

test("loadConfig() refuses a file that is too big or not UTF-8", () =>
  inDirectory(async (directory) => {
    const path = join(directory, "c.json");
    await writeFile(path, " ".repeat(MAX_CONFIG_BYTES + 1));
    assert.match(await issueOf(path), /found 5242881 bytes, expected at most 5 MiB/);
    await writeFile(path, GOOD + " ".repeat(MAX_CONFIG_BYTES - GOOD.length));
    assert.ok((await loadConfig(path, { env: {} })).ok);
    await writeFile(path, new Uint8Array([0xff, 0xfe, 0x7b, 0x00]));
    assert.match(await issueOf(path), /not UTF-8; save the file as UTF-8/);
  }));

// For root every file is readable; the message is then that of a success, and nothing is to be seen.
const isRoot = process.getuid?.() === 0;

test("loadConfig() tells what an unreadable file needs", () =>
  inDirectory(async (directory) => {
    const path = join(directory, "c.json");
    await writeFile(path, GOOD);
    await chmod(path, 0o000);
    if (isRoot) assert.ok((await loadConfig(path, { env: {} })).ok);
    else assert.match(await issueOf(path), /permission denied; make it readable/);
  }));

test("loadConfig() rejects with nothing, whatever the path is", async () => {
  for (const path of ["/nowhere/c.json", "\0", "", "/dev/null", "/"]) {
    const result = await loadConfig(path, { env: {} });
    assert.ok(!result.ok, path);
  }
});

test("configDirectories() lists the places, best first", () => {
  assert.deepEqual(configDirectories({ env: { HOME: "/home/u" }, cwd: "/here" }), [
    "/here",
    "/home/u/.config/mcproxy",
    "/etc/mcproxy",
  ]);
  assert.equal(
    configDirectories({ env: { XDG_CONFIG_HOME: "/x", HOME: "/h" }, cwd: "/w" })[1],
    "/x/mcproxy",
  );
  const relative = { env: { XDG_CONFIG_HOME: "x" }, cwd: "/w" };
  assert.deepEqual(configDirectories(relative), ["/w", "/etc/mcproxy"]);
});

test("resolveConfigFiles() takes --config, then MCP_CONFIG_PATH, then the first there is", () =>
  inDirectory(async (cwd) => {
    const env = {
      XDG_CONFIG_HOME: join(cwd, "xdg"),
      MCP_CONFIG_PATH: ["named.json", "", "/abs/b.yaml"].join(delimiter),
    };
    const paths = async (path?: string | readonly string[], from: Env = env) => {
      const result = await resolveConfigFiles({ path, env: from, cwd });
      return result.ok ? result.paths : [];
    };
    assert.deepEqual(await paths("flag.json"), [join(cwd, "flag.json")]);
    assert.deepEqual(await paths(["a.json", "/b"]), [join(cwd, "a.json"), "/b"]);
    assert.deepEqual(await paths(), [join(cwd, "named.json"), "/abs/b.yaml"]);
    const unnamed = { XDG_CONFIG_HOME: join(cwd, "xdg") };
    await mkdir(join(cwd, "xdg", "mcproxy"), { recursive: true });
    const user = join(cwd, "xdg", "mcproxy", "mcp-servers.yml");
    await writeFile(user, "mcpServers: {}");
    assert.deepEqual(await paths(undefined, unnamed), [user]);
    const local = join(cwd, "mcp-servers.json");
    await symlink("gone.json", local);
    assert.deepEqual(await paths(undefined, unnamed), [local]);
  }));

test("resolveConfigFiles() lists where it looked", () =>
  inDirectory(async (cwd) => {
    const result = await resolveConfigFiles({ env: { HOME: cwd }, cwd });
    // A machine may have a file of its own in /etc.
    if (result.ok) return assert.match(result.paths.join(), /^\/etc\/mcproxy\/mcp-servers\./);
    const text = result.issues.map(formatIssue).join();
    assert.ok(text.includes(` in ${JSON.stringify(cwd)}, "`), text);
    assert.match(text, /, "\/etc\/mcproxy"; create one of them/);
  }));

test("loadConfig() hides from a sandbox all that was read for it, and the audit", () =>
  inDirectory(async (directory) => {
    const [path, token, keys] = ["c.json", "token", "keys"].map((name) => join(directory, name));
    await writeFile(token!, "t", { mode: 0o600 });
    await mkdir(keys!);
    await writeFile(join(keys!, "K"), "k");
    const audit = { file: "/var/log/mcproxy/audit.jsonl" };
    const a = { command: "x", sandbox: true, env: { T: "${file:token}" } };
    await writeFile(path!, JSON.stringify({ audit, mcpServers: { a } }));
    const env = { CREDENTIALS_DIRECTORY: keys!, MCP_CREDENTIALS_PATH: join(keys!, "none.json") };
    await writeFile(env.MCP_CREDENTIALS_PATH, "{}", { mode: 0o600 });
    const result = await loadConfig(path!, { env });
    assert.ok(result.ok, JSON.stringify(result));
    const target = result.config.servers.get("a")?.instances[0];
    assert.ok(target?.kind === "stdio");
    const hidden = [path, token, keys, join(keys!, "K"), env.MCP_CREDENTIALS_PATH, audit.file];
    assert.deepEqual([...target.hidden!].sort(), hidden.sort());
  }));
