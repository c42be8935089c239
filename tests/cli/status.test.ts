import assert from "node:assert/strict";
import { test } from "node:test";
import { parseCommandLine } from "../../src/cli/args.ts";
import { COMMANDS } from "../../src/cli/commands.ts";
import { UsageError } from "../../src/app/io.ts";
import { startServer } from "../support/server.ts";
import { formatSpan, renderStatus } from "../../src/cli/status-view.ts";
import { healthText, readInterval } from "../../src/cli/status.ts";
import { COLORED, PLAIN } from "../../src/cli/view/table.ts";
import { widthOf } from "../../src/lib/text.ts";
import { fakeCommand } from "../support/fakes/stdio.ts";
import { configFile, run } from "./support.ts";

const NOW = Date.parse("2026-11-20T12:00:00.000Z");
const WIDE = { style: PLAIN, width: Infinity, now: NOW };

/** Everything a status can say, as a gateway of this version or the next writes it. */
const BODY = {
  version: "0.1.0",
  uptimeSeconds: 7_300,
  config: {
    path: "/etc/mcproxy/mcp-servers.json",
    loadedAt: "2026-11-20T10:00:00.000Z",
    error: 'mcp-servers.json:3:5: Unknown key "comand"\nhint',
    errorAt: "2026-11-20T11:00:00.000Z",
    restartNeeded: ["host", "port"],
  },
  clients: { sessions: 3, requestsInFlight: 2 },
  lists: { version: 4, tools: 9, prompts: 1, resources: 2, templates: 0 },
  conflicts: [],
  servers: [
    {
      name: "memory",
      state: "ready",
      transport: "stdio",
      era: "legacy",
      pid: 4711,
      since: "2026-11-20T11:59:18.000Z",
      restarts: 1,
      calls: 400,
      failedCalls: 6,
      inFlight: 2,
      queued: 5,
      counts: { tools: 9, prompts: 1, resources: 2, templates: 3 },
      lastError: 'Server "memory" exited with code 1',
      lastErrorAt: "2026-11-20T11:55:00.000Z",
      health: "ok",
      stale: false,
    },
    {
      name: "slow",
      state: "ready",
      transport: "http",
      era: "modern",
      since: "2026-11-19T12:00:00.000Z",
      restarts: 0,
      calls: 1_000,
      failedCalls: 2,
      inFlight: 0,
      counts: { tools: 1, prompts: 0, resources: 0, templates: 0 },
      health: "degraded",
      healthDetail: "its last 3 calls timed out",
      instances: [{ state: "ready" }, { state: "ready" }, { state: "backoff" }],
    },
    {
      name: "gone",
      state: "backoff",
      reason: "refused",
      retryAt: "2026-11-20T12:00:04.500Z",
      transport: "auto",
      since: "2026-11-20T11:59:00.000Z",
      restarts: 2,
      calls: 0,
      failedCalls: 0,
      inFlight: 0,
      counts: { tools: 2, prompts: 0, resources: 0, templates: 0 },
      lastError: "could not be reached: connection refused",
      stale: true,
    },
    {
      name: "asleep",
      state: "idle",
      reason: "unused",
      transport: "stdio",
      restarts: 0,
      counts: {},
    },
    { name: "new", state: "connecting", reason: "starting", transport: "stdio", restarts: 0 },
    { name: "off", state: "disabled", transport: "stdio", counts: { tools: 0 } },
  ],
};

/** What a server's line has below a title; for columns that are aligned to the left. */
function cell(lines: readonly string[], server: string, title: string, next?: string): string {
  const titles = lines.find((line) => line.startsWith("SERVER"))!;
  const line = lines.find((one) => one.startsWith(`${server} `))!;
  const end = next === undefined ? undefined : titles.indexOf(next);
  return line.slice(titles.indexOf(title), end).trimEnd();
}

