/** What hostile clients and broken servers write, as fast-check arbitraries. */

import fc from "fast-check";
import { MODERN_VERSION } from "../support/clients/modern.ts";
import type { HttpInput, Part } from "./input.ts";

/** Words that mean something to a JavaScript object or to the protocol. */
const word = fc.constantFrom(
  ...["__proto__", "constructor", "toString", "hasOwnProperty", "valueOf", "then", "length"],
  ...["", " ", "\u0000", "\ud800", "\udc00x", "\ufeff", "\u2028", "é", "a\nb", "$SESSION", "null"],
  ...["id", "method", "params", "_meta", "progressToken", "name", "uri", "cursor", "requestId"],
  ...[
    "local_echo",
    "modern_echo",
    "echo",
    "l-greet",
    "shared://x",
    "local+shared://x",
    "fake://l/one",
  ],
);

const known = fc.constantFrom(
  ...["initialize", "ping", "server/discover", "subscriptions/listen", "tools/list", "tools/call"],
  ...["resources/list", "resources/templates/list", "resources/read", "resources/subscribe"],
  ...["resources/unsubscribe", "prompts/list", "prompts/get", "completion/complete"],
  ...["logging/setLevel", "tasks/get", "tasks/list", "tasks/cancel", "tasks/result"],
  ...["notifications/initialized", "notifications/cancelled", "notifications/progress"],
  ...["notifications/roots/list_changed", "sampling/createMessage", "elicitation/create"],
);

/** JSON text no serialiser writes: huge numbers, repeated keys, odd spaces and escapes. */
export const jsonText = fc.letrec<{ value: string; object: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, depthSize: "small" },
    fc.constantFrom("null", "true", "0", "-0", "1.0", "1e400", "-1e-400", "12345678901234567890"),
    fc.constantFrom('"2.0"', '"\\ud800"', '"\\u0000"', '"\\/"', "9007199254740993", "{}", "[]"),
    word.map((text) => JSON.stringify(text)),
    known.map((text) => JSON.stringify(text)),
    fc.array(tie("value"), { maxLength: 4 }).map((items) => `[${items.join(" ,")}]`),
    tie("object"),
  ),
  object: fc.array(fc.tuple(word, tie("value")), { maxLength: 5 }).map((members) =>
    `{${members.map(([key, value]) => `${JSON.stringify(key)}: ${value}`).join(",")}}`
  ),
})).value;

const idText = fc.oneof(
  fc.constantFrom("1", '"1"', '"a"', "0", "-1", "1.5", '""', "12345678901234567890", "1e400"),
  fc.constantFrom("null", "[1]", "{}", "true", '"\\ud800"', `"${"x".repeat(5_000)}"`),
  jsonText,
);

const version = fc.constantFrom(MODERN_VERSION, "2025-11-25", "2026-07-29", "", "__proto__");

const metaText = fc.oneof(
  fc.constant(undefined),
  fc.tuple(version, jsonText, jsonText).map(([version, odd, token]) =>
    `{"io.modelcontextprotocol/protocolVersion":${JSON.stringify(version)},` +
    `"io.modelcontextprotocol/clientCapabilities":{},"x":${odd},"progressToken":${token}}`
  ),
  fc.tuple(jsonText, jsonText, jsonText).map(([version, capabilities, info]) =>
    `{"io.modelcontextprotocol/protocolVersion":${version},` +
    `"io.modelcontextprotocol/clientCapabilities":${capabilities},` +
    `"io.modelcontextprotocol/clientInfo":${info}}`
  ),
  jsonText,
);

const member = fc.constantFrom(
  ...["name", "uri", "arguments", "cursor", "ref", "requestId", "level", "notifications"],
  ...["protocolVersion", "capabilities", "requestState", "inputResponses", "task", "taskId"],
);

const paramsText = fc.oneof(
  { weight: 1, arbitrary: jsonText },
  {
    weight: 4,
    arbitrary: fc.tuple(
      fc.array(fc.tuple(member, fc.oneof(jsonText, word.map((text) => JSON.stringify(text))))),
      metaText,
    ).map(([members, meta]) => {
      const all = members.map(([key, value]) => `"${key}":${value}`);
      return `{${[...all, ...(meta === undefined ? [] : [`"_meta":${meta}`])].join(",")}}`;
    }),
  },
);

/** A request, notification or response in which anything may be odd. */
export const rpcText = fc.tuple(
  fc.constantFrom('"2.0"', '"2.0"', '"2.0"', '"2.0"', '"1.0"', "2", "null"),
  fc.option(idText, { nil: undefined }),
  fc.option(fc.oneof(known, known, word), { nil: undefined }),
  fc.option(paramsText, { nil: undefined }),
  fc.option(jsonText, { nil: undefined, freq: 4 }),
  fc.constantFrom("result", "error", "method", "id", "extra"),
).map(([jsonrpc, id, method, params, odd, oddKey]) => {
  const members = [
    `"jsonrpc":${jsonrpc}`,
    ...(id === undefined ? [] : [`"id":${id}`]),
    ...(method === undefined ? [] : [`"method":${JSON.stringify(method)}`]),
    ...(params === undefined ? [] : [`"params":${params}`]),
    ...(odd === undefined ? [] : [`"${oddKey}":${odd}`]),
  ];
  return `{${members.join(",")}}`;
});

