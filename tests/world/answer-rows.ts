import assert from "node:assert/strict";
import { json } from "../upstream/fakes/http-server.ts";
import { wordsOf } from "./lab.ts";
import type { Json, OddHttp, ServerRow } from "./rows.ts";
import { HTML, LIKE_ANY, text } from "./servers.ts";

/** Answers what the plain server would, as events written by hand. */
const asEvents = (write: (answer: string, message: Json) => string): OddHttp => ({
  take: ({ method, body }, response, plain) => {
    const answer = method === "POST" ? plain(body) : undefined;
    if (answer === undefined) return false;
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.end(write(answer, body));
    return true;
  },
});

const EVENTS: readonly ServerRow[] = [
  {
    name: "events-crlf",
    from: "Windows servers and proxies: events may end in CR LF",
    does: "ends the lines of its events with CR LF, and has comments between",
    sees: LIKE_ANY,
    http: () => asEvents((answer) => `: hello\r\n\r\nevent: message\r\ndata: ${answer}\r\n\r\n`),
  },
  {
    name: "events-cr",
    from: "the HTML standard allows CR alone",
    does: "ends the lines of its events with CR",
    sees: LIKE_ANY,
    http: () => asEvents((answer) => `data: ${answer}\r\r`),
  },
  {
    name: "events-tight",
    from: "hand-written writers leave out the space after the colon",
    does: "writes data: without a space, and a byte order mark first",
    sees: LIKE_ANY,
    http: () => asEvents((answer) => `\ufeffdata:${answer}\n\n`),
  },
  {
    name: "events-many-lines",
    from: "indented JSON becomes several data lines",
    does: "cuts its messages into several data lines",
    sees: LIKE_ANY,
    http: () =>
      asEvents((answer) => {
        const lines = JSON.stringify(JSON.parse(answer), undefined, 1).split("\n");
        return `${lines.map((line) => `data: ${line}\n`).join("")}\n`;
      }),
  },
  {
    name: "events-others",
    from: "servers that send pings and their own events, ids and retry times",
    does: "sends events that are no messages before the answer",
    sees: LIKE_ANY,
    http: () =>
      asEvents((answer) =>
        `retry: 1\n\nid: 1\ndata:\n\nevent: ping\ndata: {}\n\nevent: heartbeat\ndata: now\n\n` +
        `id: 3\ndata: ${answer}\n\n`
      ),
  },
  {
    name: "events-junk",
    from: "keep-alives written as data, and the end mark of the APIs of language models",
    does: "sends messages that are no JSON, or no JSON-RPC, around the answer",
    sees: LIKE_ANY,
    http: () =>
      asEvents((answer) =>
        [
          "ping",
          "",
          '{"type":"keepalive"}',
          '{"id":"e-1","type":"ping"}',
          "{}",
          "[]",
          answer,
          "[DONE]",
        ]
          .map((data) => `data: ${data}\n\n`).join("")
      ),
  },
  {
    name: "events-nothing-else",
    from: "an error page or a word, written as the only event of an answer",
    does: "answers calls with an event that is no JSON, and with none beside it",
    sees: "the call fails at once, with the reason",
    http: () =>
      asEvents((answer, { method }) => `data: ${method === "tools/call" ? "Oops" : answer}\n\n`),
    expect: {
      call: /^Server "events-nothing-else" gave no valid answer to "tools\/call": no JSON$/,
    },
  },
  {
    name: "events-broken",
    from: "json.dumps of NaN; an answer that is cut off",
    does: "answers calls with an event that has their id and is no JSON, and keeps the stream open",
    sees: "the call fails at once, with the reason",
    http: () => ({
      take: ({ method, body }, response) => {
        if (method !== "POST" || body.method !== "tools/call") return false;
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.write(`data: {"jsonrpc":"2.0","id":${body.id},"result":{"x":NaN}}\n\n`);
        return true;
      },
    }),
    expect: { call: /^Server "events-broken" gave no valid answer to "tools\/call": no JSON$/ },
  },
  {
    name: "events-for-all",
    from: "servers that answer every request as a stream of HTTP, in capital letters",
    does: "writes the content type in capitals and with a charset",
    sees: LIKE_ANY,
    http: () => ({
      take: ({ method, body }, response, plain) => {
        const answer = method === "POST" ? plain(body) : undefined;
        if (answer === undefined) return false;
        response.writeHead(200, { "content-type": "Text/Event-Stream;Charset=UTF-8" });
        response.end(`data: ${answer}\n\n`);
        return true;
      },
    }),
  },
];