test("renderStatus() shows state, reason, retry, instances and health", () => {
  const lines = renderStatus(BODY, WIDE);
  const state = (name: string) => cell(lines, name, "STATE", "TRANSPORT");
  assert.equal(state("memory"), "ready");
  assert.equal(state("slow"), "ready 2/3: degraded");
  assert.equal(state("gone"), "backoff: refused, retry in 4s (stale)");
  assert.equal(state("asleep"), "idle: unused");
  assert.equal(state("new"), "connecting");
  assert.equal(state("off"), "disabled");
});

test("renderStatus() shows counts, calls, error rate, restarts, in flight and uptime", () => {
  const lines = renderStatus(BODY, WIDE);
  const memory = lines.find((line) => line.startsWith("memory"))!;
  assert.match(
    memory,
    /^memory +ready +stdio +legacy +9 +1 +2 +3 +4711 +1 +400 +2% +2\+5 queued +42s +5m ago: /,
  );
  assert.equal(cell(lines, "memory", "LAST ERROR"), "5m ago: exited with code 1");
  const slow = lines.find((line) => line.startsWith("slow"))!;
  // A few failures in many calls are not none.
  assert.match(slow, / 1000 +<1% +0 +24h +its last 3 calls timed out$/);
  const gone = lines.find((line) => line.startsWith("gone"))!;
  // Neither a rate without calls nor an uptime of what is down.
  assert.match(gone, / 2 +0 +0 +could not be reached: connection refused$/);
});

test("renderStatus() heads the table with the gateway, and what is wrong with the file", () => {
  assert.deepEqual(renderStatus(BODY, WIDE).slice(0, 6), [
    "mcproxy 0.1.0, up 2h",
    "config /etc/mcproxy/mcp-servers.json, loaded 2026-11-20T10:00:00.000Z",
    "clients 3, requests in flight 2",
    "config not reloaded since 2026-11-20T11:00:00.000Z: " +
    'mcp-servers.json:3:5: Unknown key "comand"',
    "restart needed to apply: host, port",
    "",
  ]);
});

test("renderStatus() shows what tools take, and what gating saves", () => {
  const gating = {
    mode: "auto",
    gated: true,
    maxTools: 50,
    maxTokens: 10_000,
    tools: 600,
    tokens: 99_000,
    gatedTools: 5,
    gatedTokens: 450,
    savedTokens: 98_550,
  };
  const servers = [{ name: "x", state: "ready", counts: { tools: 600 }, tokens: 99_000 }];
  const text = (body: object) => renderStatus({ servers, ...body }, WIDE);
  const [, , , gated] = text({ gating });
  assert.equal(gated, "tools 600, about 99000 tokens; gated to 5, about 450 tokens: 99.5% saved");
  assert.equal(cell(text({ gating }), "x", "TOKENS", "PROMPTS").trim(), "99000");
  const open = { ...gating, gated: false };
  const profiles = [{ name: "a", gating: open }, { name: "b", gating }, { name: "c" }];
  assert.equal(
    text({ gating: open, profiles })[3],
    "tools 600, about 99000 tokens; not gated; 1 of 3 profiles gated",
  );
  const loses = { ...gating, mode: "on", tools: 2, tokens: 100, savedTokens: -350 };
  assert.match(text({ gating: loses })[3]!, /gated to 5, about 450 tokens: 350 more$/);
});

test("renderStatus() takes the body of a gateway that says much less", () => {
  const lines = renderStatus({ servers: [{ name: "x" }, 7, { state: 3 }] }, WIDE);
  assert.equal(lines[0], "mcproxy , up 0s");
  assert.match(lines.find((line) => line.startsWith("x "))!, /^x +unknown$/);
  assert.deepEqual(renderStatus({}, WIDE).slice(0, 3), [
    "mcproxy , up 0s",
    "config , loaded ",
    "clients 0, requests in flight 0",
  ]);
});

