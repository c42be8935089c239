/** What whom is answered at the door and behind it, and that nothing of a stranger's body is read. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Admission } from "../../../src/protocol/exchange.ts";
import { Refusal } from "../../../src/front/reply.ts";
import { doorFor, House, inScope, keysOf } from "./house.ts";

const PUBLIC = { publicUrl: "https://mcp.example.com/base" };
const ISSUERS = { issuers: [{ issuer: "https://id.example.com", scopes: ["mcp:use"] }] };
const KEYS = { keys: keysOf("alice", "bob", "nobody", "root", "watch") };
const ACCESS = {
  "key:alice": "pa",
  "key:root": "*",
  "key:watch": ["/api/status", "/health"],
  "scope:write": "pb",
};

const named = (...names: string[]): Admission => ({
  principal: { id: names.join(), who: names[0]!, names },
  holds: () => true,
});

/** A body that fails the test if anybody asks for it. */
function unread(): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    pull() {
      throw new Error("somebody reads the body of a stranger");
    },
  }, { highWaterMark: 0 });
}

const JSON_HEADERS = {
  "content-type": "application/json",
  accept: "application/json, text/event-stream",
};

test(
  "strangers are told how to get in, by key or by token, and their bodies are not read",
  inScope(async (scope) => {
    const keys = await House.open(scope, { auth: KEYS });
    const issuers = await House.open(scope, { auth: { ...KEYS, ...ISSUERS }, ...PUBLIC });
    const at = (path: string) =>
      `Bearer resource_metadata="https://mcp.example.com/base/.well-known/oauth-protected-resource${path}", scope="mcp:use"`;
    const wrong = { authorization: "Bearer mcproxy_wrong" };
    const rows = [
      [keys, {}, () => 'Bearer realm="mcproxy"'],
      [
        keys,
        wrong,
        () => 'Bearer realm="mcproxy", error="invalid_token", error_description="invalid"',
      ],
      [issuers, {}, at],
      [
        issuers,
        wrong,
        (path: string) => `${at(path)}, error="invalid_token", error_description="invalid"`,
      ],
    ] as const;
    const paths = ["/mcp", "/gated/mcp", "/servers/a/mcp", "/servers/none/mcp", "/profiles/pa/mcp"];
    for (const [house, headers, expected] of rows) {
      for (const path of [...paths, "/messages", "/api/status"]) {
        const told = await house.ask(path, {
          method: "POST",
          headers: { ...JSON_HEADERS, ...headers },
          body: unread(),
        });
        assert.equal(told.status, 401, path);
        assert.equal(told.headers.get("www-authenticate"), expected(path));
        const { jsonrpc, id, error } = await told.json();
        assert.deepEqual([jsonrpc, id], ["2.0", null]);
        assert.match(error.message, /^Unauthorized: /);
      }
      for (const path of ["/mcp", "/sse", "/", "/api/tools", "/profiles/none/sse"]) {
        assert.equal((await house.ask(path, { headers })).status, 401, path);
      }
      const ended = await house.ask("/mcp", { method: "DELETE", headers });
      assert.equal(ended.status, 401);
    }
  }),
);

test(
  "without issuers nobody is sent into OAuth; with them the metadata say who gives tokens",
  inScope(async (scope) => {
    const keys = await House.open(scope, { auth: KEYS });
    const issuers = await House.open(scope, { auth: { ...KEYS, ...ISSUERS }, ...PUBLIC });
    const well = "/.well-known/oauth-protected-resource";
    const oauth = [
      "/.well-known/oauth-authorization-server",
      "/.well-known/openid-configuration",
      "/register",
      "/authorize",
      "/token",
    ];
    for (const path of [well, `${well}/mcp`, ...oauth]) {
      const told = await keys.ask(path);
      assert.equal(told.status, 404, path);
      assert.equal((await told.json()).error, "not_found");
    }
    const there: readonly (readonly [string, string])[] = [
      ["", ""],
      ["/mcp", "/mcp"],
      ["/base/mcp", "/mcp"],
      ["/base", ""],
      ["/profiles/none/mcp", "/profiles/none/mcp"],
      ["/servers/a/mcp", "/servers/a/mcp"],
      ["/sse", "/sse"],
    ];
    for (const [asked, path] of there) {
      const told = await issuers.ask(`${well}${asked}`);
      assert.equal(told.status, 200, asked);
      assert.equal(told.headers.get("access-control-allow-origin"), "*");
      assert.equal((await told.json()).resource, `https://mcp.example.com/base${path}`);
    }
    for (const path of [`${well}/nothing`, `${well}mcp`, ...oauth]) {
      assert.equal((await issuers.ask(path)).status, 404, path);
    }
    assert.equal((await issuers.ask(well, { method: "POST" })).status, 404);
  }),
);

