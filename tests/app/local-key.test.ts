/** The key of a listener for the commands of its machine. */

import { runtime } from "#runtime";
import assert from "node:assert/strict";
import { chmod, mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { LocalKey } from "../../src/app/local-key.ts";
import { Server } from "../../src/app/server.ts";
import { readLocalKey } from "../../src/cli/credential.ts";
import { parseConfig } from "../../src/config/load.ts";
import { createRedactor, newKey } from "../../src/lib/secrets.ts";
import { inDirectory } from "../config/temp.ts";
import { OWN_ADDRESS } from "../support/own-address.ts";

const url = (port: number, host = "127.0.0.1") => new URL(`http://${host}:${port}/mcp`);

function start(directory: string | undefined): Promise<Server> {
  const text = JSON.stringify({ mcpServers: {}, host: OWN_ADDRESS, port: 0 });
  const parsed = parseConfig(text, { file: "mcp-servers.json", env: {} });
  assert.ok(parsed.ok);
  const { config } = parsed;
  return Server.start({ config, runtime, listen: true, stateDirectory: directory });
}

test("every listener has a key for its owner alone, and takes it along", async () => {
  await inDirectory(async (directory) => {
    const state = join(directory, "state");
    const servers = await Promise.all([start(state), start(state)]);
    await Promise.all(servers.map(({ localKey }) => localKey!.written));
    const asked = servers.map((server) => new URL(server.url!));
    const keys = await Promise.all(asked.map((one) => readLocalKey([directory, state], one)));
    for (const key of keys) assert.match(key!, /^mcproxy_[\w-]{43}$/);
    assert.notEqual(keys[0], keys[1]);
    const file = join(state, `local.${asked[0]!.port}.key`);
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    await servers[0]!.stop();
    assert.deepEqual(await readdir(state), [`local.${asked[1]!.port}.key`]);
    await servers[1]!.stop();
    assert.deepEqual(await readdir(state), []);
  });
});

test("a gateway runs where no key can be kept", async () => {
  await inDirectory(async (directory) => {
    const file = join(directory, "file");
    await writeFile(file, "");
    for (const state of [join(file, "state"), undefined]) {
      const server = await start(state);
      await server.localKey?.written;
      assert.equal(
        (await fetch(`http://${OWN_ADDRESS}:${new URL(server.url!).port}/livez`)).ok,
        true,
      );
      await server.stop();
    }
  });
});

test("a key stays while its port is another's, and replaces that of one who was killed", async () => {
  await inDirectory(async (directory) => {
    const at = { directory, host: "127.0.0.1", port: 7 };
    const [first, second] = [newKey(), newKey()];
    const killed = new LocalKey({ ...at, key: first });
    await killed.written;
    const successor = new LocalKey({ ...at, key: second });
    await successor.written;
    killed.close();
    assert.equal(await readLocalKey([directory], url(7)), second);
    successor.close();
    successor.close();
    assert.equal(await readLocalKey([directory], url(7)), undefined);
    // Closed before it was written.
    const short = new LocalKey({ ...at, key: first });
    short.close();
    await short.written;
    assert.deepEqual(await readdir(directory), []);
  });
});

test("a key is for the address of its gateway, and for no other", async () => {
  await inDirectory(async (directory) => {
    const key = newKey();
    const kept = async (host: string, port: number) => {
      await new LocalKey({ directory, host, port, key }).written;
    };
    await kept("127.0.0.1", 7);
    assert.equal(await readLocalKey([join(directory, "none"), directory], url(7)), key);
    for (const host of ["localhost", "127.0.0.2", "[::1]"]) {
      assert.equal(await readLocalKey([directory], url(7, host)), undefined, host);
    }
    assert.equal(await readLocalKey([directory], url(8)), undefined);
    await kept("0.0.0.0", 80);
    assert.equal(await readLocalKey([directory], new URL("http://127.0.0.1/mcp")), key);
    await kept("::1", 443);
    assert.equal(await readLocalKey([directory], new URL("https://[::1]/mcp")), key);
  });
});

test("a file that others can read, or that has something else in it, has no key", async () => {
  await inDirectory(async (directory) => {
    const file = join(directory, "local.7.key");
    for (
      const text of ["", "\n", "mcproxy_", "key\n127.0.0.1\n", `${newKey()}\n`, "x".repeat(9_999)]
    ) {
      await writeFile(file, text, { mode: 0o600 });
      assert.equal(await readLocalKey([directory], url(7)), undefined, text.slice(0, 20));
    }
    await writeFile(file, `${newKey()}\n127.0.0.1\n`);
    assert.ok(await readLocalKey([directory], url(7)));
    if (process.platform !== "win32") {
      await chmod(file, 0o640);
      assert.equal(await readLocalKey([directory], url(7)), undefined);
    }
    await mkdir(join(directory, "local.8.key"));
    assert.equal(await readLocalKey([directory], url(8)), undefined);
    assert.match(await readFile(file, "utf8"), /^mcproxy_/);
  });
});

test("a key is masked wherever it is met", () => {
  const { text } = createRedactor([]);
  const key = newKey();
  assert.equal(text(`refused "${key}", twice: ${key}`).includes(key.slice(8)), false);
  assert.equal(text("mcproxy_version 1"), "mcproxy_version 1");
});
