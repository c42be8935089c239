import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { json, type Seen, sse } from "../upstream/fakes/http-server.ts";
import { wordsOf } from "./lab.ts";
import type { OddHttp, Plain, ServerRow } from "./rows.ts";
import { cut, HTML, LIKE_ANY, text, usual } from "./servers.ts";

/** Answers a `GET` for the standing stream in its own way. */
const onGet = (answer: (response: ServerResponse) => void): OddHttp => ({
  take: ({ method }, response) => {
    if (method !== "GET") return false;
    answer(response);
    return true;
  },
});

/** Answers the probe of the newer kind of servers in its own way. */
const onProbe = (answer: (response: ServerResponse) => void): OddHttp => ({
  take: ({ body }, response) => {
    if (body?.method !== "server/discover") return false;
    answer(response);
    return true;
  },
});

/** Servers that know each session for two calls, and then refuse whatever is asked in it. */
const forgetful = (refuse: (response: ServerResponse, seen: Seen) => void): () => OddHttp => () => {
  let session = 0;
  let left = 0;
  return {
    take: (seen, response, plain) => {
      const { body, headers, method } = seen;
      if (method !== "POST") return false;
      if (body?.method === "initialize") {
        left = 2;
        const head = { "mcp-session-id": `s-${++session}` };
        json(response, 200, JSON.parse(plain(body)!), head);
        return true;
      }
      const own = headers["mcp-session-id"];
      if (own === undefined) return false;
      if (body?.method === "tools/call") left--;
      if (own === `s-${session}` && left >= 0) return false;
      refuse(response, seen);
      return true;
    },
  };
};

const forgetting: readonly (readonly [
  name: string,
  words: string,
  from: string,
  refuse: (response: ServerResponse, seen: Seen) => void,
])[] = [
  ["404", "404", "the specification", text(404, "")],
  [
    "400",
    "400 and words",
    "SDK servers behind a load balancer without sticky sessions",
    text(400, "Bad Request: No valid session ID provided"),
  ],
  [
    "401",
    "401",
    "gateways that keep sessions and logins in one table",
    (response, { body }) =>
      json(response, 401, {
        jsonrpc: "2.0",
        id: body.id ?? null,
        error: { code: -32000, message: "Session not found" },
      }),
  ],
  ["410", "410", "frameworks that know that it was there once", text(410, "Gone")],
  ["422", "422", "FastAPI, where the header fails a validation", text(422, '{"detail":"session"}')],
  [
    "200",
    "an error in an answer of 200",
    "servers whose sessions are below their HTTP framework",
    (response, { body }) =>
      json(response, 200, {
        jsonrpc: "2.0",
        id: body.id ?? null,
        error: { code: -32001, message: "Session not found" },
      }),
  ],
];

const SESSIONS: readonly ServerRow[] = [
  ...forgetting.map(([name, words, from, refuse]): ServerRow => ({
    name: `forgets-${name}`,
    from,
    does: `forgets its session at every other call, and says so by ${words}`,
    sees: "a new session is begun, and the call is sent once more",
    http: forgetful(refuse),
    expect: {
      also: async ({ views: [view] }) => {
        for (let i = 0; i < 3; i++) {
          assert.equal(wordsOf(await view!.call(`forgets-${name}`, "echo")), "ok");
        }
      },
    },
  })),
  {
    name: "no-session",
    from: "stateless servers: the header is optional",
    does: "gives no session id",
    sees: LIKE_ANY,
    http: () => ({
      take: ({ method, body }, response, plain) => {
        if (method !== "POST" || body.method !== "initialize") return false;
        json(response, 200, JSON.parse(plain(body)!));
        return true;
      },
    }),
  },
  {
    name: "every-answer-a-session",
    from: "serverless hosts that make an id for each request",
    does: "names another session id in every answer",
    sees: LIKE_ANY,
    http: () => {
      let count = 0;
      return {
        take: ({ method, body }, response, plain) => {
          const answer = method === "POST" ? plain(body) : undefined;
          if (answer === undefined) return false;
          json(response, 200, JSON.parse(answer), { "mcp-session-id": `s-${++count}` });
          return true;
        },
      };
    },
  },
];

const GET_STREAMS: readonly ServerRow[] = [
  ...([
    ["get-500", "500", "frameworks whose handler of GET throws", text(500, "Error")],
    ["get-502", "502", "proxies that know no event streams", text(502, HTML, "text/html")],
    ["get-404", "404", "routers with one route, for POST", text(404, "Cannot GET /mcp")],
    [
      "get-page",
      "a web page",
      "single page applications answer every GET",
      text(200, HTML, "text/html"),
    ],
    ["get-nothing", "204", "handlers that return nothing", text(204, "")],
  ] as const).map(([name, words, from, answer]): ServerRow => ({
    name,
    from,
    does: `answers GET with ${words}`,
    sees: "it goes on without a stream",
    http: () => onGet(answer),
    expect: { also: (lab) => assert.equal(lab.statusOf(name).restarts, 0) },
  })),
  {
    name: "get-ends",
    from: "serverless hosts and proxies end what is silent, with retry: 0 besides",
    does: "ends the stream of GET as soon as it is open, and asks for it at once again",
    sees: "calls go on, and the stream is asked for with pauses",
    http: () =>
      onGet((response) => {
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.end("retry: 0\ndata: \n\n");
      }),
    expect: {
      also: (lab) => {
        assert.equal(lab.statusOf("get-ends").restarts, 0);
        const asked = lab.asked("get-ends", "GET");
        assert.ok(asked < 50, `asked ${asked} times`);
      },
    },
  },
  {
    name: "get-resets",
    from: "load balancers that reset idle connections",
    does: "cuts the connection of GET",
    sees: "calls go on",
    http: () => onGet(cut),
    expect: { also: (lab) => assert.equal(lab.statusOf("get-resets").restarts, 0) },
  },
];

