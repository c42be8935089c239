/** Logging in to a server, and out again, by the address that `mcproxy login --no-browser` prints. */

import { runtime } from "#runtime";
import assert from "node:assert/strict";
import { chmod, chown, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { newKey } from "../../src/lib/secrets.ts";
import { Server } from "../../src/app/server.ts";
import { hashOfKey } from "../../src/cli/clients/keys-file.ts";
import { loadConfig } from "../../src/config/load.ts";
import { inDirectory, writeFiles } from "../config/temp.ts";
import { eventually } from "../support/inbox.ts";
import { OWN_ADDRESS } from "../support/own-address.ts";
import { beginLogin, follow, grantsIn, locationOf, logIn, LoginWorld } from "./login-world.ts";
import { run } from "./support.ts";

/** A world, and a directory with a configuration that has its server as `it`. */
async function withWorld(
  check: (world: LoginWorld, cwd: string) => Promise<void>,
  login?: (world: LoginWorld) => object,
  auth?: object,
): Promise<void> {
  const world = await LoginWorld.open();
  try {
    await inDirectory(async (cwd) => {
      const mcpServers = {
        it: { url: world.url, auth: login?.(world) },
        other: { command: "x" },
        own: {
          url: world.url,
          auth: {
            type: "client-credentials",
            issuer: world.base,
            clientId: "a",
            clientSecret: "b",
          },
        },
      };
      // Nobody listens there.
      const text = JSON.stringify({ mcpServers, port: 9, auth });
      await writeFiles(cwd, { "mcp-servers.json": text });
      await check(world, cwd);
    });
  } finally {
    await world.close();
  }
}

test("a login leads to a grant, by a client that is registered once", async () => {
  await withWorld(async (world, cwd) => {
    const first = await logIn(["it"], { cwd });
    assert.equal(first.stdout, 'Logged in to "it": 1 tool "echo"\n', first.stderr);
    assert.equal(first.code, 0);
    const asked = new URL(first.address).searchParams;
    assert.equal(asked.get("resource"), world.url);
    assert.equal(asked.get("scope"), "read");
    assert.equal(asked.get("client_id"), "client-1");
    const [form] = world.forms;
    const redirect = asked.get("redirect_uri")!;
    assert.match(redirect, /^http:\/\/127\.0\.0\.1:\d+\/callback$/);
    assert.equal(form!.get("grant_type"), "authorization_code");
    assert.equal(form!.get("resource"), world.url);
    assert.equal(form!.get("redirect_uri"), redirect);
    const [{ issuedAt, loginAt, expiresAt, ...grant } = {}, ...more] = await grantsIn(cwd);
    assert.deepEqual([more, loginAt], [[], issuedAt]);
    assert.equal(Number(expiresAt) - Number(issuedAt), 3_600_000);
    assert.deepEqual(grant, {
      server: "it",
      principal: "",
      url: world.url,
      issuer: world.base,
      tokenEndpoint: `${world.base}/token`,
      client: { id: "client-1", auth: "none" },
      resource: world.url,
      scope: "read",
      accessToken: "access-token-1",
      refreshToken: "refresh-token-1",
    });
    assert.deepEqual(
      world.registered.map(({ client_name, application_type, redirect_uris }) => [
        client_name,
        application_type,
        redirect_uris,
      ]),
      [["mcproxy", "native", [redirect]]],
    );

    const second = await logIn(["it", "--json"], { cwd });
    const told = second.stdout.split("\n").slice(0, 2).map((line) => JSON.parse(line));
    const again = new URL(told[0].address).searchParams.get("redirect_uri");
    // Somebody else may have taken the port.
    assert.equal(world.registered.length, again === redirect ? 1 : 2);
    assert.deepEqual(told[1].tools, ["echo"]);

    // For other rights it asks as somebody else: it may be known with these alone.
    const third = await logIn(["it", "--scope", "read write"], { cwd });
    assert.equal(new URL(third.address).searchParams.get("scope"), "read write");
    assert.deepEqual((await grantsIn(cwd)).map(({ scope }) => scope), ["read write"]);
  });
});

test("nobody else's answer is taken, and a pasted address is as good as a browser", async () => {
  await withWorld(async (world, cwd) => {
    const { address, input, io, ended } = await beginLogin(["it"], { cwd });
    const right = await locationOf(address);
    const wrong = new URL(right);
    wrong.searchParams.set("state", "somebody-elses");
    const stray = await fetch(wrong);
    assert.match(`${stray.status} ${await stray.text()}`, /^400 This is not the answer/);
    const root = await fetch(new URL("/", right));
    await root.body?.cancel();
    assert.equal(root.status, 404);
    input.write(`${wrong.href}\n`);
    await io.err.waitFor((text) => text.startsWith("This is not the answer"));
    input.write("nothing of the kind\n");
    assert.equal(world.forms.length, 0);
    input.write(`  ${right.href}\r\n`);
    const { code, stdout, stderr } = await ended;
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^Logged in to "it"/);
    assert.equal(world.forms[0]!.get("code"), "the-code-of-it");
  });
});

