/** `GET /api/tools`: what every server offers, and under which names (docs/status.md). */

import assert from "node:assert/strict";
import { request } from "node:http";
import process from "node:process";
import { after, before, test } from "node:test";
import type { ServerOffer } from "../../src/gateway/offers.ts";
import { configFile, run } from "../cli/support.ts";
import { cacheEnv } from "../support/cache.ts";
import { fakeCommand } from "../support/fakes/stdio.ts";
import { startServer } from "../support/server.ts";

const SHARED = "shared://notes/1";
const ENV = { ...process.env, ...cacheEnv() };

const CONFIG = {
  mcpServers: {
    alpha: {
      ...fakeCommand({ tools: ["echo", "odd"], prompts: ["p"], resources: [SHARED] }),
      tools: { override: { echo: { description: "Says what it is told" } } },
    },
    bare: { ...fakeCommand({ tools: ["echo", "fail"], resources: [SHARED] }), prefix: "never" },
    careful: {
      ...fakeCommand({ name: "c", tools: ["echo", "progress"], templates: ["t"] }),
      prefix: "conflict",
      tools: { rename: { progress: "advance" } },
    },
    bad: { command: "mcproxy-no-such-command" },
    off: { ...fakeCommand({}), disabled: true },
  },
  allowedOrigins: ["https://friend.example"],
  // What other tests have called is not to be counted here.
  history: "off",
};

let file: Awaited<ReturnType<typeof configFile>>;
let gateway: Awaited<ReturnType<typeof startServer>>;

before(async () => {
  file = await configFile(CONFIG);
  gateway = await startServer({ config: file.path, port: 0, env: ENV });
  await gateway.server.gateway.settled();
});

after(async () => {
  await gateway.close();
  await file.close();
});

async function offers(path = "/api/tools"): Promise<readonly ServerOffer[]> {
  const response = await fetch(new URL(path, gateway.url));
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("cache-control"), "no-store");
  const { servers } = await response.json() as { readonly servers: readonly ServerOffer[] };
  return servers;
}

/** The items of a list as a client gets them. */
async function listed(path: string, method: string): Promise<readonly Record<string, string>[]> {
  const meta = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
  };
  const response = await fetch(new URL(path, gateway.url), {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "accept": "application/json, text/event-stream",
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": method,
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params: { _meta: meta } }),
  });
  const { result } = await response.json();
  return Object.values<Record<string, string>[]>(result).find(Array.isArray)!;
}

/** A request with whatever headers; `fetch` would not send these. */
function ask(
  headers: Readonly<Record<string, string>>,
  { path = "/api/tools", method = "GET" } = {},
): Promise<{ readonly status: number; readonly headers: Readonly<Record<string, unknown>> }> {
  return new Promise((resolve, reject) => {
    request(new URL(path, gateway.url), { method, headers }, (response) => {
      response.resume();
      response.on("end", () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers });
      });
    }).on("error", reject).end();
  });
}

test("every server is there, in the order of the configuration, with its state", async () => {
  const servers = await offers();
  assert.deepEqual(servers.map(({ name, state, transport }) => [name, state, transport]), [
    ["alpha", "ready", "stdio"],
    ["bare", "ready", "stdio"],
    ["careful", "ready", "stdio"],
    ["bad", servers[3]!.state, "stdio"],
    ["off", "disabled", "stdio"],
  ]);
  assert.notEqual(servers[3]!.state, "ready");
  assert.match(servers[3]!.error!, /mcproxy-no-such-command/);
  assert.deepEqual(servers.map(({ error }) => error === null), [true, true, true, false, true]);
  for (const { name: _name, state: _state, transport: _, error: _error, ...lists } of servers) {
    assert.deepEqual(Object.keys(lists), ["tools", "prompts", "resources", "templates"]);
    for (const item of lists.tools) {
      assert.deepEqual(Object.keys(item), ["exposed", "own", "title", "description", "tokens"]);
    }
    for (const item of [...lists.prompts, ...lists.resources, ...lists.templates]) {
      assert.deepEqual(Object.keys(item), ["exposed", "own", "title", "description"]);
    }
  }
});

