/** What commands show a gateway, and whom they do not show it. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { LocalKey } from "../../src/app/local-key.ts";
import { BridgeLink } from "../../src/cli/bridge.ts";
import { type Credential, credentialFor, principalCalled } from "../../src/cli/credential.ts";
import type { AuthConfig } from "../../src/config/types.ts";
import { newKey } from "../../src/lib/secrets.ts";
import { inDirectory } from "../config/temp.ts";
import { Inbox } from "../support/inbox.ts";
import { type FakeHttp, type Handler, json, serveHttp } from "../upstream/fakes/http-server.ts";
import { run } from "./support.ts";

const STATUS = { version: "1", servers: [], config: { path: "x" } };
const REFUSED = {
  jsonrpc: "2.0",
  id: null,
  error: { code: -32600, message: "Unauthorized: expired" },
};

/** A gateway that takes `key` now. */
function door(key: () => string): Handler {
  return ({ headers, body }, response) => {
    if (headers.authorization !== `Bearer ${key()}`) return json(response, 401, REFUSED);
    json(response, 200, body === undefined ? STATUS : { jsonrpc: "2.0", id: body.id, result: {} });
  };
}

/** A gateway with its local key in a state directory. */
async function withDoor(
  check: (
    at: { gateway: FakeHttp; directory: string; env: Record<string, string>; key: string },
  ) => Promise<void>,
) {
  await inDirectory(async (directory) => {
    const key = newKey();
    const gateway = await serveHttp(door(() => key));
    const { hostname: host, port } = new URL(gateway.url);
    await new LocalKey({ directory, host, port: Number(port), key }).written;
    try {
      await check({ gateway, directory, env: { STATE_DIRECTORY: directory }, key });
    } finally {
      await gateway.close();
    }
  });
}

test("the local key goes to its own listener, and to nobody else", async () => {
  await withDoor(async ({ gateway, env }) => {
    const status = (url: string) => run(["status", "--json", "--url", url], { env });
    assert.equal((await status(gateway.url)).code, 0);
    const moved = await serveHttp((_, response) => {
      response.writeHead(307, { location: `${gateway.url}/api/status` }).end();
    });
    const other = await serveHttp((_, response) => json(response, 200, STATUS));
    try {
      assert.equal((await status(other.url)).code, 0);
      const redirected = await status(moved.url);
      assert.match(redirected.stderr, /redirects .* to another origin/);
      const named = await status(gateway.url.replace("127.0.0.1", "localhost"));
      assert.match(
        named.stderr,
        /wants a key.*Name it by its address, 127\.0\.0\.1:\d+, or set MCPROXY_KEY/,
      );
      const seen = [...other.seen, ...moved.seen, gateway.seen[1]!];
      assert.deepEqual(seen.map(({ headers }) => headers.authorization), Array(3).fill(undefined));
    } finally {
      await Promise.all([other.close(), moved.close()]);
    }
  });
});

test("MCPROXY_KEY comes first, whoever is asked", async () => {
  await withDoor(async ({ gateway, env, key }) => {
    const status = (MCPROXY_KEY: string, url = gateway.url) =>
      run(["status", "--url", url], { env: { ...env, MCPROXY_KEY } });
    const refused = await status("wrong");
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /does not take the key in MCPROXY_KEY \(Unauthorized: expired\)/);
    assert.match(refused.stderr, /Set MCPROXY_KEY to one of its keys; "mcproxy keys add NAME"/);
    assert.equal((await status(` ${key}\n`)).code, 0);
    // Basic is for a proxy in front.
    await status(key, gateway.url.replace("//", "//u:p@"));
    const { headers } = gateway.seen.at(-1)!;
    assert.equal(headers["x-api-key"], key);
    assert.match(headers.authorization!, /^Basic /);
    const odd = await status(`${key}\u00e9`);
    assert.deepEqual([odd.code, odd.stderr.includes(key)], [2, false]);
    for (const [url, found] of [["http://h:1", {}], ["http://127.0.0.1:1", {}]] as const) {
      assert.deepEqual(await credentialFor(url, { env }).headers(), found);
    }
  });
});

test("a call and a list show it, and say what is missing", async () => {
  await withDoor(async ({ gateway, env }) => {
    const call = (env: Record<string, string>) =>
      run(["call", "x", "--json", "--url", gateway.url], { env });
    assert.equal((await call(env)).stdout, "{}\n");
    const refused = await call({});
    assert.match(refused.stderr, /it wants a key \(Unauthorized: expired\).*Set MCPROXY_KEY/);
    assert.match((await run(["list", "--url", gateway.url], { env: {} })).stderr, /wants a key/);
    assert.equal((await run(["list", "--url", gateway.url], { env })).code, 0);
  });
});

