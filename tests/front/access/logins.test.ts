/** What is told of logins to servers, and who may bring one or take it away. */

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { HttpTarget } from "../../../src/config/types.ts";
import { loadOptions } from "../../../src/config/schema.ts";
import { within } from "../../../src/lib/time.ts";
import { GrantFile } from "../../../src/upstream/oauth/grants.ts";
import type { Scope } from "../../behaviour/scope.ts";
import { type Ask, House, inScope, keysOf } from "./house.ts";

await loadOptions("auth access publicUrl");

const SERVER = "http://127.0.0.1:9/mcp";
const SECRET = "s3cr3t-of-the-query-and-client";

const mcpServers = {
  a: { command: "fake" },
  open: { url: `${SERVER}?api_key=${SECRET}`, lazy: true },
  known: {
    url: SERVER,
    lazy: true,
    auth: {
      type: "oauth",
      clientId: "gw",
      clientSecret: SECRET,
      scope: "read",
      resource: false,
      redirect: "http://127.0.0.1:8765/callback",
      issuer: "http://127.0.0.1:9",
    },
  },
  broken: { url: "${NOT_SET_ANYWHERE}/mcp" },
  header: { url: SERVER, lazy: true, headers: { Authorization: `Bearer ${SECRET}` } },
  own: {
    url: SERVER,
    lazy: true,
    auth: {
      type: "client-credentials",
      issuer: "http://127.0.0.1:9",
      clientId: "gw",
      clientSecret: SECRET,
    },
  },
};

const AUTH = { keys: keysOf("ann", "bob", "root", "watch") };
const ACCESS = { "key:ann": "pa", "key:bob": "pb", "key:root": "*", "key:watch": ["/api/logins"] };

const grant = (more: object = {}) => ({
  url: SERVER,
  issuer: "http://127.0.0.1:9",
  tokenEndpoint: "http://127.0.0.1:9/token",
  client: { id: "gw", auth: "none" },
  accessToken: "access-token-of-the-login",
  refreshToken: "refresh-token-of-the-login",
  scope: "read",
  issuedAt: 1_000,
  expiresAt: 3_601_000,
  ...more,
});

/** A gateway whose logins are in a directory of their own. */
async function openHouse(scope: Scope, settings: object = {}) {
  const directory = await mkdtemp(join(tmpdir(), "mcproxy-logins-"));
  scope.defer(() => rm(directory, { recursive: true }));
  const logins = { env: { STATE_DIRECTORY: directory }, cwd: directory };
  const parts = { localKey: "mcproxy_local", logins };
  const house = await House.open(scope, { mcpServers, ...settings }, undefined, parts);
  const put = (name: string, body: unknown, ask: Ask = {}) =>
    house.ask(`/api/grants/${name}`, {
      method: "PUT",
      body: typeof body === "string" ? body : JSON.stringify(body),
      ...ask,
      headers: { "content-type": "application/json", ...ask.headers },
    });
  const remove = (name: string, ask: Ask = {}) =>
    house.ask(`/api/grants/${name}`, { method: "DELETE", ...ask });
  const kept = async () => {
    const text = await readFile(join(directory, "grants.json"), "utf8");
    // deno-lint-ignore no-explicit-any
    return (JSON.parse(text).grants as any[]).map(({ server, principal }) => [server, principal]);
  };
  return { house, put, remove, kept, directory };
}

test(
  "what is configured of logins is told without secrets, of those that people make",
  inScope(async (scope) => {
    const { house } = await openHouse(scope);
    const response = await house.ask("/api/logins");
    assert.equal(response.headers.get("cache-control"), "no-store");
    const text = await response.text();
    assert.ok(!text.includes(SECRET), text);
    const { logins } = JSON.parse(text);
    assert.deepEqual(logins, [
      { name: "open", url: SERVER, state: "none", hasSecret: false },
      {
        name: "known",
        url: SERVER,
        state: "needed",
        scope: "read",
        clientId: "gw",
        redirect: "http://127.0.0.1:8765/callback",
        resource: false,
        issuer: "http://127.0.0.1:9",
        asks: "read",
        hasSecret: true,
      },
    ]);
    assert.deepEqual(await (await house.ask("/api/logins/known")).json(), logins[1]);
    for (
      const [name, why] of [
        ["none", /^No such server: none$/],
        ["a", /^Nobody can log in to the server "a"$/],
        ["broken", /^Nobody can log in/],
        ["header", /^Nobody can log in/],
        ["own", /^Nobody can log in/],
      ] as const
    ) {
      const told = await house.ask(`/api/logins/${name}`);
      const { error, message } = await told.json();
      assert.deepEqual([told.status, error], [404, "not_found"]);
      assert.match(message, why);
    }
    for (
      const [method, path, allow] of [
        ["POST", "/api/logins", "GET, HEAD"],
        ["PUT", "/api/logins/open", "GET, HEAD"],
        ["POST", "/api/grants/open", "GET, HEAD, PUT, DELETE"],
      ] as const
    ) {
      const told = await house.ask(path, { method, as: "local" });
      assert.deepEqual([told.status, told.headers.get("allow")], [405, allow]);
    }
    assert.equal((await house.ask("/api/grants")).status, 404);
  }),
);

