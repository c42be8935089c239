import assert from "node:assert/strict";
import { test } from "node:test";
import { type LiveServer, liveServer, summaryText } from "../../src/cli/announce.ts";
import { renderServers, renderStart } from "../../src/cli/view/live.ts";
import { renderSnippets, snippets } from "../../src/cli/urls.ts";
import { COLORED, PLAIN } from "../../src/cli/view/table.ts";
import type { UpstreamStatus } from "../../src/upstream/status.ts";

const NONE = { tools: 0, prompts: 0, resources: 0, templates: 0 };
const WIDE = { columns: 100, rows: 50, style: PLAIN, frame: 0 };

function server(change: Partial<LiveServer>): LiveServer {
  return { name: "s", phase: "connecting", ms: 0, counts: NONE, error: undefined, ...change };
}

const STATUS: UpstreamStatus = {
  name: "x",
  state: "backoff",
  reason: "exited",
  retryAt: undefined,
  health: "unknown",
  healthDetail: undefined,
  transport: "stdio",
  era: undefined,
  protocolVersion: undefined,
  pid: undefined,
  since: new Date(1_000).toISOString(),
  startedInMs: undefined,
  restarts: 0,
  calls: 0,
  failedCalls: 0,
  inFlight: 0,
  queued: 0,
  connections: 0,
  interactive: false,
  lastError: 'Server "x" exited with code 1',
  lastErrorAt: undefined,
  problems: [],
  counts: NONE,
  serverInfo: {},
  instances: undefined,
};

const SERVERS: readonly LiveServer[] = [
  server({ name: "memory", phase: "ready", ms: 426, counts: { ...NONE, tools: 9, resources: 1 } }),
  server({ name: "slow", ms: 2_400 }),
  server({ name: "dead", phase: "failed", error: "could not be reached: connection refused" }),
  server({ name: "old", phase: "disabled" }),
];

test("renderServers() shows each state in its own line", () => {
  assert.deepEqual(renderServers(SERVERS, WIDE), [
    "  ✓ memory  ready in 426 ms  tools 9  resources 1",
    "  ⠋ slow    connecting 2 s",
    "  ✗ dead    failed: could not be reached: connection refused",
    "  - old     disabled",
  ]);
});

test("renderServers() says so when a server offers nothing", () => {
  const [line] = renderServers([server({ phase: "ready", ms: 5 })], WIDE);
  assert.equal(line, "  ✓ s  ready in 5 ms  offers nothing");
});

test("renderServers() turns the spinner with the frames", () => {
  const signs = [0, 1, 2, 10].map((frame) =>
    renderServers([server({})], { ...WIDE, frame })[0]?.[2]
  );
  assert.deepEqual(signs, ["⠋", "⠙", "⠹", "⠋"]);
});

test("renderServers() never fills a line of the terminal", () => {
  const long = server({ name: "n".repeat(60), phase: "failed", error: "e".repeat(300) });
  for (const columns of [20, 40, 80]) {
    for (const line of renderServers([long], { ...WIDE, columns })) {
      assert.ok(line.length < Math.max(columns, 36), `${line.length} of ${columns}`);
    }
  }
});

test("renderServers() lets no server write control characters", () => {
  const evil = server({ name: "a\x1b[2J\nb", phase: "failed", error: "x\x1b]0;title\x07\ny" });
  const lines = renderServers([evil], WIDE);
  // deno-lint-ignore no-control-regex
  assert.doesNotMatch(lines.join(""), /[\x00-\x1f\x7f]/);
  assert.equal(lines.length, 1);
});

test("renderServers() leaves out ready servers first where there is little room", () => {
  const many = [
    ...Array.from({ length: 10 }, (_, at) => server({ name: `r${at}`, phase: "ready" })),
    server({ name: "f", phase: "failed", error: "no" }),
    server({ name: "c" }),
  ];
  const lines = renderServers(many, { ...WIDE, rows: 4 });
  assert.equal(lines.length, 4);
  assert.match(lines[0]!, /r0/);
  assert.match(lines[1]!, / f /);
  assert.match(lines[2]!, / c /);
  assert.equal(lines[3], "  … and 9 more, 9 of them ready");
});