test(
  "Host, Origin and preflight come before the door, and public paths need none",
  inScope(async (scope) => {
    let asked = 0;
    const people = new Map([["Bearer count", () => {
      asked++;
      throw new Refusal(401, "asked");
    }]]);
    const house = await House.open(scope, { auth: KEYS }, doorFor(people));
    const authorization = "Bearer count";
    const origin = "http://localhost:3000";
    const foreign = { origin: "https://evil.example", authorization };
    assert.equal((await house.ask("/mcp", { headers: foreign })).status, 403);
    assert.equal(
      (await house.ask("/mcp", { headers: { host: "evil.example", authorization } })).status,
      403,
    );
    const preflight = await house.ask("/mcp", {
      method: "OPTIONS",
      headers: { origin, "access-control-request-headers": "x-api-key", authorization },
    });
    assert.equal(preflight.status, 204);
    assert.match(preflight.headers.get("access-control-allow-headers")!, /\bx-api-key\b/);
    for (const path of ["/servers/a/mcp", "/servers/none/mcp", "/mcp"]) {
      const told = await house.ask(path, { method: "OPTIONS", headers: { authorization } });
      assert.equal(told.status, 405, path);
    }
    assert.equal((await house.ask("/livez", { headers: { authorization } })).status, 200);
    assert.equal((await house.ask("/nothing", { headers: { authorization } })).status, 404);
    assert.equal(asked, 0);
    // A page is to see why it was refused.
    const told = await house.ask("/mcp", { headers: { origin } });
    assert.equal(told.status, 401);
    assert.equal(told.headers.get("access-control-allow-origin"), origin);
    assert.match(told.headers.get("access-control-expose-headers")!, /www-authenticate/);
  }),
);

test(
  "health has names of servers for those who may see all of them",
  inScope(async (scope) => {
    const house = await House.open(scope, { auth: KEYS, access: ACCESS });
    for (const path of ["/health", "/readyz"]) {
      for (const who of [undefined, "alice", "nobody", "stranger"]) {
        const told = await house.ask(path, { as: who });
        assert.equal(told.status, 200);
        assert.deepEqual(Object.keys(await told.json()), ["status"], `${path} ${who}`);
      }
    }
    for (const who of ["root", "watch"]) {
      const { servers } = await (await house.ask("/health", { as: who })).json();
      assert.equal(servers.total, 2);
    }
    for (const path of ["/health", "/readyz", "/livez"]) {
      const head = await house.ask(path, { method: "HEAD" });
      assert.deepEqual([head.status, await head.text()], [200, ""]);
      assert.equal((await house.ask(path, { method: "POST" })).status, 405);
    }
  }),
);

