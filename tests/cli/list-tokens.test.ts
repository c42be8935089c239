import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { test } from "node:test";
import { startServer } from "../support/server.ts";
import { PLAIN } from "../../src/cli/view/table.ts";
import { renderTokens } from "../../src/cli/list.ts";
import { gatewayUrls } from "../../src/cli/urls.ts";
import { costIn, ungatedHint, viewCost } from "../../src/cli/costs.ts";
import { ESTIMATE, exactTokenizer } from "../../src/lib/tokens.ts";
import { costsOf, type GateCost } from "../../src/gating/gate.ts";
import { cacheEnv } from "../support/cache.ts";
import { fakeCommand } from "../support/fakes/stdio.ts";
import { configFile, run } from "./support.ts";

function cost(
  tokens: number,
  gatedTokens: number,
  rest: Partial<GateCost> = {},
): GateCost {
  return {
    mode: "auto",
    gated: false,
    maxTools: 50,
    maxTokens: 10_000,
    tools: 9,
    gatedTools: 5,
    ...costsOf(tokens, gatedTokens),
    ...rest,
  };
}

for (
  const [given, why] of [
    [cost(100, 450), "9 tools ≤ 50, about 100 tokens ≤ 10000"],
    [cost(100, 450, { tools: 1 }), "1 tool ≤ 50, about 100 tokens ≤ 10000"],
    [cost(99_000, 450, { tools: 600, gated: true }), "600 tools > 50"],
    [cost(99_000, 450, { gated: true }), "about 99000 tokens > 10000"],
    [cost(100, 450, { mode: "on", gated: true }), "gating is on"],
    [cost(99_000, 450, { mode: "off", tools: 600 }), "gating is off"],
  ] as const
) test(`viewCost() says why: ${why}`, () => assert.equal(viewCost(undefined, given).why, why));

test("viewCost() explains by the estimates that decided, whatever was counted", () => {
  const exact = cost(9_900, 440, { gated: true });
  const view = viewCost("a b", exact, cost(10_100, 480, { gated: true }));
  assert.equal(view.why, "about 10100 tokens > 10000");
  assert.deepEqual(
    [view.path, view.profile, view.tokens, view.savedTokens, view.savedPercent],
    ["/profiles/a%20b/mcp", "a b", 9_900, 9_460, 95.6],
  );
  assert.equal(viewCost(undefined, cost(0, 450)).savedPercent, 0);
});

test("ungatedHint() says what a list costs that nobody gated, above the bounds of auto", () => {
  const off = { mode: "off", tools: 51 } as const;
  assert.match(
    ungatedHint(cost(5_400, 450, off))!,
    /\/mcp lists 51 tools, about 5400 tokens .*\/gated\/mcp lists 5 .*connect CLIENT --gated/,
  );
  assert.notEqual(ungatedHint(cost(10_001, 450, { mode: "off" })), undefined);
  assert.equal(ungatedHint(cost(10_000, 450, { mode: "off", tools: 50 })), undefined);
  // Who chose knows.
  assert.equal(ungatedHint(cost(99_000, 450, { mode: "auto", gated: true })), undefined);
  assert.equal(ungatedHint(cost(99_000, 450, { mode: "on", gated: true })), undefined);
  assert.equal(ungatedHint(undefined), undefined);
});

test("costIn() reads what a status says, and nothing of an older one", () => {
  const given = cost(99_000, 450, { gated: true });
  assert.deepEqual(costIn(JSON.parse(JSON.stringify(given))), given);
  for (const other of [undefined, null, 7, {}, { mode: "new" }]) {
    assert.equal(costIn(other), undefined);
  }
});