test("an answer of another issuer is none, and nothing of it is shown", async () => {
  await withWorld(async (world, cwd) => {
    world.back = { code: "stolen-code", iss: "https://evil.example.com", error_description: "boo" };
    const { code, stdout, stderr } = await logIn(["it"], { cwd });
    assert.equal(code, 1);
    assert.match(
      stderr,
      /Cannot log in to "it": another issuer than the one that was asked has answered/,
    );
    assert.doesNotMatch(stdout + stderr, /evil|stolen|boo/);
    assert.equal(world.forms.length, 0);
    await assert.rejects(grantsIn(cwd));
  });
});

test("why no login came of it is told, quoted and cut", async () => {
  await withWorld(async (world, cwd) => {
    const failure = async () => {
      const { code, stderr } = await logIn(["it"], { cwd });
      assert.equal(code, 1);
      return stderr.slice(stderr.indexOf("Cannot"));
    };
    world.back = {
      error: "access_denied",
      error_description: `no\u202e\n${"because ".repeat(999)}`,
    };
    const denied = await failure();
    assert.match(
      denied,
      /^Cannot log in to "it": http\S+ answered "access_denied": "no\\nbecause (because )+b\w*…/,
    );
    assert.ok(denied.split("\n")[0]!.length < 300, denied);
    world.back = {};
    world.metadata = { issuer: "https://other.example.com" };
    assert.match(await failure(), /another issuer than the one that was asked/);
    world.metadata = { registration_endpoint: undefined };
    assert.match(
      await failure(),
      /dynamic client registration\n.*"clientId":"…","redirect":"http:/,
    );
    world.metadata = { authorization_endpoint: "http://192.0.2.1/authorize" };
    assert.match(await failure(), /leads people to "http:\/\/192\.0\.2\.1"; expected https/);
    world.metadata = {};
    world.resource = { resource: "https://evil.example.com/mcp" };
    assert.match(await failure(), /Protected resource https:\/\/evil\S+ does not match/);
    world.resource = { authorization_servers: ["http://192.0.2.1"] };
    assert.match(await failure(), /"http:\/\/192\.0\.2\.1" is not encrypted/);
    assert.equal(world.forms.length, 0);
  });
});

test("no secret is shown, whoever says it", async () => {
  await withWorld(async (world, cwd) => {
    world.back = { code: "c0de-of-it" };
    world.failures = { tools: (token) => `I saw Bearer ${token}, ${token}` };
    const { code, stdout } = await logIn(["it"], { cwd });
    assert.match(
      stdout,
      /: its tools could not be listed: .*I saw Bearer \[redacted\], \[redacted\]/,
    );
    assert.equal(code, 0);
    const json = (await logIn(["it", "--json"], { cwd })).stdout.split("\n")[1]!;
    assert.match(JSON.parse(json).tools, /I saw Bearer \[redacted\]/);
    assert.doesNotMatch(json, /access-token/);
    world.failures = { token: (code) => `no such code: ${code}` };
    const { stderr } = await logIn(["it"], { cwd });
    assert.match(stderr, /answered "invalid_grant": "no such code: \[redacted\]"/);
  });
});

test("who does not answer is named, and only who knows no client is told of one", async () => {
  const timeout = AbortSignal.timeout;
  await withWorld(async (world, cwd) => {
    const failure = async (...args: string[]) => {
      const { stderr } = await logIn(args, { cwd });
      return stderr.slice(stderr.indexOf("Cannot"));
    };
    world.takes = () => {
      const reason = new DOMException("The operation timed out.", "TimeoutError");
      AbortSignal.timeout = () => AbortSignal.abort(reason);
      return false;
    };
    const why = `Cannot log in to "it": ${world.base} did not answer in time\n`;
    assert.equal(await failure("it"), why);
    AbortSignal.timeout = timeout;
    const unreached = await failure("http://127.0.0.1:9/mcp");
    assert.match(unreached, /^Cannot log in to "http:\/\/127\.0\.0\.1:9\/mcp": .+\n$/);
    world.hasOauth = false;
    world.takes = () => true;
    assert.equal(
      await failure("it"),
      'Cannot log in to "it": it asks for no login: without one it answers HTTP 200\n',
    );
  }).finally(() => AbortSignal.timeout = timeout);
});

