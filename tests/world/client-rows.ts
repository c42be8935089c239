import { once } from "node:events";
import { connect } from "node:net";
import { initialize, LEGACY, list, notification, type OddClient, ping } from "./client.ts";
import type { ClientRow } from "./rows.ts";

/** Where it knocks. */
const PATHS: readonly ClientRow[] = [
  {
    name: "trailing-slash",
    from: "URLs that people and settings dialogs end in a slash",
    does: "puts a slash behind the path",
    sees: "it is answered as without",
    steps: [{ say: initialize(LEGACY), path: "{mcp}/", status: 200, has: /mcp-session-id/i }],
  },
  {
    name: "whole-url",
    from: "clients behind a proxy ask for http://host/path (HTTP/1.1, absolute form)",
    does: "writes the whole URL where the path belongs",
    sees: "it is answered as any",
    steps: [{
      bytes: (client) =>
        client.request({ say: initialize(LEGACY), path: `http://127.0.0.1:${client.port}{mcp}` }),
      status: 200,
      has: /"serverInfo"/,
    }],
  },
  {
    name: "dotted-path",
    from: "clients that join base and path by hand",
    does: "has dots and another spelling in its path",
    sees: "the path is resolved first",
    steps: [{ say: initialize(LEGACY), path: "/x/..{mcp}?a=b", status: 200 }],
  },
  {
    name: "wrong-path",
    from: "a typing error, or a path of another gateway",
    does: "asks for a path that is not there",
    sees: "404, and the paths there are",
    steps: [
      { path: "{mcp}s", status: 404, has: /\/profiles\/<name>\/mcp/ },
      { say: ping(), path: "/", status: 405 },
      { path: "/", status: 200, has: /\/servers\/<name>\/mcp/ },
    ],
  },
  {
    name: "wrong-method",
    from: "REST clients, crawlers and scanners",
    does: "uses PUT and PATCH",
    sees: "405 with what is allowed",
    steps: [
      { say: ping(), method: "PUT", status: 405, has: /^allow: .*POST/im },
      { say: ping(), method: "PATCH", status: 405 },
    ],
  },
  {
    name: "foreign-page",
    from: "DNS rebinding, and pages that try ports of this machine",
    does: "comes from a page of another site, or by another host's name",
    sees: "403 with the setting that would allow it",
    steps: [
      {
        say: initialize(LEGACY),
        headers: { Origin: "https://evil.example" },
        status: 403,
        has: /"https:\/\/evil\.example.* is not allowed; add it to .*allowedOrigins/,
      },
      {
        say: initialize(LEGACY),
        headers: { Host: "evil.example" },
        status: 403,
        has: /allowedHosts/,
      },
    ],
  },
];

/** How it writes heads and bodies. */
const HEADS: readonly ClientRow[] = [
  {
    name: "loud-headers",
    from: "HTTP/1.1: names of headers and media types have no case",
    does: "writes its headers and media types in capitals",
    sees: "it is answered as any",
    session: LEGACY,
    steps: [{
      say: (client: OddClient) => client.call("x"),
      headers: {
        "Content-Type": null,
        "Accept": null,
        "CONTENT-TYPE": 'APPLICATION/JSON; charset="UTF-8"',
        "ACCEPT": "TEXT/EVENT-STREAM;q=0.9 , APPLICATION/JSON",
        "Mcp-Session-Id": null,
      },
      status: 400,
      has: /Mcp-Session-Id header is required/,
    }, {
      bytes: (client) =>
        client.request({ say: client.call("x") }).replace(
          /^(Mcp|Content|Accept)[\w-]*/gm,
          (name) => name.toUpperCase(),
        ),
      status: 200,
      has: /"text":"x"/,
    }],
  },
  {
    name: "takes-anything",
    from: "curl and many HTTP libraries send Accept: */*",
    does: "accepts anything",
    sees: "it is answered as any",
    steps: [{ say: initialize(LEGACY), headers: { Accept: "*/*" }, status: 200 }],
  },
  {
    name: "takes-json-only",
    from: "REST libraries that set Accept to application/json",
    does: "accepts JSON, and no event stream",
    sees: "406, and what it has to accept",
    steps: [{
      say: initialize(LEGACY),
      headers: { Accept: "application/json" },
      status: 406,
      has: /accept both application\/json and text\/event-stream/,
    }],
  },
  {
    name: "form",
    from: "fetch with a text as its body says text/plain, curl -d says it is a form",
    does: "says that its JSON is text, or a form",
    sees: "415, for a page could send that",
    steps: ["text/plain;charset=UTF-8", "application/x-www-form-urlencoded"].map((type) => ({
      say: initialize(LEGACY),
      headers: { "Content-Type": type },
      status: 415,
      has: /expected application\/json/,
    })),
  },
  {
    name: "asks-to-continue",
    from: "curl and .NET ask before bodies of some size",
    does: "says Expect: 100-continue",
    sees: "it gets its answer",
    steps: [{ say: initialize(LEGACY), headers: { Expect: "100-continue" }, status: 200 }],
  },
  {
    name: "chunked-body",
    from: "streaming HTTP libraries do not know the length",
    does: "sends its body in chunks of a few bytes",
    sees: "it is answered as any",
    steps: [{
      bytes: (client) => {
        const headers = { "Transfer-Encoding": "chunked" };
        const head = client.request({ method: "POST", headers });
        const pieces = JSON.stringify(initialize(LEGACY)).match(/.{1,7}/g)!;
        return head + pieces.map((one) => `${one.length.toString(16)}\r\n${one}\r\n`).join("") +
          "0\r\n\r\n";
      },
      status: 200,
      has: /"serverInfo"/,
    }],
  },
  {
    name: "half-requests",
    from: "clients that crash, sleep or lose the network in the middle of a request",
    does: "leaves requests half said, in the head and in the body",
    sees: "others are answered meanwhile",
    run: async (client) => {
      const whole = client.request({ say: initialize(LEGACY) });
      const sockets = await Promise.all(
        Array.from({ length: 20 }, async (_, at) => {
          const socket = connect(client.port, "127.0.0.1");
          socket.on("error", () => {});
          await once(socket, "connect");
          socket.write(whole.slice(0, at % 2 === 0 ? 40 : -9));
          return socket;
        }),
      );
      await client.begin(LEGACY);
      await client.step({ say: client.call("meanwhile"), status: 200, has: /"text":"meanwhile"/ });
      for (const socket of sockets) socket.destroy();
      await client.step({ say: client.call("after"), status: 200, has: /"text":"after"/ });
    },
  },
];

