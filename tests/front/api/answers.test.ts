/** What the API tells: its shapes, bounds and errors. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { recentLines } from "../../../src/log/recent.ts";
import { House, inScope, LOCAL } from "../access/house.ts";
import { lineOf } from "./lines.ts";

const FROM = { from: "127.0.0.1" };

// deno-lint-ignore no-explicit-any
async function told(house: House, path: string, status = 200): Promise<any> {
  const response = await house.ask(path, FROM);
  assert.equal(response.status, status, path);
  return await response.json();
}

const keys = (value: object) => Object.keys(value).toSorted();

async function called(house: House, name: string, client = "2026-07-28"): Promise<void> {
  const response = await house.modern("/mcp", "tools/call", { name, arguments: {} });
  assert.ok(client.length > 0 && response.status < 500);
  await response.text();
}

test(
  "the overview tells how things are, and each server",
  inScope(async (scope) => {
    const house = await House.open(scope, {});
    for (let count = 0; count < 12; count++) await called(house, "a_echo");
    await called(house, "a_nothing");
    const overview = await told(house, "/api/overview?range=15m");
    assert.deepEqual(keys(overview), [
      ...["attention", "before", "calls", "failed", "from", "gatewayMs", "p50", "p95", "range"],
      ...["sentence", "servers", "spared", "step", "to", "tokens", "traffic"],
    ]);
    assert.equal(overview.sentence, "All two servers answer.");
    assert.equal(overview.range, "15m");
    assert.deepEqual([overview.calls, overview.failed], [13, 1]);
    assert.deepEqual(overview.before, { calls: 0, failed: 0 });
    assert.equal(overview.traffic.length, 15);
    assert.equal(overview.to - overview.from, 15 * overview.step);
    // deno-lint-ignore no-explicit-any
    assert.equal(overview.traffic.reduce((sum: number, { calls }: any) => sum + calls, 0), 13);
    assert.deepEqual(keys(overview.traffic.at(-1)), ["at", "calls", "failed", "p95"]);
    const [a, b] = overview.servers;
    assert.deepEqual(keys(a), [
      ...["calls", "era", "failed", "level", "name", "p50", "p95", "since", "spark", "state"],
      ...["tokens", "tools", "transport"],
    ]);
    assert.deepEqual([a.name, a.state, a.calls, a.failed, a.level], ["a", "ready", 12, 0, "ok"]);
    assert.deepEqual([b.name, b.calls, b.level, b.spark.length], ["b", 0, "ok", 15]);
    assert.equal(typeof a.since, "number");
    const { error } = await told(house, "/api/overview?range=1y", 400);
    assert.equal(error, "invalid_range");
  }),
);

test(
  "the overview names first what alerts are about",
  inScope(async (scope) => {
    const house = await House.open(scope, {});
    const fired = { rule: "down", subject: "a", since: 1, text: "a is down." };
    const alerts = { report: () => Promise.resolve({ firing: [fired], history: [] }), close() {} };
    Object.defineProperty(house.observatory, "alerts", { value: Promise.resolve(alerts) });
    house.gateway.configState.refuse("no good");
    const { attention } = await told(house, "/api/overview");
    assert.deepEqual(attention.map(({ kind }: { kind: string }) => kind), ["alert", "config"]);
    assert.deepEqual(attention[0], {
      ...{ kind: "alert", level: "bad", subject: "a", title: "a: down", text: "a is down." },
      act: { label: "Alerts", href: "#/alerts" },
    });
  }),
);

test(
  "a server, and a tool, are told of by themselves",
  inScope(async (scope) => {
    const house = await House.open(scope, {});
    await called(house, "a_echo");
    const server = await told(house, "/api/servers/a");
    assert.deepEqual([server.name, server.state, server.calls, server.failed], [
      "a",
      "ready",
      1,
      0,
    ]);
    assert.equal(server.states.at(-1).state, "ready");
    assert.equal(typeof server.states[0].at, "number");
    assert.ok(Array.isArray(server.stderr));
    const missing = await told(house, "/api/servers/aa", 404);
    assert.deepEqual(missing, {
      error: "not_found",
      message: 'No such server: aa (did you mean "a"?)',
    });
    const tool = await told(house, "/api/tools/a_echo");
    assert.deepEqual(
      [tool.name, tool.server, tool.ownName, tool.calls, tool.failed],
      ["a_echo", "a", "echo", 1, 0],
    );
    assert.deepEqual(tool.inputSchema, { type: "object" });
    assert.ok(tool.tokens > 0 && tool.last <= Date.now());
    assert.equal((await told(house, "/api/tools/nothing", 404)).error, "not_found");
  }),
);

test(
  "a server is started anew, and goes on serving meanwhile",
  inScope(async (scope) => {
    const house = await House.open(scope, {});
    const before = house.gateway.members.get("a");
    const response = await house.post("/api/servers/a/restart", {}, LOCAL);
    assert.deepEqual([response.status, await response.json()], [202, { server: "a" }]);
    const again = await house.post("/api/servers/a/restart", {}, LOCAL);
    assert.equal(again.status, 202);
    const successor = house.gateway.members.successor("a")!;
    assert.notEqual(successor, before);
    await successor.settled;
    await Promise.resolve();
    assert.equal(house.gateway.members.get("a"), successor);
    await called(house, "a_echo");
    assert.equal((await house.post("/api/servers/x/restart", {}, LOCAL)).status, 404);
    const mcpServers = { a: { command: "fake" }, b: { command: "fake", disabled: true } };
    house.reload({ mcpServers, profiles: {} });
    assert.equal((await house.post("/api/servers/b/restart", {}, LOCAL)).status, 409);
    assert.equal((await house.ask("/api/servers/a/restart", FROM)).status, 405);
  }),
);

test(
  "calls are told newest first, filtered, page by page",
  inScope(async (scope) => {
    const house = await House.open(scope, {});
    for (const name of ["a_echo", "b_echo", "a_nothing", "a_echo"]) await called(house, name);
    const { items, next } = await told(house, "/api/calls");
    assert.deepEqual(items.map((one: { name: string }) => one.name), [
      ...["a_echo", "a_nothing", "b_echo", "a_echo"],
    ]);
    assert.equal(next, null);
    const failed = await told(house, "/api/calls?filter=-outcome:ok");
    assert.deepEqual(failed.items.map((one: { name: string }) => one.name), ["a_nothing"]);
    const page = await told(house, "/api/calls?limit=2");
    assert.equal(page.items.length, 2);
    assert.equal(typeof page.next, "string");
    const rest = await told(house, `/api/calls?before=${page.next}`);
    assert.deepEqual([...page.items, ...rest.items], items);
    const bad = await told(house, "/api/calls?filter=sever:a", 400);
    assert.equal(bad.error, "invalid_filter");
    assert.match(bad.message, /did you mean "server"/);
    assert.equal((await told(house, "/api/calls?limit=0", 400)).error, "invalid_limit");
    assert.equal((await told(house, "/api/calls?before=x", 400)).error, "invalid_before");
    const one = await told(house, `/api/calls/${items[0].id}`);
    assert.deepEqual(one, { ...items[0], inner: [] });
    assert.equal((await told(house, "/api/calls/zzz", 404)).error, "not_found");
    const usage = await told(house, "/api/usage?by=server");
    assert.deepEqual(
      // deno-lint-ignore no-explicit-any
      usage.items.map(({ key, calls }: any) => [key, calls]).slice(0, 2),
      [["a", 2], ["b", 1]],
    );
    assert.equal((await told(house, "/api/usage?by=day", 400)).error, "invalid_by");
  }),
);

test(
  "what is offered may be searched, and tells of its calls",
  inScope(async (scope) => {
    const house = await House.open(scope, {});
    await called(house, "b_echo");
    const { servers } = await told(house, "/api/tools?q=ECH");
    // deno-lint-ignore no-explicit-any
    assert.deepEqual(servers.map(({ name, tools }: any) => [name, tools[0].own, tools[0].calls]), [
      ["a", "echo", undefined],
      ["b", "echo", 1],
    ]);
    assert.deepEqual((await told(house, "/api/tools?q=nothing")).servers[0].tools, []);
  }),
);

test(
  "what calls say is recorded when somebody asks for it, for a time",
  inScope(async (scope) => {
    const house = await House.open(scope, {});
    await called(house, "a_echo");
    const [before] = (await told(house, "/api/calls")).items;
    assert.equal("body" in await told(house, `/api/calls/${before.id}`), false);
    const record = async (body: object) => {
      const response = await house.post("/api/record", body, LOCAL);
      return [response.status, await response.json()];
    };
    const [status, { until }] = await record({ for: "10m", server: "a" });
    assert.equal(status, 200);
    assert.ok(until > Date.now() && until <= Date.now() + 600_000);
    await called(house, "a_echo");
    const [call] = (await told(house, "/api/calls")).items;
    const { body } = await told(house, `/api/calls/${call.id}`);
    assert.match(body.request, /"name":"a_echo"/);
    assert.match(body.result, /echoed/);
    assert.deepEqual([body.cut, body.redacted], [false, false]);
    for (const wrong of [{}, { for: "0" }, { for: "48h" }, { for: "1m", bodies: "some" }]) {
      assert.equal((await record(wrong))[0], 400, JSON.stringify(wrong));
    }
    assert.equal((await record({ for: "1m", server: "x" }))[0], 404);
  }),
);

test(
  "alerts are told without the secrets of their channels",
  inScope(async (scope) => {
    const house = await House.open(scope, {
      alerts: {
        to: ["slack:https://hooks.slack.com/services/T/B/canary", { command: ["mail", "canary"] }],
        rules: [{ when: "slow", servers: ["a"], p95: "5s" }],
      },
    });
    const text = JSON.stringify(await told(house, "/api/alerts"));
    assert.ok(!text.includes("canary"), text);
    assert.deepEqual(JSON.parse(text), {
      rules: [{ rule: "slow", servers: ["a"], condition: "in 10m, p95 5s" }],
      firing: [],
      history: [],
      channels: [
        { kind: "slack", target: "hooks.slack.com" },
        { kind: "command", target: "mail" },
      ],
    });
  }),
);

test(
  "the log is told from its end, by level and text, as redacted as it is",
  inScope(async (scope) => {
    const house = await House.open(scope, {
      mcpServers: { a: { command: "fake", env: { API_TOKEN: "canary-of-the-log" } } },
      profiles: {},
    });
    const marker = crypto.randomUUID();
    const add = (level: "info" | "warning", message: string, json: string | null = null) =>
      recentLines.add({
        ...{ time: Date.now(), level, category: "test", message, fields: "server=a", json },
        detail: [],
      });
    add("info", `${marker} one`);
    add("warning", `${marker} two canary-of-the-log`);
    add("info", `${marker} three`, JSON.stringify({ ts: "", level: "info", msg: "m", rid: "x y" }));
    const { items, next } = await told(house, `/api/log?q=${marker.toUpperCase()}`);
    // deno-lint-ignore no-explicit-any
    assert.deepEqual(items.map(({ message, fields }: any) => [message, fields]), [
      [`${marker} three`, { rid: "x y" }],
      [`${marker} two [redacted]`, { server: "a" }],
      [`${marker} one`, { server: "a" }],
    ]);
    assert.equal(next, null);
    assert.deepEqual(keys(items[0]), ["at", "category", "fields", "id", "level", "message"]);
    const warnings = await told(house, `/api/log?q=${marker}&level=warn`);
    assert.equal(warnings.items.length, 1);
    const page = await told(house, `/api/log?q=${marker}&limit=1`);
    const rest = await told(house, `/api/log?q=${marker}&before=${page.next}`);
    assert.equal(rest.items.length, 2);
    assert.equal((await told(house, "/api/log?level=loud", 400)).error, "invalid_level");
  }),
);

test("the last lines of the log are bounded in number and length", () => {
  const long = "x".repeat(10_000);
  for (let count = 0; count < 1_500; count++) {
    recentLines.add(lineOf(count % 2 === 0 ? long : `line ${count}`));
  }
  const lines = recentLines.lines();
  assert.ok(lines.length <= 1_000);
  const size = lines.reduce((sum, { message, fields }) => sum + message.length + fields.length, 0);
  assert.ok(size <= 200_000, `${size}`);
  assert.equal(lines[0]!.message, "line 1499");
});

test(
  "paths that are there with the wrong method, a body that is none, and names of any kind",
  inScope(async (scope) => {
    const house = await House.open(scope, {});
    const wrong = await house.ask("/api/overview", { ...LOCAL, method: "DELETE" });
    assert.deepEqual([wrong.status, wrong.headers.get("allow")], [405, "GET"]);
    const headers = { "content-type": "text/plain" };
    const plain = await house.ask("/api/config/check", {
      ...{ ...LOCAL, method: "POST", headers, body: "{}" },
    });
    assert.equal(plain.status, 415);
    assert.equal((await plain.json()).error, "refused");
    for (const body of ["[]", "nonsense", '"text"']) {
      const response = await house.post("/api/config/check", body, LOCAL);
      assert.equal(response.status, 400, body);
    }
    for (const name of ["__proto__", "constructor", "%00", "%2e%2e", "a%2Fb", "%F0%9F%92%A9"]) {
      for (const kind of ["servers", "tools", "calls"]) {
        const response = await house.ask(`/api/${kind}/${name}`, FROM);
        assert.equal(response.status, 404, `${kind} ${name}`);
        await response.body?.cancel();
      }
    }
  }),
);