test("what was kept of a login before counts only as far as it can be used", async () => {
  await withWorld(async (world, cwd) => {
    await logIn(["it"], { cwd });
    const state = join(cwd, "state");
    const name = (await readdir(state)).find((one) => one.startsWith("client."))!;
    const path = join(state, name);
    const kept = JSON.parse(await readFile(path, "utf8"));
    const wrong = [{ redirect: 5 }, { ...kept, redirect: "http://example.com/" }, [], 7];
    for (const [index, one] of wrong.entries()) {
      await writeFile(path, JSON.stringify(one));
      const { code, stderr } = await logIn(["it"], { cwd });
      assert.equal(code, 0, stderr);
      assert.equal(world.registered.length, index + 2);
    }
    // It may have a secret in it.
    await chmod(path, 0o644);
    assert.equal((await logIn(["it"], { cwd })).code, 0);
    assert.equal(world.registered.length, wrong.length + 2);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
  });
});

test("nobody is asked for a login that cannot be kept, and one is given back", async () => {
  await withWorld(async (world, cwd) => {
    const state = join(cwd, "state");
    const path = join(state, "grants.json");
    await mkdir(state, { mode: 0o700 });
    for (
      const [text, mode] of [["damaged", 0o600], ['{"version":1,"grants":[]}', 0o644]] as const
    ) {
      await rm(path, { force: true });
      await writeFile(path, text, { mode });
      const { address, code, stderr } = await logIn(["it"], { cwd });
      assert.equal(address, "");
      assert.match(stderr, /^Cannot keep logins: cannot use .*grants\.json/);
      assert.equal(code, 1);
    }
    await rm(path);
    const late = await beginLogin(["it"], { cwd });
    await writeFile(path, "damaged", { mode: 0o600 });
    await follow(late.address);
    assert.match((await late.ended).stderr, /^To log in[^]*\nCannot keep logins: /);
    assert.equal(world.asked.at(-1), "POST /revoke");
    assert.equal(world.forms.at(-1)!.get("token"), "refresh-token-1");
    const nowhere = await run(["login", world.url, "--no-browser"], { cwd, env: {} });
    assert.match(nowhere.stderr, /^Cannot keep logins: no place for logins; set STATE_DIRECTORY/);
    assert.equal(nowhere.code, 1);
  });
});

test("a login ends at the issuer that is configured, wherever it is", async () => {
  await withWorld(async (world, cwd) => {
    const url = "https://8.8.8.8/mcp";
    const mcpServers = { it: { url, auth: { type: "oauth", issuer: world.base } } };
    const grant = {
      server: "it",
      principal: "",
      url,
      issuer: world.base,
      tokenEndpoint: `${world.base}/token`,
      client: { id: "a", auth: "none" },
      accessToken: "access-token-of-it",
      issuedAt: 1,
    };
    await writeFiles(cwd, { "mcp-servers.json": JSON.stringify({ mcpServers, port: 9 }) });
    await mkdir(join(cwd, "state"), { mode: 0o700 });
    const grants = JSON.stringify({ version: 1, grants: [grant] });
    await writeFile(join(cwd, "state/grants.json"), grants, { mode: 0o600 });
    const { stdout, stderr } = await run(["logout", "it"], {
      cwd,
      env: { STATE_DIRECTORY: join(cwd, "state") },
    });
    assert.equal(stdout, 'Logged out of "it"\n', stderr);
    assert.equal(world.asked.at(-1), "POST /revoke");
  });
});

test("who is named by --for is somebody of the configuration, and has the login where the gateway is", async () => {
  await withWorld(
    async (world, cwd) => {
      const state = join(cwd, "state");
      await mkdir(state, { mode: 0o700 });
      await writeFile(join(state, "pins.json"), "{}", { mode: 0o600 });
      // Root may give it to another user, in whose place it acts then.
      for (const path of [state, join(state, "pins.json")]) {
        await chown(path, 12_345, 12_345).catch(() => {});
      }
      const { uid } = await stat(state);
      const { code, stdout, stderr } = await logIn(["it", "--for", "key:me"], { cwd });
      assert.match(stdout, /^Logged in to "it" as key:me: 1 tool/, stderr);
      assert.equal(code, 0);
      const found = await stat(join(state, "grants.json"));
      assert.deepEqual([found.uid, found.mode & 0o777], [uid, 0o600]);
      const whose = (await grantsIn(cwd)).map(({ principal, keyMark }) => [principal, keyMark]);
      assert.deepEqual(whose, [["key:me", "0".repeat(16)]], "the next of that name has another");
      const other = await logIn(["it", "--for", "key:mee"], { cwd });
      assert.equal(other.stderr, 'Cannot find "key:mee" in "auth"\nKnown: local, key:me\n');
      assert.equal(other.code, 1);
      const out = await run(["logout", "it", "--for", "key:me"], {
        cwd,
        env: { STATE_DIRECTORY: state },
      });
      assert.equal(out.stdout, 'Logged out of "it"\n', out.stderr);
      assert.equal(world.asked.at(-1), "POST /revoke");
    },
    () => ({ type: "oauth", per: "user" }),
    { keys: { me: `sha256:${"0".repeat(64)}` } },
  );
});