test("exposed names are those of the list of all, own ones those of the 1:1 lists", async () => {
  const kinds = [
    ["tools", "tools/list", "name"],
    ["prompts", "prompts/list", "name"],
    ["resources", "resources/list", "uri"],
    ["templates", "resources/templates/list", "uriTemplate"],
  ] as const;
  const servers = (await offers()).filter(({ state }) => state === "ready");
  for (const [kind, method, key] of kinds) {
    const all = (await listed("/ungated/mcp", method)).map((item) => item[key]!);
    assert.deepEqual(
      servers.flatMap((server) => server[kind].map(({ exposed }) => exposed)).toSorted(),
      all.toSorted(),
      kind,
    );
    for (const server of servers) {
      const own = await listed(`/servers/${server.name}/mcp`, method);
      assert.deepEqual(server[kind].map((item) => item.own), own.map((item) => item[key]), kind);
    }
  }
});

test("names are right whatever the prefix, and where nothing in them tells the server", async () => {
  const [alpha, bare, careful] = await offers();
  const names = ({ tools }: ServerOffer) => tools.map(({ own, exposed }) => [own, exposed]);
  assert.deepEqual(names(alpha!), [["echo", "alpha_echo"], ["odd", "alpha_odd"]]);
  assert.deepEqual(names(bare!)[1], ["fail", "fail"]);
  assert.deepEqual(names(careful!)[1], ["progress", "advance"]);
  const exposed = [alpha!, bare!, careful!].flatMap((server) => server.tools)
    .map((tool) => tool.exposed);
  assert.equal(new Set(exposed).size, 6);
  const uris = [alpha!, bare!].map(({ resources: [first] }) => [first!.own, first!.exposed]);
  assert.deepEqual(uris.map(([own]) => own), [SHARED, SHARED]);
  assert.notEqual(uris[0]![1], uris[1]![1]);
});

test("tokens are those of list --tokens, local and remote, and of the status", async () => {
  const servers = await offers();
  const status = await (await fetch(new URL("/api/status", gateway.url))).json();
  const total = ({ tools }: ServerOffer) => tools.reduce((sum, tool) => sum + tool.tokens!, 0);
  assert.deepEqual(
    servers.map(total),
    status.servers.map(({ tokens }: { tokens: number }) => tokens),
  );
  for (const source of [["--url", gateway.url], ["--config", file.path]]) {
    const { stdout } = await run(["list", "--tokens", "--json", ...source], { env: ENV });
    const told = JSON.parse(stdout).servers as readonly (ServerOffer & { tokens: number })[];
    assert.deepEqual(told.map(({ tools }) => tools), servers.map(({ tools }) => tools));
    assert.deepEqual(told.map(({ tokens }) => tokens), servers.map(total));
  }
});

test("server= asks for one; one that is not configured is 404 with those that are", async () => {
  const all = await offers();
  assert.deepEqual(await offers("/api/tools?server=careful"), [all[2]]);
  assert.deepEqual(await offers("/api/tools?server=off"), [all[4]]);
  for (const query of ["server=nobody", "server="]) {
    const response = await fetch(new URL(`/api/tools?${query}`, gateway.url));
    assert.equal(response.status, 404);
    const { error, message, servers } = await response.json();
    assert.equal(error, "not_found");
    assert.match(message, /No such server: /);
    assert.deepEqual(servers, ["alpha", "bare", "careful", "bad", "off"]);
  }
});

test("it is guarded as the status is", async () => {
  const { host } = new URL(gateway.url);
  const cases = [
    [{ host: "evil.example" }, 403],
    [{ host, origin: "https://evil.example" }, 403],
    [{ host, origin: "null" }, 403],
    [{ host, origin: "http://localhost:3000" }, 200],
    [{ host, origin: "https://friend.example" }, 200],
    [{ host }, 200],
  ] as const;
  for (const [headers, expected] of cases) {
    for (const path of ["/api/tools", "/api/tools?server=alpha", "/api/status"]) {
      const { status } = await ask(headers, { path });
      assert.equal(status, expected, `${path} ${JSON.stringify(headers)}`);
    }
  }
});

test("no page may read it, whatever its origin", async () => {
  const { host } = new URL(gateway.url);
  for (
    const origin of ["http://localhost:3000", "https://friend.example", "https://evil.example"]
  ) {
    for (const method of ["GET", "HEAD", "POST", "OPTIONS"]) {
      for (
        const path of [
          "/api/tools",
          "/api/tools?server=alpha",
          "/api/tools?server=nobody",
          "/api/%74ools",
          "/%61pi/tool%73?server=alpha",
        ]
      ) {
        const { status, headers } = await ask({ host, origin }, { path, method });
        const cors = Object.keys(headers).filter((name) => name.startsWith("access-control"));
        assert.deepEqual(cors, [], `${method} ${path} ${origin}`);
        if (method === "OPTIONS") assert.ok(status === 405 || status === 403, String(status));
      }
    }
  }
});