const ANSWERS: readonly ServerRow[] = [
  {
    name: "json-capitals",
    from: "IIS, and frameworks that add a charset to application/json",
    does: "names its content type Application/JSON; Charset=utf-8",
    sees: LIKE_ANY,
    http: () => answersWith("Application/JSON; Charset=utf-8"),
  },
  {
    name: "notified",
    from: "frameworks answer every POST with 200 and a body",
    does: "answers notifications with 200 and JSON",
    sees: LIKE_ANY,
    http: () => ({
      take: ({ method, body }, response) => {
        if (method !== "POST" || body.id !== undefined) return false;
        json(response, 200, { ok: true });
        return true;
      },
    }),
  },
  {
    name: "a-page",
    from: "the URL of the product page instead of that of its server",
    does: "is a web site",
    sees: "it is refused, and the status says what it answers",
    http: () => ({ take: (_seen, response) => (text(200, HTML, "text/html")(response), true) }),
    expect: { error: /answered "initialize" as text\/html; expected application\/json/ },
  },
  {
    name: "unauthorized",
    from: "a token that has run out",
    does: "answers everything with 401",
    sees: "it is refused, and the status says what to look at",
    http: () => ({ take: (_seen, response) => (text(401, "")(response), true) }),
    expect: { error: /with HTTP 401/ },
  },
  {
    name: "cuts-calls",
    from: "workers that are killed for their memory in the middle of a request",
    does: "cuts the connection of one call",
    sees: "that call fails, and no other; the session goes on",
    http: () => ({
      take: ({ body }, response) => {
        if (body?.params?.arguments?.cut !== true) return false;
        response.destroy();
        return true;
      },
    }),
    expect: {
      also: async (lab) => {
        const [view] = lab.views;
        const [cut, whole] = await Promise.all([
          view!.call("cuts-calls", "echo", { cut: true }),
          view!.call("cuts-calls", "echo"),
        ]);
        assert.match(wordsOf(cut), /connection closed/);
        assert.equal(wordsOf(whole), "ok");
        assert.equal(lab.asked("cuts-calls", "initialize"), 1);
      },
    },
  },
  {
    name: "moved",
    from: "frameworks that redirect /mcp to /mcp/, and http to https hosts",
    does: "redirects to another path of its own with 307",
    sees: "it is followed",
    http: () => ({
      take: ({ url }, response) => {
        if (url !== "/mcp") return false;
        response.writeHead(307, { location: "mcp/" }).end();
        return true;
      },
    }),
  },
  {
    name: "moved-away",
    from: "servers that have moved to another host",
    does: "redirects to another origin",
    sees: "the secrets in its headers go nowhere, and the status says what to do",
    http: () => ({
      take: (_seen, response) => {
        response.writeHead(308, { location: "http://127.0.0.1:1/mcp" }).end();
        return true;
      },
    }),
    expect: { error: /to another origin, http:\/\/127\.0\.0\.1:1; put that into "url"/ },
  },
  {
    name: "moved-in-circles",
    from: "two rules of a proxy that undo each other",
    does: "redirects to itself for ever",
    sees: "it is given up",
    http: () => ({
      take: ({ url }, response) => {
        response.writeHead(302, { location: `/moved-in-circles${url}` }).end();
        return true;
      },
    }),
    expect: { error: /with HTTP 302/ },
  },
];

