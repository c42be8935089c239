/** What `check` says of servers that are kept in. */

import assert from "node:assert/strict";
import { chmod, mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { parseConfig } from "../../src/config/load.ts";
import { loadOptions } from "../../src/config/schema.ts";
import { confiningWarnings } from "../../src/cli/check-sandbox.ts";
import { keptFor } from "../../src/upstream/transport/sandbox.ts";
import { inDirectory } from "../config/temp.ts";

await loadOptions("sandbox");

/** What is said where `bwrap` is this script, and nothing else is on the PATH. */
async function warnings(root: string, servers: unknown, bwrap = "exit 0"): Promise<string> {
  const env = { PATH: join(root, "bin"), HOME: join(root, "home") };
  await put(join(root, "bin/bwrap"), `#!/bin/sh\n${bwrap}\n`);
  await chmod(join(root, "bin/bwrap"), 0o755);
  const config = parseConfig(JSON.stringify({ mcpServers: servers }), { file: "s.json", env });
  assert.ok(config.ok, JSON.stringify(config));
  const found = await confiningWarnings(config.config, env, root);
  return found.map(({ path, message }) => `${path}: ${message}`).join("\n");
}

async function put(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
}

if (process.platform === "linux") {
  test("check has nothing to say of servers that can be kept in, are off, or are not", () =>
    inDirectory(async (root) => {
      const servers = {
        a: { command: "node", sandbox: true },
        b: { command: "npx", sandbox: { network: true } },
        c: { image: "x", disabled: true },
        d: { url: "https://x.example/mcp" },
        e: { command: "npx" },
      };
      assert.equal(await warnings(root, servers), "");
    }));

  test("check says why a server cannot be kept in", () =>
    inDirectory(async (root) => {
      const servers = { a: { command: "node", sandbox: true }, b: { image: "x" } };
      const said = await warnings(root, servers, "echo 'No permissions' >&2; exit 1");
      assert.match(
        said,
        /^mcpServers\.a\.sandbox: it cannot .* \(No permissions\).*sandbox\.conf/m,
      );
      assert.match(said, /^mcpServers\.b\.image: its image cannot be run: found neither podman/m);
    }));

  test("check says that npx and uvx need the network at their first start, and only then", () =>
    inDirectory(async (root) => {
      const servers = {
        a: { command: "npx", sandbox: true },
        b: { command: "/opt/bin/uvx", sandbox: true },
      };
      const said = await warnings(root, servers);
      assert.match(said, /^mcpServers\.a\.sandbox: npx needs "network": true until/m);
      assert.match(said, /^mcpServers\.b\.sandbox: \/opt\/bin\/uvx needs "network": true/m);
      const env = { HOME: join(root, "home") };
      const [a, b] = await Promise.all([keptFor("a", env), keptFor("b", env)]);
      await put(join(a.home!, ".npm/_npx/1/package.json"), "{}");
      await put(join(b.cache!, "uv/CACHEDIR.TAG"), "");
      assert.equal(await warnings(root, servers), "");
    }));

  test("check names the drop-in where the hardened unit forbids sandboxes", () =>
    inDirectory(async (root) => {
      const servers = { a: { command: "node", sandbox: true } };
      const unit = join(root, "etc/systemd/system/mcproxy.service");
      await put(unit, "[Service]\nRestrictNamespaces=yes\n");
      const said = await warnings(root, servers);
      assert.match(
        said,
        /^mcpServers\.a\.sandbox: the unit mcproxy\.service .*mcproxy-sandbox\.conf/,
      );
      const dropIn = `${unit}.d/sandbox.conf`;
      await put(dropIn, "[Service]\nRestrictNamespaces=user mnt\n");
      assert.equal(await warnings(root, servers), "");
      // What a package brings is loosened at the same place.
      await put(join(root, "usr/lib/systemd/system/mcproxy.service"), "RestrictNamespaces=yes\n");
      assert.equal(await warnings(root, servers), "");
      await rm(dropIn);
      await rm(unit);
      assert.match(await warnings(root, servers), /install packaging.* as \/etc\/systemd/);
    }));
}