test(
  "a grant is brought and taken away by the local key where nobody has to say who he is",
  inScope(async (scope) => {
    const { house, put, remove, kept } = await openHouse(scope);
    const told: unknown[] = [];
    house.gateway.events.on("grant", ({ kind: _, ...fact }) => void told.push(fact));
    for (const ask of [{}, { as: "wrong" }, { headers: { cookie: "mcproxy_local" } }]) {
      const refused = await put("open", grant(), ask);
      assert.equal(refused.status, 401);
      assert.match(refused.headers.get("www-authenticate")!, /^Bearer realm="mcproxy"/);
      assert.equal((await remove("open", ask)).status, 401);
    }
    const local = { headers: { "x-api-key": "mcproxy_local" } };
    const response = await put("open", grant(), local);
    const status = await response.json();
    assert.equal(response.status, 200, JSON.stringify(status));
    const { state, expiresAt } = status;
    assert.equal(state, "valid");
    // By the gateway's own clock.
    assert.ok(Math.abs(Date.parse(expiresAt) - Date.now() - 3_600_000) < 600_000, expiresAt);
    assert.deepEqual(await kept(), [["open", ""]]);
    assert.equal((await remove("open", { as: "local" })).status, 200);
    assert.deepEqual(await kept(), []);
    const again = await remove("open", local);
    assert.deepEqual([again.status, (await again.json()).message], [
      404,
      'Nobody is logged in to "open"',
    ]);
    assert.equal((await (await house.ask("/api/logins/open")).json()).state, "needed");
    const fact = { server: "open", principal: "", who: "local", address: undefined };
    assert.deepEqual(told, [{ ...fact, what: "received" }, { ...fact, what: "removed" }]);
  }),
);

test(
  "whether a grant could be brought is told to who may bring it, before anybody is asked for one",
  inScope(async (scope) => {
    const { house, directory } = await openHouse(scope);
    const asked = (ask: Ask = {}, name = "open") => house.ask(`/api/grants/${name}`, ask);
    assert.equal((await asked()).status, 401);
    assert.equal((await asked({ as: "local" }, "nobodys")).status, 404);
    const told = await asked({ as: "local" });
    assert.equal(told.status, 200);
    assert.deepEqual(await told.json(), await (await house.ask("/api/logins/open")).json());
    // Somebody renews the one there is, or was killed at it.
    let meanwhile = 0;
    await new GrantFile(directory).exclusively(
      { server: "open", principal: "" },
      () => within(5_000, asked({ as: "local" }).then(({ status }) => meanwhile = status)),
    );
    assert.equal(meanwhile, 200);
    await writeFile(join(directory, "grants.json"), "damaged", { mode: 0o600 });
    const refused = await asked({ as: "local" });
    assert.equal(refused.status, 500);
    assert.match((await refused.json()).message, /^cannot use .*grants\.json: .* move it away/);
    house.reload({ mcpServers, auth: AUTH, access: ACCESS });
    assert.equal((await asked({ as: "watch" })).status, 403);
  }),
);

test(
  "with auth the gateway's own logins are for those with everything, read also by who is given that",
  inScope(async (scope) => {
    const { house, put, remove, kept } = await openHouse(scope, { auth: AUTH, access: ACCESS });
    const statuses = async (as?: string) => {
      const all = [
        await house.ask("/api/logins", { as }),
        await house.ask("/api/logins/open", { as }),
        await put("open", grant(), { as }),
        await remove("open", { as }),
        await remove("none", { as }),
      ];
      return all.map(({ status }) => status);
    };
    assert.deepEqual(await statuses(), Array(5).fill(401));
    assert.deepEqual(await statuses("ann"), Array(5).fill(403));
    assert.deepEqual(await statuses("watch"), [200, 403, 403, 403, 403]);
    assert.deepEqual(await statuses("root"), [200, 200, 200, 200, 404]);
    assert.deepEqual(await statuses("local"), [200, 200, 200, 200, 404]);
    assert.deepEqual(await kept(), []);
    // What changes something takes everything, whatever path is given.
    house.reload({ mcpServers, auth: AUTH, access: { "key:watch": ["/api/grants/open"] } });
    assert.equal((await put("open", grant(), { as: "watch" })).status, 403);
  }),
);