test("what is not allowed is told with the gateway's words", async () => {
  const body = { error: { message: "Pages of other sites\nare not allowed here" } };
  const gateway = await serveHttp((_, response) => json(response, 403, body));
  try {
    const { stderr } = await run(["status", "--url", gateway.url]);
    assert.match(stderr, /does not allow that \(Pages of other sites are not allowed here\)/);
    assert.match(stderr, /"access" in its configuration says what the key in MCPROXY_KEY may do/);
  } finally {
    await gateway.close();
  }
});

/** A bridge to a gateway, and the way its client asks. */
function bridgeTo(
  url: string,
  env: Record<string, string>,
  credential: Credential = credentialFor(url, { env }),
) {
  const out = new Inbox<string>("the bridge's stdout");
  const link = new BridgeLink({
    url: `${url}/mcp`,
    label: url,
    credential,
    write: (line) => out.push(line),
    tell: () => {},
  });
  const ask = (id: number) => {
    link.receive(`{"jsonrpc":"2.0","id":${id},"method":"tools/list"}`);
    return out.waitFor((line) => JSON.parse(line).id === id);
  };
  return { link, ask };
}

test("a bridge goes on with the key of a gateway that was restarted", async () => {
  await inDirectory(async (directory) => {
    let key = newKey();
    const gateway = await serveHttp(door(() => key));
    const { hostname: host, port } = new URL(gateway.url);
    const keep = () => new LocalKey({ directory, host, port: Number(port), key }).written;
    const { link, ask } = bridgeTo(gateway.url, { STATE_DIRECTORY: directory });
    try {
      await keep();
      assert.match(await ask(1), /"result":\{\}/);
      key = newKey();
      await keep();
      assert.match(await ask(2), /"result":\{\}/);
      assert.match(await ask(3), /"result":\{\}/);
      assert.deepEqual(gateway.seen.map(({ body }) => body?.id), [1, 2, 2, 3]);
    } finally {
      await link.close();
      await gateway.close();
    }
  });
});

test("a bridge waits a moment for the key of a gateway that has just begun to listen", async () => {
  const key = newKey();
  const gateway = await serveHttp(door(() => key));
  let asked = 0;
  const headers = { authorization: `Bearer ${key}` };
  const credential = {
    ...credentialFor(gateway.url, { env: {} }),
    headers: () => Promise.resolve(++asked < 3 ? {} : headers),
  };
  const { link, ask } = bridgeTo(gateway.url, {}, credential);
  try {
    assert.match(await ask(1), /"result":\{\}/);
    assert.equal(asked, 3);
  } finally {
    await link.close();
    await gateway.close();
  }
});

test("a bridge tells its client of a key that has expired, with what helps", async () => {
  let isOpen = true;
  const key = newKey();
  const gateway = await serveHttp(door(() => isOpen ? key : ""));
  const { link, ask } = bridgeTo(gateway.url, { MCPROXY_KEY: key });
  try {
    assert.match(await ask(1), /"result":\{\}/);
    isOpen = false;
    const { error } = JSON.parse(await ask(2));
    assert.match(
      error.message,
      /^Cannot use the gateway at "http:\/\/127\.0\.0\.1:\d+": it does not take/,
    );
    assert.match(
      error.message,
      /MCPROXY_KEY \(Unauthorized: expired\); set MCPROXY_KEY to one of its/,
    );
    assert.equal(error.message.includes(key), false);
  } finally {
    await link.close();
    await gateway.close();
  }
});

test("whom the audit names is told from everybody else by one id, or not at all", () => {
  const hash = "0".repeat(64);
  const keys = [{ name: "laptop", hash, expires: undefined }];
  const issuers = [
    { issuer: "https://a.example.com", as: "a/", scopes: [] },
    { issuer: "https://b.example.com", as: "b/", name: "email", scopes: [] },
  ];
  const proxy = { header: "x-forwarded-user", from: ["127.0.0.1"] };
  const cases: readonly (readonly [string, AuthConfig, string | undefined])[] = [
    ["local", { keys }, "local"],
    ["key:laptop", { keys, proxy }, "key:laptop"],
    ["key:laptpo", { keys, proxy }, undefined],
    ["laptop", { keys }, undefined],
    ["ann", { proxy }, "proxy:ann"],
    ["proxy:ann", { proxy }, "proxy:ann"],
    ["proxy:ann", { keys }, undefined],
    ["a/ann", { issuers }, "https://a.example.com ann"],
    ["https://b.example.com 17", { issuers, proxy }, "https://b.example.com 17"],
    ["https://c.example.com 17", { issuers }, undefined],
    // The claim that names people there is not what tells them apart.
    ["b/ann@example.com", { issuers }, undefined],
    // It could be either.
    ["a/ann", { issuers, proxy }, undefined],
  ];
  for (const [who, auth, expected] of cases) {
    const call = () => principalCalled(who, auth);
    if (expected === undefined) assert.throws(call, /Cannot find ".+" in "auth"/, who);
    else assert.equal(call(), expected);
  }
});
