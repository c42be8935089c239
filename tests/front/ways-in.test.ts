/** What comes in over HTTP as clients, pages and broken connections write it. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { request } from "node:http";
import process from "node:process";
import { after, before, test } from "node:test";
import { TRAIL } from "../../src/lib/trail.ts";
import { configFile } from "../cli/support.ts";
import { cacheEnv } from "../support/cache.ts";
import { rawHttp, statusOf } from "../support/clients/raw.ts";
import { fakeCommand } from "../support/fakes/stdio.ts";
import { eventually, Inbox } from "../support/inbox.ts";
import { startServer } from "../support/server.ts";

const CONFIG = {
  mcpServers: { alpha: fakeCommand({ tools: ["echo"] }) },
  profiles: { one: { servers: ["alpha"] } },
  allowedOrigins: ["https://friend.example"],
  logLevel: "info",
};
const JSON_TYPES = {
  "content-type": "application/json",
  accept: "application/json, text/event-stream",
};
const INITIALIZE = {
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: {
    protocolVersion: "2025-03-26",
    capabilities: {},
    clientInfo: { name: "t", version: "1" },
  },
};
const lines = new Inbox<string>("log");

let file: Awaited<ReturnType<typeof configFile>>;
let gateway: Awaited<ReturnType<typeof startServer>>;

before(async () => {
  file = await configFile(CONFIG);
  const env = { ...process.env, ...cacheEnv() };
  gateway = await startServer({ config: file.path, port: 0, env, log: (line) => lines.push(line) });
  await gateway.server.gateway.settled();
});

after(async () => {
  await gateway.close();
  await file.close();
});

interface Told {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Of an event stream as much as has come first. */
  readonly text: string;
}

/** Not fetch: that has its own mind about headers such as `Sec-Fetch-Site`. */
async function ask(path: string, options: {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
} = {}): Promise<Told> {
  const { method = "GET", headers = {}, body } = options;
  const asked = request(new URL(path, gateway.url), { method, headers });
  asked.end(body);
  const [response] = await once(asked, "response");
  let text = "";
  if (response.headers["content-type"] === "text/event-stream") {
    [text] = await once(response.setEncoding("utf8"), "data");
    asked.destroy();
  } else for await (const chunk of response) text += chunk;
  return { status: response.statusCode, headers: response.headers, text };
}

function post(path: string, message: unknown, headers: Record<string, string> = {}): Promise<Told> {
  const body = JSON.stringify(message);
  return ask(path, { method: "POST", headers: { ...JSON_TYPES, ...headers }, body });
}

async function session(path = "/mcp"): Promise<string> {
  const { status, headers } = await post(path, INITIALIZE);
  assert.equal(status, 200, path);
  return String(headers["mcp-session-id"]);
}

test("a slash at the end changes nothing", async () => {
  for (const path of ["/mcp/", "/servers/alpha/mcp/", "/profiles/one/mcp/", "/gated/mcp/"]) {
    await session(path);
  }
  for (const path of ["/sse/", "/profiles/one/sse/"]) {
    const { status, text } = await ask(path, { headers: { accept: "text/event-stream" } });
    assert.equal(status, 200, path);
    assert.match(text, /^event: endpoint/);
  }
  for (const path of ["/livez/", "/api/status/"]) assert.equal((await ask(path)).status, 200, path);
  const headers = { origin: "https://friend.example" };
  const { headers: told } = await ask("/api/tools/", { headers });
  assert.equal(told["access-control-allow-origin"], undefined);
});

test("the root and what is not there name the paths there are, and no server", async () => {
  for (
    const [path, expected] of [["/", 200], ["/mpc", 404], ["/servers/nobody/mcp", 404]] as const
  ) {
    const { status, text } = await ask(path);
    assert.equal(status, expected, path);
    const { paths } = JSON.parse(text);
    for (const there of ["/mcp", "/sse", "/servers/<name>/mcp", "/profiles/<name>/mcp", "/livez"]) {
      assert.ok(paths.includes(there), `${path} names ${there}`);
    }
    assert.doesNotMatch(text, /alpha/);
  }
  assert.equal((await ask("/", { method: "POST" })).status, 405);
});