test(
  "where each has a login of his own, whoever may use the server brings his, and nobody else's",
  inScope(async (scope) => {
    const profiles = { pa: { servers: ["open"] }, pb: { servers: ["a"] } };
    const open = { ...mcpServers.open, auth: { type: "oauth", per: "user" } };
    const servers = { mcpServers: { ...mcpServers, open } };
    const settings = { ...servers, auth: AUTH, access: ACCESS, profiles };
    const { house, put, remove, kept } = await openHouse(scope, settings);
    assert.equal((await put("open", grant(), { as: "bob" })).status, 403);
    assert.equal((await house.ask("/api/logins/open", { as: "bob" })).status, 403);
    assert.equal((await put("known", grant(), { as: "ann" })).status, 403);
    assert.equal((await put("open", grant(), { as: "ann" })).status, 200);
    assert.equal((await put("open", grant(), { as: "root" })).status, 200);
    assert.deepEqual(await kept(), [["open", "key:ann"], ["open", "key:root"]]);
    assert.equal((await remove("open", { as: "root" })).status, 200);
    const told = await house.ask("/api/logins/open", { as: "ann" });
    const { state, per } = await told.json();
    assert.deepEqual([told.status, state, per], [200, "valid", "user"]);
    assert.equal(
      (await (await house.ask("/api/logins/open", { as: "root" })).json()).state,
      "needed",
    );
  }),
);

test(
  "a login is for the very key it was made with, as long as that lets in",
  inScope(async (scope) => {
    const open = { ...mcpServers.open, auth: { type: "oauth", per: "user" } };
    const withKeys = (keys: object) => ({ mcpServers: { ...mcpServers, open }, auth: { keys } });
    const { ann, bob, eve } = keysOf("ann", "bob", "eve");
    const { house, put } = await openHouse(scope, withKeys({ ann, bob }));
    const target = house.gateway.config.servers.get("open")!.instances[0] as HttpTarget;
    const headers = async () => {
      const logins = await house.gateway.logins();
      await logins.look();
      const all = ["", "key:ann"].map((whose) => logins.of("open", target, whose));
      const told = await Promise.allSettled(all.map(async (one) => await one.header()));
      return told.map((one) => one.status === "fulfilled" ? one.value : one.reason.message);
    };
    const stateFor = async (as: string) =>
      (await (await house.ask("/api/logins/open", { as })).json()).state;
    assert.equal((await put("open", grant({ expiresAt: undefined }), { as: "ann" })).status, 200);
    const hers = "Bearer access-token-of-the-login";
    const needed = 'Server "open" needs a login: run "mcproxy login open"';
    assert.deepEqual(await headers(), [hers, hers]);
    const gone = [needed, `${needed} with the key "ann" in MCPROXY_KEY`];
    // Neither the lists are asked for by her login any more.
    house.reload(withKeys({ bob }));
    assert.deepEqual(await headers(), gone);
    // Somebody else gets a key of her name.
    house.reload(withKeys({ ann: eve, bob }));
    assert.equal(await stateFor("eve"), "needed");
    assert.deepEqual(await headers(), gone);
    house.reload(withKeys({ ann: { hash: ann, expires: "2020-01-01" }, bob }));
    assert.deepEqual(await headers(), gone);
    house.reload(withKeys({ ann, bob }));
    assert.equal(await stateFor("ann"), "valid");
    assert.deepEqual(await headers(), [hers, hers]);
  }),
);