test("renderTokens() shows each view with both lists, and where gating would lose", () => {
  const lines = renderTokens([], {
    tokenizer: ESTIMATE,
    views: [
      viewCost(undefined, cost(99_000, 450, { tools: 600, gated: true })),
      viewCost("few", cost(100, 450)),
      viewCost("forced", cost(100, 450, { mode: "on", gated: true })),
      viewCost("free", cost(1_000, 450, { mode: "off" })),
    ],
  }, { style: PLAIN, width: Infinity });
  assert.deepEqual(lines.map((line) => line.replace(/ {2,}/g, "  ")), [
    "",
    "all servers  tools 0  about 0 tokens, estimated by tokenx",
    "",
    "VIEW  TOOLS  TOKENS  GATED TO  TOKENS  GATING  GATED NOW",
    "/mcp  600  99000  5  450  saves 98550 (99.5%)  yes: 600 tools > 50",
    "/profiles/few/mcp  9  100  5  450  would cost 350 more  " +
    "no: 9 tools ≤ 50, about 100 tokens ≤ 10000",
    "/profiles/forced/mcp  9  100  5  450  costs 350 more  yes: gating is on",
    "/profiles/free/mcp  9  1000  5  450  would save 550 (55%)  no: gating is off",
  ]);
});

test("gatewayUrls() knows the gated and ungated endpoints of every view", () => {
  const urls = gatewayUrls("http://h:1/below/mcp");
  assert.equal(urls.gate(undefined, false), "http://h:1/below/ungated/mcp");
  assert.equal(urls.gate("a b", true), "http://h:1/below/profiles/a%20b/gated/mcp");
});

const CONFIG = {
  gating: "auto",
  mcpServers: {
    many: fakeCommand({ tools: Array.from({ length: 51 }, (_, index) => `echo${index}`) }),
    few: {
      ...fakeCommand({ tools: ["echo"], prompts: ["p"] }),
      tools: { override: { echo: { description: "Says what it is told" } } },
    },
  },
  profiles: { small: { servers: ["few"] } },
};

/** The output of `list` with these arguments, of servers started for it and of a gateway. */
async function onBoth(...args: readonly string[]): Promise<readonly string[]> {
  const file = await configFile(CONFIG);
  const env = { ...process.env, ...cacheEnv() };
  const server = await startServer({ config: file.path, port: 0, env });
  try {
    await server.server.gateway.settled();
    const sources = [["--config", file.path], ["--url", server.url]];
    const all = sources.map((source) => run([...args, ...source], { env }));
    return (await Promise.all(all)).map(({ code, stdout, stderr }) => {
      assert.equal(code, 0, stderr);
      return stdout;
    });
  } finally {
    await server.close();
    await file.close();
  }
}

test("list shows every tool of a gateway that gates, and what it saves, local and remote", async () => {
  const [local, remote] = await onBoth("list", "--tokens");
  assert.equal(local, remote);
  assert.match(local!, /^ +many_echo50 +echo50 +\d+ +Does echo50$/m);
  assert.match(local!, /^all servers {2}tools 52 {2}about \d+ tokens, estimated by tokenx$/m);
  assert.match(local!, /^\/mcp +52 +\d+ +5 +\d+ +saves \d+ \([\d.]+%\) +yes: 52 tools > 50$/m);
  assert.match(
    local!,
    /^\/profiles\/small\/mcp +1 +\d+ +5 +\d+ +would cost \d+ more +no: 1 tool ≤ 50, about \d+ /m,
  );
});

test("list --exact-tokens --json counts exactly, local and remote", async () => {
  const texts = await onBoth("list", "--exact-tokens", "--json");
  const [local, remote] = texts.map((text) => JSON.parse(text));
  assert.deepEqual(local, remote);
  const { servers, tokens } = local;
  assert.deepEqual([tokens.tokenizer, tokens.exact], ["o200k_base", true]);
  const { count } = await exactTokenizer();
  const text =
    '{"name":"few_echo","description":"Says what it is told","input_schema":{"type":"object"';
  assert.ok(servers[1].tools[0].tokens > count(text), `${servers[1].tools[0].tokens}`);
  assert.equal(servers[1].tokens, servers[1].tools[0].tokens);
  assert.equal(tokens.total, servers[0].tokens + servers[1].tokens);
  const [all, small] = tokens.views;
  assert.deepEqual([all.path, all.tokens, all.gated], ["/mcp", tokens.total, true]);
  assert.equal(all.savedTokens, all.tokens - all.gatedTokens);
  assert.deepEqual([small.profile, small.tokens], ["small", servers[1].tokens]);
});