test("a cursor that says nothing is none", async () => {
  const id = await session();
  for (const cursor of [null, "", undefined]) {
    for (
      const path of ["tools/list", "prompts/list", "resources/list", "resources/templates/list"]
    ) {
      const told = await post("/mcp", { jsonrpc: "2.0", id: 2, method: path, params: { cursor } }, {
        "mcp-session-id": id,
      });
      assert.equal(JSON.parse(told.text).error, undefined, `${path} ${cursor}`);
    }
  }
  const wrong = { jsonrpc: "2.0", id: 2, method: "tools/list", params: { cursor: "x" } };
  assert.equal(
    JSON.parse((await post("/mcp", wrong, { "mcp-session-id": id })).text).error.code,
    -32602,
  );
});

test("a page of another site opens no stream, and a link may be followed", async () => {
  const page = { accept: "text/html,*/*", "sec-fetch-site": "cross-site" };
  const image = { ...page, "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image" };
  const link = { ...page, "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" };
  const frame = { ...link, "sec-fetch-dest": "iframe" };
  const open = gateway.server.gateway.sessions.size;
  for (const path of ["/sse", "/sse/", "/%73se", "/profiles/one/sse"]) {
    for (const headers of [image, link, frame]) {
      assert.equal(
        (await ask(path, { headers })).status,
        403,
        `${path} ${JSON.stringify(headers)}`,
      );
    }
  }
  assert.equal(gateway.server.gateway.sessions.size, open);
  assert.equal((await ask("/api/status", { headers: image })).status, 403);
  assert.equal((await ask("/api/status", { headers: link })).status, 403);
  for (const path of ["/", "/ui/app.js"]) {
    assert.equal((await ask(path, { headers: link })).status, 200, path);
    assert.equal((await ask(path, { headers: image })).status, 403, path);
    assert.equal((await ask(path, { headers: frame })).status, 403, path);
  }
  const own = { ...image, "sec-fetch-site": "same-origin" };
  assert.equal((await ask("/sse", { headers: own })).status, 200);
});

