/**
 * A gateway as its page sees it, with made-up data that is the same each time: for screenshots, and
 * for what no real gateway shows within seconds.
 */

import { dashboardFile } from "../../../src/front/dashboard/dashboard.ts";
import { pagesOf } from "./sample-pages.ts";
import type { ObservedCall } from "../../../src/observe/call.ts";

/** When all of it is. */
export const NOW = Date.UTC(2026, 10, 30, 14, 22, 51);

const MINUTE = 60_000;

let seed = 7;
const random = () => (seed = seed * 16_807 % 2_147_483_647) / 2_147_483_647;
const wave = (count: number, base: number, swing: number) =>
  Array.from(
    { length: count },
    (_, at) => Math.max(0, Math.round(base + swing * (Math.sin(at / 3) + random() - 0.5))),
  );

/** Name, state, level, transport, era, tools, tokens, calls, failed, p50, p95. */
const SERVERS = [
  ["github", "ready", "ok", "http", "modern", 42, 9_120, 412, 1, 180, 640],
  ["filesystem", "ready", "ok", "stdio", "legacy", 14, 2_210, 338, 0, 3, 11],
  ["postgres", "ready", "ok", "stdio", "legacy", 9, 1_480, 251, 2, 22, 96],
  ["memory", "ready", "ok", "stdio", "legacy", 9, 972, 96, 0, 2, 6],
  ["fetch", "ready", "warn", "http", "legacy", 4, 610, 61, 2, 1_240, 4_180],
  ["linear", "ready", "ok", "http", "modern", 31, 6_840, 44, 0, 210, 590],
  ["browser", "idle", "off", "stdio", undefined, 29, 4_310, 0, 0, undefined, undefined],
  ["search", "backoff", "bad", "http", undefined, 8, 1_120, 22, 22, undefined, undefined],
] as const;

const servers = SERVERS.map((
  [name, state, level, transport, era, tools, tokens, ...numbers],
  index,
) => ({
  name,
  state,
  level,
  transport,
  era,
  tools,
  tokens,
  calls: numbers[0],
  failed: numbers[1],
  p50: numbers[2],
  p95: numbers[3],
  spark: wave(20, numbers[0], numbers[0] / 4),
  since: NOW - (index + 1) * 26 * 60 * MINUTE,
}));

const ATTENTION = [
  {
    kind: "server",
    level: "bad",
    subject: "search",
    title: "search is down",
    text: "Connection refused, attempt 9.",
    act: { label: "Retry", post: "/api/servers/search/restart" },
  },
  {
    kind: "slow",
    level: "warn",
    subject: "fetch",
    title: "fetch is slow",
    text: "p95 4.2 s, was 900 ms last week.",
    act: { label: "Calls", href: "#/calls?filter=server:fetch" },
  },
  {
    kind: "login",
    level: "warn",
    subject: "linear",
    title: "linear wants a login",
    text: "Its token ends in two days.",
    act: { label: "Copy", command: "mcproxy login linear" },
  },
  {
    kind: "alert",
    level: "bad",
    subject: "down search",
    title: "search: down for 4 minutes",
    text: "Told by ntfy at 14:19.",
    act: { label: "Alerts", href: "#/alerts" },
  },
];

const SENTENCE = "Seven of eight servers answer. search has been refused for 4 minutes.";

/** Name, client, ms, outcome, ms in the queue. */
const CALLS = [
  ["github_search_code", "claude-code 2.1", 212, "ok"],
  ["filesystem_read_text_file", "claude-code 2.1", 4, "ok"],
  ["postgres_query", "letta 0.14", 31, "ok"],
  ["search_web_search", "cursor 3.2", 2, "unavailable"],
  ["fetch_fetch", "claude-code 2.1", 3_920, "ok"],
  ["memory_search_nodes", "letta 0.14", 3, "ok"],
  ["postgres_query", "letta 0.14", 1_180, "tool_error", 402],
  ["github_get_issue", "claude-code 2.1", 188, "ok"],
  ["linear_list_issues", "claude-code 2.1", 241, "ok"],
  ["filesystem_edit_file", "claude-code 2.1", 12, "refused"],
] as const;

/** The call number `index`, from the newest. */
export function sampleCall(index: number): ObservedCall {
  const [name, client, ms, outcome, queueMs = 0] = CALLS[index % CALLS.length]!;
  const gatewayMs = Math.min(ms, 0.4);
  return {
    id: `c${index}`,
    at: NOW - index * 1_900,
    method: "tools/call",
    server: name.split("_")[0]!,
    name,
    ownName: name.slice(name.indexOf("_") + 1),
    client,
    endpoint: "/mcp",
    outcome,
    ms,
    queueMs,
    serverMs: ms - queueMs - gatewayMs,
    gatewayMs,
    bytesIn: 90 + index * 37 % 300,
    bytesOut: 600 + index * 211 % 8_000,
    cached: index % CALLS.length === 7,
    attempts: 1,
    traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
    session: "s1",
  };
}

const BODY = {
  request: JSON.stringify({
    name: "postgres_query",
    arguments: { sql: "select * from trips where day > $1", limit: 5_000, password: "[redacted]" },
  }),
  result: JSON.stringify({
    content: [{ type: "text", text: "statement timeout after 750 ms (57014)" }],
    isError: true,
  }),
  cut: false,
  redacted: true,
};

/** What a test changes of it. */
export interface Sample {
  /** How many calls there are. */
  calls: number;
  /** What each is, beyond the sample. */
  call(index: number): ObservedCall;
  /** Answers before anything else; undefined where the sample does. */
  before(request: Request, path: string): Response | undefined;
  /** What open streams are told. */
  readonly streams: Set<(event: string, data: unknown) => void>;
}

