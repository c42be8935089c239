import assert from "node:assert/strict";
import { streamed } from "../support/clients/streamed.ts";
import { envelope, MODERN_VERSION } from "../support/clients/modern.ts";
import { initialize, LEGACY, list, notification, type OddClient, ping } from "./client.ts";
import type { ClientRow, Json } from "./rows.ts";

/** How it begins and ends. */
const SESSIONS: readonly ClientRow[] = [
  {
    name: "old-versions",
    from: "clients of every year, and of drafts",
    does: "asks for a version, known or not",
    sees: "the version it gets is one that exists",
    steps: ["2024-10-07", "2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"].map((
      version,
    ) => ({
      say: initialize(version),
      status: 200,
      has: new RegExp(`"protocolVersion":"${version}"`),
    })).concat(["1.0", "", "DRAFT-2025-v2", "2099-01-01"].map((version) => ({
      say: initialize(version),
      status: 200,
      has: /"protocolVersion":"2025-11-25"/,
    }))),
  },
  {
    name: "says-little",
    from: "minimal clients leave out who they are and what they can",
    does: "begins without capabilities and name",
    sees: "it has a session all the same",
    steps: [{
      say: { ...initialize(LEGACY), params: { protocolVersion: LEGACY } },
      status: 200,
      has: /^mcp-session-id/im,
    }],
  },
  {
    name: "says-nothing",
    from: "hand-made requests without params",
    does: "begins without a version",
    sees: "it is refused, and no session is named",
    steps: [{
      say: { ...initialize(LEGACY), params: undefined },
      status: 200,
      has: /-32602/,
      hasNot: /^mcp-session-id/im,
    }],
  },
  {
    name: "forgets-initialized",
    from: "clients that leave out notifications/initialized",
    does: "calls right after initialize",
    sees: "it is answered as any",
    run: async (client) => {
      const begun = await client.step({ say: initialize(LEGACY), status: 200 });
      const headers = { "Mcp-Session-Id": /^mcp-session-id: *(\S+)/im.exec(begun)![1]! };
      await client.step({ say: client.call("soon"), headers, status: 200, has: /"text":"soon"/ });
    },
  },
  {
    name: "begins-again",
    from: "clients that reconnect without forgetting the old session",
    does: "sends initialize in a session",
    sees: "it has a new one, and the old one has ended",
    session: LEGACY,
    run: async (client) => {
      const before = client.session;
      await client.begin(LEGACY);
      assert.notEqual(client.session, before);
      await client.step({ say: ping(), status: 200 });
      const headers = { "Mcp-Session-Id": before };
      await client.step({ say: ping(), headers, status: 404 });
    },
  },
  {
    name: "no-session",
    from: "clients that drop response headers, and proxies that do",
    does: "asks in no session, or in one that nobody knows",
    sees: "400 and 404, by which it can tell them apart",
    steps: [
      { say: list(), status: 400, has: /Mcp-Session-Id header is required/ },
      { say: list(), headers: { "Mcp-Session-Id": "nobody" }, status: 404 },
      { headers: { Accept: "text/event-stream", "Mcp-Session-Id": "nobody" }, status: 404 },
      { headers: { Accept: "text/event-stream" }, status: 405 },
    ],
  },
  {
    name: "other-door",
    from: "one client with several URLs of the gateway in one pool",
    does: "uses its session at another URL",
    sees: "404: a session is of one URL",
    session: LEGACY,
    steps: ["/mcp", "/profiles/all/mcp", "/servers/good/mcp"].map((path) => ({
      bytes: (client: OddClient) =>
        client.request({ say: ping(), path: path === client.mcp ? `${path}s` : path }),
      status: 404,
    })),
  },
  {
    name: "wrong-version",
    from: "clients that send the version they would like to have",
    does: "names a version in the header that does not exist",
    sees: "400, and the version is named",
    session: LEGACY,
    steps: [{
      say: ping(),
      headers: { "Mcp-Protocol-Version": "2030-01-01" },
      status: 400,
      has: /2030-01-01/,
    }, { say: ping(), headers: { "Mcp-Protocol-Version": null }, status: 200 }],
  },
  {
    name: "leaves-twice",
    from: "clients that end their session in a finally and at exit",
    does: "ends its session twice",
    sees: "both times it is told that it has ended, and it has",
    session: LEGACY,
    steps: [
      { method: "DELETE", status: 204 },
      { method: "DELETE", status: 204 },
      { say: ping(), status: 404 },
    ],
  },
];