const PROBES: readonly ServerRow[] = [
  ...([
    ["probe-401", "401", "gateways that know a list of methods", text(401, "")],
    ["probe-403", "403", "firewalls that know a list of methods", text(403, "Forbidden")],
    ["probe-429", "429", "rate limits that count unknown methods twice", text(429, "")],
    ["probe-500", "500", "servers that crash in an unknown method", text(500, "KeyError")],
    ["probe-page", "a web page", "sign-in pages with status 200", text(200, HTML, "text/html")],
    [
      "probe-cut",
      "a cut connection",
      "servers that crash and are restarted",
      cut,
    ],
  ] as const).map(([name, words, from, answer]): ServerRow => ({
    name,
    from,
    does: `answers the probe for newer versions with ${words}`,
    sees: "it is greeted the old way",
    http: () => onProbe(answer),
    expect: { also: (lab) => assert.equal(lab.statusOf(name).era, "legacy") },
  })),
  {
    name: "wants-2025-06-18",
    from: "servers that refuse versions they do not know instead of naming theirs",
    does: "refuses initialize with -32602 and a list of versions",
    sees: "it is offered one of those",
    http: () =>
      versions((response, id) => {
        const data = { supported: ["2025-06-18"], requested: "2025-11-25" };
        const error = { code: -32602, message: "Unsupported protocol version", data };
        json(response, 200, { jsonrpc: "2.0", id, error });
      }, "2025-06-18"),
    expect: {
      also: (lab) => assert.equal(lab.statusOf("wants-2025-06-18").protocolVersion, "2025-06-18"),
    },
  },
  {
    name: "wants-2024-11-05",
    from: "servers of the first SDKs that check the version themselves",
    does: "refuses initialize with 400 and words about the version",
    sees: "it is offered older ones",
    http: () => versions(text(400, "Unsupported protocol version"), "2024-11-05"),
    expect: {
      also: (lab) => assert.equal(lab.statusOf("wants-2024-11-05").protocolVersion, "2024-11-05"),
    },
  },
];

function versions(
  refuse: (response: ServerResponse, id: unknown) => void,
  wanted: string,
): OddHttp {
  return {
    take: ({ body }, response) => {
      if (body?.method !== "initialize") return false;
      const result = usual("initialize", { protocolVersion: wanted });
      if (body.params.protocolVersion !== wanted) refuse(response, body.id);
      else json(response, 200, { jsonrpc: "2.0", id: body.id, result });
      return true;
    },
  };
}

/** Servers of 2024-11-05: a stream, and messages beside it. */
const HTTP_SSE: readonly ServerRow[] = [
  ...([
    ["sse-relative", "with a path", (row: string) => `/${row}/messages?s=1`],
    ["sse-own-path", "without the path of the proxy before it", () => "/messages?s=1"],
    ["sse-beside", "relative to its stream", () => "messages?s=1"],
  ] as const).map(([name, words, endpoint]): ServerRow => ({
    name,
    from: "servers of the first SDKs, by themselves and behind proxies",
    does: `speaks HTTP+SSE, and names its endpoint ${words}`,
    sees: LIKE_ANY,
    http: () => oldServer(() => `event: endpoint\ndata: ${endpoint(name)}\n\n`),
    expect: { also: (lab) => assert.equal(lab.statusOf(name).transport, "sse") },
  })),
  {
    name: "sse-words-first",
    from: "proxies and frameworks that open a stream with comments and pings",
    does: "speaks HTTP+SSE, and says other things before it names its endpoint",
    sees: LIKE_ANY,
    http: () =>
      oldServer(() =>
        ": ok\r\n\r\nevent: ping\r\ndata: 1\r\n\r\nevent:endpoint\r\ndata:messages\r\n\r\n"
      ),
  },
  {
    name: "sse-elsewhere",
    from: "servers that think of themselves by the name of their container",
    does: "speaks HTTP+SSE, and names an endpoint on another host",
    sees: "it is refused, and the status says what it named",
    http: () => oldServer(() => "event: endpoint\ndata: http://app:8000/messages\n\n"),
    expect: { error: /named an endpoint of another origin, http:\/\/app:8000/ },
  },
];

function oldServer(first: () => string): OddHttp {
  let stream: ServerResponse | undefined;
  return {
    path: "/sse",
    take: ({ method, url, body }, response, plain: Plain) => {
      if (method === "GET") {
        stream = response;
        sse(response);
        response.write(first());
      } else if (method === "POST" && url.startsWith("/messages")) {
        response.writeHead(202).end("Accepted");
        const answer = plain(body);
        if (answer !== undefined) stream!.write(`event: message\ndata: ${answer}\n\n`);
      } else response.writeHead(405).end();
      return true;
    },
  };
}

/** HTTP servers that are odd in what they do. */
export const HTTP_SERVERS: readonly ServerRow[] = [
  ...SESSIONS,
  ...GET_STREAMS,
  ...PROBES,
  ...HTTP_SSE,
];
