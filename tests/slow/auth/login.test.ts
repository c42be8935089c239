/** Logging in with a real identity provider, to a gateway that is a server of another. */

import { runtime } from "#runtime";
import assert from "node:assert/strict";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { Server } from "../../../src/app/server.ts";
import { loadConfig } from "../../../src/config/load.ts";
import { beginLogin } from "../../cli/login-world.ts";
import { run } from "../../cli/support.ts";
import { inDirectory, writeFiles } from "../../config/temp.ts";
import { eventually } from "../../support/inbox.ts";
import { OWN_ADDRESS, OWN_PORT } from "../../support/own-address.ts";
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
  context.after(() => provider.stop());
  await inDirectory(async (directory) => {
    const publicUrl = `http://${OWN_ADDRESS}:${OWN_PORT}`;
    await gatewayIn(context, join(directory, "far"), {
      mcpServers: {},
      port: OWN_PORT,
      publicUrl,
      auth: { issuers: [{ issuer: provider.issuer, scopes: ["mcp:use"] }] },
    });
    const cwd = join(directory, "near");
    const url = `${publicUrl}/mcp`;
    const near = await gatewayIn(context, cwd, { mcpServers: { far: { url } }, port: 0 });
    const member = near.gateway.members.all[0]!;
    const state = () => member.upstream.status().state;
    await near.gateway.settled();
    assert.notEqual(state(), "ready");
    const env = {
      STATE_DIRECTORY: join(cwd, "state"),
      MCPROXY_HOST: OWN_ADDRESS,
      MCPROXY_PORT: new URL(near.url!).port,
    };
    const { address, ended } = await beginLogin(["far"], { cwd, env });
    if (address === "") assert.fail((await ended).stderr);
    assert.match(await browse(address), /go back to the terminal/);
    const { code, stdout, stderr } = await ended;
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^Asking the gateway that runs/);
    assert.equal(stdout, 'Logged in to "far": 0 tools\n');
    await eventually(state, (one) => one === "ready", "the far gateway is ready");
    const out = await run(["logout", "far"], { cwd, env });
    assert.equal(out.stdout, 'Logged out of "far"\n', out.stderr);
    assert.ok(provider.asked.includes("/token/revocation"), provider.asked.join("\n"));
  });
});