/** A message with a few characters cut out, put in or said twice. */
export const brokenText = fc.tuple(
  rpcText,
  fc.array(fc.tuple(fc.nat(), fc.constantFrom("cut", "insert", "twice"), fc.nat(8)), {
    minLength: 1,
    maxLength: 3,
  }),
  fc.constantFrom('"', "{", "}", "[", "]", ",", "\\", "\n", "\r", "\u0000", "\ufeff", "\ud800"),
).map(([text, edits, char]) =>
  edits.reduce((all, [at, how, length]) => {
    const start = at % (all.length + 1);
    const end = start + length;
    if (how === "cut") return all.slice(0, start) + all.slice(end);
    if (how === "insert") return all.slice(0, start) + char + all.slice(start);
    return all.slice(0, end) + all.slice(start);
  }, text)
);

const bytes = fc.uint8Array({ maxLength: 200 }).map((all): Part => ({
  base64: Buffer.from(all).toString("base64"),
}));

const body: fc.Arbitrary<readonly Part[]> = fc.oneof(
  { weight: 6, arbitrary: rpcText.map((text) => [text]) },
  { weight: 2, arbitrary: brokenText.map((text) => [text]) },
  { weight: 2, arbitrary: fc.array(rpcText, { maxLength: 4 }).map((all) => [`[${all.join()}]`]) },
  { weight: 1, arbitrary: jsonText.map((text) => [text]) },
  { weight: 1, arbitrary: bytes.map((part) => [part]) },
  {
    weight: 1,
    arbitrary: fc.tuple(rpcText, bytes).map(([text, part]) => [text.slice(0, 20), part]),
  },
);

/** Mostly the value a client should send, else one of the odd ones, else nothing. */
function header(
  name: string,
  right: string | undefined,
  ...odd: readonly string[]
): fc.Arbitrary<readonly (readonly [string, string])[]> {
  const entry = (value: string | undefined) => value === undefined ? [] : [[name, value] as const];
  return fc.oneof(
    { weight: 30, arbitrary: fc.constant(entry(right)) },
    { weight: 1, arbitrary: fc.constantFrom<string | undefined>(undefined, ...odd).map(entry) },
  );
}

const headers = fc.tuple(
  header("content-type", "application/json", "text/plain", "APPLICATION/JSON;charset=utf-16", ";"),
  header("accept", "application/json, text/event-stream", "*/*", "text/html", ",,;q=", ""),
  fc.constantFrom("$SESSION", "$SSE", "", "__proto__", "none").chain((odd) =>
    header("mcp-session-id", "$SESSION", odd)
  ),
  header("mcp-protocol-version", undefined, "2025-11-25", MODERN_VERSION, "__proto__", "1"),
  header("mcp-method", undefined, "tools/list", "tools/call", "toString", "=?base64?%%?="),
  header("mcp-name", undefined, "local_echo", "=?base64?/w==?=", "=?base64??="),
  header("content-length", undefined, "0", "-1", "abc", "99999999999"),
  header("last-event-id", undefined, "1", "__proto__", "\u00e9"),
  header("origin", undefined, "http://127.0.0.1:12009", "null", "http://evil.example", "::"),
  header("host", undefined, "evil.example", "", "[::1]", "localhost:99999"),
).map((all) => Object.fromEntries(all.flat()));

const path = fc.oneof(
  { weight: 5, arbitrary: fc.constant("/mcp") },
  { weight: 3, arbitrary: fc.constantFrom("/servers/local/mcp", "/servers/modern/mcp") },
  { weight: 2, arbitrary: fc.constant("/messages?sessionId=$SSE") },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      ...["/", "/sse", "/messages", "/messages?sessionId=$SESSION", "/servers/__proto__/mcp"],
      ...["/servers/%E0%A4%A/mcp", "/servers//mcp", "/servers/local%2Fmcp", "/mcp/", "/mcp?x=%zz"],
      ...["/api/status", "/health", "/livez", "/.well-known/oauth-protected-resource", "/%00"],
    ),
  },
);

const httpMethod = fc.oneof(
  { weight: 12, arbitrary: fc.constant("POST") },
  { weight: 1, arbitrary: fc.constantFrom("GET", "DELETE", "PUT", "OPTIONS", "HEAD", "PATCH") },
);

/** Any request to the front. */
export const httpInput: fc.Arbitrary<HttpInput> = fc.record({
  method: httpMethod,
  path,
  headers,
  body,
});

/** A well-formed request of either era with odd contents, and headers that fit to it. */
export const fittingInput: fc.Arbitrary<HttpInput> = fc.tuple(
  fc.constantFrom("legacy", "modern"),
  fc.oneof(known, known, word),
  fc.constantFrom("/mcp", "/servers/local/mcp", "/servers/modern/mcp"),
  fc.oneof(word, fc.constantFrom("local_echo", "modern_echo", "echo")),
  idText,
  jsonText,
  fc.array(fc.tuple(member, jsonText), { maxLength: 3 }),
).map(([era, method, path, name, id, odd, members]) => {
  const modern = era === "modern";
  const envelope = `"io.modelcontextprotocol/protocolVersion":"${MODERN_VERSION}",` +
    '"io.modelcontextprotocol/clientCapabilities":{},';
  const text = JSON.stringify(name);
  const more = members.map(([key, value]) => `"${key}":${value},`).join("");
  const params = `{${more}"name":${text},"uri":${text},"_meta":{${
    modern ? envelope : ""
  }"odd":${odd}}}`;
  const encode = (text: string) => `=?base64?${Buffer.from(text, "utf8").toString("base64")}?=`;
  const headers = modern
    ? {
      "mcp-protocol-version": MODERN_VERSION,
      "mcp-method": encode(method),
      "mcp-name": encode(name),
    }
    : { "mcp-session-id": "$SESSION" };
  return {
    method: "POST",
    path: modern ? path : "/mcp",
    headers: {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      ...headers,
    },
    body: [`{"jsonrpc":"2.0","id":${id},"method":${JSON.stringify(method)},"params":${params}}`],
  };
});
