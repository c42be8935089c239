/** Logging in to a server, and out again, by the address that `mcproxy login --no-browser` prints. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { inDirectory, writeFiles } from "../config/temp.ts";
import { beginLogin, grantsIn, locationOf, logIn, LoginWorld } from "./login-world.ts";
import { run } from "./support.ts";

/** A world, and a directory with a configuration that has its server as `it`. */
async function withWorld(
  check: (world: LoginWorld, cwd: string) => Promise<void>,
  entry: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  const world = await LoginWorld.open();
  try {
    await inDirectory(async (cwd) => {
      const mcpServers = {
        it: { url: world.url, ...entry },
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
      const text = JSON.stringify({ mcpServers, port: 9 });
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
    const [{ issuedAt, expiresAt, ...grant } = {}, ...more] = await grantsIn(cwd);
    assert.deepEqual(more, []);
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
    assert.equal(new URL(told[0].address).searchParams.get("redirect_uri"), redirect);
    assert.deepEqual(told[1].tools, ["echo"]);
    assert.equal(world.registered.length, 1);

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
    // The listener is gone.
    await assert.rejects(fetch(right));
  });
});

test("an answer of another issuer is none, and nothing of it is shown", async () => {
  await withWorld(async (world, cwd) => {
    world.back = { code: "stolen-code", iss: "https://evil.example.com", error_description: "boo" };
    const { code, stdout, stderr } = await logIn(["it"], { cwd });
    assert.equal(code, 1);
    assert.match(stderr, /Cannot log in to "it": the answer is not from the issuer that was asked/);
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
    world.back = { error: "access_denied", error_description: `no\u202e\n${"x".repeat(5_000)}` };
    const denied = await failure();
    assert.match(denied, /^Cannot log in to "it": http\S+ answered "access_denied": "no\\nx+…/);
    assert.ok(denied.split("\n")[0]!.length < 300, denied);
    world.back = {};
    world.metadata = { issuer: "https://other.example.com" };
    assert.match(await failure(), /who gives the tokens calls itself otherwise/);
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

test("the configuration says who asks, where to, and for what", async () => {
  const auth = {
    type: "oauth",
    clientId: "known",
    clientSecret: "the-secret-of-known",
    scope: "api://x/.default",
    resource: false,
  };
  await withWorld(async (world, cwd) => {
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
    assert.match(await refused("other"), /"other": it is started by a command/);
    assert.match(await refused("own"), /"own": its "auth" or "headers" say who asks/);
    assert.match(await refused("ot"), /Cannot find server "ot"/);
    assert.match(await refused("it", "--for", "key:a"), /its login is for everybody/);
    assert.match(await refused("it", "--for", "a", "--url", "http://a"), /Cannot use --url here/);
  }, { auth });
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