test("a login of somebody who is in the configuration no more is taken away by his name", async () => {
  await withWorld(
    async (world, cwd) => {
      const state = join(cwd, "state");
      await mkdir(state, { mode: 0o700 });
      const grant = {
        server: "it",
        principal: "key:gone",
        keyMark: "1".repeat(16),
        url: world.url,
        issuer: world.base,
        tokenEndpoint: `${world.base}/token`,
        client: { id: "a", auth: "none" },
        accessToken: "access-token-of-gone",
        issuedAt: 1,
      };
      const grants = JSON.stringify({ version: 1, grants: [grant] });
      await writeFile(join(state, "grants.json"), grants, { mode: 0o600 });
      const leave = (who: string) =>
        run(["logout", "it", "--for", who], { cwd, env: { STATE_DIRECTORY: state } });
      // Only as it is written there.
      const other = await leave("key:other");
      assert.equal(other.stderr, 'Cannot find "key:other" in "auth"\nKnown: local, key:me\n');
      const { stdout, stderr } = await leave("key:gone");
      assert.equal(stdout, 'Logged out of "it"\n', stderr);
      assert.deepEqual(await grantsIn(cwd), []);
      assert.equal(world.asked.at(-1), "POST /revoke");
      assert.match((await leave("key:gone")).stderr, /^Cannot find "key:gone" in "auth"/);
    },
    () => ({ type: "oauth", per: "user" }),
    { keys: { me: `sha256:${"0".repeat(64)}` } },
  );
});

test("the configuration says who asks, where to, and for what", async () => {
  const auth = ({ base }: LoginWorld) => ({
    type: "oauth",
    clientId: "known",
    clientSecret: "the-secret-of-known",
    issuer: base,
    scope: "api://x/.default",
    resource: false,
  });
  await withWorld(async (world, cwd) => {
    // To whom the server says it has to go is nobody to show a secret to.
    world.resource = { authorization_servers: ["http://127.0.0.1:9"] };
    const { address, code, stderr } = await logIn(["it"], { cwd });
    assert.equal(code, 0, stderr);
    const asked = new URL(address).searchParams;
    assert.deepEqual(
      ["client_id", "scope", "resource"].map((name) => asked.get(name)),
      ["known", "api://x/.default", null],
    );
    assert.deepEqual(world.registered, []);
    assert.equal(world.forms[0]!.get("resource"), null);
    const [{ client, resource } = {}] = await grantsIn(cwd);
    assert.deepEqual(client, { id: "known", secret: "the-secret-of-known", auth: "basic" });
    assert.equal(resource, undefined);
    const refused = async (...args: string[]) => (await run(["login", ...args], { cwd })).stderr;
    assert.match(await refused("other"), /"other": nobody logs in to what is started by a command/);
    assert.match(await refused("own"), /"own": nobody logs in to .* tokens of its own/);
    assert.match(await refused("ot"), /Cannot find server "ot"/);
    assert.match(await refused("it", "--for", "local"), /--for NAME is for a login of each user/);
    assert.match(
      await refused("it", "--for", "a", "--url", "http://a"),
      /Cannot use --for, --url and a URL together/,
    );
  }, auth);
});

