/** Keys, commands and clients with a gateway that lets in nobody else. */

import { runtime } from "#runtime";
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { Server } from "../../src/app/server.ts";
import { BridgeLink } from "../../src/cli/bridge.ts";
import { credentialFor } from "../../src/cli/credential.ts";
import { loadConfig } from "../../src/config/load.ts";
import { inDirectory, writeFiles } from "../config/temp.ts";
import { Inbox } from "../support/inbox.ts";
import { OWN_ADDRESS } from "../support/own-address.ts";
import { run } from "./support.ts";

/** A gateway with `auth` and without servers, in a directory of its own. */
async function withGateway(
  check: (house: {
    readonly url: string;
    readonly cli: (args: readonly string[], env?: Record<string, string>) => ReturnType<typeof run>;
    readonly reload: () => Promise<void>;
    readonly state: Record<string, string>;
  }) => Promise<void>,
): Promise<void> {
  await inDirectory(async (cwd) => {
    const access = { "key:reader": "reading", "key:all": "*" };
    const settings = { profiles: { reading: { servers: [] } }, access, auth: { keys: {} } };
    const text = JSON.stringify({ mcpServers: {}, host: OWN_ADDRESS, port: 0, ...settings });
    await writeFiles(cwd, { "mcp-servers.json": text });
    const load = async () => {
      const loaded = await loadConfig(join(cwd, "mcp-servers.json"), { env: {}, cwd });
      assert.ok(loaded.ok, JSON.stringify(loaded));
      return loaded.config;
    };
    const stateDirectory = join(cwd, "state");
    const config = await load();
    const server = await Server.start({ config, runtime, listen: true, stateDirectory });
    try {
      await server.localKey!.written;
      await check({
        url: server.url!,
        cli: (args, env = {}) =>
          run(args, { cwd, env: { STATE_DIRECTORY: join(cwd, "no"), ...env } }),
        reload: async () => server.gateway.reload(await load()),
        state: { STATE_DIRECTORY: stateDirectory },
      });
    } finally {
      await server.stop();
    }
  });
}

test("commands get in with the local key, or that in MCPROXY_KEY, and what access gives it", async () => {
  await withGateway(async ({ url, cli, reload, state }) => {
    const status = ["status", "--json", "--url", url];
    assert.equal((await cli(status, state)).code, 0);
    assert.equal((await cli(["list", "--url", url], state)).code, 0);
    assert.match(
      (await cli(["call", "x", "--url", url], state)).stderr,
      /Cannot call "x".*[Uu]nknown/,
    );
    for (const args of [status, ["list", "--url", url], ["call", "x", "--url", url]]) {
      const { code, stderr } = await cli(args);
      assert.equal(code, 1);
      assert.match(stderr, /it wants a key/);
    }
    assert.equal((await cli(["status", "--health", "--url", url])).stdout, "ok\n");
    const keyOf = async (name: string) => {
      const { stdout, stderr } = await cli(["keys", "add", name]);
      assert.notEqual(stdout, "", stderr);
      return { MCPROXY_KEY: stdout.trim() };
    };
    const [reader, all] = [await keyOf("reader"), await keyOf("all")];
    assert.match((await cli(status, all)).stderr, /does not take the key in MCPROXY_KEY/);
    await reload();
    assert.equal((await cli(status, all)).code, 0);
    const refused = await cli(status, { ...state, ...reader });
    assert.match(refused.stderr, /it does not allow that \(.*access/);
    assert.match(
      (await cli(["call", "x", "--url", url], reader)).stderr,
      /Cannot call "x".*[Uu]nknown/,
    );
  });
});

test("a call by the configuration alone asks the gateway that runs, and starts no second one", async () => {
  await withGateway(async ({ url, cli, reload }) => {
    const reader = (await cli(["keys", "add", "reader"])).stdout.trim();
    await reload();
    const at = { MCPROXY_HOST: OWN_ADDRESS, MCPROXY_PORT: new URL(url).port };
    const call = async (env: Record<string, string>) =>
      (await cli(["call", "x"], { ...at, ...env })).stderr;
    assert.match(await call({}), /^Cannot ask the gateway at ".*": it wants a key/);
    const known = await call({ MCPROXY_KEY: reader });
    assert.match(known, /^Asking the gateway that runs at .*\nCannot call "x"/);
  });
});

test("keys list tells when a key was used last, where the gateway that runs tells it", async () => {
  await withGateway(async ({ url, cli, reload }) => {
    const MCPROXY_KEY = (await cli(["keys", "add", "all"])).stdout.trim();
    await cli(["keys", "add", "reader"]);
    await reload();
    const at = { MCPROXY_HOST: OWN_ADDRESS, MCPROXY_PORT: new URL(url).port };
    const list = async (env: Record<string, string>) => {
      const { keys } = JSON.parse(
        (await cli(["keys", "list", "--json"], { ...at, ...env })).stdout,
      );
      return keys.map(({ name, lastUse }: Record<string, string>) => [name, typeof lastUse]);
    };
    assert.deepEqual(await list({}), [["all", "object"], ["reader", "object"]]);
    assert.deepEqual(await list({ MCPROXY_KEY }), [["all", "string"], ["reader", "object"]]);
    const { stdout } = await cli(["keys", "list"], { ...at, MCPROXY_KEY });
    assert.match(stdout, /NAME +EXPIRES +LAST USE\nall +never +20\d\d-.*\nreader +never/);
  });
});

test("a bridge ends with its key, and says so", async () => {
  await withGateway(async ({ url, cli, reload }) => {
    const MCPROXY_KEY = (await cli(["keys", "add", "all"])).stdout.trim();
    await reload();
    const out = new Inbox<string>("the bridge's stdout");
    const credential = credentialFor(url, { env: { MCPROXY_KEY } });
    const write = (line: string) => out.push(line);
    const link = new BridgeLink({ url, label: url, credential, write, tell: () => {} });
    const ask = (id: number, method: string, params = {}) => {
      link.receive(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
      return out.waitFor((line) => JSON.parse(line).id === id);
    };
    try {
      const clientInfo = { name: "t", version: "1" };
      const protocolVersion = "2025-06-18";
      await ask(1, "initialize", { protocolVersion, capabilities: {}, clientInfo });
      assert.match(await ask(2, "tools/list"), /"tools":\[\]/);
      await cli(["keys", "remove", "all"]);
      await reload();
      const { error } = JSON.parse(await ask(3, "tools/list"));
      assert.match(
        error.message,
        /does not take the key in MCPROXY_KEY \(.*invalid.*\); set MCPROXY_KEY/,
      );
    } finally {
      await link.close();
    }
  });
});