function answersWith(type: string): OddHttp {
  return {
    take: ({ method, body }, response, plain) => {
      const answer = method === "POST" ? plain(body) : undefined;
      if (answer === undefined) return false;
      response.writeHead(200, { "content-type": type }).end(answer);
      return true;
    },
  };
}

/** A head, and bodies of the right length for it. */
const head = (more: string, status = "200 OK") => `HTTP/1.1 ${status}\r\n${more}\r\n\r\n`;
const JSON_TYPE = "Content-Type: application/json";
const ACCEPTED = head("Content-Length: 0", "202 Accepted");
const lengthOf = (text: string) => `Content-Length: ${new TextEncoder().encode(text).length}`;
const chunked = (texts: readonly string[], more = "") =>
  texts.map((text) =>
    `${new TextEncoder().encode(text).length.toString(16)}${more}\r\n${text}\r\n`
  );

/** What no library writes, and proxies do. */
const BYTES: readonly ServerRow[] = [
  {
    name: "tiny-chunks",
    from: "frameworks that flush after each write",
    does: "sends its body in chunks of a character, each in a packet",
    sees: LIKE_ANY,
    http: () => ({
      raw: (answer) =>
        answer === undefined ? [ACCEPTED] : [
          head(`${JSON_TYPE}\r\ntransfer-encoding: CHUNKED`),
          ...chunked([...answer]),
          "0\r\n\r\n",
        ],
    }),
  },
  {
    name: "odd-chunks",
    from: "HTTP/1.1 allows extensions, leading zeros and trailers in chunks",
    does: "has extensions, capital letters and leading zeros in its chunks, and a trailer",
    sees: LIKE_ANY,
    http: () => ({
      raw: (answer) => {
        if (answer === undefined) return [ACCEPTED];
        const size = `000${answer.length.toString(16).toUpperCase()}`;
        const body = `${size};name="value"\r\n${answer}\r\n0\r\nX-Checksum: 1\r\n\r\n`;
        return [head(`${JSON_TYPE}\r\nTransfer-Encoding: chunked\r\nTrailer: X-Checksum`) + body];
      },
    }),
  },
  {
    name: "to-the-end",
    from: "HTTP/1.0 servers and CGI: the body ends with the connection",
    does: "answers without a length, and closes the connection",
    sees: LIKE_ANY,
    http: () => ({
      raw: (answer = "") => [
        answer === ""
          ? head("Content-Length: 0\r\nConnection: close", "202 Accepted")
          : head(`${JSON_TYPE}\r\nConnection: close`) + answer,
        "",
      ],
    }),
  },
  {
    name: "hints-first",
    from: "proxies send 100 Continue and 103 Early Hints by themselves",
    does: "sends interim answers before the answer",
    sees: LIKE_ANY,
    http: () => ({
      raw: (answer) => [
        "HTTP/1.1 100 Continue\r\n\r\n",
        answer === undefined ? ACCEPTED : head(`${JSON_TYPE}\r\n${lengthOf(answer)}`) + answer,
      ],
    }),
  },
  {
    name: "loud-heads",
    from: "servers that write header names in capitals, and many of them",
    does: "has capitals, empty values and sixty headers in its heads",
    sees: LIKE_ANY,
    http: () => ({
      raw: (answer) => {
        const many = Array.from({ length: 60 }, (_, i) => `X-MANY-${i}: ${i % 2 ? "" : i}`);
        const more = many.join("\r\n");
        if (answer === undefined) return [head(`${more}\r\nCONTENT-LENGTH: 0`, "202 ACCEPTED")];
        return [head(`${more}\r\nCONTENT-TYPE:application/json\r\n${lengthOf(answer)}`) + answer];
      },
    }),
  },
];

/** HTTP servers that are odd in how they answer. */
export const ODD_ANSWERS: readonly ServerRow[] = [...EVENTS, ...ANSWERS, ...BYTES];