test("list SERVER --tokens shows no views: they have other tools, too", async () => {
  for (const text of await onBoth("list", "few", "--tokens")) {
    assert.match(text, /^few .* about \d+ tokens$/m);
    assert.doesNotMatch(text, /VIEW|all servers/);
  }
});

test("call calls a tool by its name at a gateway that gates", async () => {
  for (const text of await onBoth("call", "many_echo7", '{"a":1}')) {
    assert.equal(text, '{"a":1}\n');
  }
});

test("call calls the tools that find tools", async () => {
  for (const text of await onBoth("call", "discover_tools", '{"query":"echo7"}')) {
    assert.match(text, /^many_echo7\(/);
  }
});

/** Runs `list --tokens` at a gateway that answers otherwise than ours does. */
async function atOther(
  change: (path: string, text: string) => string | undefined,
  check: (result: Awaited<ReturnType<typeof run>>, asked: readonly string[]) => void,
): Promise<void> {
  const file = await configFile({ ...CONFIG, gating: "off" });
  const env = { ...process.env, ...cacheEnv() };
  const server = await startServer({ config: file.path, port: 0, env });
  const asked: string[] = [];
  const other = createServer(async (request, response) => {
    const path = request.url ?? "/";
    asked.push(path);
    const parts: Uint8Array[] = [];
    for await (const part of request) parts.push(part);
    const { host: _host, connection: _connection, ...headers } = request.headers;
    const answer = await fetch(new URL(path, server.url), {
      method: request.method!,
      headers: headers as Record<string, string>,
      ...(parts.length === 0 ? {} : { body: Buffer.concat(parts) }),
    });
    const text = change(path, await answer.text());
    response.writeHead(text === undefined ? 404 : answer.status, {
      "content-type": answer.headers.get("content-type") ?? "application/json",
    });
    response.end(text ?? `{"error":"not_found","message":"No such path: ${path}"}`);
  });
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  try {
    await server.server.gateway.settled();
    const url = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
    check(await run(["list", "--tokens", "--url", url]), asked);
  } finally {
    await new Promise((resolve) => other.close(resolve));
    await server.close();
    await file.close();
  }
}

test("list takes the lists of a gateway that knows no gates", async () => {
  const withoutGates = (path: string, text: string) =>
    path === "/api/status" ? text.replaceAll('"gating"', '"unknown"') : text;
  await atOther(withoutGates, ({ code, stdout, stderr }, asked) => {
    assert.equal(code, 0, stderr);
    assert.ok(asked.includes("/api/tools"));
    assert.match(stdout, /^ +many_echo50 +echo50 /m);
    assert.match(stdout, /^all servers {2}tools 52 {2}about \d+ tokens, /m);
    assert.doesNotMatch(stdout, /VIEW/);
  });
});

test("list says so of a gateway that does not tell what its servers offer", async () => {
  const older = (path: string, text: string) => path === "/api/tools" ? undefined : text;
  await atOther(older, ({ code, stdout, stderr }) => {
    assert.equal(code, 1);
    assert.equal(stdout, "");
    assert.match(
      stderr,
      /^Cannot list what the gateway at "http:.*" offers: mcproxy \S+ does not /,
    );
    assert.match(stderr, /Run it with the version of this command/);
  });
  const elsewhere = (path: string, text: string) => path.startsWith("/api/") ? undefined : text;
  await atOther(elsewhere, ({ code, stderr }) => {
    assert.equal(code, 1);
    assert.match(stderr, /^Cannot ask the gateway at ".*": HTTP 404 is not what mcproxy answers/);
  });
});
