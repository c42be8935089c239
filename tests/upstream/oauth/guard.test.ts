/** What the gateway asks because others have named it: 40 ways to lead it to where it must not go. */

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer, isIP, type Socket } from "node:net";
import { test } from "node:test";
import { guardedFetch, judgeUrl } from "../../../src/upstream/oauth/guard.ts";
import { issuerMetadata } from "../../../src/protocol/issuer.ts";

/** Answers, and tells what it was asked. */
async function listen(answer: (path: string) => readonly [number, string, string?]) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    const [status, body, location] = answer(request.url ?? "");
    response.writeHead(status, location === undefined ? {} : { location }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const close = () => {
    server.closeAllConnections();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  };
  return { asked, port, url: `http://127.0.0.1:${port}`, close };
}

/** As a system resolves names. */
const known = (addresses: readonly string[]) =>
  addresses.map((address) => ({ address, family: isIP(address) }));

test("judgeUrl() asks for https, but on loopback, and for nothing more private", async () => {
  const leasts = { public: ["8.8.4.4", "10.0.0.1"], private: ["10.0.0.1"], loopback: ["::1"] };
  const why = async (
    url: string,
    addresses: readonly string[],
    least: keyof typeof leasts,
    trusted = ["https://trusted.example"],
  ) => {
    const resolve = (host: string) =>
      Promise.resolve(known(host === "trusted.example" ? leasts[least] : addresses));
    try {
      assert.deepEqual(
        await judgeUrl(new URL(url), trusted, { resolve, env: {} }),
        known(addresses),
      );
    } catch (error) {
      return (error as Error).message;
    }
  };
  assert.equal(await why("https://a.example", ["8.8.8.8"], "public"), undefined);
  assert.equal(await why("https://a.example", ["10.0.0.1", "8.8.8.8"], "private"), undefined);
  assert.equal(await why("http://localhost:1", ["127.0.0.1", "::1"], "loopback"), undefined);
  assert.equal(await why("https://a.example", ["8.8.8.8"], "public", []), undefined);
  assert.match((await why("https://a.example", ["10.0.0.1"], "loopback", []))!, /a private/);
  const mixed = await why("https://a.example", ["8.8.8.8", "10.0.0.1"], "public");
  assert.match(mixed!, /a private address/);
  assert.match((await why("http://a.example", ["8.8.8.8"], "public"))!, /not encrypted/);
  const half = await why("http://a.example", ["127.0.0.1", "8.8.8.8"], "loopback");
  assert.match(half!, /not encrypted/);
  assert.match((await why("http://localhost", ["127.0.0.1"], "public"))!, /a loopback address/);
  assert.match((await why("https://a.example", ["224.0.0.1"], "loopback"))!, /a nobody address/);
  const named = await why("https://me:pw@a.example", ["8.8.8.8"], "public");
  assert.match(named!, /user name/);
  assert.doesNotMatch(named!, /pw/);
  assert.match((await why("ftp://a.example", ["8.8.8.8"], "public"))!, /not encrypted/);
  assert.match((await why("https://a.example", [], "public"))!, /unknown host/);
});

test("what a proxy resolves counts as public, and an address stays what it is", async () => {
  const resolve = () => Promise.reject(new Error("no resolver here"));
  const judge = (url: string, no_proxy = "") =>
    judgeUrl(new URL(url), ["https://it.example/mcp"], {
      resolve,
      env: { HTTPS_PROXY: "http://10.0.0.9:3128", no_proxy },
    });
  assert.equal((await judge("https://id.example/token")).length, 1);
  await assert.rejects(judge("https://10.0.0.1/"), /a private address/);
  await assert.rejects(judge("https://id.example/", "id.example"), /unknown host/);
});

/** Forty of them, for a listener on loopback that belongs to nobody they may ask. */
function hostileUrls(port: number): readonly string[] {
  const hosts = [
    "127.0.0.1",
    "127.1",
    "0x7f.1",
    "2130706433",
    "017700000001",
    "0.0.0.0",
    "0",
    "127.255.255.254",
    "localhost",
    "a.localhost",
    "LOCALHOST.",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[2002:7f00:1::]",
    "[::ffff:0:127.0.0.1]",
    "inner.example",
    "mixed.example",
    "unknown.example",
    "mapped.example",
    "①②⑦.0.0.1",
    "127。0。0。1",
  ];
  return [
    ...hosts.map((host) => `http://${host}:${port}/`),
    ...["127.0.0.1", "inner.example", "mixed.example", "[::1]"].map((h) => `https://${h}:${port}/`),
    `https://good.example@127.0.0.1:${port}/`,
    `https://169.254.169.254/latest/meta-data/`,
    `https://[fe80::1]:${port}/`,
    `https://10.0.0.1:${port}/`,
    `https://192.168.0.1:${port}/`,
    `https://[fd00:ec2::254]:${port}/`,
    `https://100.100.100.200:${port}/`,
    `ftp://127.0.0.1:${port}/`,
    `https://224.0.0.1:${port}/`,
    `file:///etc/passwd`,
  ];
}

