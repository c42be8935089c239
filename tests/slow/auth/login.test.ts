/** Logging in with a real identity provider, to a server of a gateway that runs. */

import { runtime } from "#runtime";
import assert from "node:assert/strict";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { decodeJwt } from "jose";
import { Server } from "../../../src/app/server.ts";
import { loadConfig } from "../../../src/config/load.ts";
import { beginLogin, grantsIn, LoginWorld } from "../../cli/login-world.ts";
import { run } from "../../cli/support.ts";
import { inDirectory, writeFiles } from "../../config/temp.ts";
import { eventually } from "../../support/inbox.ts";
import { OWN_ADDRESS } from "../../support/own-address.ts";
import { IdentityProvider } from "./identity-provider.ts";

/** A gateway in a directory of its own below `cwd`. */
async function gatewayIn(context: TestContext, cwd: string, settings: object): Promise<Server> {
  const text = JSON.stringify({ host: OWN_ADDRESS, ...settings });
  await writeFiles(cwd, { "mcp-servers.json": text });
  const loaded = await loadConfig(join(cwd, "mcp-servers.json"), { env: {}, cwd });
  assert.ok(loaded.ok, JSON.stringify(loaded));
  const stateDirectory = join(cwd, "state");
  const server = await Server.start({
    config: loaded.config,
    runtime,
    listen: true,
    stateDirectory,
    logins: { env: { STATE_DIRECTORY: stateDirectory }, cwd },
  });
  context.after(() => server.stop());
  await server.localKey!.written;
  return server;
}

/** As a browser with its cookies. @returns the last page */
async function browse(address: string): Promise<string> {
  const jar = new Map<string, string>();
  for (let url = address, hops = 0; hops < 20; hops++) {
    const cookie = [...jar].map((pair) => pair.join("=")).join("; ");
    const response = await fetch(url, { redirect: "manual", headers: { cookie } });
    for (const set of response.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(set) ?? [];
      jar.set(name, value);
    }
    const page = await response.text();
    const location = response.headers.get("location");
    if (location === null) return page;
    url = new URL(location, url).href;
  }
  throw new Error("redirected for ever");
}

test("a login brings a grant that the running gateway uses at once, until it is given back", async (context) => {
  const provider = await IdentityProvider.start();
  const world = await LoginWorld.open();
  context.after(async () => {
    await provider.stop();
    await world.close();
  });
  world.resource = { authorization_servers: [provider.issuer] };
  world.scope = "mcp:use";
  const seen = new Set<string>();
  world.takes = (token) => token.startsWith("ey") && seen.add(token) && true;
  await inDirectory(async (cwd) => {
    const gateway = await gatewayIn(context, cwd, {
      mcpServers: { it: { url: world.url } },
      port: 0,
    });
    const { upstream } = gateway.gateway.members.all[0]!;
    const state = () => upstream.status().state;
    await gateway.gateway.settled();
    assert.notEqual(state(), "ready");
    const env = {
      STATE_DIRECTORY: join(cwd, "state"),
      MCPROXY_HOST: OWN_ADDRESS,
      MCPROXY_PORT: new URL(gateway.url!).port,
    };
    const { address, ended } = await beginLogin(["it"], { cwd, env });
    if (address === "") assert.fail((await ended).stderr);
    assert.match(await browse(address), /go back to the terminal/);
    const { code, stdout, stderr } = await ended;
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^Asking the gateway that runs/);
    assert.equal(stdout, 'Logged in to "it": 1 tool "echo"\n');
    await eventually(state, (one) => one === "ready", "the server");
    const [token = "", ...others] = seen;
    assert.deepEqual(others, []);
    const { aud, scope, sub } = decodeJwt(token);
    assert.deepEqual([aud, scope, sub], [world.url, "mcp:use", "alice"]);
    const [grant] = await grantsIn(cwd);
    assert.match(String(grant!.refreshToken), /./);

    const out = await run(["logout", "it"], { cwd, env });
    assert.equal(out.stdout, 'Logged out of "it"\n', out.stderr);
    assert.deepEqual(await grantsIn(cwd), []);
    // Behind the answer: nobody waits for an issuer.
    const isTold = () => provider.asked.includes("/token/revocation");
    await eventually(isTold, (told) => told, "the issuer to be told");
  });
});