test("renderServers() colours only where asked", () => {
  const [plain] = renderServers(SERVERS, WIDE);
  const [colored] = renderServers(SERVERS, { ...WIDE, style: COLORED });
  assert.ok(!plain!.includes("\x1b"));
  // deno-lint-ignore no-control-regex
  assert.equal(colored!.replace(/\x1b\[\d+m/g, ""), plain);
  assert.ok(colored!.includes("\x1b[32m✓"));
});

test("liveServer() tells connecting from failed by whether the first attempt is over", () => {
  assert.deepEqual(liveServer(STATUS, false, 3_000), server({ name: "x", ms: 2_000 }));
  assert.deepEqual(
    liveServer(STATUS, true, 3_000),
    server({ name: "x", phase: "failed", ms: 2_000, error: "exited with code 1" }),
  );
  assert.deepEqual(
    liveServer({ ...STATUS, state: "ready", startedInMs: 7 }, true, 3_000),
    server({ name: "x", phase: "ready", ms: 7 }),
  );
});

test("a server at rest is told as idle, and one that wakes up as connecting", () => {
  const raw = { ...STATUS, state: "idle", lastError: undefined } as const;
  const idle = liveServer({ ...raw, counts: { ...NONE, tools: 2 } }, true, 3_000);
  assert.equal(idle.phase, "idle");
  assert.deepEqual(renderServers([idle], WIDE), ["  - x  idle  tools 2"]);
  assert.equal(summaryText([idle]), "0 of 1 servers ready, 2 tools, 1 idle");
  assert.equal(liveServer({ ...raw, state: "connecting" }, true, 3_000).phase, "connecting");
  assert.equal(liveServer({ ...STATUS, state: "connecting" }, true, 3_000).phase, "failed");
});

test("renderStart() ends with the URL and what to paste", () => {
  const url = "http://127.0.0.1:12009/mcp";
  const lines = renderStart(url, SERVERS, { ...WIDE, columns: Infinity });
  assert.match(lines[0]!, /^mcproxy \d/);
  assert.deepEqual(lines.slice(5, 8), ["", `  Listening on ${url}`, ""]);
  assert.deepEqual(lines.slice(8), renderSnippets(url, PLAIN));
});

test("renderStart() fits a small terminal, and keeps the URL", () => {
  const url = "http://127.0.0.1:12009/mcp";
  const servers = Array.from({ length: 30 }, (_, at) => server({ name: `s${at}` }));
  for (const rows of [8, 12, 20]) {
    const lines = renderStart(url, servers, { ...WIDE, columns: 60, rows });
    assert.ok(lines.length <= rows, `${lines.length} of ${rows}`);
    assert.ok(lines.some((line) => line.includes(url)));
  }
});

test("renderStart() without a listener has no URL to show", () => {
  const lines = renderStart(undefined, SERVERS, WIDE);
  assert.equal(lines.length, 5);
});

test("snippets() are what Claude, Cursor and VS Code take", () => {
  const url = "http://127.0.0.1:1/mcp";
  assert.deepEqual(snippets(url).map(({ where, text }) => [where, text]), [
    ["shell", "claude mcp add --transport http mcproxy http://127.0.0.1:1/mcp"],
    [".mcp.json", '{"mcpServers":{"mcproxy":{"type":"http","url":"http://127.0.0.1:1/mcp"}}}'],
    [".cursor/mcp.json", '{"mcpServers":{"mcproxy":{"url":"http://127.0.0.1:1/mcp"}}}'],
    [".vscode/mcp.json", '{"servers":{"mcproxy":{"type":"http","url":"http://127.0.0.1:1/mcp"}}}'],
  ]);
});

test("summaryText() counts what is wanted", () => {
  assert.equal(summaryText(SERVERS), "1 of 3 servers ready, 9 tools, 1 connecting, 1 failed");
  assert.equal(summaryText([]), "0 of 0 servers ready, 0 tools");
});
