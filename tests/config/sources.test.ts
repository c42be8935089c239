import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { formatIssue } from "../../src/config/issue.ts";
import { readSources } from "../../src/config/files.ts";
import { loadConfig } from "../../src/config/load.ts";
import { inDirectory, writeFiles } from "./temp.ts";

test("loadConfig() names every path it read or looked for", () =>
  inDirectory(async (directory) => {
    await writeFiles(directory, {
      "base.json": '{ "mcpServers": { "a": { "command": "x", "env": { "T": "${file:token}" } } } }',
      "conf.d/b.yaml": "mcpServers: { b: { command: x, envFile: ../none.env } }",
      "conf.d/notes.txt": "",
      "token": "t",
      "creds/NAME": "value",
    });
    const path = (name: string) => join(directory, name);
    const env = { CREDENTIALS_DIRECTORY: path("creds"), XDG_CONFIG_HOME: path("xdg") };
    const result = await loadConfig([path("base.json"), path("conf.d")], { env, cwd: directory });
    assert.ok(result.ok, JSON.stringify(result));
    const expected = [
      path("base.json"),
      path("conf.d"),
      path("conf.d/b.yaml"),
      path("creds"),
      path("creds/NAME"),
      path("none.env"),
      path("token"),
      path("xdg/mcproxy/credentials.json"),
    ];
    assert.deepEqual([...result.sources.keys()].sort(), expected);
    assert.deepEqual(await readSources(expected), new Map([...result.sources].sort()));
    assert.equal(result.config.file, `${path("base.json")}, ${path("conf.d/b.yaml")}`);
  }));

test("loadConfig() names its paths also where it fails, so that they can be watched", () =>
  inDirectory(async (directory) => {
    await writeFiles(directory, { "a.json": "{", "b.json": "{}" });
    const paths = ["a.json", "b.json", "gone.json"].map((name) => join(directory, name));
    const result = await loadConfig(paths, { env: {} });
    assert.ok(!result.ok);
    assert.deepEqual([...result.sources.keys()].sort(), paths.toSorted());
    assert.deepEqual(result.sources.get(paths[2]!), "ENOENT");
    assert.deepEqual(result.issues.map(({ file }) => file), [paths[0], paths[2]]);
  }));

test("loadConfig() lets the environment come before files, and those before defaults", () =>
  inDirectory(async (directory) => {
    const path = join(directory, "c.json");
    await writeFile(
      path,
      '{ "timeout": "7s", "pageSize": 5, "mcpServers": { "a": { "command": "x" } } }',
    );
    const env = { MCPROXY_TIMEOUT: "9s", MCPROXY_PAGE_SIZE: "" };
    const result = await loadConfig(path, { env });
    assert.ok(result.ok);
    const { settings, servers } = result.config;
    assert.deepEqual([settings.timeout, settings.pageSize, settings.port], [9_000, 5, 12009]);
    assert.equal(servers.get("a")?.timeout, 9_000);
  }));

test("loadConfig() runs a command once for a load, and only where commands are allowed", () =>
  inDirectory(async (directory) => {
    const marks = join(directory, "marks");
    await writeFiles(directory, { "marks/.keep": "" });
    const command = "${cmd:mktemp marks/run.XXXXXX >&2; echo secret-value}";
    const server = { command: "x", env: { A: command, B: `${command}!` } };
    const path = join(directory, "c.json");
    const runs = async () => (await readdir(marks)).filter((name) => name.startsWith("run."));
    const load = async (allowed: boolean | undefined, env = {}) => {
      const off = { ...server, disabled: true };
      await writeFile(
        path,
        JSON.stringify({ allowCommands: allowed, mcpServers: { a: server, b: server, off } }),
      );
      const result = await loadConfig(path, { env: { PATH: "/usr/bin:/bin", ...env } });
      assert.ok(result.ok, JSON.stringify(result));
      return result.config;
    };
    assert.match((await load(undefined)).servers.get("a")?.problem?.remedy ?? "", /allowCommands/);
    await load(true, { MCPROXY_ALLOW_COMMANDS: "false" });
    assert.deepEqual(await runs(), []);
    const target = (await load(true)).servers.get("b")?.instances[0];
    assert.ok(target?.kind === "stdio");
    assert.deepEqual({ ...target.env }, { A: "secret-value", B: "secret-value!" });
    assert.equal((await runs()).length, 1);
  }));

test("loadConfig() shows warnings of each file in the order of the files", () =>
  inDirectory(async (directory) => {
    await writeFiles(directory, {
      "z.json": '{ "mcpServers": { "a": { "command": "x", "headers": {} } } }',
      "a.json": '{ "mcpServers": { "b": { "command": "x", "trust": true } } }',
    });
    const paths = ["z.json", "a.json"].map((name) => join(directory, name));
    const result = await loadConfig(paths, { env: {} });
    assert.ok(result.ok);
    assert.deepEqual(result.warnings.map((one) => formatIssue(one).split(":")[0]), paths);
  }));

test("the parser of YAML and what runs commands are loaded when they are needed", async () => {
  const folder = new URL("../../src/config/", import.meta.url);
  const files = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith(".ts"));
  const eager = /^(?:import|export)\s(?!type\s)[^;]*?from\s*"([^"]+)"/gms;
  const lazy = ["yaml", "./yaml.ts", "./command.ts"];
  const found: string[] = [];
  for (const name of files) {
    const text = await readFile(new URL(name, folder), "utf8");
    for (const [, target = ""] of text.matchAll(eager)) {
      if (lazy.includes(target)) found.push(`${name} -> ${target}`);
    }
  }
  assert.deepEqual(found.sort(), ["yaml.ts -> yaml"]);
});