test("renderStatus() shows no control character of a server or a file", () => {
  const evil = "a\x1b[2Jb\nc\u202ed";
  const server = { name: evil, state: evil, transport: evil, era: evil, lastError: evil };
  const body = {
    version: evil,
    config: { path: evil, error: evil, errorAt: evil, restartNeeded: [evil] },
    servers: [{ ...server, reason: evil }, { ...server, health: "degraded", healthDetail: evil }],
  };
  const text = renderStatus(body, WIDE).join("\n");
  // deno-lint-ignore no-control-regex
  assert.doesNotMatch(text, /[\x00-\x09\x0b-\x1f\u202e]/);
  assert.equal(text.split("\n").length, 9);
});

const FITTED: readonly (readonly [number, string])[] = [
  [30, "SERVER STATE"],
  [80, "SERVER STATE LAST ERROR"],
  [100, "SERVER STATE CALLS ERRORS LAST ERROR"],
  [130, "SERVER STATE TOOLS RESTARTS CALLS ERRORS IN FLIGHT UPTIME LAST ERROR"],
];
for (const [width, titles] of FITTED) {
  test(`renderStatus() keeps to ${width} columns and to what matters`, () => {
    const lines = renderStatus(BODY, { style: PLAIN, width, now: NOW, rows: 50 });
    for (const line of lines) assert.ok(widthOf(line) <= width, line);
    assert.equal(lines[6]!.replace(/ +/g, " "), titles);
  });
}

test("renderStatus() leaves out servers that are well first where rows are short", () => {
  const lines = renderStatus(BODY, { ...WIDE, rows: 11 });
  assert.equal(lines.length, 11);
  const names = lines.slice(7).map((line) => line.split(" ")[0]);
  assert.deepEqual(names, ["slow", "gone", "new", "…"]);
  assert.equal(lines.at(-1), "… and 3 more");
  assert.equal(renderStatus(BODY, { ...WIDE, rows: 13 }).length, 13);
  assert.doesNotMatch(renderStatus(BODY, { ...WIDE, rows: 13 }).join(), / more/);
});

test("renderStatus() paints by state", () => {
  const lines = renderStatus(BODY, { ...WIDE, style: COLORED });
  const of = (name: string) => lines.find((line) => line.includes(`m${name}\x1b`))!;
  assert.ok(of("memory").includes("\x1b[32mready\x1b"));
  assert.ok(of("slow").includes("\x1b[33mready 2/3: degraded\x1b"));
  assert.ok(of("gone").includes("\x1b[31mbackoff: refused"));
  assert.ok(of("asleep").includes("\x1b[2midle: unused\x1b"));
});

const SPANS: readonly (readonly [number, string])[] = [
  [-5_000, "0s"],
  [999, "0s"],
  [59_999, "59s"],
  [60_000, "1m"],
  [3_599_000, "59m"],
  [3_600_000, "1h"],
  [47.9 * 3_600_000, "47h"],
  [48 * 3_600_000, "2d"],
  [NaN, "0s"],
];
for (const [ms, text] of SPANS) {
  test(`formatSpan() makes ${text} of ${ms} ms`, () => assert.equal(formatSpan(ms), text));
}

const WATCHES: readonly (readonly [string, string | true, readonly string[]])[] = [
  ["status --watch", true, []],
  ["status --watch 5", "5", []],
  ["status --watch=0.5", "0.5", []],
  ["--watch .5 status", ".5", []],
  ["status --watch 500ms --json", "500ms", []],
  ["status --watch --json", true, []],
  ["status --json --watch", true, []],
];
for (const [line, watch, args] of WATCHES) {
  test(`parseCommandLine() reads "${line}"`, () => {
    const parsed = parseCommandLine(line.split(" "), COMMANDS);
    assert.equal(parsed.command.name, "status");
    assert.equal(parsed.options.watch, watch);
    assert.deepEqual(parsed.args, args);
  });
}