test("a login to a URL is what commands show there, until it is ended", async () => {
  await withWorld(async (world, cwd) => {
    const env = { STATE_DIRECTORY: `${cwd}/state` };
    const status = () => run(["status", "--json", "--url", world.url], { cwd, env });
    assert.match((await status()).stderr, /it wants a key.*[^]*mcproxy login http:\S+\/mcp/);
    const { code, stderr } = await logIn([`${world.url}/`], { cwd });
    assert.equal(code, 0, stderr);
    assert.equal((await grantsIn(cwd))[0]!.server, world.url);
    assert.equal((await status()).code, 0);
    const out = () => run(["logout", world.url], { cwd, env });
    assert.equal((await out()).stdout, `Logged out of "${world.url}"\n`);
    assert.match((await status()).stderr, /it wants a key/);
    assert.match((await out()).stderr, /^Nobody is logged in to "http/);
    assert.ok(world.asked.includes("POST /revoke"), world.asked.join("\n"));
  });
});

test("a running gateway says what to ask for, and has the grant at once, from elsewhere as well", async () => {
  await withWorld(async (world, cwd) => {
    const issuer = world.base;
    const secret = { type: "oauth", clientId: "a", clientSecret: "the-secret-of-a", issuer };
    const each = { url: world.url, auth: { type: "oauth", per: "user" } };
    const mcpServers = { it: { url: world.url }, closed: { url: world.url, auth: secret }, each };
    const key = newKey();
    const keys = { me: await hashOfKey(key) };
    const text = { mcpServers, port: 0, host: OWN_ADDRESS, auth: { keys } };
    await writeFiles(cwd, { "mcp-servers.json": JSON.stringify(text) });
    const loaded = await loadConfig(join(cwd, "mcp-servers.json"), { env: {}, cwd });
    assert.ok(loaded.ok, JSON.stringify(loaded));
    const stateDirectory = join(cwd, "state");
    const logins = { env: { STATE_DIRECTORY: stateDirectory }, cwd };
    const listen = true;
    const { config } = loaded;
    const server = await Server.start({ config, runtime, listen, stateDirectory, logins });
    const url = server.url!;
    try {
      await server.localKey!.written;
      await server.gateway.settled();
      const { upstream } = server.gateway.members.all[0]!;
      const isReady = () => upstream.status().state === "ready";
      assert.equal(isReady(), false);
      const env = { MCPROXY_HOST: OWN_ADDRESS, MCPROXY_PORT: new URL(url).port };
      const here = await logIn(["it"], { cwd, env });
      assert.equal(here.code, 0, here.stderr);
      assert.match(here.stderr, /^Asking the gateway that runs/);
      await eventually(isReady, Boolean, "the server is ready");
      const out = await run(["logout", "it"], { cwd, env: { ...env, ...logins.env } });
      assert.equal(out.stdout, 'Logged out of "it"\n', out.stderr);
      assert.deepEqual(await grantsIn(cwd), []);

      const afar = { cwd: join(cwd, "far"), env: { MCPROXY_KEY: key } };
      const there = await logIn(["it", "--url", url], afar);
      assert.equal(there.code, 0, there.stderr);
      assert.equal((await grantsIn(cwd))[0]!.server, "it");
      const failure = async (name: string, env: Record<string, string>) =>
        (await logIn([name, "--url", url], { ...afar, env })).stderr;
      assert.match(
        await failure("closed", afar.env),
        /"closed" from here: its "clientSecret" stays/,
      );
      assert.match(await failure("nobody", afar.env), /refused it: No such server: nobody/);
      assert.match(await failure("close", afar.env), /server: close \(did you mean "closed"\?\)/);
      assert.match(await failure("it", { MCPROXY_KEY: newKey() }), /does not take the key/);
      // Whose it is depends on who asks.
      assert.match((await logIn(["each"], { cwd, env })).stdout, /^Logged in to "each" as local: /);
      const mine = await logIn(["each", "--json"], { cwd, env: { ...env, MCPROXY_KEY: key } });
      assert.equal(JSON.parse(mine.stdout.split("\n")[1]!).principal, "key:me");
      // Where the gateway is, its configuration can be read.
      const closed = await logIn(["closed"], { cwd, env });
      assert.equal(closed.code, 0, closed.stderr);
      const { client } = (await grantsIn(cwd)).find((one) => one.server === "closed")!;
      assert.deepEqual(client, { id: "a", secret: "the-secret-of-a", auth: "basic" });
      const late = await beginLogin(["it"], { cwd, env });
      await writeFile(join(stateDirectory, "grants.json"), "damaged");
      const revoked = () => world.asked.filter((one) => one === "POST /revoke").length;
      const before = revoked();
      await follow(late.address);
      assert.match((await late.ended).stderr, /refused it: cannot use .*grants\.json/);
      assert.equal(revoked(), before + 1);
      const args = ["login", "it", "--no-browser"];
      const early = await run(args, { cwd, env: { ...env, ...logins.env } });
      assert.equal(early.code, 1);
      assert.match(early.stderr, /refused it: cannot use .*grants\.json/);
      assert.doesNotMatch(early.stderr, /open this address/, "nobody is asked in vain");
    } finally {
      await server.stop();
    }
  });
});