const NAMES: Readonly<Record<string, readonly string[]>> = {
  "good.example": ["8.8.8.8"],
  "inner.example": ["127.0.0.1"],
  "mixed.example": ["8.8.8.8", "127.0.0.1"],
  "mapped.example": ["::ffff:127.0.0.1"],
  "localhost": ["127.0.0.1", "::1"],
  "localhost.": ["127.0.0.1"],
  "a.localhost": ["127.0.0.1"],
};

test("a public server leads the gateway to nobody of this machine or network", async () => {
  const listener = await listen(() => [200, "{}"]);
  const resolve = (host: string) => {
    const found = NAMES[host];
    return found
      ? Promise.resolve(known(found))
      : Promise.reject(new Error(`unknown host ${host}`));
  };
  try {
    const fetch = guardedFetch(["https://good.example/mcp"], { resolve, env: {} });
    const urls = hostileUrls(listener.port);
    assert.equal(urls.length, 40);
    for (const url of urls) {
      await assert.rejects(async () => await fetch(url, {}), Error, url);
      await assert.rejects(
        async () => await fetch(url, { method: "POST", body: "secret" }),
        Error,
        url,
      );
    }
    assert.deepEqual(listener.asked, []);
  } finally {
    await listener.close();
  }
});

test("the address that was looked at is the one that is connected to", async () => {
  const listener = await listen(() => [200, '{"a":1}']);
  let turns = 0;
  const resolve = () => Promise.resolve(known([turns++ < 2 ? "127.0.0.1" : "127.0.0.9"]));
  try {
    const fetch = guardedFetch([`http://it.example:${listener.port}/`], { resolve, env: {} });
    // No resolver of the system knows this name.
    const response = await fetch(`http://it.example:${listener.port}/x`, {});
    assert.deepEqual(await response.json(), { a: 1 });
    assert.equal(turns, 2);
  } finally {
    await listener.close();
  }
});

test("redirects stay inside the origin, end after three, and never take a POST along", async () => {
  const inner = await listen(() => [200, "{}"]);
  const steps: Record<string, readonly [number, string, string?]> = {
    "/1": [302, "", "/2"],
    "/2": [307, "", "/3"],
    "/3": [301, "", "/4"],
    "/4": [200, '{"end":true}'],
    "/0": [302, "", "/1"],
    "/loop": [302, "", "/loop"],
    "/inner": [302, "", `${inner.url}/secret`],
    "/scheme": [302, "", "file:///etc/passwd"],
    "/broken": [302, "", "http://["],
    "/nowhere": [304, ""],
  };
  const server = await listen((path) => steps[path] ?? [404, ""]);
  try {
    const fetch = guardedFetch([server.url], { env: {} });
    assert.deepEqual(await (await fetch(`${server.url}/1`, {})).json(), { end: true });
    assert.equal((await fetch(`${server.url}/nowhere`, {})).status, 304);
    for (const path of ["/0", "/loop", "/inner", "/scheme", "/broken"]) {
      await assert.rejects(async () => await fetch(server.url + path, {}), /redirects/, path);
    }
    await assert.rejects(
      async () => await fetch(`${server.url}/3`, { method: "POST", body: "secret" }),
      /redirects/,
    );
    assert.equal(server.asked.filter((path) => path === "/4").length, 1);
    assert.deepEqual(inner.asked, []);
  } finally {
    await Promise.all([server.close(), inner.close()]);
  }
});

test("an answer that is too long, or of an issuer that lies, is none", async () => {
  const server = await listen((path) => [
    200,
    path === "/long" ? "x".repeat(300_000) : '{"issuer":"https://id.example.com"}',
  ]);
  try {
    const fetch = guardedFetch([server.url], { env: {} });
    await assert.rejects(
      async () => await fetch(`${server.url}/long`, {}),
      /more than 262144 bytes/,
    );
    await assert.rejects(issuerMetadata(server.url, fetch), /of the issuer/);
    const gone = AbortSignal.abort(new Error("given up"));
    await assert.rejects(async () => await fetch(server.url, { signal: gone }), /given up/);
  } finally {
    await server.close();
  }
});

test("whatever comes instead of an answer is a failure, and nothing is left waiting", async () => {
  const answers: Record<string, string> = {
    "/cut": "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{",
    "/chunk": "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab",
    "/other": "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    "/garbage": "SSH-2.0-OpenSSH_9.6\r\n",
    "/nothing": "",
  };
  const sockets: Socket[] = [];
  const server = createTcpServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    socket.once("data", (bytes) => {
      const path = String(bytes).split(" ")[1] ?? "";
      if (path === "/never") return void socket.write("HTTP/1.1 200 OK\r\n\r\n{");
      socket.end(answers[path] ?? "");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const fetch = guardedFetch([url], { env: {} });
  for (const path of Object.keys(answers)) {
    await assert.rejects(async () => await fetch(url + path, {}), Error, path);
  }
  const given = new AbortController();
  const asked = fetch(`${url}/never`, { signal: given.signal });
  given.abort(new Error("given up"));
  await assert.rejects(async () => await asked, /given up/);
  for (const socket of sockets) socket.destroy();
  await new Promise<void>((resolve) => server.close(() => resolve()));
});