test("a number behind a plain option is still a word", () => {
  assert.throws(() => parseCommandLine(["status", "--json", "5"], COMMANDS), /found "5" too many/);
  assert.throws(
    () => parseCommandLine(["status", "--watch=2", "5"], COMMANDS),
    /found "5" too many/,
  );
  assert.throws(
    () => parseCommandLine(["status", "--watch", "soon"], COMMANDS),
    /found "soon" too many/,
  );
});

test("readInterval() takes seconds and durations within bounds", () => {
  assert.equal(readInterval(true), 2_000);
  assert.equal(readInterval("5"), 5_000);
  assert.equal(readInterval(".1"), 100);
  assert.equal(readInterval("250ms"), 250);
  assert.equal(readInterval("1m"), 60_000);
  for (const text of ["", "0", "0.01", "3601", "2h", "1e3", "5 s", "Infinity", "-1"]) {
    assert.throws(() => readInterval(text), (error) => {
      assert.ok(error instanceof UsageError);
      assert.equal(
        error.message,
        `Cannot use --watch ${JSON.stringify(text)}: expected seconds from 0.1 to 3600`,
      );
      return true;
    });
  }
});

test("healthText() says what counts in one line", () => {
  assert.equal(
    healthText({
      status: "ok",
      servers: { ready: 2, total: 2, idle: 0, starting: 0, failing: [] },
    }),
    "ok: 2 of 2 servers ready",
  );
  assert.equal(
    healthText({
      status: "degraded",
      servers: { ready: 1, total: 5, idle: 1, starting: 1, failing: ["a", "b"] },
      configError: true,
    }),
    "degraded: 1 of 5 servers ready, 1 idle, 1 starting, failing: a, b, " +
      "the configuration file has been refused",
  );
  assert.equal(healthText({ status: "fine" }), "fine: 0 of 0 servers ready");
});

test("status --health exits with 0 while the gateway works, with 1 when it stops or is away", async () => {
  const file = await configFile({
    warmStart: false,
    mcpServers: { good: fakeCommand({}), bad: { command: "mcproxy-no-such-command" } },
  });
  const server = await startServer({ config: file.path, port: 0 });
  const { gateway } = server.server;
  const ask = (...args: string[]) => run(["status", "--health", "--url", server.url, ...args]);
  try {
    await gateway.settled();
    const well = await ask();
    assert.deepEqual(well, {
      code: 0,
      stdout: "degraded: 1 of 2 servers ready, failing: bad\n",
      stderr: "",
    });
    assert.equal(JSON.parse((await ask("--json")).stdout).status, "degraded");
    await gateway.drain(0);
    const stopping = await ask();
    assert.equal(stopping.code, 1);
    assert.match(stopping.stdout, /^stopping: /);
  } finally {
    await server.close();
    await file.close();
  }
  const away = await run(["status", "--health", "--url", "http://127.0.0.1:1"]);
  assert.equal(away.code, 1);
  assert.equal(away.stdout, "");
  assert.match(away.stderr, /^Cannot ask the gateway at "http:\/\/127\.0\.0\.1:1"/);
});

test("status --health and --watch exclude each other", async () => {
  const { code, stderr } = await run(["status", "--health", "--watch"]);
  assert.equal(code, 2);
  assert.match(stderr, /^Cannot use --health with --watch/);
});

test("renderStatus() tells what waits for approval, and why nothing can be compared", () => {
  const servers = [
    { name: "a", state: "ready", pins: { waiting: 2, held: 0 } },
    { name: "b", state: "ready", pins: { waiting: 1, held: 1 } },
    { name: "c", state: "ready", pins: { waiting: 0, held: 0 } },
  ];
  const lines = renderStatus({ servers, pinProblem: 'Cannot use "/x": found mode 644' }, WIDE);
  assert.ok(
    lines.includes('definitions not as approved: a 2, b 1 held back; see "mcproxy approve"'),
  );
  assert.ok(lines.includes('Cannot use "/x": found mode 644'));
});