/** Clients of HTTP+SSE, the transport of 2024-11-05. */
const OLD_SSE: readonly ClientRow[] = [
  {
    name: "sse-image",
    from: "a page of another site with <img src=http://localhost:12009/sse>",
    does: "opens a stream from a foreign page without saying its origin",
    sees: "403, and no session",
    isOverSse: true,
    steps: [{ path: "{sse}", headers: { "Sec-Fetch-Site": "cross-site" }, status: 403 }],
  },
  {
    name: "sse-slash",
    from: "settings of 2024 that end in a slash",
    does: "opens /sse/ with a slash",
    sees: "it is told where to write to",
    isOverSse: true,
    run: async (client) => {
      const stream = await openSse(client, "/");
      assert.match(await stream.endpoint, /\/messages\?sessionId=/);
      stream.close();
    },
  },
  {
    name: "sse-no-session",
    from: "clients that post without having opened the stream, or after it",
    does: "posts to a stream that is not there",
    sees: "400 and 404, with the remedy",
    isOverSse: true,
    steps: [
      { say: ping(), path: "/messages", status: 400, has: /sessionId parameter is missing/ },
      { say: ping(), path: "/messages?sessionId=nobody", status: 404, has: /open \/sse/ },
    ],
  },
  {
    name: "sse-goes-on",
    from: "SDK clients reconnect by themselves and go on without initialize",
    does: "asks over HTTP+SSE without initialize",
    sees: "it is answered as a client of that time",
    isOverSse: true,
    run: async (client) => {
      const stream = await openSse(client);
      const say = client.call("again");
      await client.step({ say, path: await stream.endpoint, status: 202 });
      const { text } = await stream.messages.waitFor(({ json }) => json.id === 1);
      assert.match(text, /"text":"again"/);
      stream.close();
    },
  },
];

async function openSse(client: OddClient, more = "") {
  const url = `http://127.0.0.1:${client.port}${client.sse}${more}`;
  const { messages, events, close } = await streamed(url, {
    headers: { accept: "text/event-stream" },
  });
  return { messages, endpoint: events.waitFor(() => true), close };
}

/** Clients of 2026-07-28, which have no session. */
const MODERN: readonly ClientRow[] = [
  {
    name: "modern-by-hand",
    from: "requests by hand for the version without sessions: the headers repeat the body",
    does: "leaves out the headers of 2026-07-28, or names another method or tool in them",
    sees: "it is refused with what does not fit; what fits is answered",
    steps: [
      { ...modernCall({}), status: 200, has: /"text":"now"/ },
      { ...modernCall({ "Mcp-Name": null }), status: 400, has: /-32020/ },
      { ...modernCall({ "Mcp-Name": "other" }), status: 400, has: /-32020.*Mcp-Name/is },
      { ...modernCall({ "Mcp-Method": "ping" }), status: 400, has: /-32020.*Mcp-Method/is },
    ],
  },
  {
    name: "modern-of-the-future",
    from: "clients that are newer than the gateway",
    does: "asks in a version that does not exist yet",
    sees: "it is told which ones there are",
    steps: [{
      ...modernCall({ "Mcp-Protocol-Version": "2099-01-01" }, "2099-01-01"),
      status: 400,
      has: /2026-07-28/,
    }],
  },
];

/** A call without a session, its headers and its version. */
function modernCall(headers: Readonly<Record<string, string | null>>, version = MODERN_VERSION) {
  const _meta = envelope({ "io.modelcontextprotocol/protocolVersion": version });
  return {
    say: (client: OddClient) =>
      client.call("", { params: { name: client.tool, arguments: { key: "now" }, _meta } }),
    headers: (client: OddClient) => ({
      "Mcp-Protocol-Version": version,
      "Mcp-Method": "tools/call",
      "Mcp-Name": client.tool,
      ...headers,
    }),
  };
}

const lines = (...messages: readonly Json[]) =>
  messages.map((message) => JSON.stringify(message)).join("\r\n") + "\r\n";
const stdioCall = (tool: string) => ({
  jsonrpc: "2.0",
  id: "c",
  method: "tools/call",
  params: { name: tool, arguments: { key: "größe" } },
});

/** Clients that start the gateway and speak to its stdin. */
const STDIO: readonly ClientRow[] = [
  {
    name: "stdin-crlf",
    from: "clients on Windows, and scripts with printf",
    does: "ends its lines with CR LF, has empty ones, and ends stdin at once",
    sees: "all that it has asked is answered",
    stdin: (tool) => [
      "\r\n\n",
      lines(initialize(LEGACY), notification("notifications/initialized"), stdioCall(tool)),
    ],
    stdout: /"serverInfo".*"id":"c".*"größe"/s,
  },
  {
    name: "stdin-cut",
    from: "pipes cut anywhere; scripts forget the last line feed",
    does: "has its text cut in the middle of a character, and no end of the last line",
    sees: "all that it has asked is answered",
    stdin: (tool) => {
      const text = lines(initialize(LEGACY), stdioCall(tool)).trimEnd();
      return Array.from(new TextEncoder().encode(text), (byte) => new Uint8Array([byte]));
    },
    stdout: /"serverInfo".*"id":"c".*"größe"/s,
  },
  {
    name: "stdin-junk",
    from: "shells and wrappers that echo into the pipe",
    does: "writes lines that are no messages",
    sees: "each is refused, and what comes after is answered",
    stdin: () => ["hello\n{}\n[1]\n", lines(initialize(LEGACY), ping("p"))],
    stdout: /-32700.*-32600.*-32600.*"id":"p","result":\{\}/s,
  },
];

/** Clients that are odd in how they begin, go on and end. */
export const SESSION_CLIENTS: readonly ClientRow[] = [...SESSIONS, ...MODERN, ...OLD_SSE, ...STDIO];