test("a preflight allows the headers the client wants to send, to an allowed origin only", async () => {
  const wanted = "mcp-param-region, x-api-key, mcp-session-id";
  const ofOrigin = (origin: string, wanted: string) =>
    ask("/mcp", {
      method: "OPTIONS",
      headers: {
        origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": wanted,
      },
    });
  const { status, headers } = await ofOrigin("https://friend.example", wanted);
  assert.equal(status, 204);
  const allowed = String(headers["access-control-allow-headers"]).split(/,\s*/);
  for (const name of [...wanted.split(", "), "content-type"]) {
    assert.ok(allowed.includes(name), name);
  }
  const strange = await ofOrigin("https://friend.example", "a(b)");
  assert.doesNotMatch(String(strange.headers["access-control-allow-headers"]), /a\(b/);
  assert.equal((await ofOrigin("https://evil.example", wanted)).status, 403);
});

test("a refused initialize names no session", async () => {
  const { gateway: { sessions } } = gateway.server;
  const open = sessions.size;
  for (const params of [undefined, {}, { protocolVersion: 3 }]) {
    const { headers, text } = await post("/mcp", { ...INITIALIZE, params });
    assert.notEqual(JSON.parse(text).error, undefined, JSON.stringify(params));
    assert.equal(headers["mcp-session-id"], undefined);
  }
  assert.equal(sessions.size, open);
});

test("a batch is bounded on every way in", async () => {
  const asked = request(new URL("/sse", gateway.url), { headers: { accept: "text/event-stream" } });
  asked.end();
  const [stream] = await once(asked, "response");
  const [text] = await once(stream.setEncoding("utf8"), "data");
  const endpoint = /^data: (.*)$/m.exec(text)![1]!;
  const ping = (id: number) => ({ jsonrpc: "2.0", id, method: "ping" });
  const batch = (size: number) => Array.from({ length: size }, (_, id) => ping(id));
  const few = await post(endpoint, batch(100));
  const many = await post(endpoint, batch(101));
  const flood = await post(endpoint, batch(20_000));
  assert.deepEqual([few.status, many.status, flood.status], [202, 400, 400]);
  assert.match(many.text, /a batch may hold 100/);
  asked.destroy();
  const id = await session();
  const headers = { "mcp-session-id": id, "mcp-protocol-version": "2025-03-26" };
  assert.equal((await post("/mcp", batch(101), headers)).status, 400);
});

test("a body that breaks off is the client's failure, and no line of the log", async () => {
  // Other files' gateways may have had something to say, in the same engine.
  const before = lines.items.length;
  const port = Number(new URL(gateway.url).port);
  const head = (more: string) =>
    `POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${more}\r\n\r\n`;
  const cut = async (text: string) => {
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    socket.on("error", () => {});
    socket.write(text);
    await new Promise((resolve) => socket.write("", resolve));
    socket.destroy();
  };
  for (let i = 0; i < 5; i++) {
    await cut(`${head("Content-Length: 1000")}{"json`);
    await cut(`${head("Transfer-Encoding: chunked")}ff\r\n{"json`);
  }
  const wrong = await rawHttp(
    port,
    `${head("Transfer-Encoding: chunked\r\nConnection: close")}zz\r\n{"json`,
  );
  assert.ok([0, 400].includes(statusOf(wrong)), wrong);
  for (const part of [`2;${"x".repeat(100_000)}\r\n{}`, `${"0".repeat(100_000)}2\r\n{}`]) {
    const long = `${head("Transfer-Encoding: chunked\r\nConnection: close")}${part}\r\n0\r\n\r\n`;
    const told = statusOf(await rawHttp(port, long));
    assert.ok([0, 400, 413, 431].includes(told), `${told}`);
  }
  // Whatever those have brought has been met when this one is answered.
  await session();
  await session();
  const said = lines.items.slice(before);
  assert.deepEqual(said.filter((line) => /error +front|failed inside/.test(line)), []);
});

test("a path is resolved before it is looked at, on every runtime", async () => {
  const { port } = new URL(gateway.url);
  const get = (path: string, more = "") =>
    rawHttp(
      Number(port),
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${more}Connection: close\r\n\r\n`,
    );
  for (
    const path of ["/x/../livez", "/%2e/livez", "/./livez", "/a/%2E%2e/livez", "/x\\..\\livez"]
  ) {
    assert.equal(statusOf(await get(path)), 200, path);
  }
  for (const path of ["/.well-known/x", "/livez/..", "/a%2f..%2flivez", "//livez"]) {
    assert.equal(statusOf(await get(path)), path === "/livez/.." ? 200 : 404, path);
  }
  for (const path of ["/api/./tools", "/x/..\\api/tools", "/x/../api/tools/"]) {
    const answer = await get(path, "Origin: https://friend.example\r\n");
    assert.equal(statusOf(answer), 200, path);
    assert.doesNotMatch(answer, /access-control/i, path);
  }
  assert.equal(statusOf(await get("/x/../sse", "Sec-Fetch-Site: cross-site\r\n")), 403);
  const message = JSON.stringify(INITIALIZE);
  const { status } = await post("/x/../mcp", INITIALIZE);
  assert.equal(status, 200, message);
});

test("a path leads to the same place however it is spelled, past the same guards", async () => {
  const pairs = [
    ["/mcp", "/%6dcp"],
    ["/mcp", "/mcp/"],
    ["/mcp", "/mcp?next=/../x"],
    ["/mcp", "/./mcp"],
    ["/gated/mcp", "/%67ated/mcp"],
    ["/servers/alpha/mcp", "/servers/al%70ha/mcp"],
    ["/servers/alpha/mcp", "/servers/beta/../alpha/mcp"],
    ["/profiles/one/mcp", "/profiles/one/mcp/"],
    ["/profiles/one/gated/mcp", "/profiles/o%6ee/gated/mcp"],
  ] as const;
  const ping = { jsonrpc: "2.0", id: 7, method: "ping" };
  for (const [plain, odd] of pairs) {
    const headers = { "mcp-session-id": await session(plain) };
    for (const path of [plain, odd]) {
      const told = await post(path, ping, { ...headers, origin: "https://friend.example" });
      assert.equal(told.text, '{"jsonrpc":"2.0","id":7,"result":{}}', path);
      assert.equal(told.headers["access-control-allow-origin"], "https://friend.example", path);
      const refusals = [
        { host: "evil.example" },
        { origin: "https://evil.example" },
        { "mcproxy-trail": TRAIL.header(0) },
        { accept: "text/html" },
        { "content-type": "text/plain" },
        { "mcp-session-id": "unknown" },
      ];
      const statuses = refusals.map(async (more) =>
        (await post(path, ping, { ...headers, ...more })).status
      );
      assert.deepEqual(await Promise.all(statuses), [403, 403, 508, 406, 415, 404], path);
      const broken = await ask(path, {
        method: "POST",
        headers: { ...JSON_TYPES, ...headers },
        body: "{",
      });
      assert.deepEqual([broken.status, JSON.parse(broken.text).error.code], [400, -32700], path);
    }
  }
  for (
    const path of [
      "/servers/:name/mcp",
      "/servers//mcp",
      "/servers/beta/mcp",
      "/servers/alpha/gated/mcp",
      "/MCP",
    ]
  ) {
    assert.equal((await post(path, INITIALIZE)).status, 404, path);
  }
});

test("publicUrl is a host that counts, and the path before all that clients are told", async () => {
  const { mcpServers } = CONFIG;
  const own = await configFile({ mcpServers, publicUrl: "https://mcp.example.com/gw/" });
  const env = { ...process.env, ...cacheEnv() };
  const behind = await startServer({ config: own.path, port: 0, env });
  try {
    await behind.server.gateway.settled();
    const port = Number(new URL(behind.url).port);
    const firstOf = (path: string, host: string) =>
      new Promise<string>((resolve, reject) => {
        const headers = { host, accept: "text/event-stream" };
        const asked = request({ port, path, headers, agent: false }, (answer) => {
          answer.setEncoding("utf8");
          answer.once("data", (text) => {
            asked.destroy();
            resolve(`${answer.statusCode} ${text}`);
          });
        });
        asked.once("error", reject);
        asked.end();
      });
    // With and without the proxy's path: proxies take it away or leave it.
    for (const path of ["/sse", "/gw/sse"]) {
      const first = await firstOf(path, "mcp.example.com");
      assert.match(first, /^200 event: endpoint\ndata: \/gw\/messages\?sessionId=/, path);
    }
    assert.match(await firstOf("/sse", "other.example.com"), /^403 /);
    const post = await fetch(new URL("/gw/mcp", behind.url), {
      method: "POST",
      headers: JSON_TYPES,
      body: JSON.stringify(INITIALIZE),
    });
    assert.equal(post.status, 200);
    assert.match(await post.text(), /"serverInfo"/);
    assert.equal((await fetch(new URL("/gwen/mcp", behind.url))).status, 404);
    assert.equal((await fetch(new URL("/gw/readyz", behind.url))).status, 200);
    // The gateway's own paths stay what they are, whatever the public one is called.
    await writeFile(own.path, JSON.stringify({ mcpServers, publicUrl: "https://h.example/api" }));
    await eventually(
      async () => (await fetch(new URL("/api/api/status", behind.url))).status,
      (status) => status === 200,
      "the other address",
    );
    assert.equal((await fetch(new URL("/api/status", behind.url))).status, 200);
    assert.equal((await fetch(new URL("/gated/mcp", behind.url))).status, 405);
  } finally {
    await behind.close();
    await own.close();
  }
});