/** What it writes in its messages. */
const MESSAGES: readonly ClientRow[] = [
  {
    name: "null-members",
    from: "structs without omitempty of Go and C#: what is not there is null",
    does: "writes null for what it has nothing to say of",
    sees: "it is answered as without",
    session: LEGACY,
    steps: [
      { say: { ...ping(), params: null }, status: 200, has: /"result":\{\}/ },
      { say: list({ cursor: null }), status: 200, has: /echo"/ },
      { say: list(null), status: 200, has: /echo"/ },
      { say: list({ _meta: null }), status: 200, has: /echo"/ },
      {
        say: (client: OddClient) =>
          client.call("", { params: { name: client.tool, arguments: null } }),
        status: 200,
        has: /"text":"nothing"/,
      },
      { say: notification("notifications/cancelled", null), status: 202 },
    ],
  },
  {
    name: "odd-ids",
    from: "ids are any text or number: UUIDs, zero, negative, nanoseconds",
    does: "uses ids that few would think of",
    sees: "each comes back as it was written",
    session: LEGACY,
    steps: ["0", "-1", '""', '"1"', "1.5", "12345678901234567890", '"é ü"'].map((id) => ({
      say: `{"method":"ping","id":${id},"jsonrpc":"2.0"}`,
      status: 200,
      has: new RegExp(`"id":${id.replace(/[\\.]/g, "\\$&")}[,}]`),
    })),
  },
  {
    name: "pretty",
    from: "people who write requests by hand, and indented templates",
    does: "has line breaks and white space in its JSON",
    sees: "it arrives in one line",
    session: LEGACY,
    steps: [{
      say: (client: OddClient) => `\r\n ${JSON.stringify(client.call("a"), undefined, "\t")}\r\n`,
      status: 200,
      has: /"text":"a"/,
    }],
  },
  {
    name: "byte-order-mark",
    from: "PowerShell and Notepad put one before UTF-8",
    does: "begins its body with a byte order mark",
    sees: "it is answered as without",
    steps: [{ say: `\ufeff${JSON.stringify(initialize(LEGACY))}`, status: 200 }],
  },
  {
    name: "no-json",
    from: "shells that eat quotes: curl -d {jsonrpc:2.0}",
    does: "sends what is no JSON, or no message",
    sees: "400 with what is wrong, in JSON-RPC",
    steps: [
      ...["{jsonrpc:2.0}", "{", "\u0000"].map((say) => ({ say, status: 400, has: /-32700/ })),
      ...["[]", "1", '"x"', "null", "{}", '{"jsonrpc":"1.0","id":1,"method":"ping"}', "[[]]"]
        .map((say) => ({ say, status: 400, has: /"error"/ })),
    ],
  },
  {
    name: "unknown-words",
    from: "clients of drafts and extensions",
    does: "sends notifications and requests that nobody knows",
    sees: "the former are taken, the latter are -32601",
    session: LEGACY,
    steps: [
      { say: notification("notifications/x", { a: 1 }), status: 202 },
      { say: notification("notifications/roots/list_changed"), status: 202 },
      { say: notification("notifications/cancelled", { requestId: "nobody" }), status: 202 },
      { say: { jsonrpc: "2.0", id: 7, result: {} }, status: 202 },
      { say: { ...ping(), method: "x/unknown" }, status: 200, has: /-32601/ },
      { say: { ...ping(), _extra: [1], method: "ping" }, status: 200, has: /"result"/ },
    ],
  },
  {
    name: "batches",
    from: "clients of 2025-03-26, the only version with batches",
    does: "sends several messages in an array",
    sees: "they are answered in that version, and refused in others",
    session: "2025-03-26",
    steps: [
      {
        say: [ping("a"), notification("notifications/x"), ping("b")],
        status: 200,
        has: /"a".*"b"/s,
      },
      { say: [notification("notifications/x")], status: 202 },
      {
        say: [ping("a"), { jsonrpc: "2.0" }],
        status: 200,
        has: /"result".*-32600|-32600.*"result"/s,
      },
      { say: Array.from({ length: 101 }, (_, id) => ping(id)), status: 400, has: /may hold 100/ },
    ],
  },
  {
    name: "late-batches",
    from: "JSON-RPC libraries that batch by themselves",
    does: "sends a batch in a version that has none",
    sees: "400, and which version has them",
    session: LEGACY,
    steps: [{ say: [ping()], status: 400, has: /batches exist in protocol 2025-03-26 only/ }],
  },
];

/** Clients that are odd in their requests. */
export const REQUEST_CLIENTS: readonly ClientRow[] = [...PATHS, ...HEADS, ...MESSAGES];