/** A sample as it is where nothing is changed. */
export function newSample(): Sample {
  return { calls: 400, call: sampleCall, before: () => undefined, streams: new Set() };
}

function json(value: unknown, status = 200): Response {
  return Response.json(value, { status, headers: { "cache-control": "no-store" } });
}

/** Answers as the gateway would. */
export function answer(sample: Sample, request: Request): Response {
  const url = new URL(request.url);
  const path = url.pathname;
  const told = sample.before(request, path);
  if (told !== undefined) return told;
  if (path === "/") return dashboardFile(request)!;
  if (path.startsWith("/ui/")) {
    return dashboardFile(request, path.slice(4)) ?? json({ error: "not_found" }, 404);
  }
  if (path === "/api/events") return events(sample);
  const [, , kind, name] = path.split("/");
  const find = ANSWERS[kind ?? ""];
  return find === undefined ? json({ error: "not_found", message: path }, 404) : json(
    find({
      sample,
      name: name === undefined ? undefined : decodeURIComponent(name),
      query: url.searchParams,
    }),
  );
}

interface Asked {
  readonly sample: Sample;
  readonly name: string | undefined;
  readonly query: URLSearchParams;
}

const ANSWERS: Readonly<Record<string, (asked: Asked) => unknown>> = {
  "": () => ({}),
  status: () => ({
    version: "0.2.0",
    uptimeSeconds: 1_051_200,
    clients: { sessions: 6, requestsInFlight: 1 },
    lists: { tools: 146, prompts: 3, resources: 12, templates: 0 },
    sentence: SENTENCE,
    attention: ATTENTION,
    servers,
  }),
  overview: ({ query }) => {
    seed = 7;
    const calls = wave(60, 21, 7);
    return {
      range: query.get("range"),
      from: NOW - 60 * MINUTE,
      to: NOW,
      step: MINUTE,
      sentence: SENTENCE,
      attention: ATTENTION,
      calls: 1_224,
      failed: 27,
      before: { calls: 1_133, failed: 8 },
      p50: 31,
      p95: 412,
      gatewayMs: 0.3,
      tokens: 1_120,
      spared: 25_542,
      traffic: calls.map((calls, at) => ({
        at: NOW - (60 - at) * MINUTE,
        calls,
        failed: at > 40 && at < 49 ? Math.round(calls / 6) : 0,
        p95: 190 + 46 * Math.sin(at / 4) + (at > 40 && at < 49 ? 330 : 0),
      })),
      servers,
    };
  },
  servers: ({ name }) => ({
    ...servers.find((one) => one.name === name),
    reason: name === "search" ? "network" : undefined,
    health: name === "search" ? "unknown" : "ok",
    protocolVersion: "2025-11-25",
    pid: 25_359,
    since: new Date(NOW - 26 * 60 * MINUTE).toISOString(),
    restarts: 2,
    inFlight: 1,
    queued: 0,
    counts: { tools: 14, prompts: 0, resources: 0, templates: 0 },
    serverInfo: { name: "filesystem-server", version: "0.6.3" },
    problems: [],
    states: [
      { at: NOW - 20 * 60 * MINUTE, state: "connecting" },
      { at: NOW - 1_190 * MINUTE, state: "ready" },
      { at: NOW - 300 * MINUTE, state: "backoff" },
      { at: NOW - 260 * MINUTE, state: "ready" },
    ],
    stderr: [{ at: NOW - 1_100 * MINUTE, line: "Secure MCP Filesystem Server running on stdio" }],
  }),
  calls: ({ sample, name, query }) => {
    if (name !== undefined) {
      const index = Number(name.slice(1));
      return { ...sample.call(index), inner: [], ...index % CALLS.length === 6 && { body: BODY } };
    }
    const limit = Number(query.get("limit") ?? 200);
    const words = (query.get("filter") ?? "").toLowerCase();
    const from = Number(query.get("before") ?? 0);
    const first = from > 1e9 ? Math.max(0, Math.ceil((NOW - from) / 1_900)) : from;
    const items = [];
    let index = first;
    for (; index < sample.calls && items.length < limit; index++) {
      const call = sample.call(index);
      const server = /server:(\S+)/.exec(words)?.[1];
      if (server === undefined || call.server === server) items.push(call);
    }
    return { items, next: index < sample.calls ? String(index) : null };
  },
  log: () => ({
    items: [
      ["info", "mcproxy.calls", "tools/call search_web_search: unavailable", {
        client: "cursor 3.2",
      }],
      ["warning", "mcproxy.upstream", 'Server "search" could not be reached: network error', {}],
      ["info", "mcproxy", "Listening on http://127.0.0.1:12009", { pid: 4_711 }],
    ].map(([level, category, message, fields], id) => ({
      id,
      at: NOW - id * 40_000,
      level,
      category,
      message,
      fields,
    })),
    next: null,
  }),
  ...Object.fromEntries(
    Object.entries(pagesOf(NOW)).map(([kind, told]) => [kind, ({ name }: Asked) => told(name)]),
  ),
  record: () => ({ until: NOW + 10 * MINUTE }),
};

function events(sample: Sample): Response {
  const encoder = new TextEncoder();
  let tell: (event: string, data: unknown) => void;
  const body = new ReadableStream({
    start(controller) {
      tell = (event, data) =>
        controller.enqueue(encoder.encode(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`));
      sample.streams.add(tell);
      controller.enqueue(encoder.encode(": here\n\n"));
    },
    cancel: () => void sample.streams.delete(tell),
  });
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
}