test(
  "what is no grant for that server is refused with the member that is wrong, and not quoted",
  inScope(async (scope) => {
    const { put, kept, directory } = await openHouse(scope);
    const local = { headers: { authorization: "Bearer mcproxy_local" } };
    for (
      const [body, status, why] of [
        ["", 400, /^Cannot take the grant: /],
        ["[]", 400, /^Cannot take the grant: /],
        [grant({ accessToken: `${SECRET}\n` }), 400, /accessToken/],
        [grant({ client: { id: "gw", auth: SECRET } }), 400, /client\.auth/],
        [grant({ client: SECRET }), 400, /client/],
        [grant({ tokenEndpoint: "nonsense" }), 400, /tokenEndpoint/],
        [grant({ issuedAt: "now" }), 400, /issuedAt/],
        [JSON.stringify(grant()).replace("3601000", "1e999"), 400, /expiresAt: expected/],
        [grant({ expiresAt: -1 }), 400, /expiresAt: expected/],
        [grant({ issuedAt: 8.65e15 }), 400, /issuedAt: expected/],
        [grant({ url: "http://127.0.0.1:9/other" }), 400, /"url"/],
        // Where nobody may be led by what others say: an address that is more private, or in the clear.
        [grant({ tokenEndpoint: "http://169.254.169.254/latest" }), 400, /169\.254\.169\.254/],
        [grant({ issuer: "http://192.0.2.1" }), 400, /192\.0\.2\.1/],
        [grant({ scope: "x".repeat(65_536) }), 413, /65536/],
      ] as const
    ) {
      const told = await put("open", body, local);
      const text = await told.text();
      assert.equal(told.status, status, text);
      const { message, error } = JSON.parse(text);
      assert.match(message ?? error.message, why);
      assert.ok(!text.includes(SECRET), text);
    }
    // What cannot be kept is said as it is.
    await writeFile(join(directory, "grants.json"), "{}", { mode: 0o644 });
    const unkept = await put("open", grant(), local);
    assert.equal(unkept.status, 500);
    assert.match((await unkept.json()).message, /^cannot use .*: .*chmod 600/);
    await rm(join(directory, "grants.json"));
    const form = await put("open", grant(), {
      headers: { ...local.headers, "content-type": "text/plain" },
    });
    assert.equal(form.status, 415);
    await assert.rejects(kept());
    // Whose it is and what for is not for him to say who brings it.
    assert.equal(
      (await put("open", grant({ server: "known", principal: "x" }), local)).status,
      200,
    );
    assert.deepEqual(await kept(), [["open", ""]]);
  }),
);

test(
  "a login that is taken away is gone, however long its issuer thinks about it",
  inScope(async (scope) => {
    const { house, put, remove, kept } = await openHouse(scope);
    const told = Promise.withResolvers<ServerResponse>();
    const issuer = createServer((request, response) => {
      if (request.url === "/revoke") return told.resolve(response);
      const base = `http://${request.headers.host}`;
      const metadata = { issuer: base, revocation_endpoint: `${base}/revoke` };
      response.setHeader("content-type", "application/json").end(JSON.stringify(metadata));
    });
    await new Promise<void>((resolve) => issuer.listen(0, "127.0.0.1", resolve));
    scope.defer(() => {
      issuer.closeAllConnections();
      issuer.close();
    });
    const base = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}`;
    const local = { as: "local" };
    const login = grant({ issuer: base, tokenEndpoint: `${base}/token` });
    assert.equal((await put("open", login, local)).status, 200);
    const logins = await house.gateway.logins();
    const forget = logins.forget.bind(logins);
    const waits: (number | undefined)[] = [];
    logins.forget = (key, target, patience) => {
      waits.push(patience);
      return forget(key, target, patience);
    };
    const removed = remove("open", local);
    // It never answers.
    await told.promise;
    assert.equal((await removed).status, 200);
    assert.deepEqual(waits, [0], "the answer does not wait for the issuer");
    assert.deepEqual(await kept(), []);
  }),
);

test(
  "no page reads or changes logins, not even one that may use the servers",
  inScope(async (scope) => {
    const { house } = await openHouse(scope);
    const origin = { origin: "http://localhost:3000" };
    for (const path of ["/api/logins", "/api/logins/open", "/api/%6Cogins", "/api/grants/open"]) {
      const asked = await house.ask(path, { method: "OPTIONS", headers: origin });
      assert.equal(asked.status, 405);
      const read = await house.ask(path, { headers: origin });
      for (const told of [asked, read]) {
        assert.equal(told.headers.get("access-control-allow-origin"), null, path);
      }
    }
  }),
);

test(
  "issuers read who clients of the gateway are, where its public address is encrypted",
  inScope(async (scope) => {
    const path = "/.well-known/mcproxy-client.json";
    const publicUrl = "https://mcp.example.com/base";
    const { house } = await openHouse(scope, { auth: AUTH, publicUrl });
    for (const at of [path, `/base${path}`]) {
      const told = await house.ask(at);
      assert.equal(told.headers.get("content-type"), "application/json");
      assert.deepEqual(await told.json(), {
        client_id: `${publicUrl}${path}`,
        client_name: "mcproxy",
        client_uri: publicUrl,
        redirect_uris: ["http://127.0.0.1/callback", "http://127.0.0.1:8765/callback"],
        grant_types: ["authorization_code", "refresh_token"],
        response_types: ["code"],
        token_endpoint_auth_method: "none",
        application_type: "native",
      });
    }
    const { clientUrl } = await (await house.ask("/api/logins/open", { as: "root" })).json();
    assert.equal(clientUrl, `${publicUrl}${path}`);
    const known = await (await house.ask("/api/logins/known", { as: "root" })).json();
    assert.equal("clientUrl" in known, false);
    house.reload({ mcpServers, publicUrl: "http://127.0.0.1:12009" });
    assert.equal((await house.ask(path)).status, 404);
  }),
);