test(
  "what is not given is refused, and a scope that would open it is named",
  inScope(async (scope) => {
    const people = new Map([
      ["Bearer reader", named("reader", "scope:read")],
      ["Bearer writer", named("writer", "scope:write")],
    ]);
    const settings = { auth: { ...KEYS, ...ISSUERS }, access: ACCESS, ...PUBLIC };
    const house = await House.open(scope, settings, doorFor(people));
    const status = async (path: string, as: string, method = "GET") => {
      const headers = as in KEYS.keys ? {} : { authorization: `Bearer ${as}` };
      const key = as in KEYS.keys ? as : undefined;
      const init = { method, as: key, headers: { ...JSON_HEADERS, ...headers } };
      return await house.ask(path, method === "POST" ? { ...init, body: unread() } : init);
    };
    // Nothing in access: 403 whatever there is, and no body is read.
    for (
      const path of ["/mcp", "/servers/a/mcp", "/profiles/pa/mcp", "/gated/mcp", "/api/status"]
    ) {
      const told = await status(path, "nobody", "POST");
      assert.equal(told.status, 403, path);
      assert.equal(told.headers.get("www-authenticate"), null);
      assert.match((await told.json()).error.message, /is not open to "key:nobody"; see "access"/);
    }
    assert.equal((await status("/", "nobody")).status, 403);
    // As are names that nobody has: neither here nor by a scope can they be tried out.
    for (const path of ["/servers/none/mcp", "/profiles/none/mcp", "/profiles/none/sse"]) {
      for (const method of ["GET", "POST"]) {
        assert.equal((await status(path, "nobody", method)).status, 403, `${method} ${path}`);
      }
      assert.equal((await status(path, "root")).status, 404, path);
    }
    // A server, another's profile, and what nobody has are the same to her.
    const hidden = [
      "/servers/a/mcp",
      "/servers/none/mcp",
      "/profiles/pb/mcp",
      "/profiles/none/mcp",
    ];
    for (const path of hidden) {
      const told = await status(path, "alice", "POST");
      assert.equal(told.status, 404, path);
      assert.equal((await told.json()).message, `No such path: ${path}`);
    }
    for (const path of ["/api/status", "/api/tools", "/api/%74ools"]) {
      assert.equal((await status(path, "alice")).status, 403, path);
      assert.equal((await status(path, "root")).status, 200, path);
    }
    assert.equal((await status("/", "alice")).status, 200);
    // Somebody who watches sees what he is given.
    assert.equal((await status("/api/status", "watch")).status, 200);
    assert.equal((await status("/api/tools", "watch")).status, 403);
    assert.equal((await status("/mcp", "watch", "POST")).status, 403);
    // One scope more would open it.
    for (const path of ["/mcp", "/profiles/pb/mcp", "/ungated/mcp"]) {
      const told = await status(path, "reader", "POST");
      assert.equal(told.status, 403, path);
      const challenge = told.headers.get("www-authenticate")!;
      assert.match(
        challenge,
        /error="insufficient_scope", scope="write", resource_metadata="https:/,
      );
    }
    assert.equal((await status("/profiles/pa/mcp", "writer", "POST")).status, 404);
    assert.equal((await status("/profiles/pb/mcp", "writer")).status, 405);
  }),
);

test(
  "what the door says of now reaches the client as it is",
  inScope(async (scope) => {
    const refuse = (status: number, seconds: string) => () => {
      throw new Refusal(status, "not now", undefined, undefined, { "retry-after": seconds });
    };
    const people = new Map([["Bearer late", refuse(503, "5")], [
      "Bearer often",
      refuse(429, "42"),
    ]]);
    const house = await House.open(scope, { auth: KEYS }, doorFor(people));
    for (const [token, status, seconds] of [["late", 503, "5"], ["often", 429, "42"]] as const) {
      const headers = { ...JSON_HEADERS, authorization: `Bearer ${token}` };
      const told = await house.ask("/mcp", { method: "POST", headers, body: unread() });
      assert.deepEqual([told.status, told.headers.get("retry-after")], [status, seconds]);
      assert.equal((await told.json()).error.message, "not now");
    }
  }),
);

test(
  "many wrong keys are answered 429, and a right one passes",
  inScope(async (scope) => {
    const house = await House.open(scope, { auth: KEYS });
    const statuses = [];
    for (let i = 0; i < 22; i++) {
      statuses.push((await house.ask("/mcp", { as: `wrong${i}` })).status);
    }
    assert.deepEqual(new Set(statuses.slice(0, 20)), new Set([401]));
    assert.deepEqual(statuses.slice(20), [429, 429]);
    assert.equal((await house.modern("/mcp", "tools/list", {}, { as: "alice" })).status, 200);
    const headers = { "x-api-key": "mcproxy_alice" };
    assert.equal((await house.modern("/mcp", "tools/list", {}, { headers })).status, 200);
  }),
);
